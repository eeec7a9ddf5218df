// The page of `siamjax serve`: which video, frame and run are shown, and what a person does with them.
import { Camera } from "/serve_camera.js";
import { View, colour, drawStrip } from "/serve_view.js";

const $ = (id) => document.getElementById(id);
const ENDED = ["done", "stopped", "failed"];
const KEPT = 40; // pictures, in memory
const DRAW = "Draw a box around a target, in this or any other frame, then press Track.";
const GONE = "The server does not answer, or hung up. Is it still running?";

let videos = [];
let limits = { upload: Infinity, targets: 16 };
let video = null; // that is shown, as the server tells it
let pictures = new Map(); // its frames: number -> promise of an ImageBitmap
let last = 0; // number of its last frame, as far as it is known
let frame = 0; // that is asked for
let shown = 0; // whose picture is seen
let starts = []; // boxes that were drawn: {frame, target, box}
let names = []; // of the targets
let chosen = null; // number of the target that the next box is for; null: a new one
let run = null; // that is shown, as the server last told
let rows = new Map(); // what it found: frame -> rows
let socket = null; // that watches it
let following = false; // whether the picture is the run's newest
let playing = false;
let camera = null;
let found = []; // targets in the camera's frame

// --- words

function say(text, kind = "", hint = "") {
  $("status").textContent = text;
  $("hint").textContent = hint;
  $("said").className = kind;
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Error(GONE);
  }
}

async function ask(path, options) {
  const answer = await reach(path, options);
  return read(answer.status, answer.statusText, await answer.text());
}

function read(status, words, text) {
  let tree = null;
  try {
    tree = JSON.parse(text);
  } catch {
    // said below
  }
  if (status < 400 && tree !== null) return tree;
  throw Object.assign(new Error(tree?.error ?? `${status} ${words}`), { status, tree });
}

// What a person starts; whatever fails is shown.
function does(work) {
  return async (...given) => {
    try {
      await work(...given);
    } catch (error) {
      say(error.message, "error");
    }
  };
}

const busy = () => run !== null && !ENDED.includes(run.state);
const several = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

// --- boxes

const given = (number, target) => starts.find((each) => each.frame === number && each.target === target);
const order = (a, b) => a.frame - b.frame || a.target - b.target;
const targets = () => [...new Set((camera ? found : starts).map((each) => each.target))].sort((a, b) => a - b);

// The first frame in which other boxes are given than the run was started with; null: in none.
function edited() {
  if (!run) return null;
  const text = (each) => `${each.frame} ${each.target} ${each.box}`;
  const [ours, theirs] = [starts, run.starts].map((all) => new Set(all.map(text)));
  const other = [...starts.filter((each) => !theirs.has(text(each))), ...run.starts.filter((each) => !ours.has(text(each)))];
  return other.length ? Math.min(...other.map((each) => each.frame)) : null;
}

const title = (target) => names[target] || (targets().length > 1 ? `${target}` : "");

// A row as `View` takes it.
function boxed({ target, x, y, w, h, score, lost }) {
  return { target, box: [x, y, w, h], kind: lost ? "lost" : "tracked", score };
}

const sure = ({ kind, score }) => (kind === "lost" ? "lost" : score.toFixed(2));

function visible() {
  if (camera) return found.map(boxed);
  const from = edited();
  const boxes = starts.filter((each) => each.frame === shown).map((each) => ({ ...each, kind: "given" }));
  const drawn = new Set(boxes.map((each) => each.target));
  const known = new Set(targets());
  for (const row of rows.get(shown) ?? []) {
    if (drawn.has(row.target) || !known.has(row.target)) continue;
    boxes.push(boxed(row));
    if (from !== null && shown >= from) boxes.at(-1).kind = "old";
  }
  return boxes;
}

function paint() {
  const boxes = visible();
  for (const each of boxes) {
    each.selected = each.target === chosen;
    const score = each.kind === "given" ? "" : sure(each);
    each.label = [title(each.target), score].filter(Boolean).join(" ");
  }
  view.boxes = boxes;
  view.draw();
  paintTargets(boxes);
  buttons();
}

