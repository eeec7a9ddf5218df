// The picture with its boxes, drawing and moving a box, and the strip of scores.
// Boxes are [x, y, w, h] in px of the video.

// colour-blind eyes tell them from each other (Okabe and Ito); as siamjax.viz.PALETTE
const PALETTE = ["#d55e00", "#0072b2", "#009e73", "#f0e442", "#56b4e9", "#e69f00", "#cc79a7"];
export const colour = (target) => PALETTE[target % PALETTE.length];
const clip = (value, low, high) => Math.min(Math.max(value, low), high);
const HANDLE = 5; // px of the screen, half a handle's side
const LEAST = 2; // px of the video, of a box

export class View {
  // chosen: what a person may do with the boxes: {allowed(), drawn(box), picked(target)}
  constructor(canvas, chosen) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.chosen = chosen;
    this.image = null; // ImageBitmap or canvas
    this.size = [640, 360]; // of the video
    this.boxes = []; // {target, box, kind: given, tracked, old or lost, label, selected}
    this.drag = null;
    new ResizeObserver(() => this.fit()).observe(canvas.parentElement);
    addEventListener("resize", () => this.fit());
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", () => {
      this.drag = null;
      this.chosen.picked(undefined);
      this.draw();
    });
  }

  // As large as the window lets it be, with the controls in sight; small videos are enlarged.
  fit() {
    const narrow = innerWidth <= 800;
    const width = this.canvas.parentElement.clientWidth;
    const height = Math.max(180, narrow ? innerHeight * 0.5 : innerHeight - 250);
    const zoom = Math.min(width / this.size[0], height / this.size[1], 8);
    const shown = this.size.map((side) => Math.max(1, Math.round(side * zoom)));
    const ratio = Math.min(devicePixelRatio || 1, 2);
    [this.canvas.width, this.canvas.height] = shown.map((side) => Math.round(side * ratio));
    this.canvas.style.width = `${shown[0]}px`;
    this.canvas.style.height = `${shown[1]}px`;
    this.ratio = ratio;
    this.zoom = shown[0] / this.size[0]; // px of the screen for a px of the video
    this.draw();
  }

  show(image, size) {
    this.image = image;
    const other = size[0] !== this.size[0] || size[1] !== this.size[1];
    this.size = size;
    if (other) this.fit();
    else this.draw();
  }

  draw() {
    const { context, canvas } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.image) context.drawImage(this.image, 0, 0, canvas.width, canvas.height);
    for (const each of this.boxes) {
      if (!(this.drag?.box && each.selected)) this.outline(each);
    }
    if (this.drag?.box) this.outline({ ...this.drag, kind: "given", selected: true, label: "" });
  }

  outline({ target, box, kind, label, selected }) {
    const { context, ratio } = this;
    const scale = this.zoom * ratio;
    const [x, y, w, h] = box.map((value) => value * scale);
    context.save();
    context.globalAlpha = kind === "old" ? 0.45 : 1;
    context.setLineDash(["given", "tracked"].includes(kind) ? [] : [6 * ratio, 4 * ratio]);
    context.lineWidth = 4 * ratio;
    context.strokeStyle = "#000a";
    context.strokeRect(x, y, w, h); // an edge that shows on any ground
    context.lineWidth = 2.5 * ratio;
    context.strokeStyle = colour(target);
    context.strokeRect(x, y, w, h);
    context.setLineDash([]);
    if (selected && this.chosen.allowed()) {
      for (const [cx, cy] of corners([x, y, w, h])) {
        const side = HANDLE * ratio;
        context.fillStyle = "#fff";
        context.fillRect(cx - side, cy - side, 2 * side, 2 * side);
        context.lineWidth = ratio;
        context.strokeRect(cx - side, cy - side, 2 * side, 2 * side);
      }
    }
    if (label) {
      context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
      const width = context.measureText(label).width + 8 * ratio;
      const height = 19 * ratio;
      const left = clip(x, 0, Math.max(0, this.canvas.width - width));
      const top = y >= height ? y - height : Math.min(y + 2 * ratio, this.canvas.height - height);
      context.fillStyle = colour(target);
      context.fillRect(left, Math.max(0, top), width, height);
      context.fillStyle = ["#f0e442", "#56b4e9", "#e69f00"].includes(colour(target)) ? "#000" : "#fff";
      context.fillText(label, left + 4 * ratio, Math.max(0, top) + 14 * ratio);
    }
    context.restore();
  }

  point(event) {
    const area = this.canvas.getBoundingClientRect();
    return [
      clip((event.clientX - area.left) / this.zoom, 0, this.size[0]),
      clip((event.clientY - area.top) / this.zoom, 0, this.size[1]),
    ];
  }

  down(event) {
    if (!this.image || event.button !== 0) return;
    const at = this.point(event);
    const near = (event.pointerType === "touch" ? 22 : 10) / this.zoom;
    const chosen = this.boxes.find((each) => each.selected);
    this.drag = { from: at, kind: "draw", target: this.chosen.target(), moved: false, allowed: this.chosen.allowed() };
    if (chosen) {
      const [x, y, w, h] = chosen.box;
      const corner = corners(chosen.box).findIndex(([cx, cy]) => Math.hypot(at[0] - cx, at[1] - cy) < near);
      if (corner >= 0) {
        this.drag.kind = "size";
        this.drag.fixed = corners(chosen.box)[3 - corner];
      } else if (at[0] > x && at[0] < x + w && at[1] > y && at[1] < y + h) {
        this.drag.kind = "move";
        this.drag.start = chosen.box;
      }
    }
    this.canvas.setPointerCapture(event.pointerId);
    this.chosen.began?.();
  }

  move(event) {
    const { drag } = this;
    if (!drag) return;
    const at = this.point(event);
    if (Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) * this.zoom > 3) drag.moved = true;
    if (!drag.moved || !drag.allowed) return;
    if (drag.kind === "move") {
      const [x, y, w, h] = drag.start;
      drag.box = [x + at[0] - drag.from[0], y + at[1] - drag.from[1], w, h];
    } else {
      const from = drag.kind === "size" ? drag.fixed : drag.from;
      drag.box = [Math.min(at[0], from[0]), Math.min(at[1], from[1]), Math.abs(at[0] - from[0]), Math.abs(at[1] - from[1])];
    }
    this.draw();
  }

  up(event) {
    const { drag } = this;
    if (!drag) return;
    this.drag = null;
    const at = this.point(event);
    if (drag.box && drag.box[2] >= LEAST && drag.box[3] >= LEAST) {
      this.chosen.drawn(drag.box);
    } else if (drag.moved && !drag.allowed) {
      this.chosen.refused();
    } else if (!drag.moved) {
      const hit = this.boxes
        .filter(({ box: [x, y, w, h] }) => at[0] >= x && at[0] <= x + w && at[1] >= y && at[1] <= y + h)
        .sort((a, b) => a.box[2] * a.box[3] - b.box[2] * b.box[3])[0];
      this.chosen.picked(hit?.target);
    } else {
      this.chosen.picked(undefined);
    }
    this.draw();
  }
}

