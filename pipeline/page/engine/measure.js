// Measurements of a network in training, as pipeline/diagnostics/: at the current weights, over all units and samples.

// The mean square of the n_samples real columns of `values` (n, m).
function mean_square(values, m, n_samples) {
  let total = 0.0;
  const n = values.length / m;
  for (let i = 0; i < n; i++) for (let s = i * m; s < i * m + n_samples; s++) total += values[s] * values[s];
  return total / (n * n_samples);
}

// The number of different rows of [W b].
function distinct_units({W, b}) {
  const n_inputs = W.length / b.length;
  return new Set(Array.from(b, (bias, i) => [...W.subarray(i * n_inputs, (i + 1) * n_inputs), bias].join())).size;
}

// The number of units of a hidden layer whose slope is 0 at every sample.
function dead_units(slope, Z, A, m, n_samples) {
  let dead = 0;
  for (let start = 0; start < Z.length; start += m) {
    let s = start;
    while (s < start + n_samples && slope(Z[s], A[s]) === 0.0) s++;
    dead += s === start + n_samples ? 1 : 0;
  }
  return dead;
}

// The share of samples whose probability p is within 0.0257 of 0 or 1: there p (1 - p) is below a tenth of its largest.
function saturated_outputs(Z, n_samples) {
  let n = 0;
  for (let s = 0; s < n_samples; s++) {
    const p = sigmoid(Math.abs(Z[s]));
    n += p * (1.0 - p) < 0.1 / 4.0 ? 1 : 0;
  }
  return n / n_samples;
}

// The largest |entry| of all W.
const largest_weight = parameters => parameters.reduce((top, {W}) => W.reduce(larger_size, top), 0.0);
const larger_size = (top, value) => Math.abs(value) > top || Number.isNaN(value) ? Math.abs(value) : top;

// The largest |difference| over all W and b.
function largest_difference(parameters, others) {
  let top = 0.0;
  parameters.forEach((layer, l) => {
    for (const part of ["W", "b"]) {
      layer[part].forEach((value, i) => { top = larger_size(top, value - others[l][part][i]); });
    }
  });
  return top;
}

// The next larger double, as numpy.nextafter(x, inf).
function next_after(x) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x + 0.0);
  const bits = view.getBigInt64(0);
  view.setBigInt64(0, x === 0.0 ? 1n : bits >= 0n ? bits + 1n : bits - 1n);
  return view.getFloat64(0);
}