function paintTargets(boxes) {
  const all = targets();
  const list = $("targets");
  if (list.dataset.all !== String(all)) {
    list.dataset.all = String(all);
    list.replaceChildren(...all.map(item));
  }
  for (const one of list.children) {
    const target = Number(one.dataset.target);
    const box = boxes.find((each) => each.target === target);
    one.querySelector(".pick").setAttribute("aria-pressed", String(target === chosen));
    const score = one.querySelector(".score");
    score.textContent = !box ? "" : box.kind === "given" ? "drawn" : sure(box);
    score.classList.toggle("lost", box?.kind === "lost");
  }
  $("add").disabled = chosen === null || all.length >= limits.targets;
  $("add").setAttribute("aria-pressed", String(chosen === null && all.length > 0));
  $("undo").disabled = !given(shown, chosen) || busy() || camera !== null;
}

function item(target) {
  const made = document.createElement("li");
  made.dataset.target = target;
  made.innerHTML = '<button type="button" class="pick"><i></i><b></b></button><input type="text" maxlength="100"><output class="score"></output><button type="button" class="away">&times;</button>';
  made.querySelector("i").style.background = colour(target);
  made.querySelector("b").textContent = target;
  made.querySelector(".pick").title = `choose target ${target} (${target})`;
  const name = made.querySelector("input");
  Object.assign(name, { value: names[target] ?? "", placeholder: "name" });
  name.setAttribute("aria-label", `name of target ${target}`);
  name.addEventListener("change", does(() => rename(target, name.value)));
  const away = made.querySelector(".away");
  away.setAttribute("aria-label", `remove target ${target}`);
  away.addEventListener("click", () => remove(target));
  made.querySelector(".pick").addEventListener("click", () => choose(target));
  return made;
}

function choose(target) {
  chosen = target;
  paint();
}

async function rename(target, name) {
  while (names.length <= target) names.push("");
  names[target] = name.trim();
  paint();
  if (!run) return;
  const body = JSON.stringify({ names });
  run.names = (await ask(`/runs/${run.id}/names`, { method: "POST", body })).names;
}

function draws(box) {
  const free = [...Array(limits.targets).keys()].find((number) => !targets().includes(number));
  const target = chosen ?? free;
  if (target === undefined) {
    camera?.thaw();
    return say(`${limits.targets} targets are followed at most.`, "error");
  }
  chosen = target;
  box = box.map((side) => Math.round(side * 100) / 100);
  if (camera) {
    camera.give(target, box);
    return;
  }
  starts = starts.filter((each) => each.frame !== shown || each.target !== target);
  starts.push({ frame: shown, target, box });
  starts.sort(order);
  frame = shown;
  paint();
  if (!run) say(`${several(targets().length, "target")} to follow.`, "", "Press Track; or add another target, or a box in another frame.");
  else say(`Box drawn in frame ${shown}.`, "", `Press Track: frames before ${edited() ?? shown} are kept, tracking continues from there.`);
  strip();
}

function undo() {
  if (busy() || camera) return;
  starts = starts.filter((each) => each.frame !== shown || each.target !== chosen);
  if (!targets().includes(chosen)) chosen = targets()[0] ?? null;
  paint();
  strip();
}

function remove(target) {
  if (busy()) return say("Press Stop first; then targets can be removed.", "error");
  if (camera) {
    camera.given.push({ target, box: null });
    found = found.filter((each) => each.target !== target);
  }
  starts = starts.filter((each) => each.target !== target);
  if (chosen === target) chosen = targets()[0] ?? null;
  paint();
  strip();
}

const view = new View($("view"), {
  allowed: () => (camera ? true : video !== null && !busy()),
  target: () => chosen ?? targets().length,
  began: () => {
    playing = false;
    camera?.freeze();
  },
  drawn: draws,
  refused: () => say("The run is under way: press Stop, then correct the box.", "error"),
  picked: (target) => {
    camera?.thaw();
    if (target !== undefined) choose(target);
  },
});

// --- frames

async function picture(of, number, stale) {
  for (;;) {
    const answer = await reach(`/videos/${of.id}/frames/${number}.jpg`);
    if (answer.status === 200) return createImageBitmap(await answer.blob());
    const tree = await answer.text().then((text) => read(answer.status, answer.statusText, text));
    if (stale()) return null;
    say(`Reading the video: frame ${tree.read} of ${number} ...`);
    reading = true;
  }
}

