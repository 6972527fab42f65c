// Charts as inline SVG, each with a title, a description, labelled axes, and a table of its values behind it.

const SVG = "http://www.w3.org/2000/svg";

// A number for reading: 1,774, 0.0648, 1.6e-16; "diverged" for what is not finite.
function readable(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "diverged";
  const size = Math.abs(value), sign = value < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size >= 1e6 || size < 1e-4) {
    const [digits, power] = size.toExponential(1).split("e");
    return `${sign}${digits.replace(".0", "")}e${power.replace("+", "").replace("-", "−")}`;
  }
  if (size >= 999.5) return sign + Math.round(size).toLocaleString("en-US");
  return sign + String(Number(size.toPrecision(4)));
}

const whole = value => value.toLocaleString("en-US");
const percent = share => `${(100 * share).toFixed(1)}\u00a0%`;

// An HTML element with properties and children; texts are inserted as text.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "list" && typeof value !== "object") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function shape(tag, attributes, parent, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

// Call `act` in the next frame after each change of the width of an element, and at the start.
function on_resize(observed, act) {
  let width = null;
  new ResizeObserver(() => {
    if (observed.clientWidth === width) return;
    width = observed.clientWidth;
    requestAnimationFrame(act);
  }).observe(observed);
}

// A table in a box that scrolls, and can be reached by the keyboard for it.
function table(caption, header, rows) {
  const head = element("tr", {}, ...header.map(text => element("th", {scope: "col"}, text)));
  const body = rows.map(([first, ...others]) =>
    element("tr", {}, element("th", {scope: "row"}, first), ...others.map(text => element("td", {}, text))));
  const made = element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", {className: "scroll", tabIndex: 0, role: "region", "aria-label": caption}, made);
}

const tip = document.getElementById("tip");

