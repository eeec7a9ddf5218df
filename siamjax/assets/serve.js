"use strict";

const $ = (id) => document.getElementById(id);
const view = $("view");
const context = view.getContext("2d");
const ENDED = ["done", "stopped", "failed"];
let videos = [];
let limits = null;
let video = null; // that is shown
let run = null; // that is shown, as the server last told
let socket = null; // that watches it
let first = null; // ImageBitmap of the first frame, scaled by the server
let box = null; // [x, y, w, h] in px of the video

function say(text, error = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", error);
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer, or hung up. Is it still running?");
  }
  const text = await answer.text();
  let tree = null;
  try {
    tree = JSON.parse(text);
  } catch {
    // said below
  }
  if (!answer.ok || tree === null) throw new Error(tree?.error ?? `${answer.status} ${answer.statusText}`);
  return tree;
}

// What a person starts; whatever fails is shown.
function does(work) {
  return async (...given) => {
    try {
      await work(...given);
    } catch (error) {
      say(error.message, true);
    }
  };
}

function buttons() {
  const busy = run !== null && !ENDED.includes(run.state);
  $("start").disabled = !box || busy;
  $("stop").hidden = !busy;
}

function draw() {
  if (!first) return;
  context.drawImage(first, 0, 0);
  if (box) {
    const zoom = view.width / video.width;
    context.lineWidth = Math.max(2, view.height / 240);
    context.strokeStyle = "#d55e00";
    context.strokeRect(...box.map((value) => value * zoom));
  }
  buttons();
}

// From here on nothing of a run that was shown reaches the page.
function leave() {
  if (socket) {
    socket.onmessage = socket.onclose = null;
    socket.close();
  }
  socket = run = null;
  $("results").hidden = true;
  $("box").textContent = "";
  $("score").value = 0;
}

function address(path) {
  if (location.pathname !== path) history.pushState(null, "", path);
}

async function list(selected) {
  videos = await ask("/videos");
  $("videos").replaceChildren(
    ...videos.map((each) => new Option(each.name, each.id, false, each.id === selected)),
  );
}

