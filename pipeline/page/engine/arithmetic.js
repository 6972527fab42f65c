// The network of pipeline/networks/reference.py: the same operations in the same order, so the same bits.
//
// Above this text stand the elementary functions, translated from Python. JavaScript's + - * / and Math.sqrt are exactly
// rounded, and nothing is fused or reordered. W of layer l is (n_l, n_{l-1}) row after row, b is (n_l,); Z, A and dZ are
// (n_l, m), one sample per column, where m is padded to a multiple of eight by samples of weight 0.

const LANES = 8;
const POWERS = new Float64Array(2046); // 2**-1022 ... 2**1023
POWERS[1022] = 1.0;
for (let k = 1; k <= 1023; k++) POWERS[1022 + k] = POWERS[1021 + k] * 2.0;
for (let k = 1; k <= 1022; k++) POWERS[1022 - k] = POWERS[1023 - k] / 2.0;

// 2**k as a double, given k + ROUNDER, for integer k from -1022 to 1023.
function power_of_two(shifted) {
  return POWERS[(shifted - 6755399441055744.0 + 1022.0) | 0]; // NaN | 0 is 0
}

// |size| with the sign of `sign`, including that of -0.
function copysign(size, sign) {
  const negative = sign < 0.0 || (sign === 0.0 && 1.0 / sign < 0.0);
  return negative ? -Math.abs(size) : Math.abs(size);
}

// `x` with zeros appended to each of its rows of length m until that is a multiple of eight.
function pad(x, n_rows, m) {
  const padded_m = LANES * Math.ceil(m / LANES);
  const padded = new Float64Array(n_rows * padded_m);
  for (let i = 0; i < n_rows; i++) padded.set(x.subarray(i * m, (i + 1) * m), i * padded_m);
  return padded;
}

// The sum of x[start], ..., x[start + m - 1]: lane v adds the elements v, v + 8, ... starting from 0; then a tree.
function lane_sum(x, start, m) {
  let s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0, s4 = 0.0, s5 = 0.0, s6 = 0.0, s7 = 0.0;
  for (let s = start; s < start + m; s += LANES) {
    s0 += x[s]; s1 += x[s + 1]; s2 += x[s + 2]; s3 += x[s + 3];
    s4 += x[s + 4]; s5 += x[s + 5]; s6 += x[s + 6]; s7 += x[s + 7];
  }
  return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7));
}

// The same sum of the products x[start_x + s] y[start_y + s].
function lane_sum_of_products(x, start_x, y, start_y, m) {
  let s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0, s4 = 0.0, s5 = 0.0, s6 = 0.0, s7 = 0.0;
  for (let s = 0; s < m; s += LANES) {
    const i = start_x + s, j = start_y + s;
    s0 += x[i] * y[j]; s1 += x[i + 1] * y[j + 1]; s2 += x[i + 2] * y[j + 2]; s3 += x[i + 3] * y[j + 3];
    s4 += x[i + 4] * y[j + 4]; s5 += x[i + 5] * y[j + 5]; s6 += x[i + 6] * y[j + 6]; s7 += x[i + 7] * y[j + 7];
  }
  return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7));
}

// {X, Y, weight, m, n_samples}: the padded samples of X (n_0, n_samples) and Y (n_samples,); m is the padded number.
function samples(X, Y, n_inputs) {
  const n_samples = Y.length;
  const weight = new Float64Array(n_samples).fill(1.0 / n_samples);
  const m = LANES * Math.ceil(n_samples / LANES);
  return {X: pad(X, n_inputs, n_samples), Y: pad(Y, 1, n_samples), weight: pad(weight, 1, n_samples), m, n_samples};
}

// Arrays for Z_1 ... Z_L, A_0 ... A_{L-1} (A_0 is X itself) and dZ_1 ... dZ_L of a network on the samples S.
function workspace(layers_dims, S) {
  const make = n => new Float64Array(n * S.m);
  const sizes = layers_dims.slice(1);
  return {Z: sizes.map(make), A: [S.X, ...sizes.slice(0, -1).map(make)], dZ: sizes.map(make)};
}