let reading = false; // whether the page says so

function load(number) {
  const of = video;
  let one = pictures.get(number);
  if (!one) {
    one = picture(of, number, () => video !== of || Math.abs(frame - number) > 8);
    one.then((image) => image ?? pictures.delete(number), () => pictures.delete(number));
  }
  pictures.delete(number);
  pictures.set(number, one); // the newest
  if (pictures.size > KEPT) pictures.delete(pictures.keys().next().value);
  return one;
}

let loading = false;

// Shows a frame; of those that are asked for in the meantime only the newest.
async function go(number) {
  if (!video || camera) return;
  frame = Math.min(Math.max(number, 0), last);
  following = false;
  place();
  if (loading) return;
  loading = true;
  try {
    while (video && !following && !camera) {
      const [of, wanted] = [video, frame];
      let image;
      try {
        image = await load(wanted);
      } catch (error) {
        if (video !== of) continue;
        const end = error.status === 404 && /ends after frame (\d+)/.exec(error.message);
        if (!end) throw error;
        last = Number(end[1]);
        frame = Math.min(frame, last);
        place();
        continue;
      }
      if (video !== of) continue;
      if (following || camera) break;
      if (image) {
        shown = wanted;
        view.show(image, [video.width, video.height]);
        paint();
        if (reading && wanted === frame) tell();
        reading = false;
      }
      if (image && wanted === frame) break;
    }
  } finally {
    loading = false;
  }
}

const seek = does(go);

async function play() {
  playing = !playing && video !== null && !camera;
  buttons();
  if (playing && frame >= last) await go(0);
  let due = performance.now();
  while (playing && shown < last) {
    for (let ahead = 1; ahead <= 3; ahead++) if (shown + ahead <= last) load(shown + ahead).catch(() => {});
    due += 1000 / video.fps;
    await go(shown + 1);
    await new Promise((then) => setTimeout(then, Math.max(0, due - performance.now())));
    due = Math.max(due, performance.now() - 100);
  }
  playing = false;
  buttons();
}

// Slider, number and time; they follow the frame that is asked for.
function place() {
  $("seek").max = $("number").max = last;
  $("seek").value = frame;
  if (document.activeElement !== $("number")) $("number").value = frame;
  const clock = (number) => {
    const seconds = number / video.fps;
    return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
  };
  $("time").textContent = `of ${last} · ${clock(frame)}`;
  strip();
}

let striped = false;

function strip() {
  if (striped) return;
  striped = true;
  requestAnimationFrame(() => {
    striped = false;
    drawStrip($("strip"), last, rows, starts, frame);
  });
}

function buttons() {
  const from = edited();
  const whole = run !== null && run.state === "done" && from === null;
  $("start").hidden = busy() || camera !== null;
  $("start").disabled = !starts.length || whole;
  $("start").textContent = run?.frames && !whole ? `Track from frame ${from ?? run.last + 1}` : "Track";
  $("stop").hidden = !busy() && !camera;
  $("play").textContent = playing ? "Pause" : "Play";
  $("follow").hidden = !busy() || following;
  $("transport").hidden = !video || camera !== null;
  $("camera").setAttribute("aria-pressed", String(camera !== null));
  $("heatmap").disabled = camera !== null;
  $("empty").hidden = video !== null || camera !== null;
}

// --- videos and runs

// From here on nothing of a run that was shown reaches the page.
function leave() {
  if (socket) {
    socket.onmessage = socket.onclose = null;
    socket.close();
  }
  socket = run = null;
  rows = new Map();
  following = playing = false;
  $("results").hidden = $("progress").hidden = true;
}

function address(path) {
  if (location.pathname !== path) history.pushState(null, "", path);
}

async function list(selected) {
  videos = await ask("/videos");
  const none = new Option("none yet", "");
  $("videos").replaceChildren(...(videos.length ? videos.map((each) => new Option(each.name, each.id, false, each.id === selected)) : [none]));
}

