"""The static page: its tracker in JavaScript equals Python's, and what the folder holds."""

import base64
import dataclasses
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import jax
import numpy as np
import pytest

from siamjax import api, cli
from siamjax.errors import UserError
from siamjax.geometry import boxes, crops
from siamjax.integrations import web
from siamjax.synthetic import SyntheticVideo
from siamjax.tracking import decode, presence, tracker
from siamjax.tracking.config import TrackerConfig

from ..browser import chromium

HERE = Path(__file__).parent


@pytest.fixture
def javascript(tmp_path):
    """Runs track.mjs on what it is given; its answer."""
    node = shutil.which("node")
    if node is None:  # no Python package brings it
        pytest.skip("needs node")

    def run(**given):
        (tmp_path / "given.json").write_text(json.dumps(given))
        command = [node, HERE / "track.mjs", web.PAGE / "tracker.js", "given.json", "answer.json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads((tmp_path / "answer.json").read_text())

    return run


def encoded(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def sent(frame):
    """A frame as a canvas has it: RGBA."""
    alpha = np.full((*frame.shape[:2], 1), 255, np.uint8)
    data = encoded(np.concatenate([frame[..., ::-1], alpha], -1))
    return {"data": data, "width": frame.shape[1], "height": frame.shape[0]}


def digest(crop):
    return hashlib.sha256(np.ascontiguousarray(crop).tobytes()).hexdigest()


def test_crops_have_opencvs_bits(javascript):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (61, 83, 3), dtype=np.uint8)
    windows = [(40.0, 30.0, 31, 31), (3.2, 58.9, 31, 77), (-50.0, 10.0, 15, 9), (40.5, 30.5, 45, 1)]
    for size in (7, 63, 64):
        for side in (5, 62, 127, 400, 3001):
            windows.append((*rng.uniform(-20, 100, 2).round(3).tolist(), size, side))
    answer = javascript(frames=[sent(frame)], windows=windows)
    mean = crops.colour_mean(frame)
    assert answer["mean"] == mean.tolist()
    expected = [crops.subwindow(frame, (x, y), n, side, mean) for x, y, n, side in windows]
    assert answer["crops"] == [digest(crop) for crop in expected]


BASE = TrackerConfig(instance=191)
WEIGHTS = (-0.5, *[1.1] * 5, *[-0.1] * (presence.COUNT - 6))
LONG = {"long_term": True, "lost_instance": 255, "confidence_low": 0.6, "confidence_high": 0.9}
CONFIGS = {
    "published": BASE,
    "exact windows": dataclasses.replace(BASE, exact_windows=True, lr=0.6),
    "long-term": dataclasses.replace(BASE, **LONG),
    "presence": dataclasses.replace(BASE, presence=WEIGHTS, **LONG),
    "presence, short-term": dataclasses.replace(BASE, presence=WEIGHTS),
}


best_candidate = jax.jit(decode.best_candidate)


def run_python(config, frames, box, maps):
    """The tracker with maps in the network's place: steps and digests of the crops."""
    motion = tracker.begin(np.array(box), config.exact_windows)
    average = crops.colour_mean(frames[0])
    centre, side = tracker.template_window(config, motion)
    cut = [digest(crops.subwindow(frames[0], centre, config.exemplar, side, average))]
    steps, answers, settings = [], [], config.settings()
    for frame in frames[1:]:
        window = tracker.window(config, settings, motion, bool(motion.lost))
        cut.append(
            digest(crops.subwindow(frame, window.centre, window.instance, window.side, average))
        )
        cells = config.map_size(window.instance)
        cls, loc = maps(cells)
        answers.append({"cls": encoded(cls), "loc": encoded(loc)})
        found, _ = best_candidate(
            decode.grid(config.anchors, cells),
            cls,
            loc,
            (motion.size * window.scale).astype(np.float32),
            np.float32(config.penalty_k),
            np.float32(window.influence),
        )
        found = decode.unpack(np.asarray(decode.pack(found)))
        before = motion._replace(centre=window.centre)
        size = np.array(frame.shape[1::-1])
        motion, given, held = tracker.advance(config, settings, before, found, window.scale, size)
        steps.append((given, found, held.presence, bool(motion.lost)))
    return steps, cut, answers


def test_the_tracker_equals_pythons(javascript):
    rng = np.random.default_rng(1)

    def maps(cells):
        per_cell = BASE.anchors.per_cell
        cls = rng.normal(0, 1, (cells, cells, 2 * per_cell)).astype(np.float32)
        # now and then sure of nothing: a long-term tracker is lost then, and found again
        cls[..., per_cell:] += rng.choice([-9, 3])
        return cls, rng.normal(0, 0.2, (cells, cells, 4 * per_cell)).astype(np.float32)

    frames = [rng.integers(0, 256, (96, 128, 3), dtype=np.uint8) for _ in range(9)]
    box = (40.3, 30.8, 33.5, 21.25)
    runs, expected = [], []
    for config in CONFIGS.values():
        steps, cut, answers = run_python(config, frames, box, maps)
        constants = dataclasses.asdict(config) | {
            "shapes": config.anchors.shapes().tolist(),
            "knots": presence.KNOTS,
            "memory": presence.MEMORY,
            "start": presence.START,
        }
        runs.append({"constants": constants, "box": box, "answers": answers})
        expected.append((steps, cut))
    answer = javascript(frames=[sent(frame) for frame in frames], runs=runs)
    assert {lost for steps, _ in expected[2:4] for *_, lost in steps} == {True, False}
    for name, (steps, cut), got in zip(CONFIGS, expected, answer["runs"], strict=True):
        assert got["crops"] == cut, name
        for (box, found, held, _), step in zip(steps, got["steps"], strict=True):
            np.testing.assert_allclose(step["box"], box, atol=1e-3, err_msg=name)
            assert step["anchor"] == found.anchor
            np.testing.assert_allclose(step["score"], found.score, atol=1e-5)
            np.testing.assert_allclose(step["secondPeak"], found.second_peak, atol=1e-4)
            if held is None:
                assert step["presence"] is None
                assert step["lost"] == bool(found.score < CONFIGS[name].confidence_low)
            else:
                np.testing.assert_allclose(step["presence"], held, atol=1e-4)


@pytest.fixture
def parts(tmp_path):
    """Folders with all parts, by name alone."""
    for name in web.RUNTIME:
        place = tmp_path / "npm" / "node_modules" / "onnxruntime-web" / "dist"
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    (tmp_path / "halves").mkdir()
    for name in ("template.onnx", "search.onnx"):
        (tmp_path / "halves" / name).write_text(name)
    (tmp_path / "halves" / "tracker.json").write_text('{"long_term": false}')
    return tmp_path


def export(parts, *words):
    given = [f"--onnx={parts / 'halves'}", f"--ort={parts / 'npm'}", f"--out={parts / 'site'}"]
    cli.dispatch(["export", "--web", *given, *words])


def test_the_folder_is_whole(parts, capsys):
    export(parts)
    names = {path.name for path in (parts / "site").iterdir()}
    page = {"index.html", "page.js", "serve.css", "tracker.js"}
    assert names == page | {*web.RUNTIME, "template.onnx", "search.onnx", "tracker.json"}
    assert f"{parts / 'site'}: the page; python3 -m http.server" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"site: exists already; remove it"):
        export(parts)