// Z = W A + b, summed sequentially over the inputs.
function affine(W, b, A, Z, m) {
  const n = b.length, n_inputs = W.length / n;
  for (let i = 0; i < n; i++) {
    const row = i * n_inputs, out = i * m, bias = b[i];
    for (let s = 0; s < m; s++) {
      let z = W[row] * A[s];
      for (let j = 1, a = m + s; j < n_inputs; j++, a += m) z = z + W[row + j] * A[a];
      Z[out + s] = z + bias;
    }
  }
}

// Fill Z and A of a workspace: A_l = phi_l(Z_l) in hidden layers; Z_L are the logits.
function forward_propagation(parameters, activations, space, m) {
  const {Z, A} = space;
  for (let l = 0; l < parameters.length; l++) {
    affine(parameters[l].W, parameters[l].b, A[l], Z[l], m);
    if (l < activations.length) apply(activations[l].phi, Z[l], A[l + 1]);
  }
}

function apply(phi, Z, A) {
  for (let i = 0; i < Z.length; i++) A[i] = phi(Z[i]);
}

// The mean cross-entropy in nats of the logits Z.
function compute_cost(Z, S) {
  const terms = new Float64Array(S.m);
  for (let s = 0; s < S.m; s++) terms[s] = S.weight[s] * cross_entropy(Z[s], S.Y[s]);
  return lane_sum(terms, 0, S.m);
}

// Fill dZ of a workspace and `gradients`, [{W, b}, ...], from Z and A of `forward_propagation`.
function backward_propagation(parameters, activations, S, space, gradients) {
  const {Z, A, dZ} = space, m = S.m, last = parameters.length - 1;
  for (let s = 0; s < m; s++) dZ[last][s] = cross_entropy_slope(Z[last][s], S.Y[s]) * S.weight[s];
  for (let l = last; l >= 0; l--) {
    const {W, b} = gradients[l], n = b.length, n_inputs = W.length / n;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n_inputs; j++) W[i * n_inputs + j] = lane_sum_of_products(dZ[l], i * m, A[l], j * m, m);
      b[i] = lane_sum(dZ[l], i * m, m);
    }
    if (l > 0) propagate_back(parameters[l].W, dZ[l], dZ[l - 1], activations[l - 1].slope, Z[l - 1], A[l], m);
  }
}

// dZ_{l-1} = (W_l' dZ_l) phi'(Z_{l-1}), summed sequentially over the outputs.
function propagate_back(W, dZ, dZ_before, slope, Z, A, m) {
  const n_inputs = Z.length / m, n = W.length / n_inputs;
  for (let j = 0; j < n_inputs; j++) {
    for (let s = 0; s < m; s++) {
      let dA = W[j] * dZ[s];
      for (let i = 1, w = n_inputs + j, d = m + s; i < n; i++, w += n_inputs, d += m) dA = dA + W[w] * dZ[d];
      const place = j * m + s;
      dZ_before[place] = dA * slope(Z[place], A[place]);
    }
  }
}

// One step of gradient descent, in place: v = momentum v + gradient, W = W - learning_rate v.
function update_parameters(parameters, velocity, gradients, rule) {
  for (let l = 0; l < parameters.length; l++) {
    for (const part of ["W", "b"]) {
      const values = parameters[l][part], v = velocity[l][part], gradient = gradients[l][part];
      for (let i = 0; i < values.length; i++) {
        if (rule.momentum > 0.0) v[i] = rule.momentum * v[i] + gradient[i];
        values[i] = values[i] - rule.learning_rate * (rule.momentum > 0.0 ? v[i] : gradient[i]);
      }
    }
  }
}

// Parameters of the same sizes, all 0.
function zeros_like(parameters) {
  return parameters.map(({W, b}) => ({W: new Float64Array(W.length), b: new Float64Array(b.length)}));
}

function copy_of(parameters) {
  return parameters.map(({W, b}) => ({W: W.slice(), b: b.slice()}));
}

// The number of samples whose class is predicted correctly: class 1 if the probability is above 0.5.
function count_correct(Z, S) {
  let n = 0;
  for (let s = 0; s < S.n_samples; s++) n += (sigmoid(Z[s]) > 0.5 ? 1.0 : 0.0) === S.Y[s] ? 1 : 0;
  return n;
}
