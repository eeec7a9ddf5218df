// The tracker around the network: crop, window, decoding, state, as siamjax/tracking/tracker.py has
// them. An image is {data, width, height} with RGBA bytes, as a canvas gives it; boxes are
// {x, y, w, h} in px from 0.

const LARGEST_SIDE = 1 << 20; // px, of a window
const SMALLEST = 10; // px, least width and height that a box may shrink to
const WEIGHT_ONE = 2048; // OpenCV's bilinear weights have 11 bits

const clip = (value, low, high) => Math.min(Math.max(value, low), high);

// Rounded half to even.
function rint(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest < 0.5) return low;
  if (rest > 0.5) return low + 1;
  return low % 2 === 0 ? low : low + 1;
}

const whole = (value) => clip(rint(value), 1, LARGEST_SIDE);

function contextSize(w, h, context = 0.5) {
  const margin = context * (w + h);
  return Math.sqrt((w + margin) * (h + margin));
}

// First pixel of a window of `side` px.
const origin = (centre, side) => centre.map((c) => Math.floor(c - (side + 1) / 2 + 0.5));

// Mean colour of an image, BGR, truncated.
export function colourMean({ data, width, height }) {
  const sums = [0, 0, 0];
  for (let i = 0; i < 4 * width * height; i += 4) {
    for (let c = 0; c < 3; c++) sums[c] += data[i + 2 - c];
  }
  return sums.map((sum) => Math.floor(sum / (width * height)));
}

// Along an axis: for each pixel of a crop two positions in the image and their weights.
function taps(size, side, start) {
  const first = new Int32Array(size);
  const second = new Int32Array(size);
  const weights = new Int32Array(2 * size);
  for (let i = 0; i < size; i++) {
    const position = Math.fround(((2 * i + 1) * side - size) / (2 * size));
    const low = Math.floor(position);
    const fraction = Math.fround(position - low);
    first[i] = clip(low, 0, side - 1) + start;
    second[i] = clip(low + 1, 0, side - 1) + start;
    weights[2 * i] = rint(Math.fround(1 - fraction) * WEIGHT_ONE);
    weights[2 * i + 1] = rint(fraction * WEIGHT_ONE);
  }
  return { first, second, weights };
}

// A square window of the image, resized by OpenCV's bilinear rule to its bits: (size, size, 3) BGR.
// What lies outside the image has the colour `average`.
export function subwindow(image, centre, size, side, average) {
  side = clip(Math.trunc(side), 1, LARGEST_SIDE);
  const [left, top] = origin(centre, side);
  const xs = taps(size, side, left);
  const ys = taps(size, side, top);
  const { data, width, height } = image;
  const lines = new Map(); // rows of the image, resized along x

  function line(row) {
    const known = lines.get(row);
    if (known) return known;
    const made = new Int32Array(3 * size);
    const inside = row >= 0 && row < height;
    for (let i = 0; i < size; i++) {
      const a = xs.first[i];
      const b = xs.second[i];
      const insideA = inside && a >= 0 && a < width;
      const insideB = inside && b >= 0 && b < width;
      for (let c = 0; c < 3; c++) {
        const one = insideA ? data[4 * (row * width + a) + 2 - c] : average[c];
        const two = insideB ? data[4 * (row * width + b) + 2 - c] : average[c];
        made[3 * i + c] = (one * xs.weights[2 * i] + two * xs.weights[2 * i + 1]) >> 4;
      }
    }
    if (lines.size > 3) lines.delete(lines.keys().next().value);
    lines.set(row, made);
    return made;
  }

  const crop = new Uint8Array(3 * size * size);
  for (let i = 0; i < size; i++) {
    const one = line(ys.first[i]);
    const two = line(ys.second[i]);
    const a = ys.weights[2 * i];
    const b = ys.weights[2 * i + 1];
    for (let j = 0; j < 3 * size; j++) {
      crop[3 * size * i + j] = (((one[j] * a) >> 16) + ((two[j] * b) >> 16) + 2) >> 2;
    }
  }
  return crop;
}

// Anchors' centres and cosine window of a score map with `cells` per side.
export function makeGrid(constants, cells) {
  const { stride } = constants.anchors;
  const steps = Array.from({ length: cells }, (_, i) => (i - Math.floor(cells / 2)) * stride);
  const hann = steps.map((_, i) =>
    cells === 1 ? 1 : 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (cells - 1)),
  );
  return { cells, steps, hann, shapes: constants.shapes };
}