@pytest.mark.parametrize(
    "missing, line",
    [
        ("halves/template.onnx", r"halves/template.onnx: not there; siamjax export --onnx=\S+ w"),
        ("halves/search.onnx", r"halves/search.onnx: not there; siamjax export --onnx=\S+ writes"),
        ("halves/tracker.json", r"halves/tracker.json: not there; siamjax export --onnx="),
        ("npm/node_modules", r"--ort=\S+npm: no onnxruntime-web with .*; npm install --prefix=ort"),
    ],
)
def test_a_missing_part_is_one_line_and_nothing_is_written(missing, line, parts):
    path = parts / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=line) as caught:
        export(parts)
    assert "\n" not in str(caught.value)
    assert not (parts / "site").exists()


def test_halves_of_two_exports_are_not_taken_for_one(parts):
    """Before: a second export into the folder that was killed left the first one's search.onnx, and
    the page was made of both."""
    sums = {
        name: hashlib.sha256(name.encode()).hexdigest() for name in ("template.onnx", "search.onnx")
    }
    (parts / "halves" / "tracker.json").write_text(json.dumps({"sha256": sums}))
    (parts / "halves" / "template.onnx").write_text("of the second")
    with pytest.raises(UserError, match=r"template\.onnx: not the one that tracker\.json was wri"):
        export(parts)
    assert not (parts / "site").exists()
    (parts / "halves" / "template.onnx").write_text("template.onnx")
    export(parts)


