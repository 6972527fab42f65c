// Training, in a Worker or, where there is none, in slices on the page's own thread.
//
// An Engine trains up to two models on one clock, each optionally beside a copy with one weight changed by 1 ulp. It
// receives messages ({do: "configure" | "run" | "seek" | "train", ...}) and posts frames. `work(ms)` computes for about
// so many milliseconds and returns whether there is more to do.

const CHECKPOINTS = 4e6; // doubles held for rewinding, at most
const DENSE = 100; // steps from the start of which each is recorded

// A model in training.
class Model {
  constructor(parameters, setup) {
    this.parameters = parameters;
    this.setup = setup;
    this.velocity = zeros_like(parameters);
    this.gradients = zeros_like(parameters);
    this.space = workspace(setup.layers_dims, setup.train);
    this.initial = copy_of(parameters);
  }

  step() {
    const {activations, train, rule} = this.setup;
    forward_propagation(this.parameters, activations, this.space, train.m);
    backward_propagation(this.parameters, activations, train, this.space, this.gradients);
    update_parameters(this.parameters, this.velocity, this.gradients, rule);
  }

  cost() {
    forward_propagation(this.parameters, this.setup.activations, this.space, this.setup.train.m);
    return compute_cost(this.space.Z[this.space.Z.length - 1], this.setup.train);
  }

  correct(S) {
    const space = S === this.setup.train ? this.space : workspace(this.setup.layers_dims, S);
    forward_propagation(this.parameters, this.setup.activations, space, S.m);
    return count_correct(space.Z[space.Z.length - 1], S);
  }

  // Everything that the page shows of a model at its current step.
  measure() {
    const {activations, train, test} = this.setup, {m, n_samples} = train;
    const cost = this.cost(), {Z, A, dZ} = this.space, last = Z.length - 1;
    backward_propagation(this.parameters, activations, train, this.space, this.gradients);
    const gradient = dZ.map(values => mean_square(values, m, n_samples));
    return {
      cost,
      correct: count_correct(Z[last], train),
      correct_test: this.correct(test),
      preactivation: Z.map(values => mean_square(values, m, n_samples)),
      gradient: gradient.map(value => (value === 0.0 && gradient[last] === 0.0 ? 1.0 : value / gradient[last])),
      dead: activations.map(({slope}, l) => dead_units(slope, Z[l], A[l + 1], m, n_samples)),
      distinct: this.parameters.slice(0, -1).map(distinct_units),
      saturated: saturated_outputs(Z[last], n_samples),
      largest_gradient: largest_weight(this.gradients),
      largest_change: largest_difference(this.parameters.map(({W}) => ({W, b: []})), this.initial),
    };
  }

  // The logits on the points of the grid, (side * side,), row after row from the top.
  boundary() {
    const {grid, layers_dims, activations} = this.setup;
    this.grid_space = this.grid_space || workspace(layers_dims, grid);
    forward_propagation(this.parameters, activations, this.grid_space, grid.m);
    return Float32Array.from(this.grid_space.Z[layers_dims.length - 2].subarray(0, grid.n_samples));
  }

  saved() {
    return [copy_of(this.parameters), copy_of(this.velocity)];
  }

  restore([parameters, velocity]) {
    this.parameters = copy_of(parameters);
    this.velocity = copy_of(velocity);
  }
}

// A model in which one weight of the first layer is larger by 1 ulp.
function perturbed_copy(parameters, setup) {
  const copy = copy_of(parameters);
  copy[0].W[0] = next_after(copy[0].W[0]);
  return new Model(copy, setup);
}

// A square of side * side points that cover [-half, half] squared.
function square_grid(side, half) {
  const X = new Float64Array(2 * side * side);
  for (let i = 0; i < side * side; i++) {
    X[i] = half * (2 * ((i % side) + 0.5) / side - 1);
    X[side * side + i] = half * (1 - 2 * (Math.floor(i / side) + 0.5) / side);
  }
  return samples(X, new Float64Array(side * side), 2);
}

class Engine {
  // `setup` has X, Y, X_test, Y_test, layers_dims, activations (names), momentum, iterations, record_every,
  // side, half, and frame_ms, the least number of milliseconds between two frames.
  constructor(setup, post) {
    this.post = post;
    this.setup = {
      ...setup,
      activations: setup.activations.map(name => ACTIVATIONS[name]),
      train: samples(Float64Array.from(setup.X), Float64Array.from(setup.Y), setup.layers_dims[0]),
      test: samples(Float64Array.from(setup.X_test), Float64Array.from(setup.Y_test), setup.layers_dims[0]),
      grid: square_grid(setup.side, setup.half),
    };
    this.slots = [];
    this.tasks = [];
    this.clock = 0;
    this.target = 0;
    this.rate = 0;
    this.budget = 0;
  }

  handle(message) {
    if (message.do === "configure") this.configure(message);
    if (message.do === "run") Object.assign(this, {target: message.target, rate: message.rate, since: performance.now(), budget: 0});
    if (message.do === "pause") this.pause();
    if (message.do === "seek") this.seek(message.step);
    if (message.do === "train") this.tasks.push(...message.tasks);
    if (message.do === "cancel") this.tasks = [];
  }

