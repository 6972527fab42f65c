// Predictions of mean-field theory, as pipeline/theory/predictions.py: wide layers, independent weights of mean 0.

const STEP = 1 / 64;
const T = Array.from({length: 400}, (_, i) => (i - 240) * STEP);
const HALF = T.map(t => exp(t - exp(-t)));
const NODES = Float64Array.of(...HALF.map(z => -z), ...HALF); // of E[f(z)], z ~ N(0, 1), f analytic except at 0
const DENSITY = HALF.map(z => exp(-0.5 * (z * z)) / Math.sqrt(2.0 * Math.PI));
const WEIGHTS = Float64Array.of(...T, ...T).map((t, i) => DENSITY[i % 400] * ((1.0 + exp(-t)) * HALF[i % 400]) * STEP);
const TERMS = new Float64Array(NODES.length);
const THEORY_SAMPLES = 3000; // samples times layers, at most; of more samples, evenly spaced ones are averaged

const mean = values => values.reduce((total, value) => total + value, 0.0) / values.length;

// E[f(sqrt(q) z)], z ~ N(0, 1).
function expectation(f, q) {
  const s = Math.sqrt(q);
  for (let i = 0; i < NODES.length; i++) TERMS[i] = WEIGHTS[i] * f(s * NODES[i]);
  return lane_sum(TERMS, 0, TERMS.length);
}

// {preactivation: E[z^2], gradient: E[(dC/dz)^2] over that of the last layer} of the layers 1 ... L, for
// layers whose weights have the variances laws[l].weight times scale^2.
function predict(laws, scale, layers_dims, activations, S) {
  const n_layers = laws.length, n_inputs = layers_dims[0];
  const n = Math.min(S.n_samples, Math.ceil(THEORY_SAMPLES / n_layers));
  const signals = [], gradients = [];
  for (let k = 0; k < n; k++) {
    const sample = Math.floor((k + 0.5) * S.n_samples / n);
    let square = 0.0;
    for (let j = 0; j < n_inputs; j++) square += S.X[j * S.m + sample] * S.X[j * S.m + sample] / n_inputs;
    const q = [];
    laws.forEach((law, l) => {
      const {phi} = activations[l - 1] || {};
      const before = l === 0 ? square : expectation(z => phi(z) * phi(z), q[l - 1]);
      q.push(law.weight * scale * scale * layers_dims[l] * before + law.bias);
    });
    const ratio = [1.0];
    for (let l = n_layers - 2; l >= 0; l--) {
      const {phi, slope} = activations[l];
      const growth = laws[l + 1].weight * scale * scale * layers_dims[l + 2];
      ratio.unshift(ratio[0] * growth * expectation(z => slope(z, phi(z)) * slope(z, phi(z)), q[l]));
    }
    signals.push(q);
    gradients.push(ratio);
  }
  const by_layer = rows => laws.map((_, l) => mean(rows.map(row => row[l])));
  return {preactivation: by_layer(signals), gradient: by_layer(gradients)};
}
