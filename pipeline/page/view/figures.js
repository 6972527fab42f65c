// The charts of the laboratory. Each reads `view`: {state, frames: {a, b}, step, running}; frames are null where nothing trains.

const KEYS = ["a", "b"];
const COST_TOP = 10; // nats: where the axis of costs ends
const n_iterations = DATA.training.iterations;

const name_of = (view, key) => view.state[key];
const entry = (view, key) => DATA.initializers[name_of(view, key)];
const is_committed = (view, key) => view.state[`scale_${key}`] === 1 && view.state.learning_rate === DATA.training.learning_rate;
const label_of = (view, key) => {
  const scale = view.state[`scale_${key}`];
  return scale === 1 ? name_of(view, key) : `${name_of(view, key)} × ${readable(scale)}`;
};
const seed_place = (view, seed = view.state.seed) => DATA.seeds.indexOf(seed);
const root = value => (value === null || value === undefined ? null : Math.sqrt(value));

// The recorded cost nearest to a step.
function nearest_point(points, step) {
  return points.reduce((best, point) => (Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best), points[0]);
}

function cost_curve(view, key) {
  if (view.frames[key]) return view.frames[key].costs;
  return LIVE ? [] : entry(view, key).curve.map(([step, , , median]) => [step, median]);
}

// The header and the rows of the table of both models' curves, [[step, value], ...], at some 60 of their steps.
function curve_rows(view, curve_of) {
  const [a, b] = KEYS.map(key => new Map(curve_of(key)));
  const steps = [...new Set([...a.keys(), ...b.keys()])].sort((one, other) => one - other);
  const kept = steps.filter((_, i) => i % Math.ceil(steps.length / 60) === 0 || i === steps.length - 1);
  const cell = (curve, step) => (curve.has(step) ? readable(curve.get(step)) : "–");
  return [["step", `A: ${label_of(view, "a")}`, `B: ${label_of(view, "b")}`], kept.map(step => [whole(step), cell(a, step), cell(b, step)])];
}

function cost_chart(host, view) {
  return new Chart(host, {
    id: "chart-cost", title: "Cost", x_label: "step", y_label: "cost (nats)",
    description: "Mean cross-entropy of the training samples against the step of gradient descent, on a logarithmic axis.",
    draw(chart) {
      const values = KEYS.flatMap(key => [
        ...cost_curve(view, key).map(([, cost]) => cost),
        ...(is_committed(view, key) ? entry(view, key).curve.map(row => row[2]) : []),
        ...(entry(view, key).published?.costs || []).map(([, cost]) => cost),
      ]);
      chart.scales(linear_axis(n_iterations, chart.svg.clientWidth < 420 ? 3 : 5), log_axis(values, {low: 0.1, high: 1, top: COST_TOP, bottom: 1e-4}));
      const remarks = [];
      for (const key of KEYS) if (is_committed(view, key)) chart.band(entry(view, key).curve.map(row => [row[0], row[2], row[4]]), key);
      for (const key of KEYS) {
        const curve = cost_curve(view, key), start = curve[0]?.[1];
        chart.line(curve, key);
        const published = entry(view, key).published;
        if (published && is_committed(view, key) && view.state.seed === DATA.comparison.highlight_seed) {
          for (const [step, cost] of published.costs) chart.dot(step, cost, "published", 2.8);
        }
        if (start > COST_TOP || (curve.length && !Number.isFinite(start))) remarks.push(`${label_of(view, key)} starts at ${readable(start)}, above the axis.`);
        if (view.frames[key]) chart.mark(view.step, view.frames[key].cost, key);
      }
      if (view.frames.a || view.frames.b) chart.rule(view.step);
      const committed = KEYS.filter(key => is_committed(view, key));
      const shown = view.state.seed === DATA.comparison.highlight_seed && committed.some(key => entry(view, key).published);
      chart.set_legend([
        ...KEYS.map(key => [`line ${key}`, LIVE ? label_of(view, key) : `${name_of(view, key)}, median over the seeds`]),
        ...(committed.length ? [["band", `middle half of ${whole(DATA.n_seeds)} seeds, committed`]] : []),
        ...(shown ? [["ring", "published by the tutorial"]] : []),
      ]);
      chart.set_note(remarks.join(" ") || "A lower curve is better.");
    },
    nearest(chart, x) {
      const step = chart.x_scale.value(x), curves = KEYS.map(key => [key, cost_curve(view, key)]).filter(([, curve]) => curve.length);
      if (!curves.length) return null;
      const points = curves.map(([key, curve]) => [key, nearest_point(curve, step)]);
      const places = points.filter(([, point]) => Number.isFinite(point[1])).map(([, point]) => [chart.x_scale(point[0]), chart.y_scale(point[1])]);
      const texts = points.map(([key, point]) => `${label_of(view, key)} ${readable(point[1])}`);
      return {places, text: `step ${whole(points[0][1][0])}: ${texts.join(", ")}`};
    },
    rows: () => curve_rows(view, key => cost_curve(view, key)),
  });
}

