// The page: controls, two panels, charts, and the two engines (one for the reader, one for work in the background).

const by_id = id => document.getElementById(id);
const view = {state: parse_state(location.hash.slice(1)), frames: {a: null, b: null}, step: 0};
const state = view.state;
const reduced_motion = matchMedia("(prefers-reduced-motion: reduce)").matches;
let version = 0, playing = false, continue_after_configure = false;

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
    iterations: n_iterations, record_every: DATA.training.record_every, side: 96, half: DATA.half, frame_ms: reduced_motion ? 1000 : 30,
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

// Panels

class Panel {
  constructor(key) {
    this.key = key;
    const letter = key.toUpperCase();
    this.select = element("select", {id: `initializer-${key}`}, ...NAMES.map(name => element("option", {value: name}, name)));
    this.select.value = state[key];
    this.slider = element("input", {type: "range", id: `scale-${key}`, min: "-2", max: "2", step: "0.01"});
    this.scale = element("output", {htmlFor: `scale-${key}`});
    this.own = element("button", {type: "button"}, "× 1");
    this.own.setAttribute("aria-label", `Model ${letter}: scale 1`);
    this.marks = element("div", {className: "marks-row", "aria-hidden": "true"});
    const scaling = element("div", {className: "scaling"},
      element("label", {htmlFor: `scale-${key}`}, "Weights ", this.scale), this.own, this.slider, this.marks);
    this.plane_box = element("div", {className: "plane"});
    this.values = element("dl", {className: "values"});
    this.proof = element("p", {className: "proof"});
    this.section = element("section", {className: `panel ${key}`, "aria-labelledby": `panel-${key}`},
      element("h3", {id: `panel-${key}`}, element("i", {className: `key ${key === "a" ? "disc" : "square"} ${key}`, "aria-hidden": "true"}), `Model ${letter}`),
      element("label", {htmlFor: `initializer-${key}`, className: "choice"}, "Initializer ", this.select),
      ...(LIVE ? [scaling] : []), this.plane_box, this.values, this.proof);
    if (DATA.half) this.plane = new Plane(this.plane_box, DATA.half, DATA.samples.train);
    this.select.addEventListener("change", () => change({[key]: this.select.value, [`scale_${key}`]: 1}));
    this.slider.addEventListener("input", () => change({[`scale_${key}`]: Number((10 ** Number(this.slider.value)).toPrecision(3))}));
    this.own.addEventListener("click", () => change({[`scale_${key}`]: 1}));
    new ResizeObserver(() => this.show_marks()).observe(this.marks);
  }

  // Geometric mean over the layers of the standard deviation of the weights; null without one.
  static typical(name) {
    const {law} = DATA.initializers[name];
    if (!Array.isArray(law) || law.some(({weight}) => !(weight > 0))) return null;
    return 10 ** (mean(law.map(({weight}) => Math.log10(weight))) / 2);
  }

  // Marks where the typical weight is that of the other initializers.
  show_marks() {
    const own = Panel.typical(state[this.key]), width = this.marks.clientWidth - 16, rows = [];
    const found = own === null ? [] : NAMES.map(name => ({name, at: Math.log10(Panel.typical(name) / own)}))
      .filter(({name, at}) => Panel.typical(name) !== null && Math.abs(at) <= 2.001).sort((one, other) => one.at - other.at);
    this.marks.replaceChildren(...found.map(({name, at}) => {
      const left = 8 + width * (at + 2) / 4, size = 6.4 * name.length + 6;
      const middle = Math.min(Math.max(left, size / 2), width + 16 - size / 2);
      let row = rows.findIndex(end => middle - size / 2 > end);
      if (row < 0) row = rows.length;
      rows[row] = middle + size / 2;
      const made = element("span", {className: name === state[this.key] ? "own" : ""}, name);
      made.style.cssText = `left:${middle}px;top:${8 + 14 * row}px`;
      const tick = element("i");
      tick.style.cssText = `left:${left}px;height:${8 + 14 * row}px`;
      const pair = element("div", {}, tick, made);
      return pair;
    }));
    this.marks.style.height = `${10 + 14 * Math.max(1, rows.length)}px`;
  }

