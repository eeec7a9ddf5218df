"""Clips pasted together from photographs: boxes by what is painted, coverage, what is cut out."""

from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_prep import composite, cutouts
from data_prep.parts import Options, video_crops
from siamjax.errors import UserError

from .conftest import write_text

STAR = [50, 20, 60, 50, 95, 45, 65, 65, 80, 95, 50, 75, 20, 95, 35, 65, 5, 45, 40, 50]
WIDE = [10, 40, 90, 30, 95, 60, 15, 70]


ROUND = (
    np.stack(
        [
            50 + 45 * np.cos(np.arange(64) / 64 * 2 * np.pi),
            50 + 25 * np.sin(np.arange(64) / 64 * 2 * np.pi),
        ],
        -1,
    )
    .ravel()
    .tolist()
)


def painted_box(image):
    """left, top, right, bottom of what is brighter than half."""
    bright = image.min(-1) > image.min(-1).max() / 2
    x, y, w, h = cv2.boundingRect(bright.astype(np.uint8))
    return [x, y, x + w, y + h]


@pytest.mark.parametrize("seed", range(6))
def test_the_box_encloses_what_is_painted(seed, monkeypatch):
    monkeypatch.setattr(cutouts, "PART", 0)
    black, white = np.zeros((240, 320, 3), np.uint8), np.full((120, 120, 3), 255, np.uint8)
    plan = cutouts.plan([seed], (320, 240), [[ROUND]], 4)
    painter = cutouts.Painter([seed], black, [white], [[ROUND]])
    inside = 0
    for number, frame in enumerate(plan):
        box = frame.box
        if min(*box[:2], *(np.array([320, 240]) - box[2:])) >= 0:
            inside += 1
            np.testing.assert_allclose(painted_box(painter.paint(frame, number)), box, atol=1.5)
    assert inside


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 6),
    size=st.tuples(st.integers(120, 800), st.integers(120, 800)),
)
@example(189, 2, (120, 120))  # a part far from the middle of an object near the edge
def test_plans(seed, count, size):
    outlines = [[STAR if i % 2 else WIDE] for i in range(count)]
    plan = cutouts.plan([seed], size, outlines, 3)
    again = cutouts.plan([seed], size, outlines, 3)
    largest = cutouts.GROWTH * np.exp(np.abs(cutouts.POSE[:2]).sum()) * (1 + cutouts.POSE[3])
    for frame, same in zip(plan, again, strict=True):
        np.testing.assert_array_equal(frame.target.matrix, same.target.matrix)
        numbers = [placed.number for placed in (*frame.below, frame.target, *frame.above)]
        assert sorted(numbers) == list(range(count))
        x1, y1, x2, y2 = frame.box
        assert x1 < x2
        assert y1 < y2
        assert 0 <= (x1 + x2) / 2 <= size[0]
        assert 0 <= (y1 + y2) / 2 <= size[1]
        assert max(x2 - x1, y2 - y1) <= largest * np.hypot(90, 75)
        above = np.zeros((int(y2 - y1) + 1, int(x2 - x1) + 1), bool)
        for placed in frame.above:
            low = np.maximum(np.round(placed.box[:2] - [x1, y1]), 0).astype(int)
            high = np.maximum(np.round(placed.box[2:] - [x1, y1]), 0).astype(int)
            above[low[1] : high[1], low[0] : high[0]] = True
        assert above.mean() <= cutouts.COVERED + 0.1  # of whole pixels