function corners([x, y, w, h]) {
  return [[x, y], [x + w, y], [x, y + h], [x + w, y + h]];
}

// The worst score of each stretch of frames, from red to blue, and where boxes were drawn.
export function drawStrip(canvas, last, rows, starts, frame) {
  const width = (canvas.width = Math.max(1, Math.round(canvas.clientWidth * (devicePixelRatio || 1))));
  const height = canvas.height;
  const context = canvas.getContext("2d");
  const place = (number) => (number / (last + 1)) * width;
  const worst = new Float32Array(width).fill(2);
  for (const [number, found] of rows) {
    const score = Math.min(...found.map((row) => (row.lost ? 0 : row.score)));
    const end = Math.max(Math.floor(place(number + 1)), Math.floor(place(number)) + 1);
    for (let x = Math.floor(place(number)); x < Math.min(end, width); x++) worst[x] = Math.min(worst[x], score);
  }
  for (let x = 0; x < width; x++) {
    if (worst[x] > 1) continue;
    context.fillStyle = worst[x] === 0 ? "#d55e00" : `hsl(${clip(20 + 190 * worst[x], 20, 210)} 75% 48%)`;
    const part = Math.max(0.15, worst[x] || 1) * height;
    context.fillRect(x, height - part, 1, part);
  }
  for (const start of starts) {
    context.fillStyle = "#000";
    context.fillRect(Math.round(place(start.frame)) - 1, 0, 5, height);
    context.fillStyle = colour(start.target);
    context.fillRect(Math.round(place(start.frame)), 1, 3, height - 2);
  }
  context.fillStyle = "#888";
  context.fillRect(Math.round(place(frame)), 0, 2, height);
}
