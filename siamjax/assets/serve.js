"use strict";

const $ = (id) => document.getElementById(id);
const view = $("view");
const context = view.getContext("2d");
let videos = [];
let first = null; // ImageBitmap of the first frame
let box = null; // [x, y, w, h] in px of the video
let socket = null;

function say(text, error = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", error);
}

function current() {
  return videos.find((video) => video.id === $("videos").value);
}

function draw() {
  if (!first) return;
  context.drawImage(first, 0, 0);
  if (box) {
    context.lineWidth = Math.max(2, view.height / 240);
    context.strokeStyle = "#d55e00";
    context.strokeRect(...box);
  }
  $("start").disabled = !box || socket !== null;
}

async function list(selected) {
  videos = await (await fetch("/videos")).json();
  $("videos").replaceChildren(
    ...videos.map((video) => new Option(video.name, video.id, false, video.id === selected)),
  );
  if (videos.length) await show();
}

async function show() {
  const video = current();
  const image = await (await fetch(`/videos/${video.id}/first.jpg`)).blob();
  first = await createImageBitmap(image);
  view.width = video.width;
  view.height = video.height;
  box = null;
  $("results").hidden = true;
  say("Draw a box around the target, then press Track.");
  draw();
}

async function upload(file) {
  say(`Sending ${file.name} ...`);
  const headers = { "X-Name": encodeURIComponent(file.name) };
  const answer = await fetch("/videos", { method: "POST", body: file, headers });
  const text = await answer.text();
  if (!answer.ok) {
    let message = text;
    try {
      message = JSON.parse(text).error;
    } catch {
      // plain text already
    }
    say(message, true);
    return;
  }
  await list(JSON.parse(text).id);
}

function point(event) {
  const area = view.getBoundingClientRect();
  const clip = (value, limit) => Math.min(Math.max(value, 0), limit);
  return [
    clip(((event.clientX - area.left) * view.width) / area.width, view.width),
    clip(((event.clientY - area.top) * view.height) / area.height, view.height),
  ];
}

let corner = null;
view.addEventListener("pointerdown", (event) => {
  if (socket || !first) return;
  corner = point(event);
  view.setPointerCapture(event.pointerId);
});
view.addEventListener("pointermove", (event) => {
  if (!corner) return;
  const [x, y] = point(event);
  box = [Math.min(x, corner[0]), Math.min(y, corner[1]), Math.abs(x - corner[0]), Math.abs(y - corner[1])];
  draw();
});
view.addEventListener("pointerup", () => {
  corner = null;
  if (box && (box[2] < 1 || box[3] < 1)) box = null;
  draw();
});

function track() {
  const video = current();
  const address = new URL(`/videos/${video.id}/track`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.binaryType = "blob";
  $("start").disabled = true;
  $("stop").hidden = false;
  $("results").hidden = true;
  let failed = false;
  socket.onopen = () => socket.send(JSON.stringify({ box, heatmap: $("heatmap").checked }));
  socket.onmessage = async (message) => {
    if (typeof message.data === "string") {
      const step = JSON.parse(message.data);
      if (step.error) {
        failed = true;
        say(step.error, true);
      } else if (step.box) {
        $("score").value = step.score;
        $("box").textContent =
          `frame ${step.frame}: ` + step.box.map((value) => value.toFixed(1)).join(", ");
        say(`${step.frame + 1}${video.count ? ` of ${video.count}` : ""} frames` + (step.lost ? ", lost" : ""));
      }
      return;
    }
    context.drawImage(await createImageBitmap(message.data), 0, 0);
  };
  socket.onclose = () => {
    socket = null;
    $("stop").hidden = true;
    $("start").disabled = !box;
    if (failed) return;
    for (const link of $("results").querySelectorAll("a")) {
      link.href = `/videos/${video.id}/result.${link.dataset.kind}`;
    }
    $("results").hidden = false;
    say("Done. Draw a box to track again.");
  };
}

$("file").addEventListener("change", (event) => event.target.files[0] && upload(event.target.files[0]));
$("videos").addEventListener("change", show);
$("start").addEventListener("click", track);
$("stop").addEventListener("click", () => socket && socket.close());
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}
list();
