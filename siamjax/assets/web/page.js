// The page: a local video, stepped through frame by frame, or the webcam; one target.
import * as ort from "./ort.wasm.bundle.min.mjs";
import { Tracker, openNetwork } from "./tracker.js";

ort.env.wasm.numThreads = 1;

const by = (id) => document.getElementById(id);
const [view, time, track, status] = ["view", "seek", "track", "status"].map(by);
const shown = view.getContext("2d");
const pixels = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });

const state = {
  period: 1 / 25, // s between two frames
  frame: 0,
  live: false,
  running: false,
  box: null, // {x, y, w, h}: drawn by hand, or found
  drawn: false, // by hand since the last frame
  rows: [], // frame, box, score
  tracker: null,
};
window.siamjax = state; // for tests and the curious

function say(text, error = false) {
  status.textContent = text;
  by("said").classList.toggle("error", error);
}

async function load() {
  say("Loading the network ...");
  const constants = await (await fetch("tracker.json")).json();
  const files = { template: "template.onnx", search: "search.onnx", lost: "search_lost.onnx" };
  state.tracker = new Tracker(constants, await openNetwork(ort, constants, files));
  say("Choose a video, or the webcam.");
}

const ready = load().catch((error) => {
  say(`The network cannot be loaded: ${error.message ?? error}`, true);
  throw error;
});

// --- frames -----------------------------------------------------------------------------------

const event = (target, name) =>
  new Promise((done, fail) => {
    target.addEventListener(name, done, { once: true });
    target.addEventListener("error", () => fail(new Error("the browser cannot play it")), {
      once: true,
    });
  });

const count = () => Math.max(1, Math.round(video.duration / state.period));

// The frame that the video shows, as pixels.
function capture() {
  const { canvas } = pixels;
  if (canvas.width !== video.videoWidth || canvas.height !== video.videoHeight) {
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
  }
  pixels.drawImage(video, 0, 0);
  return pixels.getImageData(0, 0, canvas.width, canvas.height);
}

async function seek(frame) {
  state.frame = frame;
  const sought = event(video, "seeked");
  video.currentTime = (frame + 0.5) * state.period; // the middle: no rounding reaches another frame
  await sought;
}

// Time between two frames, from those that the browser shows when it plays the beginning.
async function measurePeriod() {
  if (!video.requestVideoFrameCallback) return 1 / 25;
  const times = [];
  const enough = new Promise((done) => {
    const note = (_, { mediaTime }) => {
      times.push(mediaTime);
      if (times.length < 12) video.requestVideoFrameCallback(note);
      else done();
    };
    video.requestVideoFrameCallback(note);
  });
  video.playbackRate = 0.5;
  await video.play();
  await Promise.race([enough, event(video, "ended"), new Promise((done) => setTimeout(done, 3000))]);
  video.pause();
  const gaps = times.slice(1).map((t, i) => t - times[i]).filter((gap) => gap > 1e-3);
  return gaps.length ? Math.min(...gaps) : 1 / 25;
}

// Rates that videos have: times of frames are often rounded to milliseconds.
function nearestRate(period) {
  const rates = [10, 12, 12.5, 15, 20, 24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60];
  const rate = 1 / period;
  const near = rates.reduce((a, b) => (Math.abs(a - rate) <= Math.abs(b - rate) ? a : b));
  return Math.abs(near / rate - 1) < 0.03 ? near : rate;
}

// --- what is shown ----------------------------------------------------------------------------

// The picture as large as its place allows, small videos too.
function fit() {
  const scale = Math.min(by("stage").clientWidth / view.width, (0.72 * innerHeight) / view.height);
  view.style.width = `${Math.floor(view.width * scale)}px`;
}

function paint(box = state.box) {
  const { canvas } = pixels;
  if (view.width !== canvas.width || view.height !== canvas.height) {
    view.width = canvas.width;
    view.height = canvas.height;
  }
  fit();
  shown.drawImage(canvas, 0, 0);
  if (box) {
    shown.lineWidth = Math.max(2, view.width / 320);
    shown.strokeStyle = state.lost ? "#d55e00" : "#56b4e9";
    shown.strokeRect(box.x, box.y, box.w, box.h);
  }
  by("box").textContent = box
    ? `x ${box.x.toFixed(1)}, y ${box.y.toFixed(1)}, ${box.w.toFixed(1)} x ${box.h.toFixed(1)} px`
    : "";
  by("time").textContent = state.live ? "live" : `frame ${state.frame} of ${count()}`;
  time.value = state.frame;
  track.disabled = !(state.box && state.tracker);
  track.textContent = state.running ? "Stop" : "Track";
}

function offer() {
  const lines = state.rows.map(({ frame, box, score }) =>
    [frame, ...[box.x, box.y, box.w, box.h].map((v) => v.toFixed(3)), score.toFixed(4)].join(","),
  );
  const text = ["frame,x,y,w,h,score", ...lines, ""].join("\n");
  URL.revokeObjectURL(by("csv").href);
  by("csv").href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  by("csv").hidden = !state.rows.length;
}

