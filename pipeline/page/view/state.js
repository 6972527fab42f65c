// The state of the laboratory, kept in the address after #, so that a link or a reload shows the same.

const DATA = JSON.parse(document.getElementById("data").textContent);
const NAMES = Object.keys(DATA.initializers);
const SEED_MAX = 4294967295, SCALES = [0.01, 100];
const LIVE = DATA.not_live.length === 0;

// The initializer of a recipe, or undefined.
const by_recipe = (recipe, fits = () => true) =>
  NAMES.find(name => DATA.initializers[name].recipe === recipe && fits(DATA.initializers[name].settings));

const ROLES = {
  zeros: by_recipe("zeros"),
  constant: by_recipe("constant"),
  large: by_recipe("normal", ({std}) => std >= 5),
  normal: by_recipe("normal", ({std}) => std === 1),
  he: by_recipe("he_normal"),
};

const first_pair = () => {
  const reference = DATA.comparison.reference;
  return [reference, ROLES.large || NAMES.find(name => name !== reference) || reference];
};

const START = {
  a: first_pair()[0], b: first_pair()[1], seed: DATA.comparison.highlight_seed, scale_a: 1, scale_b: 1,
  learning_rate: DATA.training.learning_rate, perturbed: 0, step: 0,
};

// The state of a text such as "a=he&seed=3"; whatever is missing or not allowed is as at the start.
function parse_state(text) {
  const given = new URLSearchParams(text), state = {...START};
  const number = (key, low, high, integer) => {
    const value = given.has(key) && given.get(key) !== "" ? Number(given.get(key)) : NaN;
    if (value >= low && value <= high && (!integer || Number.isInteger(value))) state[key] = value;
  };
  for (const key of ["a", "b"]) if (NAMES.includes(given.get(key))) state[key] = given.get(key);
  number("seed", 0, SEED_MAX, true);
  number("scale_a", ...SCALES);
  number("scale_b", ...SCALES);
  number("learning_rate", Number.MIN_VALUE, Number.MAX_VALUE);
  number("perturbed", 0, 1, true);
  number("step", 0, DATA.training.iterations, true);
  return state;
}

// The text of a state: the keys in which it differs from the start.
function state_text(state) {
  const changed = Object.keys(START).filter(key => state[key] !== START[key]);
  return new URLSearchParams(changed.map(key => [key, String(state[key])])).toString();
}

function save_state(state) {
  const text = state_text(state);
  if (location.hash.replace(/^#/, "") === text) return;
  try {
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  } catch {
    // an embedded page without an address of its own
  }
}