// Every seed's committed final cost as a dot, stacked; the dots can be chosen.
function seed_chart(host, view, choose_seed) {
  let dots = [];
  return new Chart(host, {
    id: "chart-seeds", title: `Final cost of ${whole(DATA.seeds.length)} seeds`, x_label: "final cost (nats), committed results", y_label: "seeds",
    description: "One dot per seed at its final cost, for both initializers. Choose a dot to show that seed.",
    depends_on: () => [view.state.a, view.state.b, view.state.seed],
    draw(chart) {
      const finals = KEYS.map(key => entry(view, key).cost);
      chart.scales(log_axis(finals.flat().map(Number), {low: 0.1, high: 1, bottom: 1e-6}), {range: [0, 2], log: false, ticks: [1], format: () => ""});
      dots = [];
      const height = (chart.height - chart.margin.top - chart.margin.bottom) / 2;
      KEYS.forEach((key, row) => {
        const base = chart.margin.top + height * (row + 1) - 5, stacks = new Map();
        finals[row].forEach((cost, i) => {
          if (cost === null) return;
          const bin = Math.round(chart.x_scale(cost) / 7);
          stacks.set(bin, [...(stacks.get(bin) || []), i]);
        });
        const tallest = Math.max(1, ...[...stacks.values()].map(stack => stack.length));
        const gap = Math.min(6.5, (height - 26) / tallest);
        for (const [bin, stack] of stacks) {
          stack.sort((i, j) => finals[row][i] - finals[row][j]);
          stack.forEach((i, level) => dots.push({key, i, x: bin * 7, y: base - level * gap}));
        }
        const lost = finals[row].filter(cost => cost === null).length;
        chart.text(chart.margin.left + 2, base - height + 16, `${name_of(view, key)}${lost ? `: ${lost} diverged` : ""}`, key);
      });
      for (const {key, x, y} of dots) shape("circle", {cx: x, cy: y, r: 2.6, class: `seed ${key}`}, chart.marks);
      for (const {key, x, y} of dots.filter(({i}) => i === seed_place(view))) {
        shape("circle", {cx: x, cy: y, r: 5.5, class: `chosen ${key}`}, chart.marks);
        const near_end = x > chart.width - 90;
        chart.text(near_end ? x - 9 : x + 9, y + 4, `seed ${view.state.seed}`, "chosen-label", near_end ? "end" : "start");
      }
      chart.set_legend([["disc a", `A: ${name_of(view, "a")}`], ["square b", `B: ${name_of(view, "b")}`]]);
      const place = seed_place(view);
      chart.set_note(place < 0 ? `Seed ${view.state.seed} is not in the committed table.` : `Seed ${view.state.seed}. ${KEYS.map(key => {
        const {cost, train} = entry(view, key), better = cost.filter(value => value !== null && value < cost[place]).length;
        const rank = cost[place] === null ? "" : `, ${better} of ${cost.length} seeds end lower`;
        return `${name_of(view, key)}: cost ${readable(cost[place])}, training accuracy ${percent(train[place] / DATA.data.n_train)}${rank}`;
      }).join("; ")}.`);
    },
    nearest(chart, x, y) {
      const far = ({x: dx, y: dy}) => (dx - x) ** 2 + (dy - y) ** 2;
      const best = dots.reduce((one, other) => (one && far(one) <= far(other) ? one : other), null);
      if (!best || far(best) > 400) return null;
      const {train, cost} = entry(view, best.key), seed = DATA.seeds[best.i];
      const accuracy = percent(train[best.i] / DATA.data.n_train);
      return {places: [[best.x, best.y]], seed, text: `${name_of(view, best.key)}, seed ${seed}: final cost ${readable(cost[best.i])}, training accuracy ${accuracy}`};
    },
    choose: choose_seed && (found => choose_seed(found.seed)),
    rows() {
      const header = ["seed", ...KEYS.flatMap(key => [`${key.toUpperCase()}: ${name_of(view, key)}, final cost`, `${key.toUpperCase()}: training accuracy`])];
      return [header, DATA.seeds.map((seed, i) => [String(seed), ...KEYS.flatMap(key => [readable(entry(view, key).cost[i]), percent(entry(view, key).train[i] / DATA.data.n_train)])])];
    },
  });
}

const n_layers = DATA.layers_dims.length - 1;
const layer_axis = {range: [0.5, n_layers + 0.5], log: false, format: String,
  ticks: Array.from({length: n_layers}, (_, l) => l + 1).filter(l => (l - 1) % Math.ceil(n_layers / 12) === 0)};

// Measured and predicted root mean squares of a quantity, "preactivation" or "gradient", of the layers 1 ... L.
function layer_values(view, key, quantity) {
  const frame = view.frames[key], committed = entry(view, key).layers[quantity];
  if (LIVE) {
    const theory = frame?.theory?.[quantity];
    const fallback = !Array.isArray(entry(view, key).law) && is_committed(view, key) ? committed.map(row => row[1]) : [];
    return {measured: (frame ? frame[quantity] : []).map(root), predicted: (theory || fallback).map(root)};
  }
  return {measured: committed.map(row => root(row[0])), predicted: committed.map(row => root(row[1]))};
}