  show_settings() {
    const scale = state[`scale_${this.key}`];
    this.select.value = state[this.key];
    this.slider.value = String(Math.log10(scale));
    this.scale.value = `× ${readable(scale)}`;
    this.own.disabled = scale === 1;
    this.slider.setAttribute("aria-valuetext", `${readable(scale)} times the weights of ${state[this.key]}`);
    this.show_marks();
  }

  // The current frame, or the committed results where nothing trains.
  show() {
    const frame = view.frames[this.key], committed = DATA.initializers[state[this.key]], place = seed_place(view);
    if (frame) {
      if (this.plane) this.plane.draw(frame.boundary);
      const sizes = DATA.layers_dims.slice(1, -1);
      this.set_values([
        ["cost", readable(frame.cost)],
        ["training accuracy", `${percent(frame.correct / DATA.data.n_train)}`],
        ["test accuracy", `${percent(frame.correct_test / DATA.data.n_test)}`],
        ["largest gradient", readable(frame.largest_gradient)],
        ...(sizes.length ? [["distinct units", frame.distinct.map((n, l) => `${n}/${sizes[l]}`).join(", ")],
          ["inactive units", frame.dead.map((n, l) => `${n}/${sizes[l]}`).join(", ")]] : []),
      ]);
      return;
    }
    if (committed.boundary && this.plane) this.plane.draw(Float32Array.from(committed.boundary, Number));
    if (place >= 0) {
      this.set_values([
        ["final cost", readable(committed.cost[place])],
        ["training accuracy", percent(committed.train[place] / DATA.data.n_train)],
        ["test accuracy", percent(committed.test[place] / DATA.data.n_test)],
      ]);
    }
  }

  set_values(pairs) {
    if (this.values.childElementCount !== pairs.length) {
      this.values.replaceChildren(...pairs.map(([name]) => element("div", {}, element("dt", {}, name), element("dd"))));
    }
    pairs.forEach(([name, text], i) => {
      const [dt, dd] = this.values.children[i].children;
      if (dt.textContent !== name) dt.textContent = name;
      if (dd.textContent !== text) dd.textContent = text;
    });
  }

  // What a screen reader hears of the plane, and whether the final weights are the committed ones: only at rest.
  show_at_rest() {
    const frame = view.frames[this.key], name = label_of(view, this.key), place = seed_place(view);
    const correct = frame && `${frame.correct} of ${DATA.data.n_train} training samples are classified correctly`;
    this.plane?.canvas.setAttribute("aria-label", frame ? `Plane of the two inputs with the predicted classes of ${name} at step ${view.step}: ${correct}.`
      : `Plane of the two inputs with the predicted classes of ${name}.`);
    let text = "", mood = "";
    if (LIVE && !frame) {
      text = `This page can draw ${state[this.key]} for seed ${Object.keys(DATA.initializers[state[this.key]].drawn || {}).join(", ") || "none"} only.`;
    } else if (frame && !Number.isFinite(frame.cost)) {
      text = "diverged: the cost is not a finite number";
    } else if (frame?.digest) {
      const expected = is_committed(view, this.key) && place >= 0 ? DATA.initializers[state[this.key]].digest[place] : null;
      if (!expected) text = "not in the committed table";
      else {
        mood = frame.digest === expected ? "same" : "different";
        text = `${mood === "same" ? "✓ the same bits as" : "✗ differs from"} the committed weights (SHA-256 ${frame.digest.slice(0, 8)}…)`;
      }
    }
    this.proof.textContent = text;
    this.proof.className = `proof ${mood}`;
  }
}

const panels = KEYS.map(key => new Panel(key));

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
  continue_after_configure = continue_after_configure || playing;
  version += 1;
  view.frames = {a: null, b: null};
  send({do: "configure", id: version, models: KEYS.map(specification), learning_rate: state.learning_rate, perturbed: Boolean(state.perturbed)});
  if (continue_after_configure) play(true);
}

function play(on) {
  playing = on;
  continue_after_configure = false;
  if (on && view.step >= n_iterations) send({do: "seek", step: 0});
  send(on ? {do: "run", target: n_iterations, rate: Number(by_id("rate").value)} : {do: "pause"});
  show_play();
}

function show_play() {
  by_id("play").textContent = playing ? "Pause" : "Play";
  document.body.classList.toggle("playing", playing);
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
  charts.forEach(chart => chart.update());
  if (!playing) at_rest();
}

