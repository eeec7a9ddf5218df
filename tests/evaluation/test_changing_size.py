"""A benchmark in the layout of GOT-10k whose frames change their size, as official sequences do."""

import cv2
import numpy as np
import pytest

from siamjax.datasets import registry
from siamjax.datasets.forms.base import FAILURE, REGION, START, UNKNOWN
from siamjax.datasets.results import Store
from siamjax.evaluation import protocols, runner, search, trackers
from siamjax.evaluation.lockstep import Lockstep
from siamjax.tracking import Tracker

LARGE, SMALL = (168, 126), (112, 84)  # width and height, px


def write_sequence(folder, frames, large):
    """A bright square that moves over noise; frames that are not in `large` are scaled to 2/3."""
    folder.mkdir(parents=True)
    ground = np.random.default_rng(0).integers(0, 120, (*LARGE[::-1], 3), dtype=np.uint8)
    boxes = []
    for i in range(frames):
        image, (x, y, w, h) = ground.copy(), (50 + 3 * i, 40 + 2 * i, 36, 30)
        image[y : y + h, x : x + w] = (40, 200, 250)
        scale = 1.0
        if i not in large:
            image, scale = cv2.resize(image, SMALL), 2 / 3
        cv2.imwrite(str(folder / f"{i + 1:08d}.jpg"), image)
        boxes.append([scale * v for v in (x, y, w, h)])
    np.savetxt(folder / "groundtruth.txt", boxes, fmt="%.4f", delimiter=",")
    np.savetxt(folder / "cover.label", np.full(frames, 8), fmt="%d")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder of a GOT-10k validation set of a sequence: frames get larger, then smaller."""
    root = tmp_path_factory.mktemp("data") / "GOT-10k"
    write_sequence(root / "val/GOT-10k_Val_000001", 9, range(3, 6))
    (root / "val/list.txt").write_text("GOT-10k_Val_000001\n")
    return root


@pytest.fixture(scope="module")
def benchmark(root):
    return registry.load("GOT-10k-val", root)


def test_eval_one_by_one_and_in_batches(benchmark, checkpoint, tmp_path):
    """Before: `siamjax eval --dataset=GOT-10k-val` gave "a frame of 168x126 px in a video of 112x84
    px: all frames need the same size", exit code 2; with `--batch=2` black beside the smaller
    frame was picture, a larger one "ValueError: could not broadcast input array from shape"."""
    one, _ = trackers.run_trackers(benchmark, tmp_path / "one", checkpoint)
    two, _ = trackers.run_trackers(benchmark, tmp_path / "two", checkpoint, batch=2)
    a, b = (
        Store(tmp_path / name / "results", benchmark.dataset).read("siamjax", sequence)[0]
        for sequence in benchmark.sequences
        for name in ("one", "two")
    )
    np.testing.assert_allclose(a.regions, b.regions, atol=0.02)
    ao = [scores.trackers["siamjax"][scores.main] for scores in (one, two)]
    assert ao[0] == pytest.approx(ao[1], abs=1e-3)


@pytest.mark.slow
def test_settings_in_lockstep(benchmark, tiny):
    grid = search.Grid(penalty_k=(0.05,), window_influence=(0.3, 0.5), lr=(0.2,))
    sequence = benchmark.sequences[0]
    found = Lockstep(*tiny).track(sequence, grid.settings())
    for setting, boxes in zip(grid.settings().tolist(), found, strict=True):
        config = tiny.config.copy_and_resolve_references()
        with config.unlocked():
            config.tracker.update(dict(zip(search.NAMES, setting, strict=True)))
        run = protocols.one_pass(Tracker(config, tiny.variables), sequence)
        np.testing.assert_allclose(boxes, run.regions, atol=1e-2)


class Beside:
    """Answers boxes that touch the target's only outside of the smaller frame."""

    def init(self, frame, box):
        self.box = box

    def update(self, frame):
        large = frame.shape[1] == LARGE[0]
        return self.box if large else (SMALL[0] + 1.0, 0.0, 60.0, 84.0)


def test_overlap_is_counted_inside_the_frame_as_it_is(tmp_path):
    """The restart protocol clips overlaps to the image; a region right of it has none.

    Before: every frame counted as large as the first.
    """
    folder = tmp_path / "GOT-10k/val/GOT-10k_Val_000001"
    write_sequence(folder, 6, range(3))
    boxes = np.full((6, 4), (50.0, 40.0, 36.0, 30.0))
    boxes[3:] = (90.0, 20.0, 60.0, 60.0)  # over the right border of the smaller frames
    np.savetxt(folder / "groundtruth.txt", boxes, fmt="%.4f", delimiter=",")
    (folder.parent / "list.txt").write_text(folder.name)
    benchmark = runner.with_protocol(registry.load("GOT-10k-val", tmp_path), "supervised")
    run = protocols.supervised(Beside(), benchmark.sequences[0])
    assert run.codes.tolist() == [START, REGION, REGION, FAILURE, UNKNOWN, UNKNOWN]
