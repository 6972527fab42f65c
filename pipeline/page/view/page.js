// The page: controls, two panels, charts, and the two engines (one for the reader, one for work in the background).

const by_id = id => document.getElementById(id);
const view = {state: parse_state(location.hash.slice(1)), frames: {a: null, b: null}, step: 0, running: false};
const state = view.state;
const reduced_motion = matchMedia("(prefers-reduced-motion: reduce)").matches;
let version = 0, playing = false;

// Whether the page can draw the initial weights of an initializer for a seed.
function can_draw(name, seed) {
  const {drawn} = DATA.initializers[name];
  return LIVE && (!drawn || seed in drawn);
}

// A function that sends messages to a new engine, in a Worker if the browser allows one, else on this thread.
function start_engine(receive) {
  const setup = {
    X: DATA.samples.train.X, Y: DATA.samples.train.Y, X_test: DATA.samples.test.X, Y_test: DATA.samples.test.Y,
    layers_dims: DATA.layers_dims, activations: DATA.activations, momentum: DATA.training.momentum,
    iterations: n_iterations, record_every: DATA.training.record_every, side: 96, half: DATA.half, frame_ms: reduced_motion ? 1000 : 20,
  };
  const waiting = [];
  let send = message => waiting.push(message);
  const ready = how => {
    send = how;
    waiting.splice(0).forEach(how);
  };
  const here = () => ready(keep_working(new Engine(setup, receive), 8));
  try {
    const source = `"use strict";${by_id("engine").textContent};serve_worker();`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
    const patience = setTimeout(() => { worker.terminate(); here(); }, 5000);
    worker.onmessage = ({data}) => {
      if (data.what !== "ready") return receive(data);
      clearTimeout(patience);
      ready(message => worker.postMessage(message));
    };
    worker.onerror = () => { clearTimeout(patience); worker.terminate(); here(); };
    worker.postMessage(setup);
  } catch {
    here();
  }
  return message => send(message);
}

const panels = [], charts = [];

// Changes of the state

function specification(key) {
  const name = state[key], initializer = DATA.initializers[name];
  if (!can_draw(name, state.seed)) return null;
  const {recipe, settings, gain, bias, layers, drawn} = initializer;
  const law = Array.isArray(initializer.law) ? initializer.law : null;
  return {recipe: {recipe, settings, gain, bias, layers, drawn}, seed: state.seed, scale: state[`scale_${key}`], law};
}

// Change the state and start again from step 0; training goes on if it was running.
function change(changes) {
  Object.assign(state, changes, {step: 0});
  show_settings();
  if (!LIVE) return show_all();
  version += 1;
  Object.assign(view, {frames: {a: null, b: null}, step: 0, running: true}); // until the first frame
  send({do: "configure", id: version, models: KEYS.map(specification), learning_rate: state.learning_rate, perturbed: Boolean(state.perturbed)});
  if (playing) play(true);
}

function play(on) {
  playing = on;
  if (on && view.step >= n_iterations) send({do: "seek", step: 0});
  send(on ? {do: "run", target: n_iterations, rate: Number(by_id("rate").value)} : {do: "pause"});
  show_play();
}

function train_to_the_end() {
  playing = true;
  send({do: "run", target: n_iterations, rate: 0});
  show_play();
}

// Another seed, trained to the end if the last one was: so seeds can be compared one after the other.
function choose_seed(seed) {
  const at_end = !playing && view.step === n_iterations;
  change({seed});
  if (at_end) train_to_the_end();
}

function show_play() {
  by_id("play").textContent = playing ? "Pause" : "Play";
}

function seek(step) {
  playing = false;
  send({do: "seek", step: Math.min(n_iterations, Math.max(0, step))});
  show_play();
}

function show_settings() {
  by_id("seed").value = String(state.seed);
  by_id("learning-rate").value = String(state.learning_rate);
  by_id("perturb").setAttribute("aria-pressed", String(Boolean(state.perturbed)));
  panels.forEach(panel => panel.show_settings());
}

function show_all() {
  by_id("step").value = String(view.step);
  by_id("step-value").value = whole(view.step);
  panels.forEach(panel => panel.show());
  charts.forEach(chart => chart.update(view.running));
  if (!view.running) at_rest();
}

function at_rest() {
  state.step = view.step;
  save_state(state);
  panels.forEach(panel => panel.show_at_rest());
  const models = KEYS.filter(key => view.frames[key]).map(key =>
    `${label_of(view, key)} has the cost ${readable(view.frames[key].cost)} and the training accuracy ${percent(view.frames[key].correct / DATA.data.n_train)}`);
  by_id("status").textContent = models.length ? `Step ${whole(view.step)}: ${models.join("; ")}.` : "";
  charts.forEach(chart => chart.fill_table());
}

let latest = null;

function receive(message) {
  if (message.what !== "frame" || message.id !== version) return;
  if (latest === null) requestAnimationFrame(show_frame);
  latest = message;
}

function show_frame() {
  const {id, slots, step, running} = latest;
  latest = null;
  if (id !== version) return; // of the state before
  view.frames = {a: slots[0], b: slots[1]};
  Object.assign(view, {step, running});
  if (playing && !running && step === n_iterations) {
    playing = false;
    show_play();
  }
  show_all();
}

// Show an experiment from its start, and play it.
function show_experiment(changes) {
  change({scale_a: 1, scale_b: 1, seed: DATA.comparison.highlight_seed, learning_rate: DATA.training.learning_rate, ...changes});
  play(true);
  by_id("laboratory").scrollIntoView({behavior: reduced_motion ? "auto" : "smooth"});
  by_id("play").focus({preventScroll: true});
}

