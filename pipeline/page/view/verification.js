// The proof: models trained in the background, whose final weights are compared with the committed ones by SHA-256.

const computed = {}; // by role: {first, final, difference}
const verified = {done: 0, same: 0, by_name: {}, wanted: 0};
let test_engine = null;

function results_table() {
  const rows = NAMES.map(name => {
    const {cost, train, test, recipe} = DATA.initializers[name], all = accuracies(name);
    const ended = cost.filter(value => value !== null).sort((one, other) => one - other);
    const median = ended.length ? (ended[Math.floor((ended.length - 1) / 2)] + ended[Math.floor(ended.length / 2)]) / 2 : null;
    return [name, recipe, percent(all.mean), `${percent(all.low)} to ${percent(all.high)}`, `${all.reached} of ${train.length}`,
      percent(mean(test) / DATA.data.n_test), ended.length === cost.length ? readable(median) : `${readable(median)}, ${cost.length - ended.length} diverged`];
  });
  const target = percent(DATA.comparison.target_accuracy);
  return table(`Committed results over ${whole(DATA.seeds.length)} seeds`,
    ["initializer", "recipe", "training accuracy, mean", "range", `seeds with ≥ ${target}`, "test accuracy, mean", "final cost, median"], rows);
}

function task(name, seed, key = null, perturbed = false) {
  return {key, name, seed, recipe: DATA.initializers[name], learning_rate: DATA.training.learning_rate, perturbed};
}

// The seeds of the quick check: the first, the highlighted, the last, and one between.
function some_seeds() {
  const {seeds, comparison} = DATA;
  return [...new Set([seeds[0], comparison.highlight_seed, seeds[Math.floor(seeds.length * 0.38)], seeds[seeds.length - 1]])];
}

function verify(seeds) {
  const tasks = seeds.flatMap(seed => NAMES.filter(name => can_draw(name, seed)).map(name => task(name, seed)));
  verified.wanted += tasks.length;
  test_engine({do: "train", tasks});
  show_verified();
}

function trained(message) {
  const {name, seed, key, first, final, difference, digest} = message;
  if (verified.done >= verified.wanted) return; // stopped meanwhile
  if (key) computed[key] = {first, final, difference};
  const same = digest === DATA.initializers[name].digest[DATA.seeds.indexOf(seed)];
  verified.done += 1;
  verified.same += same ? 1 : 0;
  const row = verified.by_name[name] ||= {done: 0, same: 0, seed, digest};
  Object.assign(row, {done: row.done + 1, same: row.same + (same ? 1 : 0), seed, digest, cost: final.cost});
  if (key) show_cards();
  show_verified();
}

function show_verified() {
  const {done, same, wanted} = verified, busy = done < wanted;
  by_id("verify-stop").disabled = !busy;
  by_id("verify-some").disabled = by_id("verify-all").disabled = busy;
  by_id("verify-progress").hidden = !busy;
  by_id("verify-progress").max = Math.max(1, wanted);
  by_id("verify-progress").value = done;
  if (done === 0) return;
  const badge = by_id("badge"), all_same = same === done;
  badge.hidden = false;
  badge.className = `badge ${all_same ? "same" : "different"}`;
  badge.textContent = all_same
    ? `✓ ${done} ${done === 1 ? "model" : "models"} trained in your browser: every bit of the final weights equals the committed results.`
    : `✗ ${done - same} of ${done} models trained in your browser differ from the committed results.`;
  by_id("verify-table").replaceChildren(table("Models trained in this browser", ["initializer", "models", "identical", "last seed", "its final cost", "SHA-256 of its final weights"],
    Object.entries(verified.by_name).map(([name, row]) => [name, String(row.done), String(row.same), String(row.seed), readable(row.cost), row.digest])));
}

function show_cards() {
  by_id("cards").replaceChildren(...cards(computed));
}

// Measure the model of a task before training, on this thread: a few milliseconds.
function measure_first({key, recipe, seed}) {
  const {train, test} = DATA.samples, n_inputs = DATA.data.n_inputs;
  const setup = {
    layers_dims: DATA.layers_dims, activations: DATA.activations.map(name => ACTIVATIONS[name]),
    train: samples(Float64Array.from(train.X), Float64Array.from(train.Y), n_inputs),
    test: samples(Float64Array.from(test.X), Float64Array.from(test.Y), n_inputs),
  };
  computed[key] = {first: new Model(sample_parameters(recipe, seed, DATA.layers_dims, 1.0), setup).measure()};
}

function connect_verification() {
  const seeds = some_seeds(), n_some = seeds.length * NAMES.length, n_all = DATA.seeds.length * NAMES.length;
  by_id("verification-text").textContent =
    "The arithmetic of this page is a translation of the pipeline's: the same additions and multiplications in the same order. " +
    "A network's final weights depend on every one of them, so equal weights, compared by SHA-256, mean an equal computation.";
  by_id("verify-some").textContent = `Train and compare ${n_some} models`;
  by_id("verify-all").textContent = `All ${whole(n_all)}`;
  by_id("verify-some").addEventListener("click", () => verify(seeds));
  by_id("verify-all").addEventListener("click", () => verify(DATA.seeds));
  by_id("verify-stop").addEventListener("click", () => {
    test_engine({do: "cancel"});
    verified.wanted = verified.done;
    show_verified();
  });
}

function verification_steps() {
  const tasks = teaching_tasks();
  return [
    ...tasks.map(task => () => measure_first(task)),
    show_cards,
    connect_verification,
    () => { test_engine = start_engine(message => { if (message.what === "trained") trained(message); }); },
    () => {
      verified.wanted += tasks.length;
      if (tasks.length) test_engine({do: "train", tasks});
      show_verified();
    },
  ];
}

start();