const change = (ratio) => Math.max(ratio, 1 / ratio);

// The first candidate with the highest penalised score; lengths in px of the search crop.
// cls: (S, S, 2 A) logits, loc: (S, S, 4 A) offsets; channel = class A + anchor and k A + anchor.
export function bestCandidate(grid, cls, loc, target, penaltyK, influence) {
  const { cells, steps, hann, shapes } = grid;
  const count = shapes.length;
  const former = contextSize(...target);
  const boxes = new Float64Array(4 * count * cells * cells);
  const penalised = new Float64Array(count * cells * cells).fill(-1);
  const valid = new Uint8Array(count * cells * cells);
  let best = { value: -Infinity, index: 0, score: 0, penalty: 0 };
  for (let a = 0, n = 0; a < count; a++) {
    const [width, height] = shapes[a];
    for (let row = 0; row < cells; row++) {
      for (let column = 0; column < cells; column++, n++) {
        const cell = row * cells + column;
        const score = 1 / (1 + Math.exp(cls[2 * count * cell + a] - cls[2 * count * cell + count + a]));
        const offset = (k) => loc[4 * count * cell + k * count + a];
        const box = [
          steps[column] + offset(0) * width,
          steps[row] + offset(1) * height,
          Math.exp(offset(2)) * width,
          Math.exp(offset(3)) * height,
        ];
        boxes.set(box, 4 * n);
        const scaleChange = change(contextSize(box[2], box[3]) / former);
        const ratioChange = change(target[0] / target[1] / (box[2] / box[3]));
        const penalty = Math.exp(-(ratioChange * scaleChange - 1) * penaltyK);
        const value = penalty * score * (1 - influence) + hann[row] * hann[column] * influence;
        if (Number.isFinite(value) && box.every(Number.isFinite)) {
          penalised[n] = value;
          valid[n] = 1;
        }
        if (penalised[n] > best.value) best = { value: penalised[n], index: n, score, penalty };
      }
    }
  }
  const [x, y, w, h] = boxes.subarray(4 * best.index, 4 * best.index + 4);
  let second = 0;
  for (let n = 0; n < penalised.length; n++) {
    const away = Math.abs(boxes[4 * n] - x) > w / 2 || Math.abs(boxes[4 * n + 1] - y) > h / 2;
    if (away && valid[n]) second = Math.max(second, penalised[n]);
  }
  return {
    offset: [x, y],
    size: [w, h],
    score: best.score,
    penalty: best.penalty,
    anchor: best.index,
    secondPeak: second / Math.max(best.value, 1e-12),
  };
}

// The evidence that the box holds the target after a candidate, as siamjax/tracking/presence.py has
// it: the running mean of the frames' logits. Without fitted weights it stays.
export function remember(constants, candidate, target, { lost, evidence }) {
  const weights = constants.presence;
  if (!weights.length) return evidence;
  const score = clip(candidate.score, 1e-6, 1 - 1e-6);
  const side = Math.sqrt(target[0] * target[1]);
  const signs = {
    score: Math.log(score) - Math.log(1 - score),
    second_peak: candidate.secondPeak,
    resize: Math.abs(Math.log(Math.sqrt(candidate.size[0] * candidate.size[1]) / side)),
    moved: lost ? 0 : Math.hypot(...candidate.offset) / side,
  };
  let total = weights[0];
  let next = 1;
  for (const [name, knots] of Object.entries(constants.knots)) {
    for (let i = 0; i + 1 < knots.length; i++) {
      const share = (signs[name] - knots[i]) / (knots[i + 1] - knots[i]);
      total += weights[next++] * clip(share, 0, 1);
    }
  }
  return constants.memory * evidence + (1 - constants.memory) * total;
}

// The probability of it, 0..1.
const probability = (evidence) => 1 / (1 + Math.exp(-clip(evidence, -30, 30)));

// Follows one target. `network` has encode(crop) -> kernels and respond(kernels, crop, lost) ->
// {cls, loc}, both asynchronous; crops are as `subwindow` makes them.
export class Tracker {
  constructor(constants, network) {
    this.constants = constants;
    this.network = network;
    this.grids = new Map();
    this.motion = null;
  }