// A number from an input, or null (and the input marked as invalid) if it is not allowed.
function read_number(input, fits) {
  const value = input.value === "" ? NaN : Number(input.value);
  const good = fits(value);
  input.setAttribute("aria-invalid", String(!good));
  return good ? value : null;
}

function connect_controls() {
  by_id("play").addEventListener("click", () => play(!playing));
  by_id("rewind").addEventListener("click", () => seek(0));
  by_id("one").addEventListener("click", () => seek(view.step + 1));
  by_id("end").addEventListener("click", train_to_the_end);
  by_id("step").addEventListener("input", event => seek(Number(event.target.value)));
  by_id("rate").addEventListener("change", () => { if (playing) play(true); });
  by_id("perturb").addEventListener("click", () => {
    change({perturbed: state.perturbed ? 0 : 1});
    if (state.perturbed) play(true);
  });
  by_id("seed").addEventListener("input", event => {
    const seed = read_number(event.target, value => Number.isInteger(value) && value >= 0 && value <= SEED_MAX);
    if (seed !== null && seed !== state.seed) choose_seed(seed);
  });
  by_id("seed-before").addEventListener("click", () => choose_seed(Math.max(0, state.seed - 1)));
  by_id("seed-after").addEventListener("click", () => choose_seed(Math.min(SEED_MAX, state.seed + 1)));
  by_id("learning-rate").addEventListener("change", event => {
    const learning_rate = read_number(event.target, value => value > 0 && Number.isFinite(value));
    if (learning_rate !== null && learning_rate !== state.learning_rate) change({learning_rate});
  });
  addEventListener("hashchange", () => {
    const wanted = parse_state(location.hash.slice(1));
    change(wanted);
    if (wanted.step > 0) seek(wanted.step);
  });
}

// The page is made in steps, each a task of its own, so that none blocks the browser for long.

const CHARTS = [
  () => cost_chart(by_id("side"), view),
  () => seed_chart(by_id("side"), view, seed => (LIVE ? choose_seed(seed) : show_seed(seed))),
  () => layer_chart(by_id("charts"), view, "preactivation", {
    id: "chart-signal", title: "Signal by layer", y_label: "root mean square of z",
    description: "Root mean square of the pre-activations z over units and samples. Theory is the average over random weights; a single seed differs from it.",
  }),
  () => layer_chart(by_id("charts"), view, "gradient", {
    id: "chart-gradient", title: "Gradient by layer", y_label: "relative to the last layer",
    description: "Root mean square of the derivative of the cost by z, divided by that of the last layer.",
  }),
  ...(LIVE ? [() => difference_chart(by_id("charts"), view)] : []),
];

function in_turn(steps) {
  const next = () => {
    const step = steps.shift();
    if (!step) return;
    step();
    setTimeout(next, 0);
  };
  next();
}

// Where nothing trains: the committed results of another seed.
function show_seed(seed) {
  state.seed = seed;
  show_all();
}

function write_texts() {
  const {data, training, layers_dims} = DATA, n_models = whole(DATA.n_seeds * NAMES.length);
  by_id("lead").textContent = LIVE
    ? `How does weight initialization affect training? This page trains networks with ${layers_dims.join("–")} units in your browser and computes the same bits as the ${n_models} committed models.`
    : `How does weight initialization affect training? This page shows the results of ${n_models} models with ${layers_dims.join("–")} units.`;
  by_id("settings").textContent = `Settings: ${data.name}, ${whole(data.n_train)} training and ${whole(data.n_test)} test samples; layers ${layers_dims.join(", ")}; ` +
    `${[...new Set(DATA.activations)].join(", ") || "no hidden layers"}; learning rate ${training.learning_rate}, momentum ${training.momentum}, batch size ${training.batch_size}; ` +
    `${whole(training.iterations)} steps; ${whole(DATA.n_seeds)} seeds.`;
  by_id("notes").textContent = DATA.notes.join(" ");
  by_id("step").max = String(n_iterations);
  by_id("step-last").textContent = whole(n_iterations);
  if (LIVE) return;
  by_id("static").hidden = false;
  by_id("laboratory-title").textContent = "Results";
  document.body.classList.add("static", ...(DATA.half ? [] : ["without-plane"]));
  by_id("static").textContent = `This page does not train these networks: ${DATA.not_live.join("; ")}. It shows the committed results: cost curves, final costs, signals and gradients${DATA.half ? ", and decision boundaries" : ""}.`;
  for (const id of ["experiments", "toolbar", "verification"]) by_id(id).hidden = true;
  by_id("instructions").textContent = "Choose two initializers.";
  if (!DATA.seeds.includes(state.seed)) state.seed = START.seed;
}

function add_panel(key) {
  const panel = new Panel(key);
  by_id("panels").append(panel.section);
  panels.push(panel);
}

// Start at the step that the address names.
function start_training() {
  const {step} = state;
  connect_controls();
  change({});
  if (step > 0) seek(step);
}

function start() {
  in_turn([
    write_texts,
    ...KEYS.map(key => () => add_panel(key)),
    ...CHARTS.map(make => () => charts.push(make())),
    ...(LIVE ? [start_training] : [() => { show_settings(); show_all(); }]),
    () => by_id("results-table").append(results_table()),
    ...(LIVE ? verification_steps() : []),
  ]);
}

const send = LIVE ? start_engine(receive) : () => {};