async function runs() {
  const all = await ask("/runs");
  $("runs").replaceChildren(
    ...all.map((each) => {
      const link = document.createElement("a");
      link.href = `/runs/${each.id}`;
      link.textContent = `${each.name}: ${each.state}, ${several(each.frames, "frame")}`;
      link.addEventListener("click", (event) => {
        event.preventDefault();
        does(open)(each.id);
      });
      const one = document.createElement("li");
      one.append(link);
      return one;
    }),
  );
  $("history").hidden = !all.length;
}

async function show(id) {
  leave();
  await shut();
  $("videos").value = id;
  video = videos.find((each) => each.id === id);
  pictures = new Map();
  last = Math.max((video.count ?? 1e5) - 1, 0);
  starts = [];
  names = [];
  chosen = null;
  shown = frame = 0;
  buttons();
  await go(0);
}

const choose_video = does(async (id) => {
  address("/");
  say("Loading ...");
  await show(id);
  if (video?.id !== id) return;
  say(DRAW);
  await runs();
});

const upload = does(async (file) => {
  if (file.size > limits.upload) {
    throw new Error(`${file.name}: larger than ${limits.upload / 2 ** 20} MiB (--max_upload)`);
  }
  const sent = await new Promise((done, fail) => {
    const request = new XMLHttpRequest(); // fetch says nothing of what was sent
    request.open("POST", "/videos");
    request.setRequestHeader("X-Name", encodeURIComponent(file.name));
    request.upload.onprogress = ({ loaded, total }) => {
      say(loaded < total ? `Sending ${file.name}: ${Math.floor((100 * loaded) / total)} %` : `Opening ${file.name} ...`);
    };
    request.onerror = () => fail(new Error(GONE));
    request.onload = () => {
      try {
        done(read(request.status, request.statusText, request.responseText));
      } catch (error) {
        fail(error);
      }
    };
    request.send(file);
  });
  await list(sent.id);
  await choose_video(sent.id);
});

const track = does(async () => {
  if ($("start").disabled || $("start").hidden) return;
  const of = video;
  const body = { starts, names, heatmap: $("heatmap").checked };
  if (run?.frames) body.after = run.id;
  playing = false;
  const started = await ask(`/videos/${of.id}/runs`, { method: "POST", body: JSON.stringify(body) });
  if (video !== of) return; // another one was chosen meanwhile; the run is in the list
  address(`/runs/${started.id}`);
  leave();
  following = true;
  watch(started);
  await runs();
});

const stop = does(async () => {
  if (camera) return closing();
  if (busy()) await ask(`/runs/${run.id}/stop`, { method: "POST" });
});

// Shows a run by its address: on reload, from the list, from another tab.
async function open(id) {
  const known = await ask(`/runs/${id}/state`);
  if (!videos.some((each) => each.id === known.video)) await list();
  await show(known.video);
  if (video?.id !== known.video) return;
  address(`/runs/${id}`);
  starts = known.starts.map((each) => ({ ...each })).sort(order);
  names = [...known.names];
  chosen = targets()[0] ?? null;
  $("heatmap").checked = known.heatmap;
  following = !ENDED.includes(known.state);
  watch(known);
  if (!following) await go(known.last ?? known.first);
  await runs();
}

// How far the run is.
function extent() {
  const frames = several(run.count ?? run.frames, "frame");
  return run.count === null ? frames : `${run.frames} of ${frames}`;
}

// What the run's state is, in words.
function tell() {
  if (!run) return video ? say(DRAW) : undefined;
  const what = extent();
  const correct = "Where a box is wrong, go to that frame, draw it anew, and track from there.";
  if (run.state === "waiting") {
    const before = run.ahead > 1 ? `Waiting: ${several(run.ahead - 1, "run")} before this one.` : "Waiting for a place: it begins when another run ends.";
    say(run.ahead ? before : "Starting ...");
  } else if (run.state === "running") {
    say(run.frames ? "Tracking ..." : "Starting ...", "", "It continues when the page is closed, and has this address.");
  } else if (run.state === "done") {
    say(`Done: ${what}, ${several(targets().length, "target")}.`, "good", run.message ? `Note: ${run.message}.` : correct);
  } else if (run.state === "stopped") {
    say(`Stopped after ${what}${run.message ? `: ${run.message}` : ""}.`, "", correct);
  } else {
    say(`Failed after ${what}: ${run.message}.`, "error", run.frames ? "What was tracked until then can be saved, and taken up." : "");
  }
}