// --- tracking ---------------------------------------------------------------------------------

// Starts the target in the frame that is shown.
async function begin() {
  const box = { ...state.box };
  state.drawn = false;
  state.lost = false;
  await state.tracker.init(capture(), box);
  state.rows = state.live ? [] : state.rows.filter((row) => row.frame < state.frame);
  state.rows.push({ frame: state.frame, box, score: 1 });
}

async function follow() {
  const found = await state.tracker.update(capture());
  if (state.drawn) return; // a box was drawn meanwhile
  state.box = found.box;
  state.lost = found.lost;
  state.rows.push({ frame: state.frame, box: found.box, score: found.score });
  by("score").value = found.score;
  paint();
}

async function run() {
  await ready;
  state.running = true;
  const start = performance.now();
  let done = 0;
  try {
    await begin();
    while (state.running) {
      if (state.live) {
        state.frame += 1;
        await new Promise(requestAnimationFrame);
      } else if (state.frame + 1 >= count()) {
        break;
      } else {
        await seek(state.frame + 1);
      }
      await (state.drawn ? begin() : follow());
      done += 1;
      const rate = (1000 * done) / (performance.now() - start);
      const left = state.live ? "" : `, ${Math.ceil((count() - 1 - state.frame) / rate)} s left`;
      by("speed").textContent = `${rate.toFixed(1)} frames/s${left}`;
    }
    say(state.live || state.frame + 1 < count() ? "Stopped." : "The video has ended.");
  } catch (error) {
    say(`Tracking failed: ${error.message ?? error}`, true);
  }
  state.running = false;
  offer();
  paint();
}

function toggle() {
  if (state.running) state.running = false;
  else if (state.box) {
    say("Tracking ...");
    run();
  }
}

async function step(frame) {
  if (state.live || state.running || time.disabled) return;
  await seek(Math.min(Math.max(frame, 0), count() - 1));
  capture();
  const row = state.rows.find((each) => each.frame === state.frame);
  state.box = row ? row.box : null;
  paint();
}

// --- inputs -----------------------------------------------------------------------------------

async function open(source, live) {
  state.running = false;
  Object.assign(state, { live, frame: 0, box: null, rows: [], lost: false });
  video.srcObject?.getTracks().forEach((each) => each.stop());
  try {
    const loaded = event(video, "loadeddata");
    if (live) {
      video.removeAttribute("src");
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      await video.play();
    } else {
      video.srcObject = null;
      video.src = URL.createObjectURL(source);
    }
    await loaded;
    if (!live) {
      state.period = 1 / nearestRate(await measurePeriod());
      await seek(0);
    }
  } catch (error) {
    say(`${live ? "The webcam" : source.name}: ${error.message ?? error}`, true);
    return;
  }
  time.max = live ? 0 : count() - 1;
  time.disabled = live;
  capture();
  offer();
  paint();
  by("empty").hidden = true;
  say("Draw a box around the target, then press Track.");
  if (live) preview();
}

// The webcam's picture until a target is tracked.
function preview() {
  if (!state.live) return;
  if (!state.running && !state.box) {
    capture();
    paint();
  }
  requestAnimationFrame(preview);
}

by("file").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0], false));
by("webcam").addEventListener("click", () => open(null, true));
by("stage").addEventListener("dragover", (e) => {
  e.preventDefault();
  by("stage").classList.add("over");
});
by("stage").addEventListener("dragleave", () => by("stage").classList.remove("over"));
by("stage").addEventListener("drop", (e) => {
  e.preventDefault();
  by("stage").classList.remove("over");
  if (e.dataTransfer.files[0]) open(e.dataTransfer.files[0], false);
});
track.addEventListener("click", toggle);
time.addEventListener("input", () => step(Number(time.value)));
document.addEventListener("keydown", (e) => {
  if (e.target.matches("input, button, a")) return;
  if (e.key === " ") toggle();
  else if (e.key === "ArrowRight") step(state.frame + 1);
  else if (e.key === "ArrowLeft") step(state.frame - 1);
  else return;
  e.preventDefault();
});

window.addEventListener("resize", fit);

let corner = null;
const place = (e) => {
  const area = view.getBoundingClientRect();
  return [
    ((e.clientX - area.left) * view.width) / area.width,
    ((e.clientY - area.top) * view.height) / area.height,
  ];
};
view.addEventListener("pointerdown", (e) => {
  if (!video.videoWidth) return;
  corner = place(e);
  view.setPointerCapture(e.pointerId);
});
view.addEventListener("pointermove", (e) => {
  if (!corner) return;
  const [x, y] = place(e);
  const box = { x: Math.min(x, corner[0]), y: Math.min(y, corner[1]) };
  state.sketch = { ...box, w: Math.abs(x - corner[0]), h: Math.abs(y - corner[1]) };
  paint(state.sketch);
});
view.addEventListener("pointerup", () => {
  if (corner && state.sketch && state.sketch.w >= 4 && state.sketch.h >= 4) {
    state.box = state.sketch;
    state.drawn = true;
  }
  corner = state.sketch = null;
  if (video.videoWidth) paint();
});
