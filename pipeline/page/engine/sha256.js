// SHA-256 (FIPS 180-4). The browser's own, crypto.subtle, is missing in pages that are not served over HTTPS.

// The first 32 bits of the fractional parts of the square roots and cube roots of the first 64 primes.
const [SHA_START, SHA_ROUNDS] = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every(p => n % p !== 0)) primes.push(n);
  const root_bits = (n, power) => { // floor(2**32 n**(1 / power)) mod 2**32, by bisection in integers
    const target = BigInt(n) << BigInt(32 * power);
    let low = 0n, high = 1n << 40n;
    while (high - low > 1n) {
      const middle = (low + high) / 2n;
      if (middle ** BigInt(power) <= target) low = middle; else high = middle;
    }
    return Number(low & 0xffffffffn);
  };
  return [primes.slice(0, 8).map(p => root_bits(p, 2)), primes.map(p => root_bits(p, 3))];
})();

// The digest of a Uint8Array, 64 hexadecimal digits.
function sha256(bytes) {
  const padded = new Uint8Array(64 * Math.ceil((bytes.length + 9) / 64));
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 536870912));
  view.setUint32(padded.length - 4, bytes.length * 8);
  const hash = Uint32Array.from(SHA_START), w = new Uint32Array(64);
  const rotated = (x, n) => (x >>> n) | (x << (32 - n));
  for (let block = 0; block < padded.length; block += 64) {
    for (let t = 0; t < 16; t++) w[t] = view.getUint32(block + 4 * t);
    for (let t = 16; t < 64; t++) {
      const x = w[t - 15], y = w[t - 2];
      const small_0 = rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3), small_1 = rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10);
      w[t] = w[t - 16] + small_0 + w[t - 7] + small_1;
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let t = 0; t < 64; t++) {
      const big_1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25), choice = (e & f) ^ (~e & g);
      const one = (h + big_1 + choice + SHA_ROUNDS[t] + w[t]) | 0;
      const big_0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22), majority = (a & b) ^ (a & c) ^ (b & c);
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + big_0 + majority) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => { hash[i] += value; });
  }
  return Array.from(hash, word => word.toString(16).padStart(8, "0")).join("");
}

// The digest of the parameters of a model: W1, b1, W2, ... as little-endian doubles, every NaN as 0x7ff8000000000000.
function digest_of(parameters) {
  const parts = parameters.flatMap(({W, b}) => [W, b]);
  const view = new DataView(new ArrayBuffer(8 * parts.reduce((n, part) => n + part.length, 0)));
  let place = 0;
  for (const part of parts) {
    for (const value of part) {
      if (Number.isNaN(value)) view.setBigUint64(place, 0x7ff8000000000000n, true);
      else view.setFloat64(place, value, true);
      place += 8;
    }
  }
  return sha256(new Uint8Array(view.buffer));
}