  async init(image, { x, y, w, h }) {
    const { constants } = this;
    const half = constants.exact_windows ? 0 : 1;
    const middle = [x + (w - half) / 2, y + (h - half) / 2];
    this.motion = { centre: middle, size: [w, h], lost: false, evidence: constants.start };
    this.average = colourMean(image);
    const side = whole(contextSize(w, h, constants.context));
    const centre = this.placed(this.motion.centre, side);
    const crop = subwindow(image, centre, constants.exemplar, side, this.average);
    this.kernels = await this.network.encode(crop);
  }

  // Centre, side and scale of the window that the next image is searched in.
  window() {
    const { constants } = this;
    const { centre, size } = this.motion;
    const lost = constants.long_term && this.motion.lost;
    const instance = lost ? constants.lost_instance : constants.instance;
    const side = contextSize(...size, constants.context);
    const taken = whole(side * (instance / constants.exemplar));
    return {
      centre: this.placed(centre, taken),
      side: taken,
      scale: constants.exact_windows ? instance / taken : constants.exemplar / side,
      instance,
      influence: lost ? constants.lost_window_influence : constants.window_influence,
      lost,
    };
  }

  placed(centre, side) {
    if (!this.constants.exact_windows) return centre;
    return origin(centre.map((c) => c + 0.5), side).map((first) => first + side / 2);
  }

  // {box, score, lost, presence, ...} of the next image.
  async update(image) {
    const { constants } = this;
    const window = this.window();
    const crop = subwindow(image, window.centre, window.instance, window.side, this.average);
    const { cls, loc } = await this.network.respond(this.kernels, crop, window.lost);
    const cells = Math.sqrt(cls.length / (2 * constants.shapes.length));
    if (!this.grids.has(cells)) this.grids.set(cells, makeGrid(constants, cells));
    const target = this.motion.size.map((side) => Math.fround(side * window.scale));
    const { penalty_k: penaltyK } = constants;
    const found = bestCandidate(this.grids.get(cells), cls, loc, target, penaltyK, window.influence);
    const sides = this.motion.size.map((side) => side * window.scale);
    const evidence = remember(constants, found, sides, this.motion);
    const held = constants.presence.length ? probability(evidence) : null;
    const before = { ...this.motion, centre: window.centre, evidence };
    const box = this.advance(before, found, window.scale, held, image);
    const doubtful =
      held === null ? found.score < constants.confidence_low : held < constants.presence_low;
    return { ...found, box, presence: held, lost: doubtful };
  }

  advance(before, found, scale, held, image) {
    const { constants } = this;
    const limit = [image.width, image.height];
    const rate = found.penalty * found.score * constants.lr;
    let moved = {
      ...before,
      centre: before.centre.map((c, i) => c + found.offset[i] / scale),
      size: before.size.map((side, i) => side * (1 - rate) + (found.size[i] / scale) * rate),
    };
    if (constants.long_term) {
      const kind = held === null ? "confidence" : "presence";
      const trust = held === null ? found.score : held;
      const low = constants[`${kind}_low`];
      const sure = trust >= low;
      const lost = trust < low || (trust > constants[`${kind}_high`] ? false : before.lost);
      moved = { ...(sure ? moved : before), lost };
    }
    const centre = moved.centre.map((c, i) => clip(c, 0, limit[i]));
    const size = moved.size.map((side, i) => Math.max(SMALLEST, Math.min(side, limit[i])));
    this.motion = constants.long_term ? moved : { ...moved, centre, size };
    return { x: centre[0] - size[0] / 2, y: centre[1] - size[1] / 2, w: size[0], h: size[1] };
  }
}

// The two halves of the network as onnxruntime's sessions.
// ort: the module onnxruntime-web; files: {template, search, lost} with URLs or bytes.
export async function openNetwork(ort, constants, files) {
  const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
  const open = (file) => ort.InferenceSession.create(file, options);
  const template = await open(files.template);
  const search = await open(files.search);
  const lostSearch = constants.long_term ? await open(files.lost) : null;
  const tensor = (crop, side) => new ort.Tensor("float32", Float32Array.from(crop), [1, side, side, 3]);
  return {
    encode: (crop) => template.run({ z: tensor(crop, constants.exemplar) }),
    async respond(kernels, crop, lost) {
      const side = lost ? constants.lost_instance : constants.instance;
      const session = lost ? lostSearch : search;
      const { cls, loc } = await session.run({ x: tensor(crop, side), ...kernels });
      return { cls: cls.data, loc: loc.data };
    },
  };
}
