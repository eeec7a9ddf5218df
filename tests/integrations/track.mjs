// Runs the tracker of the static page on what Python sends; for test_web.py.
// Arguments: tracker.js, a JSON file, and the file of the answer.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [script, input, output] = process.argv.slice(2);
const { Tracker, colourMean, openNetwork, subwindow } = await import(pathToFileURL(script).href);
const given = JSON.parse(readFileSync(input));
const floats = (text) => {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");
const frames = given.frames.map(({ data, width, height }) => ({
  data: Buffer.from(data, "base64"),
  width,
  height,
}));
const answer = {};

if (given.windows) {
  answer.mean = colourMean(frames[0]);
  answer.crops = given.windows.map(([x, y, size, side]) =>
    hash(subwindow(frames[0], [x, y], size, side, answer.mean)),
  );
}

async function follow(network, { constants, box }) {
  const tracker = new Tracker(constants, network);
  const [x, y, w, h] = box;
  await tracker.init(frames[0], { x, y, w, h });
  const steps = [];
  for (const frame of frames.slice(1)) {
    const step = await tracker.update(frame);
    steps.push({ ...step, box: [step.box.x, step.box.y, step.box.w, step.box.h] });
  }
  return steps;
}

if (given.runs) {
  answer.runs = [];
  for (const run of given.runs) {
    const crops = [];
    let next = 0;
    const network = {
      encode: async (crop) => crops.push(hash(crop)),
      respond: async (_, crop) => {
        crops.push(hash(crop));
        const { cls, loc } = run.answers[next++];
        return { cls: floats(cls), loc: floats(loc) };
      },
    };
    answer.runs.push({ steps: await follow(network, run), crops });
  }
}

if (given.site) {
  const ort = await import(pathToFileURL(given.ort).href);
  ort.env.wasm.numThreads = 1;
  const read = (name) => readFileSync(`${given.site}/${name}`);
  const constants = JSON.parse(read("tracker.json"));
  const files = { template: read("template.onnx"), search: read("search.onnx") };
  const network = await openNetwork(ort, constants, files);
  answer.steps = await follow(network, { constants, box: given.box });
}

writeFileSync(output, JSON.stringify(answer));