async function runs() {
  const all = await ask("/runs");
  $("runs").replaceChildren(
    ...all.map((each) => {
      const link = document.createElement("a");
      link.href = `/runs/${each.id}`;
      link.textContent = `${each.name}: ${each.state}, ${each.frames} frames`;
      link.addEventListener("click", (event) => {
        event.preventDefault();
        does(open)(each.id);
      });
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
  $("history").hidden = !all.length;
}

async function show(id) {
  leave();
  $("videos").value = id;
  const shown = videos.find((each) => each.id === id);
  const answer = await fetch(`/videos/${id}/first.jpg`);
  if (!answer.ok) throw new Error("The first frame did not come; reload the page.");
  const image = await createImageBitmap(await answer.blob());
  if ($("videos").value !== id) return; // another one was chosen meanwhile
  video = shown;
  first = image;
  view.width = first.width;
  view.height = first.height;
  box = null;
  draw();
}

const choose = does(async (id) => {
  address("/");
  await show(id);
  say("Draw a box around the target, then press Track.");
  await runs();
});

const upload = does(async (file) => {
  if (limits && file.size > limits.upload) {
    throw new Error(`${file.name}: larger than ${limits.upload / 2 ** 20} MiB (--max_upload)`);
  }
  say(`Sending ${file.name} ...`);
  const headers = { "X-Name": encodeURIComponent(file.name) };
  const sent = await ask("/videos", { method: "POST", body: file, headers });
  await list(sent.id);
  await choose(sent.id);
});

function point(event) {
  const area = view.getBoundingClientRect();
  const clip = (value, limit) => Math.min(Math.max(value, 0), limit);
  return [
    clip(((event.clientX - area.left) * video.width) / area.width, video.width),
    clip(((event.clientY - area.top) * video.height) / area.height, video.height),
  ];
}

let corner = null;
view.addEventListener("pointerdown", (event) => {
  if (!first || (run && !ENDED.includes(run.state))) return;
  if (run) {
    leave();
    address("/");
    say("Draw a box around the target, then press Track.");
  }
  corner = point(event);
  view.setPointerCapture(event.pointerId);
  draw();
});
view.addEventListener("pointermove", (event) => {
  if (!corner) return;
  const [x, y] = point(event);
  box = [Math.min(x, corner[0]), Math.min(y, corner[1]), Math.abs(x - corner[0]), Math.abs(y - corner[1])];
  draw();
});
view.addEventListener("pointerup", () => {
  if (!corner) return;
  corner = null;
  if (box && (box[2] < 1 || box[3] < 1)) box = null;
  draw();
});

const track = does(async () => {
  const order = JSON.stringify({ box, heatmap: $("heatmap").checked });
  const started = await ask(`/videos/${video.id}/runs`, { method: "POST", body: order });
  if (video.id !== started.video) return; // another one was chosen meanwhile; the run is in the list
  address(`/runs/${started.id}`);
  leave();
  watch(started);
  await runs();
});

const stop = does(async () => {
  await ask(`/runs/${run.id}/stop`, { method: "POST" });
});

// Shows a run by its address: on reload, from the list, from another tab.
async function open(id) {
  const known = await ask(`/runs/${id}/state`);
  await show(known.video);
  if ($("videos").value !== known.video) return;
  address(`/runs/${id}`);
  box = known.box;
  draw();
  watch(known);
  await runs();
}

function told(state) {
  run = state;
  const last = state.rows?.at(-1);
  if (last) {
    $("score").value = last.score;
    const sides = [last.x, last.y, last.w, last.h].map((value) => value.toFixed(1));
    $("box").textContent = `frame ${last.frame}: ${sides.join(", ")}`;
  }
  const count = `${state.frames}${state.count ? ` of ${state.count}` : ""} frames`;
  if (state.state === "waiting") {
    say(`Waiting for ${state.ahead === 1 ? "a place" : `${state.ahead} runs`}.`);
  } else if (state.state === "running") {
    say(`${count}, ${state.fps} a second${last?.lost ? ", lost" : ""}`);
  } else {
    const words = { done: "Done", stopped: "Stopped", failed: "Failed" };
    const why = state.message ? `: ${state.message}` : ".";
    say(`${words[state.state]}, ${count}${why} Draw a box to track again.`, state.state === "failed");
    for (const link of $("results").querySelectorAll("a")) {
      link.href = `/runs/${state.id}/result.${link.dataset.kind}`;
    }
    $("results").hidden = !state.frames;
  }
  buttons();
}

function watch(state, tries = 0) {
  told(state);
  let next = state.seen ?? 0; // number of the first row that has not come
  const target = new URL(`/runs/${state.id}/watch?from=${next}`, location.href);
  target.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(target);
  opened.binaryType = "blob";
  socket = opened;
  let newest = null; // the picture to draw; those that came while one was decoded are left out
  let drawing = false;
  opened.onmessage = async (message) => {
    tries = 0;
    if (typeof message.data === "string") {
      const tree = JSON.parse(message.data);
      if (tree.error) {
        say(tree.error, true);
        return;
      }
      next += tree.rows.length;
      told(tree);
      return;
    }
    newest = message.data;
    if (drawing) return;
    drawing = true;
    while (newest) {
      const data = newest;
      newest = null;
      const image = await createImageBitmap(data);
      if (socket === opened || (socket === null && run?.id === state.id)) {
        context.drawImage(image, 0, 0, view.width, view.height);
      }
    }
    drawing = false;
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = null;
    if (run && ENDED.includes(run.state)) {
      does(runs)();
      return;
    }
    if (tries < 5) {
      say("The connection was lost; trying again.", true);
      setTimeout(() => {
        if (socket === null && run?.id === state.id) watch({ ...run, rows: [], seen: next }, tries + 1);
      }, 1000);
    } else {
      say("The server does not answer; when it has ended, its runs are gone.", true);
    }
  };
}

// The page's address says what is shown.
const start = does(async () => {
  const id = location.pathname.match(/^\/runs\/([\w-]+)$/)?.[1];
  await list();
  if (id) {
    await open(id);
  } else if (videos.length) {
    await choose(videos[0].id);
  }
});

$("file").addEventListener("change", (event) => event.target.files[0] && upload(event.target.files[0]));
$("videos").addEventListener("change", (event) => choose(event.target.value));
$("start").addEventListener("click", track);
$("stop").addEventListener("click", stop);
addEventListener("popstate", start);
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}
ask("/limits").then((tree) => (limits = tree), () => {});
start();
