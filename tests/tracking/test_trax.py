"""The VOT toolkit's client: the protocol with a server in memory, and the toolkit itself."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.geometry import polygons

trax = pytest.importorskip("trax", reason="needs vot-trax (extra vot)")

from siamjax.integrations.trax import answer, first_box, main  # noqa: E402


def polygon(*points):
    return trax.Polygon.create([(float(x), float(y)) for x, y in points])


def test_rectangle_is_taken_as_it_is():
    assert first_box(trax.Rectangle.create(10.5, 20, 30, 40)) == (10.5, 20, 30, 40)


def test_upright_polygon_is_the_box_of_its_pixels():
    # corners on the outermost pixels of the box 10, 20, 30, 40
    region = polygon((10, 20), (39, 20), (39, 59), (10, 59))
    assert first_box(region) == pytest.approx((10, 20, 30, 40))


def test_turned_polygon_keeps_centre_and_area():
    region = polygon((100, 50), (150, 100), (100, 150), (50, 100))
    x, y, w, h = first_box(region)
    assert (x + (w - 1) / 2, y + (h - 1) / 2) == pytest.approx((100, 100))
    assert (w - 1) * (h - 1) == pytest.approx(5000)  # half of the bounding box


def test_region_of_three_corners():
    with pytest.raises(UserError, match="a region of 3 corners"):
        first_box(polygon((0, 0), (5, 0), (0, 5)))


class Server:
    """Plays a video of one start, two frames and quit; keeps what it is told."""

    def __init__(self, path, region):
        image = {"color": SimpleNamespace(path=lambda: str(path))}
        status = trax.TraxStatus
        self.requests = [
            SimpleNamespace(type=status.INITIALIZE, image=image, objects=[(region, {})]),
            SimpleNamespace(type=status.FRAME, image=image, objects=None),
            SimpleNamespace(type=status.FRAME, image=image, objects=None),
            SimpleNamespace(type=status.QUIT, image=None, objects=None),
        ]
        self.told = []

    def wait(self):
        return self.requests.pop(0)

    def status(self, objects):
        self.told.append(objects)


class Still:
    """Reports the first box, moved by one pixel per frame."""

    def init(self, frame, box):
        self.shape, self.box = frame.shape, box

    def update(self, frame):
        self.box = (self.box[0] + 1, *self.box[1:])
        return SimpleNamespace(box=self.box, score=0.25)


def test_protocol(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    server, tracker = Server(tmp_path / "a.png", trax.Rectangle.create(1, 2, 3, 4)), Still()
    answer(server, tracker)
    assert tracker.shape == (60, 80, 3)
    boxes = [told[0][0].bounds() for told in server.told]
    assert boxes == [(1, 2, 3, 4), (2, 2, 3, 4), (3, 2, 3, 4)]
    assert [told[0][1]["confidence"] for told in server.told] == [1.0, 0.25, 0.25]
    assert not server.requests


def test_unreadable_image_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.png: no such image"):
        answer(Server(tmp_path / "gone.png", trax.Rectangle.create(1, 2, 3, 4)), Still())


def test_no_checkpoint_named(monkeypatch):
    monkeypatch.delenv("SIAMJAX_CHECKPOINT", raising=False)
    with pytest.raises(UserError, match="env_SIAMJAX_CHECKPOINT"):
        main()


SEQUENCE = "channels.color=color/%08d.jpg\nchannel.default=color\nfps=30\nformat=default\nname={}\n"
FILES = {
    "config.yaml": "registry:\n- ./trackers.ini\nstack: ./stack.yaml\nsequences: sequences\n",
    "stack.yaml": """title: test
experiments:
  baseline:
    type: supervised
    repetitions: 1
    skip_initialize: 5
    analyses:
      - {type: supervised_average_ar, sensitivity: 30}
      - {type: supervised_eao_score, low: 5, high: 20}
      - {type: supervised_eao_curve}
""",
}


@pytest.mark.toolkit
@pytest.mark.slow
def test_official_toolkit(tmp_path, clip, tiny):
    """All five commands of vot-toolkit 0.7.4, on a rectangle and on a polygon sequence."""
    toolkit = os.environ.get("SIAMJAX_VOT_TOOLKIT")
    if not toolkit:  # lives in an environment of its own
        pytest.skip(
            "name the toolkit's environment by SIAMJAX_VOT_TOOLKIT (see docs/vot-toolkit.md)"
        )
    import sys

    from siamjax.models import weights

    weights.save(tmp_path / "tiny.npz", tiny.config, tiny.variables)
    work = tmp_path / "workspace"
    truths = {"box": clip.boxes, "polygon": polygons.pixel_corners(clip.boxes)}
    for name, truth in truths.items():
        folder = work / "sequences" / name
        (folder / "color").mkdir(parents=True)
        for i, frame in enumerate(np.concatenate([clip.frames, clip.frames[::-1], clip.frames])):
            cv2.imwrite(str(folder / f"color/{i + 1:08d}.jpg"), frame)
        rows = np.concatenate([truth, truth[::-1], truth])
        np.savetxt(folder / "groundtruth.txt", rows, fmt="%.4f", delimiter=",")
        (folder / "sequence").write_text(SEQUENCE.format(name))
    (work / "sequences/list.txt").write_text("\n".join(truths) + "\n")
    for name, text in FILES.items():
        (work / name).write_text(text)
    (work / "trackers.ini").write_text(
        "[siamjax]\nlabel = siamjax\nprotocol = traxpython\ncommand = siamjax.integrations.trax\n"
        f"python = {sys.executable}\npaths = {Path(__file__).resolve().parents[2]}\ntimeout = 300\n"
        f"env_JAX_PLATFORMS = cpu\nenv_SIAMJAX_CHECKPOINT = {tmp_path / 'tiny.npz'}\n"
    )
    environment = os.environ | {"VOT_RESULTS_BINARY": "0"}
    vot = str(Path(toolkit) / "bin/vot")
    for command in (
        ["test", "siamjax"],
        ["evaluate", "--workspace", ".", "siamjax"],
        ["analysis", "--workspace", ".", "--format", "json", "--name", "out", "siamjax"],
        ["report", "--workspace", ".", "--format", "html", "--name", "page", "siamjax"],
        ["pack", "--workspace", ".", "siamjax"],
    ):
        done = subprocess.run(
            [vot, *command], cwd=work, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "failed" not in done.stdout.lower(), done.stdout
    for name in truths:
        lines = (work / f"results/siamjax/baseline/{name}/{name}_001.txt").read_text().splitlines()
        assert len(lines) == 36
        assert lines[0] == "1"
    assert (work / "analysis/out.json").is_file()
    assert list(work.glob("*.zip"))
