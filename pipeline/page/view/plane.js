// The plane of the inputs: the probability of class 1, the boundary of the classes, and the training samples.

const probability_of = z => 1 / (1 + Math.exp(-z)); // for colours only

class Plane {
  constructor(host, half, samples) {
    this.canvas = element("canvas", {role: "img"});
    this.half = half;
    this.samples = samples;
    this.small = document.createElement("canvas");
    host.append(this.canvas);
    this.canvas.addEventListener("pointermove", event => this.point(event));
    this.canvas.addEventListener("pointerleave", hide_tip);
    on_resize(this.canvas, () => this.resize());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
  }

  resize() {
    const pixels = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (!pixels) return;
    this.canvas.width = this.canvas.height = pixels;
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(name).trim();
    const bytes = name => colour(name).match(/\w\w/g).map(part => parseInt(part, 16));
    this.colours = {regions: [bytes("--region-0"), bytes("--region-1")], ink: colour("--ink")};
    this.layer = document.createElement("canvas");
    this.layer.width = this.layer.height = pixels;
    const context = this.layer.getContext("2d"), radius = Math.max(1.6, pixels / 150);
    const fills = [colour("--class-0"), colour("--class-1")], edge = colour("--edge");
    if (this.samples) {
      this.samples.Y.forEach((y, i) => {
        const x = this.place(this.samples.X[i]), up = pixels - this.place(this.samples.X[this.samples.Y.length + i]);
        context.beginPath();
        if (y === 0) context.arc(x, up, radius, 0, 7); else context.rect(x - radius * 0.9, up - radius * 0.9, radius * 1.8, radius * 1.8);
        context.fillStyle = fills[y] || edge;
        context.fill();
        context.lineWidth = pixels / 700;
        context.strokeStyle = edge;
        context.stroke();
      });
    }
    this.draw(this.logits);
  }

  place(x) {
    return (x / this.half + 1) / 2 * this.canvas.width;
  }

  // Draw the logits (side * side,), row after row from the top; nothing but the samples for null.
  draw(logits) {
    this.logits = logits;
    if (!this.colours) return;
    const pixels = this.canvas.width, context = this.canvas.getContext("2d");
    if (!logits) {
      context.clearRect(0, 0, pixels, pixels);
      context.drawImage(this.layer, 0, 0);
      return;
    }
    const side = Math.round(Math.sqrt(logits.length)), {regions, ink} = this.colours;
    this.small.width = this.small.height = side;
    const small = this.small.getContext("2d"), image = small.createImageData(side, side);
    let broken = false;
    for (let i = 0; i < logits.length; i++) {
      const p = probability_of(logits[i]);
      broken = broken || Number.isNaN(p);
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = regions[0][c] + (regions[1][c] - regions[0][c]) * p;
      image.data[4 * i + 3] = 255;
    }
    small.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.small, 0, 0, pixels, pixels);
    context.strokeStyle = ink;
    context.lineWidth = Math.max(1.2, pixels / 240);
    context.stroke(contour(logits, side, pixels));
    context.drawImage(this.layer, 0, 0);
    if (broken) this.write(context, "diverged");
  }

  write(context, text) {
    const pixels = this.canvas.width;
    context.font = `600 ${Math.round(pixels / 12)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillStyle = this.colours.ink;
    context.fillText(text, pixels / 2, pixels / 2);
  }

  // The probabilities on seven by seven points of the plane: [header, rows], x₂ downwards.
  rows() {
    const places = [-3, -2, -1, 0, 1, 2, 3].map(k => k * this.half / 3);
    const shown = x => readable(Number(x.toFixed(2)));
    if (!this.logits) return [[], []];
    return [["x₂ \\ x₁", ...places.map(shown)], [...places].reverse().map(x2 => [shown(x2), ...places.map(x1 => {
      const p = probability_of(this.logits[this.cell((x1 / this.half + 1) / 2, (1 - x2 / this.half) / 2)]);
      return Number.isNaN(p) ? "diverged" : p.toFixed(3);
    })])];
  }

  // The index of the logit at a place, given as shares of the width and, from the top, of the height.
  cell(across, down) {
    const side = Math.round(Math.sqrt(this.logits.length)), index = share => Math.min(side - 1, Math.max(0, Math.floor(share * side)));
    return index(down) * side + index(across);
  }

  point(event) {
    if (!this.logits) return;
    const box = this.canvas.getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width, down = (event.clientY - box.top) / box.height;
    const at = `x₁ = ${((2 * across - 1) * this.half).toFixed(2)}, x₂ = ${((1 - 2 * down) * this.half).toFixed(2)}`;
    show_tip(event, `${at}: probability of class 1 is ${readable(Number(probability_of(this.logits[this.cell(across, down)]).toFixed(4)))}`);
  }
}

// The line on which the logit is 0 and the probability 1/2, by marching squares.
function contour(z, side, pixels) {
  const path = new Path2D(), unit = pixels / side;
  const cut = (a, b) => a / (a - b);
  for (let row = 0; row + 1 < side; row++) {
    for (let column = 0; column + 1 < side; column++) {
      const i = row * side + column;
      const a = z[i], b = z[i + 1], c = z[i + side + 1], d = z[i + side];
      const above = [a > 0, b > 0, c > 0, d > 0];
      if (above[0] === above[1] && above[1] === above[2] && above[2] === above[3]) continue;
      const crossings = [];
      if (above[0] !== above[1]) crossings.push([column + cut(a, b), row]);
      if (above[1] !== above[2]) crossings.push([column + 1, row + cut(b, c)]);
      if (above[3] !== above[2]) crossings.push([column + cut(d, c), row + 1]);
      if (above[0] !== above[3]) crossings.push([column, row + cut(a, d)]);
      for (let k = 0; k + 1 < crossings.length; k += 2) {
        path.moveTo((crossings[k][0] + 0.5) * unit, (crossings[k][1] + 0.5) * unit);
        path.lineTo((crossings[k + 1][0] + 0.5) * unit, (crossings[k + 1][1] + 0.5) * unit);
      }
    }
  }
  return path;
}
