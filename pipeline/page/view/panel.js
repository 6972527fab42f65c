// One model: its initializer and scale, the plane of the inputs, its measurements, and the proof of its bits.

class Panel {
  constructor(key) {
    this.key = key;
    const letter = key.toUpperCase();
    this.select = element("select", {id: `initializer-${key}`}, ...NAMES.map(name => element("option", {value: name}, name)));
    this.select.value = state[key];
    this.slider = element("input", {type: "range", id: `scale-${key}`, min: "-2", max: "2", step: "0.01"});
    this.scale = element("output", {htmlFor: `scale-${key}`});
    this.own = element("button", {type: "button"}, "Reset");
    this.own.setAttribute("aria-label", `Reset the scale of model ${letter} to 1`);
    this.marks = element("div", {className: "marks-row", "aria-hidden": "true"});
    const scaling = element("div", {className: "scaling"},
      element("label", {htmlFor: `scale-${key}`}, "Scale ", this.scale), this.own, this.slider, this.marks);
    this.plane_box = element("div", {className: "plane"});
    this.values = element("dl", {className: "values"});
    this.proof = element("p", {className: "proof"});
    this.section = element("section", {className: `panel ${key}`, "aria-labelledby": `panel-${key}`},
      element("h3", {id: `panel-${key}`}, element("i", {className: `key ${key === "a" ? "disc" : "square"} ${key}`, "aria-hidden": "true"}), `Model ${letter}`),
      element("label", {htmlFor: `initializer-${key}`, className: "choice"}, "Initializer ", this.select),
      ...(LIVE ? [scaling] : []), this.plane_box, this.values, this.proof);
    if (DATA.half) this.add_plane();
    this.select.addEventListener("change", () => change({[key]: this.select.value, [`scale_${key}`]: 1}));
    this.slider.addEventListener("input", () => change({[`scale_${key}`]: Number((10 ** Number(this.slider.value)).toPrecision(3))}));
    this.own.addEventListener("click", () => change({[`scale_${key}`]: 1}));
    on_resize(this.marks, () => this.show_marks());
  }

  // The plane with its axes in words, and a table of the probabilities behind it.
  add_plane() {
    this.plane = new Plane(this.plane_box, DATA.half, DATA.samples.train);
    const classes = [0, 1].map(y => element("li", {}, element("i", {className: `key class-${y}`, "aria-hidden": "true"}), `class ${y}`));
    this.table_box = element("div");
    this.details = element("details", {}, element("summary", {}, "Table of probabilities"), this.table_box);
    this.details.addEventListener("toggle", () => this.fill_table());
    this.plane_box.append(element("ul", {className: "legend"}, ...classes),
      element("p", {}, `Across: input x₁, up: input x₂, each from −${DATA.half} to ${DATA.half}. ${LIVE ? "Colour: probability of class 1; the line is at 1/2." : "Colour: predicted class."}`), this.details);
  }

  fill_table() {
    if (!this.details?.open) return;
    const [header, rows] = this.plane.rows();
    this.table_box.replaceChildren(rows.length ? table(`Probability of class 1, model ${this.key.toUpperCase()}`, header, rows) : "No values yet.");
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
    if (LIVE) {
      this.values.replaceChildren();
      this.plane.draw(null);
      return;
    }
    if (committed.boundary && this.plane) this.plane.draw(Float32Array.from(committed.boundary, label => (label === "0" ? -99 : 99)));
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
    this.fill_table();
    this.proof.textContent = text;
    this.proof.className = `proof ${mood}`;
  }
}