function at_rest() {
  state.step = view.step;
  save_state(state);
  panels.forEach(panel => panel.show_at_rest());
  charts.forEach(chart => chart.fill_table());
}

let latest = null;

function receive(message) {
  if (message.what !== "frame" || message.id !== version) return;
  if (latest === null) requestAnimationFrame(show_frame);
  latest = message;
}

function show_frame() {
  const {slots, step, running} = latest;
  latest = null;
  view.frames = {a: slots[0], b: slots[1]};
  view.step = step;
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
  by_id("end").addEventListener("click", () => { playing = true; send({do: "run", target: n_iterations, rate: 0}); show_play(); });
  by_id("step").addEventListener("input", event => seek(Number(event.target.value)));
  by_id("rate").addEventListener("change", () => { if (playing) play(true); });
  by_id("perturb").addEventListener("click", () => {
    change({perturbed: state.perturbed ? 0 : 1});
    if (state.perturbed) play(true);
  });
  by_id("seed").addEventListener("input", event => {
    const seed = read_number(event.target, value => Number.isInteger(value) && value >= 0 && value <= SEED_MAX);
    if (seed !== null && seed !== state.seed) change({seed});
  });
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

// The page

const charts = [
  cost_chart(by_id("charts"), view),
  seed_chart(by_id("charts"), view, LIVE ? seed => change({seed}) : seed => { state.seed = seed; show_all(); }),
  layer_chart(by_id("charts"), view, "preactivation", {
    id: "chart-signal", title: "Signal by layer", y_label: "root mean square of z",
    description: "Root mean square of the pre-activations z over units and samples: at the current step, beside the prediction of mean-field theory, which is an average over random weights.",
  }),
  layer_chart(by_id("charts"), view, "gradient", {
    id: "chart-gradient", title: "Gradient by layer", y_label: "relative to the last layer",
    description: "Root mean square of the derivative of the cost by z, divided by that of the last layer: at the current step, beside the prediction of mean-field theory.",
  }),
  ...(LIVE ? [difference_chart(by_id("charts"), view)] : []),
];

function legend_of_plane() {
  const n = Math.min(DATA.data.n_classes, 2);
  return [...Array(n).keys()].map(y => element("li", {}, element("i", {className: `key class-${y}`, "aria-hidden": "true"}), `class ${y}`));
}

function start() {
  const {data, training, layers_dims, seeds} = DATA, n_models = whole(DATA.n_seeds * NAMES.length);
  by_id("lead").textContent = LIVE
    ? `How does weight initialization affect training? This page trains the tutorial's kind of network, ${layers_dims.join("–")} units, in your browser, and computes the same bits as the ${n_models} committed models.`
    : `How does weight initialization affect training? This page shows the results of ${n_models} models with ${layers_dims.join("–")} units.`;
  by_id("settings").textContent = `Settings: ${data.name}, ${whole(data.n_train)} training and ${whole(data.n_test)} test samples; layers ${layers_dims.join(", ")}; ` +
    `${[...new Set(DATA.activations)].join(", ") || "no hidden layers"}; learning rate ${training.learning_rate}, momentum ${training.momentum}, batch size ${training.batch_size}; ` +
    `${whole(training.iterations)} steps; ${whole(DATA.n_seeds)} seeds.`;
  by_id("notes").textContent = DATA.notes.join(" ");
  by_id("panels").append(...panels.map(panel => panel.section));
  if (DATA.half) by_id("plane-legend").append(...legend_of_plane());
  for (const id of ["step"]) by_id(id).max = String(n_iterations);
  by_id("step-last").textContent = whole(n_iterations);
  by_id("results-table").append(results_table());
  show_settings();
  if (!LIVE) {
    by_id("static").hidden = false;
    by_id("static").textContent = `This page does not train these networks: ${DATA.not_live.join("; ")}. It shows the committed results: cost curves, final costs, signals and gradients${DATA.half ? ", and decision boundaries" : ""}.`;
    for (const id of ["experiments", "toolbar", "verification"]) by_id(id).hidden = true;
    by_id("instructions").textContent = "Choose two initializers.";
    if (seeds.indexOf(state.seed) < 0) state.seed = START.seed;
    show_all();
    return;
  }
  connect_controls();
  start_verification();
  const wanted = state.step;
  change({});
  if (wanted > 0) seek(wanted);
}

const send = LIVE ? start_engine(receive) : () => {};