def test_a_long_term_tracker_needs_its_third_part(parts):
    (parts / "halves" / "tracker.json").write_text('{"long_term": true}')
    with pytest.raises(UserError, match=r"search_lost.onnx: not there"):
        export(parts)


@pytest.mark.parametrize(
    "words, line",
    [
        (["--web"], r"--web: name the folder of onnxruntime-web by --ort; npm install"),
        (["--ort=x"], r"--ort=x: only with --web"),
        (["--onnx=x", "--out=y"], r"--out=y: not with --onnx"),
        (["--web", "--ort=x", "--onnx=x", "--checkpoint=y"], r"give --checkpoint, or --onnx"),
    ],
)
def test_flags_that_do_not_fit(words, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=line):
        cli.dispatch(["export", *words])
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The bundled network's page; `SIAMJAX_ORT` names the folder of onnxruntime-web."""
    ort = os.environ.get("SIAMJAX_ORT")
    if not ort:  # a package of npm, not of pip
        pytest.skip("name the folder of the npm package onnxruntime-web by SIAMJAX_ORT")
    folder = tmp_path_factory.mktemp("web") / "site"
    cli.dispatch(["export", "--web", f"--ort={ort}", f"--out={folder}"])
    return folder


@pytest.mark.slow
def test_sixty_frames_with_onnxruntime_web(site, javascript):
    """Boxes of the whole path in WebAssembly, within 2 px of Python's."""
    clip = SyntheticVideo(3, 60, 240, 320, "test")
    frames = [clip.frames[i] for i in range(60)]
    box = clip.boxes[0, 0].tolist()
    ours = api.load()
    ours.init(frames[0], box)
    expected = [ours.update(frame).box for frame in frames[1:]]
    ort = web.runtime(os.environ["SIAMJAX_ORT"]) / "ort.wasm.min.mjs"
    answer = javascript(
        frames=[sent(frame) for frame in frames], site=str(site), ort=str(ort), box=box
    )
    found = [step["box"] for step in answer["steps"]]
    assert np.abs(np.subtract(found, expected)).max() < 2


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def address(site):
    """Of the folder, behind a server that only hands out files."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def tab():
    """A tab of Chromium; its complaints are the test's."""
    complaints = []
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 1400, "height": 900})
        tab.set_default_timeout(300_000)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        yield tab
    assert complaints == []


# keeps the pixels of each frame that the page read
KEEP_FRAMES = """
window.read = {};
const get = CanvasRenderingContext2D.prototype.getImageData;
CanvasRenderingContext2D.prototype.getImageData = function (...place) {
  const image = get.apply(this, place);
  read[siamjax.frame] = image.data.slice();
  return image;
};
"""
TAKE_FRAME = """(i) => {
  let text = "";
  for (let at = 0; at < read[i].length; at += 4096)
    text += String.fromCharCode(...read[i].subarray(at, at + 4096));
  return btoa(text);
}"""