function told(state) {
  for (const row of state.rows ?? []) {
    const known = rows.get(row.frame);
    if (known) known.push(row);
    else rows.set(row.frame, [row]);
  }
  const { rows: _, ...rest } = state;
  run = rest;
  tell();
  const active = busy();
  $("progress").hidden = !active;
  const bar = $("progress").firstElementChild;
  if (run.count === null) bar.removeAttribute("value");
  else bar.value = run.frames / Math.max(run.count, 1);
  const left = run.seconds_left === null ? "" : `, ${duration(run.seconds_left)} left`;
  $("speed").textContent = `${extent()}${run.fps ? `, ${run.fps} frames/s` : ""}${left}`;
  $("about").textContent = `${several(run.frames, "frame")}${run.fps ? `, tracked at ${run.fps} frames/s` : ""}.`;
  $("results").hidden = active || !run.frames;
  for (const link of $("results").querySelectorAll("a")) link.href = `/runs/${run.id}/result.${link.dataset.kind}`;
  if (run.state === "done" && run.last !== null) last = Math.max(run.last, frame);
  if (run.last !== null && run.last > last) last = run.last;
  place();
  paint();
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function watch(state, tries = 0) {
  let next = state.seen ?? 0; // number of the first row that has not come
  if (!next) rows = new Map();
  told(state);
  const target = new URL(`/runs/${state.id}/watch?from=${next}`, location.href);
  target.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(target);
  opened.binaryType = "blob";
  socket = opened;
  let at = null; // frame of the picture that comes
  let newest = null; // the picture to draw; those that came while one was decoded are left out
  let drawing = false;
  opened.onmessage = async (message) => {
    tries = 0;
    if (typeof message.data === "string") {
      const tree = JSON.parse(message.data);
      if (tree.error) {
        say(tree.error, "error");
        return;
      }
      next += tree.rows.length;
      at = tree.at;
      told(tree);
      return;
    }
    newest = [message.data, at];
    if (drawing) return;
    drawing = true;
    while (newest) {
      const [data, number] = newest;
      newest = null;
      const image = await createImageBitmap(data);
      if (!following || camera || run?.id !== state.id) continue;
      shown = frame = number;
      view.show(image, [video.width, video.height]);
      place();
      paint();
    }
    drawing = false;
    if (run?.id === state.id && !busy()) following = false;
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = null;
    if (run && ENDED.includes(run.state)) {
      does(runs)();
      if (!drawing) following = false;
      return;
    }
    if (tries < 5) {
      say("The connection was lost; trying again.", "error");
      setTimeout(() => {
        if (socket === null && run?.id === state.id) watch({ ...run, rows: [], seen: next }, tries + 1);
      }, 1000);
    } else {
      say("The server does not answer; when it has ended, its runs are gone.", "error");
    }
  };
}

const save = does(async () => {
  const format = $("format").value;
  const answer = await reach(`/runs/${run.id}/result.${format}`);
  if (!answer.ok) read(answer.status, answer.statusText, await answer.text());
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = /filename="([^"]*)"/.exec(answer.headers.get("Content-Disposition"))[1];
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});

// --- the webcam

const webcam = does(async () => {
  if (camera) return closing();
  address("/");
  leave();
  starts = [];
  names = [];
  found = [];
  chosen = null;
  say("Waiting for the webcam ...", "", "The browser asks whether this page may have it.");
  const opened = new Camera(ask, seen, (error, over) => {
    say(error.message, "error");
    if (over) shut();
  });
  await opened.open();
  camera = opened;
  say("Draw a box around a target in the picture.", "", "The picture stands still while you draw.");
  paint();
});

function seen(image, size, boxes, figures) {
  if (!camera) return;
  const begun = found.length === 0 && boxes.length > 0;
  found = boxes;
  view.show(image, size);
  paint();
  $("progress").hidden = false;
  $("progress").firstElementChild.hidden = true;
  const [fps, round] = [figures.fps.toFixed(1), Math.round(figures.round)];
  $("speed").textContent = `${fps} frames/s; ${round} ms from picture to boxes, ${Math.round(figures.server)} ms of them in the server`;
  if (begun) say("Live.", "good", "Draw anew where a box is wrong; Stop ends it.");
}

