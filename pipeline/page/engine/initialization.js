// The initial parameters of pipeline/initializers/, from the random stream of numpy.random.RandomState(seed).

// MT19937 (Matsumoto & Nishimura 1998), seeded as RandomState(seed) with an integer from 0 to 2**32 - 1.
class RandomState {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, before) + i;
    }
    this.next = 624;
    this.cached_normal = null; // the second normal draw of a pair
  }

  uint32() {
    if (this.next === 624) this.twist();
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  twist() {
    const x = this.state;
    for (let i = 0; i < 624; i++) {
      const y = (x[i] & 0x80000000) | (x[(i + 1) % 624] & 0x7fffffff);
      x[i] = x[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }

  // A double in [0, 1) with 53 random bits.
  random_sample() {
    const high = this.uint32() >>> 5, low = this.uint32() >>> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
  }

  uniform(n, low, high) {
    return Float64Array.from({length: n}, () => low + (high - low) * this.random_sample());
  }

  // n draws from N(0, 1) by the polar method (Marsaglia & Bray 1964), in the order of `numerics.random.normal`.
  normal(n) {
    const drawn = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      if (this.cached_normal !== null) {
        drawn[i] = this.cached_normal;
        this.cached_normal = null;
        continue;
      }
      let x, y, square;
      do {
        x = 2.0 * this.random_sample() - 1.0;
        y = 2.0 * this.random_sample() - 1.0;
        square = x * x + y * y;
      } while (!(square < 1.0 && square > 0.0));
      const factor = Math.sqrt(-2.0 * log(square) / square);
      drawn[i] = y * factor; // the second of a pair comes first, as in NumPy
      this.cached_normal = x * factor;
    }
    return drawn;
  }

  // N(0, 1) truncated to [low, high]: all entries outside are redrawn together until none is left.
  truncated_normal(n, low, high) {
    const drawn = this.normal(n);
    for (;;) {
      const outside = [];
      drawn.forEach((value, i) => { if (value < low || value > high) outside.push(i); });
      if (outside.length === 0) return drawn;
      this.normal(outside.length).forEach((value, k) => { drawn[outside[k]] = value; });
    }
  }
}

const DOUBLE = new Float64Array(1), WORDS = new Uint32Array(DOUBLE.buffer); // little-endian, as all browsers are

// ln x for positive normal doubles, as k ln 2 + ln(1 + f) with x = 2**k (1 + f): `elementary.log`.
function log(x) {
  DOUBLE[0] = x;
  let k = ((WORDS[1] >>> 20) & 0x7ff) - 1022;
  WORDS[1] = (WORDS[1] & 0x000fffff) | (1022 << 20);
  let significand = DOUBLE[0]; // in [1/2, 1)
  if (significand < Math.sqrt(0.5)) {
    significand = significand * 2.0;
    k = k - 1;
  }
  const f = significand - 1.0, s = f / (f + 2.0), u = s * s;
  let q = 2 / 25;
  for (let n = 23; n > 1; n -= 2) q = q * u + 2 / n;
  const half_square = (f * f) * 0.5;
  return k * LN2_HIGH - ((half_square - (s * (half_square + q * u) + k * LN2_LOW)) - f);
}

// A Haar-distributed matrix (rows, columns) with orthonormal rows or columns, whichever are fewer: `matrices.orthonormal`.
function orthonormal(rng, rows, columns) {
  const drawn = rng.normal(rows * columns);
  if (rows <= columns) return orthonormal_rows(drawn, rows, columns);
  return transposed(orthonormal_rows(transposed(drawn, rows, columns), columns, rows), columns, rows);
}

function transposed(A, rows, columns) {
  return Float64Array.from(A, (_, i) => A[(i % rows) * columns + Math.floor(i / rows)]);
}

// Orthonormal rows from those of A (k, n), k <= n, by Gram-Schmidt with two projections per row.
function orthonormal_rows(A, k, n) {
  const Q = pad(A, k, n), m = Q.length / k;
  for (let i = 0; i < k; i++) {
    for (let twice = 0; twice < 2; twice++) {
      const shares = [];
      for (let j = 0; j < i; j++) shares.push(lane_sum_of_products(Q, j * m, Q, i * m, m));
      shares.forEach((share, j) => {
        for (let s = 0; s < m; s++) Q[i * m + s] = Q[i * m + s] - share * Q[j * m + s];
      });
    }
    const length = Math.sqrt(lane_sum_of_products(Q, i * m, Q, i * m, m));
    for (let s = 0; s < m; s++) Q[i * m + s] = Q[i * m + s] / length;
  }
  return Float64Array.from(A, (_, i) => Q[Math.floor(i / n) * m + (i % n)]);
}

// For each row of a matrix (rows, columns) the set of the min(k, columns) true columns of `matrices.sample_mask`.
function sample_mask(rng, rows, columns, k) {
  return Array.from({length: rows}, () => {
    const draws = rng.uniform(columns, 0.0, 1.0);
    return new Set([...draws.keys()].sort((i, j) => draws[i] - draws[j]).slice(0, k)); // Array.sort is stable
  });
}

// Sylvester's Hadamard matrix at (i, j): the sign of the parity of the bits that i and j have in common.
function hadamard(i, j) {
  let sign = 1.0;
  for (let common = i & j; common; common &= common - 1) sign = -sign;
  return sign;
}

const FANS = {
  fan_in: (fan_in, fan_out) => fan_in,
  fan_out: (fan_in, fan_out) => fan_out,
  fan_avg: (fan_in, fan_out) => (fan_in + fan_out) / 2,
  fan_geo_avg: (fan_in, fan_out) => Math.sqrt(fan_in * fan_out),
};

const DISTRIBUTIONS = {
  normal: (rng, n, variance) => rng.normal(n).map(value => value * Math.sqrt(variance)),
  truncated_normal: (rng, n, variance) =>
    rng.truncated_normal(n, -2.0, 2.0).map(value => value * (Math.sqrt(variance) / STD_WITHIN_2)),
  uniform: (rng, n, variance) => rng.uniform(n, -1.0, 1.0).map(value => value * Math.sqrt(3.0 * variance)),
};

const filled = (n, value) => new Float64Array(n).fill(value);

function variance_scaling({scale, mode, distribution}) {
  return (rng, fan_out, fan_in) => DISTRIBUTIONS[distribution](rng, fan_out * fan_in, scale / FANS[mode](fan_in, fan_out));
}

const he = distribution => ({negative_slope, mode}) =>
  variance_scaling({scale: 2.0 / (1.0 + negative_slope * negative_slope), mode, distribution});
const xavier = distribution => () => variance_scaling({scale: 1.0, mode: "fan_avg", distribution});
const lecun = distribution => () => variance_scaling({scale: 1.0, mode: "fan_in", distribution});

// Recipe: a function of settings that returns (rng, fan_out, fan_in) -> W (fan_out * fan_in,), or [W, b].
const RECIPES = {
  zeros: () => (rng, fan_out, fan_in) => filled(fan_out * fan_in, 0.0),
  ones: () => (rng, fan_out, fan_in) => filled(fan_out * fan_in, 1.0),
  constant: ({value}) => (rng, fan_out, fan_in) => filled(fan_out * fan_in, value),
  uniform: ({low, high}) => (rng, fan_out, fan_in) => rng.uniform(fan_out * fan_in, low, high),
  normal: ({std}) => (rng, fan_out, fan_in) => rng.normal(fan_out * fan_in).map(value => value * std),
  truncated_normal: ({std, low, high}) => (rng, fan_out, fan_in) =>
    rng.truncated_normal(fan_out * fan_in, low, high).map(value => value * std),
  truncated_normal_absolute: ({std, mean, low, high}) => (rng, fan_out, fan_in) =>
    rng.truncated_normal(fan_out * fan_in, (low - mean) / std, (high - mean) / std)
      .map(value => Math.min(Math.max(mean + std * value, low), high)),
  variance_scaling,
  he_normal: he("normal"),
  he_uniform: he("uniform"),
  he_truncated_normal: he("truncated_normal"),
  xavier_normal: xavier("normal"),
  xavier_uniform: xavier("uniform"),
  xavier_truncated_normal: xavier("truncated_normal"),
  lecun_normal: lecun("normal"),
  lecun_uniform: lecun("uniform"),
  lecun_truncated_normal: lecun("truncated_normal"),
  pytorch_linear: () => (rng, fan_out, fan_in) => {
    const r = 1.0 / Math.sqrt(fan_in);
    return [fan_out * fan_in, fan_out].map(n => rng.uniform(n, -1.0, 1.0).map(value => value * r));
  },
  sklearn_mlp: ({activation}) => (rng, fan_out, fan_in) => {
    const r = Math.sqrt(SKLEARN_FACTORS[activation] / (fan_in + fan_out));
    return [transposed(rng.uniform(fan_in * fan_out, -r, r), fan_in, fan_out), rng.uniform(fan_out, -r, r)];
  },
  orthogonal: () => orthonormal,
  identity: ({value}) => (rng, fan_out, fan_in) => {
    const W = filled(fan_out * fan_in, 0.0);
    for (let i = 0; i < Math.min(fan_out, fan_in); i++) W[i * fan_in + i] = value;
    return W;
  },
  sparse: ({sparsity, std}) => (rng, fan_out, fan_in) => {
    const W = rng.normal(fan_out * fan_in).map(value => value * std);
    const masks = sample_mask(rng, fan_in, fan_out, Math.ceil(sparsity * fan_out)); // of the columns
    return W.map((value, place) => (masks[place % fan_in].has(Math.floor(place / fan_in)) ? 0.0 : value));
  },
  martens_sparse: ({n_connections, std}) => (rng, fan_out, fan_in) => {
    const W = rng.normal(fan_out * fan_in).map(value => value * std);
    const masks = sample_mask(rng, fan_out, fan_in, n_connections);
    return W.map((value, place) => (masks[Math.floor(place / fan_in)].has(place % fan_in) ? value : 0.0));
  },
  zero_init: () => (rng, fan_out, fan_in) => {
    if (fan_out <= fan_in) return RECIPES.identity({value: 1.0})(rng, fan_out, fan_in);
    const m = 32 - Math.clz32(fan_out - 1), factor = Math.sqrt(POWERS[1022 + 1 - m]);
    return filled(fan_out * fan_in, factor).map((value, place) => value * hadamard(Math.floor(place / fan_in), place % fan_in));
  },
};

// The initial parameters of one model: `sample_parameters` of pipeline/initializers/recipes.py, W times `scale`.
// A recipe that is not in RECIPES has its W and b, drawn by the pipeline, in recipe.drawn[seed].
function sample_parameters(recipe, seed, layers_dims, scale) {
  if (recipe.drawn) {
    return recipe.drawn[seed].map(({W, b}) => ({W: Float64Array.from(W, value => value * scale), b: Float64Array.from(b)}));
  }
  const rng = new RandomState(seed);
  return layers_dims.slice(1).map((fan_out, l) => {
    const fan_in = layers_dims[l], layer = recipe.layers[l + 1] || {};
    const init = layer.recipe ? RECIPES[layer.recipe](layer.settings) : RECIPES[recipe.recipe](recipe.settings);
    const drawn = init(rng, fan_out, fan_in);
    const [W, b] = Array.isArray(drawn) ? drawn : [drawn, filled(fan_out, 0.0)];
    const gain = layer.gain ?? recipe.gain, bias = layer.bias ?? recipe.bias;
    return {W: W.map(value => (value * gain) * scale), b: b.map(value => value + bias)};
  });
}