def read_by_the_page(tab, frames, height, width):
    """What the page saw of the frames, BGR. Chromium and FFmpeg turn a video's colours into RGB
    differently: by a grey level on average, which moves boxes by pixels."""
    seen = []
    for i in range(frames):
        rgba = np.frombuffer(base64.b64decode(tab.evaluate(TAKE_FRAME, i)), np.uint8)
        seen.append(np.ascontiguousarray(rgba.reshape(height, width, 4)[..., 2::-1]))
    return seen


@pytest.mark.slow
def test_the_page_in_a_browser(address, tab, tmp_path):
    """A rendered clip from its file, then the webcam; every control."""
    tab.add_init_script(KEEP_FRAMES)
    cli.dispatch(["render", "--seed=3", "--length=60", f"--out={tmp_path / 'clip.webm'}"])
    clip = SyntheticVideo(3, 60, 240, 320, "test")
    x, y, w, h = (round(float(v)) for v in clip.boxes[0, 0])
    table = tmp_path / "boxes.txt"
    words = [f"--box={x},{y},{w},{h}", f"--txt={table}"]
    cli.dispatch(["track", str(tmp_path / "clip.webm"), *words])
    tab.goto(address)
    tab.get_by_text("Choose a video, or the webcam.").wait_for()
    tab.set_input_files("#file", tmp_path / "clip.webm")
    tab.get_by_text("Draw a box around the target").wait_for()
    assert tab.text_content("#time") == "frame 0 of 60"
    assert tab.evaluate("siamjax.period") == pytest.approx(1 / 25)

    area = tab.locator("#view").bounding_box()
    scale = area["width"] / 320
    tab.mouse.move(area["x"] + scale * x, area["y"] + scale * y)
    tab.mouse.down()
    tab.mouse.move(area["x"] + scale * (x + w), area["y"] + scale * (y + h))
    tab.mouse.up()
    tab.click("#track")
    tab.get_by_text("The video has ended.").wait_for()
    lines = tab.evaluate("fetch(document.getElementById('csv').href).then((r) => r.text())")
    rows = np.array([line.split(",") for line in lines.split()[1:]], float)
    assert rows[:, 0].tolist() == list(range(60))
    frames = read_by_the_page(tab, 60, 240, 320)
    ours = api.load()
    # the box as it was drawn: the table's third decimal can turn a window of whole pixels
    ours.init(frames[0], tab.evaluate("Object.values(siamjax.rows[0].box)"))
    expected = [ours.update(frame).box for frame in frames[1:]]
    assert np.abs(rows[1:, 1:5] - expected).max() < 2
    # the same file through FFmpeg
    own = boxes.xywh_to_xyxy(np.loadtxt(table, delimiter=","))
    overlap = boxes.iou(boxes.xywh_to_xyxy(rows[:, 1:5]), own)
    assert overlap[0] > 0.98
    assert overlap.mean() > 0.9

    tab.locator("#view").focus()
    tab.keyboard.press("ArrowLeft")
    tab.get_by_text("frame 58 of 60").wait_for()
    tab.locator("#seek").fill("10")
    tab.get_by_text("frame 10 of 60").wait_for()
    assert tab.evaluate("siamjax.box.x") == pytest.approx(rows[10, 1], abs=1e-3)
    tab.locator("#view").focus()
    tab.keyboard.press("Space")  # tracks on from there
    tab.wait_for_function("siamjax.running && siamjax.frame > 12")
    tab.keyboard.press("Space")
    tab.get_by_text("Stopped.").wait_for()

    tab.click("#webcam")
    tab.get_by_text("live").wait_for()
    area = tab.locator("#view").bounding_box()
    tab.mouse.move(area["x"] + 100, area["y"] + 100)
    tab.mouse.down()
    tab.mouse.move(area["x"] + 180, area["y"] + 170)
    tab.mouse.up()
    tab.click("#track")
    tab.wait_for_function("siamjax.rows.length > 4")
    tab.click("#track")
    tab.get_by_text("Stopped.").wait_for()