def test_painting_is_determined_and_changes_from_frame_to_frame():
    rng = np.random.default_rng(0)
    scene, photograph = rng.integers(0, 256, (2, 160, 200, 3)).astype(np.uint8)
    outlines = [[STAR], [WIDE, STAR]]
    plan = cutouts.plan([3], (200, 160), outlines, 2)
    frames = [
        cutouts.Painter([3], scene, [photograph] * 2, outlines).paint(plan[i], i) for i in (0, 0, 1)
    ]
    np.testing.assert_array_equal(frames[0], frames[1])
    assert frames[0].shape == scene.shape
    assert frames[0].dtype == np.uint8
    assert np.abs(frames[0].astype(int) - frames[2]).mean() > 5


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 6))
def test_a_second_target_is_seen(seed, count):
    """Its box is of what is painted, and the boxes above it are added up pixel by pixel."""
    size = (320, 240)
    for frame in cutouts.plan([seed], size, [[STAR], *[[WIDE]] * (count - 1)], 4):
        painted = [*frame.below, frame.target, *frame.above]
        at = [placed.number for placed in painted].index(1)
        x1, y1, x2, y2 = painted[at].box
        rows, columns = np.mgrid[y1:y2:200j, x1:x2:200j]
        covered = sum(
            ((columns > a) & (columns < c) & (rows > b) & (rows < d)).mean()
            for a, b, c, d in (other.box for other in painted[at + 1 :])
        )
        inside = 0 <= (x1 + x2) / 2 <= size[0] and 0 <= (y1 + y2) / 2 <= size[1]
        box = cutouts.seen_box(frame, 1, size)
        if abs(covered - cutouts.COVERED) > 0.06:  # five objects, 0.01 each: what the grid can tell
            assert (box is not None) == (inside and covered < cutouts.COVERED)
        if box is not None:
            np.testing.assert_array_equal(box, painted[at].box)
        assert cutouts.seen_box(frame, count, size) is None


def test_what_is_cut_out(composite_tree):
    videos = list(composite.Composite(composite_tree).videos())
    names = {video.name for video in videos}
    assert names == {f"{i}-{r}" for i in (100, 101, 102) for r in range(composite.ROUNDS)}
    assert {video.name[:3] for video in videos[:3]} == {"100", "101", "102"}  # a whole round first
    second = Counter()
    for video in videos:
        numbers = [thing["id"] for thing in video.payload["objects"]]
        assert str(numbers[0]) == video.name[:3]
        assert len(set(numbers)) == len(numbers)
        second[tuple(numbers[:2])] += 1
    # 100 and 101 are of one category: the second target of one is the other, if any was drawn
    assert second[100, 101]
    assert second[101, 100]


def test_clips_become_crops(composite_tree):
    source = composite.Composite(composite_tree)
    skipped = Counter()
    tracks = Counter()
    for video in source.videos():
        records = list(video_crops(source, video, Options(crop=127), skipped))
        targets = list(source.targets(video, Counter()))
        assert [(r.track, r.frame) for r in records] == [(t.track, t.frame) for t in targets]
        assert [r.frame for r in records if r.track == "0"] == list(range(composite.FRAMES))
        np.testing.assert_allclose(
            [r.size for r in records],
            [[t.box[2] - t.box[0], t.box[3] - t.box[1]] for t in targets],
            rtol=1e-6,
        )
        tracks.update(r.track for r in records)
    assert not +skipped
    assert tracks.keys() == {"0", "1"}
    assert tracks["1"] < tracks["0"]


def test_lost_photographs_are_counted(composite_tree):
    source = composite.Composite(composite_tree)
    video = next(iter(source.videos()))
    (composite_tree / "train2017" / video.payload["objects"][0]["file"]).write_bytes(b"no image")
    skipped = Counter()
    assert list(video_crops(source, video, Options(crop=127), skipped)) == []
    assert skipped == {"image is unreadable": len(list(source.targets(video, Counter())))}


@pytest.mark.parametrize("content", ["{}", '{"images": [], "annotations": []}', "nothing"])
def test_bad_annotations(composite_tree, content):
    write_text(composite_tree / "annotations/instances_train2017.json", content)
    with pytest.raises(UserError, match=r"instances_train2017\.json"):
        list(composite.Composite(composite_tree).videos())


def test_cut_outs_have_a_soft_edge_inside_the_outline():
    white = np.full((120, 120, 3), 255, np.uint8)
    outline = [[30, 40, 90, 40, 90, 80, 30, 80]]
    black = np.zeros((120, 120, 3), np.uint8)
    painter = cutouts.Painter([0], black, [white], [outline])
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    placed = cutouts.Placed(0, still, np.array([30.0, 40, 90, 80]))
    image = painter.paint(cutouts.Frame(still, (), placed, (), placed.box), 0)
    bright = image[..., 0] > image.max() // 2
    assert abs(int(bright.sum()) - 60 * 40) < 220
    edges = cv2.boundingRect(bright.astype(np.uint8))
    np.testing.assert_allclose(edges, [30, 40, 60, 40], atol=1)