function show_tip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 4);
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${event.clientY + 16 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 8 : event.clientY + 16}px`;
}

const hide_tip = () => { tip.hidden = true; };

// A figure with an SVG. `draw(chart)` fills chart.marks; `rows()` returns [header, rows] of the table; `nearest(chart, x, y)`
// the values at a place; `depends_on()`, if given, everything on which the drawing depends.
class Chart {
  constructor(host, {id, title, description, x_label, y_label, draw, rows, nearest, choose, depends_on, height = 250}) {
    Object.assign(this, {draw, nearest, choose, rows, x_label, y_label, depends_on, height, visible: false});
    this.title = element("figcaption", {id: `${id}-title`}, title);
    this.note = element("p", {className: "note", id: `${id}-note`}, description);
    this.svg = shape("svg", {role: "img", "aria-labelledby": `${id}-svg-title ${id}-svg-desc`, height});
    this.svg_title = shape("title", {id: `${id}-svg-title`}, this.svg, title);
    shape("desc", {id: `${id}-svg-desc`}, this.svg, description);
    this.axes = shape("g", {class: "axes"}, this.svg);
    this.marks = shape("g", {class: "marks"}, this.svg);
    this.cursor = shape("g", {class: "cursor"}, this.svg);
    this.box = element("div");
    this.details = element("details", {}, element("summary", {}, "Table of these values"), this.box);
    this.details.addEventListener("toggle", () => this.fill_table());
    this.legend = element("ul", {className: "legend"});
    host.append(element("figure", {id}, this.title, this.legend, this.svg, this.note, this.details));
    this.svg.addEventListener("pointermove", event => this.point(event));
    this.svg.addEventListener("pointerleave", () => { hide_tip(); this.cursor.replaceChildren(); });
    if (choose) {
      this.svg.classList.add("choosable");
      this.svg.addEventListener("click", event => { const found = this.find(event); if (found) choose(found); });
    }
    on_resize(this.svg, () => this.update());
    new IntersectionObserver(([{isIntersecting}]) => {
      this.visible = isIntersecting;
      this.update();
    }, {rootMargin: "200px"}).observe(this.svg);
  }

  // Scales for x in [x0, x1] and y in [y0, y1], both pairs for reading as {range, log, ticks, format}.
  scales(x, y) {
    const width = this.svg.clientWidth || 400, margin = {left: 66, right: 14, top: 10, bottom: 42};
    Object.assign(this, {width, margin, x_scale: scale(x, margin.left, width - margin.right), y_scale: scale(y, this.height - margin.bottom, margin.top)});
    const key = JSON.stringify([x, y, width]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.axes.replaceChildren();
    const bottom = this.height - margin.bottom, right = width - margin.right;
    for (const tick of y.ticks) {
      const place = this.y_scale(tick);
      shape("line", {x1: margin.left, x2: right, y1: place, y2: place, class: "grid"}, this.axes);
      shape("text", {x: margin.left - 7, y: place + 4, "text-anchor": "end"}, this.axes, y.format(tick));
    }
    for (const tick of x.ticks) {
      const place = this.x_scale(tick);
      shape("line", {x1: place, x2: place, y1: bottom, y2: bottom + 4, class: "axis"}, this.axes);
      const anchor = place > right - 20 ? "end" : "middle";
      shape("text", {x: anchor === "end" ? right + 8 : place, y: bottom + 17, "text-anchor": anchor}, this.axes, x.format(tick));
    }
    shape("line", {x1: margin.left, x2: right, y1: bottom, y2: bottom, class: "axis"}, this.axes);
    shape("text", {x: (margin.left + right) / 2, y: this.height - 6, "text-anchor": "middle", class: "label"}, this.axes, this.x_label);
    const middle = (margin.top + bottom) / 2;
    shape("text", {x: 13, y: middle, transform: `rotate(-90 13 ${middle})`, "text-anchor": "middle", class: "label"}, this.axes, this.y_label);
  }

  // A line through [[x, y], ...]; parts that are not finite are left out, others are kept within the axes.
  line(points, name) {
    let path = "", pen = "M";
    for (const [x, y] of points) {
      if (y === null || !Number.isFinite(y)) { pen = "M"; continue; }
      path += `${pen}${this.x_scale(x).toFixed(1)} ${this.y_scale(y).toFixed(1)}`;
      pen = "L";
    }
    if (path) shape("path", {d: path, class: `line ${name}`}, this.marks);
  }

  // The area between low and high of [[x, low, high], ...].
  band(points, name) {
    const kept = points.filter(([, low, high]) => low !== null && high !== null);
    if (kept.length < 2) return;
    const at = (x, y) => `${this.x_scale(x).toFixed(1)} ${this.y_scale(y).toFixed(1)}`;
    const up = kept.map(([x, low]) => at(x, low)), down = kept.map(([x, , high]) => at(x, high)).reverse();
    shape("path", {d: `M${[...up, ...down].join("L")}Z`, class: `band ${name}`}, this.marks);
  }

  dot(x, y, name, radius = 4) {
    if (y === null || !Number.isFinite(y)) return;
    shape("circle", {cx: this.x_scale(x), cy: this.y_scale(y), r: radius, class: `dot ${name}`}, this.marks);
  }

  // A second dot is a square: the two models differ in shape, not only in colour.
  mark(x, y, name, radius = 5) {
    if (name.split(" ")[0] === "a") { this.dot(x, y, name, radius); return; }
    if (y === null || !Number.isFinite(y)) return;
    const side = 1.8 * radius;
    shape("rect", {x: this.x_scale(x) - side / 2, y: this.y_scale(y) - side / 2, width: side, height: side, class: `dot ${name}`}, this.marks);
  }

  rule(x) {
    const place = this.x_scale(x);
    shape("line", {x1: place, x2: place, y1: this.margin.top, y2: this.height - this.margin.bottom, class: "rule"}, this.marks);
  }

  text(x, y, text, name = "", anchor = "start") {
    shape("text", {x, y, class: `remark ${name}`, "text-anchor": anchor}, this.marks, text);
  }

  set_legend(entries) {
    const key = JSON.stringify(entries);
    if (key === this.legend_key) return;
    this.legend_key = key;
    this.legend.replaceChildren(...entries.map(([name, text]) => element("li", {}, element("i", {className: `key ${name}`, "aria-hidden": "true"}), text)));
  }

  set_note(text) {
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  // Draw again, if what the chart shows has changed; during training only if it can be seen.
  update(running = false) {
    if (running && !this.visible) return;
    const key = this.depends_on ? JSON.stringify([this.svg.clientWidth, ...this.depends_on()]) : null;
    if (key !== null && key === this.shown) return;
    this.shown = key;
    this.marks.replaceChildren();
    this.draw(this);
  }

  fill_table() {
    if (!this.details.open) return;
    const [header, rows] = this.rows();
    this.box.replaceChildren(rows.length ? table(this.title.textContent, header, rows) : "No values yet.");
  }

  find(event) {
    if (!this.nearest || !this.x_scale) return null;
    const box = this.svg.getBoundingClientRect();
    return this.nearest(this, event.clientX - box.left, event.clientY - box.top);
  }

  // The tooltip of the nearest value: {x, y, text}.
  point(event) {
    const found = this.find(event);
    this.cursor.replaceChildren();
    if (!found) { hide_tip(); return; }
    for (const [x, y] of found.places) shape("circle", {cx: x, cy: y, r: 6}, this.cursor);
    show_tip(event, found.text);
  }
}

// A function from a value to a place between `start` and `end`, with `.value` for the way back.
function scale({range: [low, high], log}, start, end) {
  const f = log ? Math.log10 : value => value;
  const from = f(low), to = f(high);
  const place = value => start + (end - start) * Math.min(1, Math.max(0, (f(log ? Math.max(value, low) : value) - from) / (to - from || 1)));
  place.value = at => { const share = from + (to - from) * (at - start) / (end - start); return log ? 10 ** share : share; };
  return place;
}

// A logarithmic axis with powers of ten as ticks, around the positive finite values.
function log_axis(values, {low = Infinity, high = 0, top = Infinity, bottom = 0} = {}) {
  const used = values.filter(value => Number.isFinite(value) && value > 0);
  const smallest = Math.max(bottom, Math.min(low, ...used)), largest = Math.min(top, Math.max(high, ...used));
  const first = Math.floor(Math.log10(smallest) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(largest) - 1e-9));
  const every = Math.ceil((last - first) / 6), ticks = [];
  for (let power = first; power <= last; power += every) ticks.push(Number(`1e${power}`));
  return {range: [Number(`1e${first}`), Number(`1e${last}`)], log: true, ticks, format: power_text};
}

function power_text(value) {
  const power = Math.round(Math.log10(value));
  return Math.abs(power) <= 3 ? readable(value) : `1e${power < 0 ? "−" : ""}${Math.abs(power)}`;
}

// A linear axis from 0 to `last` with about `n` ticks.
function linear_axis(last, n) {
  const raw = last / n, unit = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, [1, 2, 5, 10].find(k => k * unit >= raw) * unit);
  const ticks = Array.from({length: Math.floor(last / step) + 1}, (_, i) => i * step);
  return {range: [0, last], log: false, ticks, format: whole};
}