function layer_chart(host, view, quantity, {id, title, y_label, description}) {
  return new Chart(host, {
    id, title, x_label: "layer", y_label, description,
    draw(chart) {
      const found = KEYS.map(key => [key, layer_values(view, key, quantity)]);
      const values = found.flatMap(([, {measured, predicted}]) => [...measured, ...predicted]).filter(value => value > 1e-30 && value < 1e30);
      chart.scales(layer_axis, log_axis(values, {low: 1, high: 1}));
      for (const [key, {predicted}] of found) chart.line(predicted.map((value, l) => [l + 1, value || null]), `${key} theory`);
      for (const [key, {measured}] of found) {
        measured.forEach((value, l) => { if (value > 0) chart.mark(l + 1 + (key === "a" ? -0.05 : 0.05), value, key, 4.5); });
      }
      const zero = found.filter(([, {measured}]) => measured.length && measured.some(value => value === 0));
      const without = KEYS.filter(key => typeof entry(view, key).law === "string" && !layer_values(view, key, quantity).predicted.some(Number.isFinite));
      chart.set_legend([
        ["disc a", `A: ${label_of(view, "a")}`], ["square b", `B: ${label_of(view, "b")}`],
        ["theory", LIVE ? "theory, before the first step" : "theory"],
      ]);
      chart.set_note([
        ...zero.map(([key]) => `${label_of(view, key)} has layers with the value 0, below the axis.`),
        ...without.map(key => `No prediction for ${name_of(view, key)}: it ${entry(view, key).law}.`),
        ...(LIVE ? [`Measured at step ${whole(view.step)}.`] : []),
        description,
      ].join(" "));
    },
    nearest(chart, x) {
      const l = Math.min(n_layers, Math.max(1, Math.round(chart.x_scale.value(x))));
      const found = KEYS.map(key => [key, layer_values(view, key, quantity)]).filter(([, {measured}]) => measured.length);
      if (!found.length) return null;
      const texts = found.map(([key, {measured, predicted}]) => {
        const theory = predicted[l - 1] === undefined || predicted[l - 1] === null ? "no prediction" : `theory ${readable(predicted[l - 1])}`;
        return `${label_of(view, key)} ${readable(measured[l - 1])} (${theory})`;
      });
      const places = found.filter(([, {measured}]) => measured[l - 1] > 0).map(([, {measured}]) => [chart.x_scale(l), chart.y_scale(measured[l - 1])]);
      return {places, text: `layer ${l}: ${texts.join(", ")}`};
    },
    rows() {
      const found = KEYS.map(key => layer_values(view, key, quantity));
      const cell = value => (value === undefined || value === null ? "–" : readable(value));
      const header = ["layer", ...KEYS.flatMap(key => [`${key.toUpperCase()}: ${label_of(view, key)}, measured`, `${key.toUpperCase()}: theory`])];
      return [header, layer_axis.ticks.map(l => [String(l), ...found.flatMap(({measured, predicted}) => [cell(measured[l - 1]), cell(predicted[l - 1])])])];
    },
  });
}

function difference_chart(host, view) {
  const points = key => (view.frames[key]?.differences || []).map(([step, weights]) => [step, weights]);
  return new Chart(host, {
    id: "chart-ulp", title: "Effect of 1 ulp", x_label: "step", y_label: "largest difference of a weight",
    description: "Largest absolute difference between the weights of each model and of a copy in which one weight of the first layer was changed by 1 ulp before training.",
    draw(chart) {
      chart.scales(linear_axis(n_iterations, chart.svg.clientWidth < 420 ? 3 : 5), log_axis(KEYS.flatMap(key => points(key).map(point => point[1])).map(value => Math.max(value, 1e-18)), {low: 1e-16, high: 1}));
      for (const key of KEYS) {
        chart.line(points(key).map(([step, value]) => [step, Math.max(value, 1e-18)]), key);
        if (points(key).length) chart.mark(view.step, Math.max(1e-18, nearest_point(points(key), view.step)[1]), key);
      }
      if (view.state.perturbed) chart.rule(view.step);
      chart.set_legend(KEYS.map(key => [`line ${key}`, label_of(view, key)]));
      const texts = KEYS.filter(key => points(key).length).map(key => {
        const [, weights, cost] = nearest_point(view.frames[key].differences, view.step);
        return `${label_of(view, key)}: weights ${readable(weights)}, cost ${readable(cost)}`;
      });
      chart.set_note(texts.length ? `Difference at step ${whole(view.step)}. ${texts.join("; ")}.` : "Press “Change one weight by 1 ulp” to train each model beside a copy that differs in the last binary digit of one weight.");
    },
    nearest(chart, x) {
      const step = chart.x_scale.value(x), found = KEYS.filter(key => points(key).length).map(key => [key, nearest_point(points(key), step)]);
      if (!found.length) return null;
      const places = found.map(([, point]) => [chart.x_scale(point[0]), chart.y_scale(Math.max(point[1], 1e-18))]);
      return {places, text: `step ${whole(found[0][1][0])}: ${found.map(([key, point]) => `${label_of(view, key)} ${readable(point[1])}`).join(", ")}`};
    },
    rows: () => curve_rows(view, points),
  });
}