async function shut() {
  camera?.close();
  camera = null;
  found = [];
  $("progress").hidden = true;
  $("progress").firstElementChild.hidden = false;
  buttons();
}

async function closing() {
  await shut();
  if (video) await choose_video(video.id);
  else {
    view.image = null;
    view.boxes = [];
    view.draw();
    say("The webcam is off.");
    paint();
  }
}

// --- what a person presses

const KEYS = {
  " ": () => does(play)(),
  Enter: track,
  Escape: stop,
  Home: () => seek(0),
  End: () => seek(run?.frames ? run.last : last),
  Delete: undo,
  Backspace: undo,
  n: () => $("add").disabled || choose(null),
  h: () => $("heatmap").disabled || $("heatmap").click(),
  b: () => {
    if (!view.image || !view.chosen.allowed()) return;
    view.chosen.began();
    const [w, h] = view.size.map((side) => side / 4);
    draws([1.5 * w, 1.5 * h, w, h]);
  },
};

function arrow(event) {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!event.altKey) {
    if (dx) seek(frame + dx * (event.shiftKey ? 10 : 1));
    return dx !== 0;
  }
  const chosen_box = view.boxes.find((each) => each.selected)?.box;
  if (!chosen_box || !view.chosen.allowed() || camera) return true;
  const [x, y, w, h] = chosen_box;
  const step = Math.max(1, Math.round(view.size[0] / 320));
  if (event.shiftKey) draws([x, y, Math.max(2, w + dx * step), Math.max(2, h + dy * step)]);
  else draws([x + dx * step, y + dy * step, w, h]);
  return true;
}

addEventListener("keydown", (event) => {
  const field = event.target.closest("input, select, textarea, summary, a");
  const own = event.target.closest("button") && (event.key === " " || event.key === "Enter");
  if (field || own || event.ctrlKey || event.metaKey) return;
  const pressed = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  let used = true;
  if (event.key.startsWith("Arrow")) used = arrow(event);
  else if (/^\d$/.test(event.key) && targets().includes(Number(event.key))) choose(Number(event.key));
  else if (pressed) pressed();
  else used = false;
  if (used) event.preventDefault();
});

$("file").addEventListener("change", (event) => event.target.files[0] && upload(event.target.files[0]));
$("videos").addEventListener("change", (event) => event.target.value && choose_video(event.target.value));
$("camera").addEventListener("click", webcam);
$("start").addEventListener("click", track);
$("stop").addEventListener("click", stop);
$("add").addEventListener("click", () => choose(null));
$("undo").addEventListener("click", undo);
$("save").addEventListener("click", save);
$("play").addEventListener("click", does(play));
$("back").addEventListener("click", () => seek(frame - 1));
$("forward").addEventListener("click", () => seek(frame + 1));
$("seek").addEventListener("input", (event) => seek(Number(event.target.value)));
$("number").addEventListener("change", (event) => seek(Math.round(Number(event.target.value)) || 0));
$("strip").addEventListener("pointerdown", (event) => {
  const area = $("strip").getBoundingClientRect();
  seek(Math.floor(((event.clientX - area.left) / area.width) * (last + 1)));
});
$("follow").addEventListener("click", () => {
  following = true;
  playing = false;
  buttons();
});
addEventListener("resize", strip);
addEventListener("pagehide", () => camera?.close());
for (const kind of ["dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    $("stage").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}

// The page's address says what is shown.
const start = does(async () => {
  const id = location.pathname.match(/^\/runs\/([\w-]+)$/)?.[1];
  await list();
  if (id) await open(id);
  else if (videos.length) await choose_video(videos[0].id);
  else say("Open a video, drop one here, or use the webcam.");
});

addEventListener("popstate", start);
ask("/limits").then((tree) => (limits = tree), () => {});
ask("/formats").then((tree) => {
  $("format").replaceChildren(...Object.entries(tree).map(([name, what]) => Object.assign(new Option(name, name), { title: what })));
}, () => {});
start();