  // The models of message.models, at step 0: {recipe, seed, scale, law} or null each.
  configure({id, models, learning_rate, perturbed}) {
    const setup = {...this.setup, rule: {learning_rate, momentum: this.setup.momentum}};
    this.id = id;
    this.slots = models.map(spec => {
      if (spec === null) return null;
      const parameters = sample_parameters(spec.recipe, spec.seed, setup.layers_dims, spec.scale);
      const copy = perturbed ? perturbed_copy(parameters, setup) : null;
      const slot = {model: new Model(parameters, setup), costs: [], differences: [], checkpoints: new Map(), copy};
      slot.theory = spec.law && predict(spec.law, spec.scale, setup.layers_dims, setup.activations, setup.train);
      return slot;
    });
    const size = setup.layers_dims.slice(1).reduce((n, units, l) => n + units * (setup.layers_dims[l] + 1), 0);
    const allowed = Math.max(1, Math.floor(CHECKPOINTS / (8 * size)));
    this.record_every = Math.max(setup.record_every, Math.ceil(setup.iterations / Math.min(allowed, 300)));
    this.clock = this.target = 0;
    this.record();
    this.frame();
  }

  recorded(step) {
    return step % this.record_every === 0 || (step < DENSE && step < 10 * this.record_every) || step === this.setup.iterations;
  }

  // Record the costs of the current step, and a checkpoint.
  record() {
    for (const slot of this.slots) {
      if (slot === null || slot.checkpoints.has(this.clock)) continue;
      const cost = slot.model.cost();
      slot.costs.push([this.clock, cost]);
      slot.checkpoints.set(this.clock, [slot.model.saved(), slot.copy && slot.copy.saved()]);
      if (slot.copy) {
        const weights = largest_difference(slot.model.parameters, slot.copy.parameters);
        slot.differences.push([this.clock, weights, Math.abs(cost - slot.copy.cost())]);
      }
    }
  }

  pause() {
    this.target = this.clock;
    this.frame();
  }

  // Go to a step: back by the last checkpoint before it, then forward.
  seek(step) {
    this.rate = 0;
    this.target = step;
    if (step < this.clock) {
      const reached = this.slots.filter(slot => slot !== null).map(slot => [...slot.checkpoints.keys()].filter(k => k <= step));
      this.clock = Math.max(0, ...(reached[0] || []));
      for (const slot of this.slots) {
        if (slot === null) continue;
        const [model, copy] = slot.checkpoints.get(this.clock);
        slot.model.restore(model);
        if (slot.copy) slot.copy.restore(copy);
      }
    }
    if (this.clock === this.target) this.frame();
  }

  // Compute for about `ms` milliseconds. Returns "busy", "waiting" (for the time of the next step) or "idle".
  work(ms) {
    const end = performance.now() + ms;
    if (this.clock < this.target) {
      if (this.rate > 0) {
        const now = performance.now();
        this.budget = Math.min(this.budget + (now - this.since) * this.rate / 1000, Math.max(1, this.rate / 4));
        this.since = now;
        if (this.budget < 1) return "waiting";
      }
      do {
        for (const slot of this.slots) {
          if (slot === null) continue;
          slot.model.step();
          if (slot.copy) slot.copy.step();
        }
        this.clock += 1;
        this.budget -= 1;
        if (this.recorded(this.clock)) this.record();
      } while (this.clock < this.target && (this.rate === 0 || this.budget >= 1) && performance.now() < end);
      if (this.clock === this.target || performance.now() - this.framed > this.setup.frame_ms) this.frame();
      return "busy";
    }
    if (this.tasks.length > 0) {
      this.train(end);
      return "busy";
    }
    return "idle";
  }

  // Post what the page shows.
  frame() {
    this.framed = performance.now();
    const slots = this.slots.map(slot => slot && {
      ...slot.model.measure(),
      boundary: slot.model.boundary(),
      costs: slot.costs,
      differences: slot.differences,
      theory: slot.theory,
      digest: this.clock === this.setup.iterations ? digest_of(slot.model.parameters) : null,
    });
    this.post({what: "frame", id: this.id, step: this.clock, running: this.clock < this.target, slots});
  }

  // Train the model of the first task to its end, in the background, and post its measurements.
  train(end) {
    const task = this.tasks[0], {iterations} = this.setup;
    if (!task.model) {
      const setup = {...this.setup, rule: {learning_rate: task.learning_rate, momentum: this.setup.momentum}};
      const parameters = sample_parameters(task.recipe, task.seed, setup.layers_dims, 1.0);
      task.model = new Model(parameters, setup);
      task.step = 0;
      task.first = task.model.measure();
      task.copy = task.perturbed ? perturbed_copy(parameters, setup) : null;
    }
    while (task.step < iterations && performance.now() < end) {
      task.model.step();
      if (task.copy) task.copy.step();
      task.step += 1;
    }
    if (task.step < iterations) return;
    this.tasks.shift();
    const difference = task.copy ? largest_difference(task.model.parameters, task.copy.parameters) : null;
    const final = task.model.measure();
    this.post({
      what: "trained", key: task.key, name: task.name, seed: task.seed, first: task.first, final, difference,
      digest: digest_of(task.model.parameters), left: this.tasks.length,
    });
  }
}

// Call engine.work again and again, and let messages and events come in between.
function keep_working(engine, ms) {
  const channel = new MessageChannel();
  let awake = false;
  const turn = () => {
    const state = engine.work(ms);
    awake = state !== "idle";
    if (state === "busy") channel.port2.postMessage(0);
    if (state === "waiting") setTimeout(turn, 8);
  };
  channel.port1.onmessage = turn;
  return message => {
    engine.handle(message);
    if (!awake) {
      awake = true;
      channel.port2.postMessage(0);
    }
  };
}

// In a Worker the first message is the setup, all others are for the engine.
function serve_worker() {
  let receive = null;
  self.onmessage = ({data}) => {
    if (receive) return receive(data);
    receive = keep_working(new Engine(data, message => self.postMessage(message)), 12);
    self.postMessage({what: "ready"});
  };
}
