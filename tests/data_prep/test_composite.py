"""Clips pasted together from photographs: boxes by what is painted, coverage, what is cut out."""

from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_prep import composite, cutouts, pasting
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


@pytest.mark.parametrize("style", ["plain", "aspect", "bent"])
@pytest.mark.parametrize("seed", range(6))
def test_the_box_encloses_what_is_painted(seed, style, monkeypatch):
    kind = pasting.STYLES[style]._replace(part=0.0, blur=0.0)
    monkeypatch.setitem(pasting.STYLES, style, kind)
    black, white = np.zeros((240, 320, 3), np.uint8), np.full((120, 120, 3), 255, np.uint8)
    plan = pasting.plan([seed], (320, 240), [[ROUND]], 4, style)
    painter = cutouts.Painter([seed], black, [white], [[ROUND]], style)
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
    style=st.sampled_from(sorted(pasting.STYLES)),
)
@example(189, 2, (120, 120), "plain")  # a part far from the middle of an object near the edge
def test_plans(seed, count, size, style):
    outlines = [[STAR if i % 2 else WIDE] for i in range(count)]
    plan = pasting.plan([seed], size, outlines, 3, style)
    again = pasting.plan([seed], size, outlines, 3, style)
    kind = pasting.STYLES[style]
    largest = pasting.GROWTH * np.exp(sum(kind.pose[:2])) * (1 + kind.pose[3])
    largest *= 1 + bool(kind.bend)  # a limb may reach to the other side
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
        assert above.mean() <= kind.covered + 0.1  # of whole pixels


def test_painting_is_determined_and_changes_from_frame_to_frame():
    rng = np.random.default_rng(0)
    scene, photograph = rng.integers(0, 256, (2, 160, 200, 3)).astype(np.uint8)
    outlines = [[STAR], [WIDE, STAR]]
    plan = pasting.plan([3], (200, 160), outlines, 2)
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
    for frame in pasting.plan([seed], size, [[STAR], *[[WIDE]] * (count - 1)], 4):
        painted = [*frame.below, frame.target, *frame.above]
        at = [placed.number for placed in painted].index(1)
        x1, y1, x2, y2 = painted[at].box
        rows, columns = np.mgrid[y1:y2:200j, x1:x2:200j]
        covered = sum(
            ((columns > a) & (columns < c) & (rows > b) & (rows < d)).mean()
            for a, b, c, d in (other.box for other in painted[at + 1 :])
        )
        inside = 0 <= (x1 + x2) / 2 <= size[0] and 0 <= (y1 + y2) / 2 <= size[1]
        box = pasting.seen_box(frame, 1, size)
        if abs(covered - frame.covered) > 0.06:  # five objects, 0.01 each: what the grid can tell
            assert (box is not None) == (inside and covered < frame.covered)
        if box is not None:
            np.testing.assert_array_equal(box, painted[at].box)
        assert pasting.seen_box(frame, count, size) is None


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
    placed = pasting.Placed(0, still, np.array([30.0, 40, 90, 80]))
    image = painter.paint(pasting.Frame(still, (), placed, (), placed.box), 0)
    bright = image[..., 0] > image.max() // 2
    assert abs(int(bright.sum()) - 60 * 40) < 220
    edges = cv2.boundingRect(bright.astype(np.uint8))
    np.testing.assert_allclose(edges, [30, 40, 60, 40], atol=1)


def test_styles_are_drawn_as_often_as_they_shall(composite_tree):
    assert composite.STYLES.keys() == pasting.STYLES.keys()
    assert sum(composite.STYLES.values()) == pytest.approx(1)
    videos = list(composite.Composite(composite_tree).videos())
    assert {video.payload["style"] for video in videos} <= composite.STYLES.keys()
    for video in videos:
        if video.payload["style"] == "crossing":
            assert len({thing["category"] for thing in video.payload["objects"]}) == 1


def test_others_of_a_crossing_clip_lie_over_the_target():
    """Half of the target's box may be hidden; in plain clips two fifths."""
    hidden = {}
    for style in ("plain", "crossing"):
        frames = [
            frame
            for seed in range(30)
            for frame in pasting.plan([seed], (320, 240), [[STAR]] * 4, 2, style)
        ]
        hidden[style] = np.mean([bool(frame.above) for frame in frames])
        near = [abs(p.box - f.target.box).max() < 200 for f in frames for p in f.above + f.below]
        assert all(near) == (style == "crossing")
    assert hidden["crossing"] > 0.5


SQUARE = [30, 30, 70, 30, 70, 90, 30, 90]


def test_a_hinge_cuts_an_object_in_two_that_meet_at_the_joint():
    for seed in range(20):
        hinge = pasting.hinge(np.random.default_rng(seed), [SQUARE])
        (body,), (limb,) = hinge.body, hinge.limb
        areas = [cv2.contourArea(part.astype(np.float32)) for part in (body, limb)]
        assert sum(areas) == pytest.approx(40 * 60 * (1 + pasting.OVERLAP))
        assert pasting.LIMB[0] <= areas[1] / (40 * 60) <= pasting.LIMB[1]
        assert hinge.joint[0] == pytest.approx(50)  # the longer side is the vertical one
        (cut,) = {*limb[:, 1].round(9)} - {30, 90}
        assert hinge.joint[1] == pytest.approx(cut)


def test_a_limb_that_does_not_bend_stays_where_it_was(monkeypatch):
    monkeypatch.setitem(pasting.STYLES, "bent", pasting.STYLES["bent"]._replace(bend=1e-9))
    bent = pasting.plan([4], (320, 240), [[STAR]], 2, "bent")
    for frame in bent:
        np.testing.assert_allclose(frame.target.limb, frame.target.matrix, atol=1e-6)
        corners = np.reshape(STAR, (-1, 2)) @ frame.target.matrix[:, :2].T
        corners += frame.target.matrix[:, 2]
        expected = [*corners.min(0), *corners.max(0)]
        np.testing.assert_allclose(frame.target.box, expected, atol=1e-6)


def test_motion_smears_a_target_about_its_place():
    white, black = np.full((60, 60, 3), 255, np.uint8), np.zeros((60, 60, 3), np.uint8)
    cover = np.zeros((60, 60), np.uint8)
    cover[20:40, 25:35] = 255
    moved = cutouts._smeared(white, cover, black, (8.0, 0.0))
    np.testing.assert_array_equal(moved, moved[:, ::-1])  # mirrored: its middle is where it was
    assert moved[30, 29, 0] == 255
    assert 0 < moved[30, 22, 0] < 255
    assert moved[30, 19].max() == 0
    assert moved[30].astype(int).sum() == pytest.approx(3 * 10 * 255, rel=0.01)  # no light is lost
    assert moved[:20].max() == moved[40:].max() == 0


@pytest.mark.parametrize("style", sorted(pasting.STYLES))
def test_mirrored_photographs_make_mirrored_frames(style, monkeypatch):
    """A shift of half a pixel anywhere in the painting would show at every edge."""
    monkeypatch.setattr(cutouts, "NOISE", 0.0)
    rng = np.random.default_rng(1)
    scene, photograph = (
        cv2.resize(rng.integers(0, 256, (20, 20, 3)).astype(np.uint8), (200, 160)) for _ in range(2)
    )
    outlines = [[STAR[::-1]], [SQUARE]]  # both higher than wide: the hinge lies across
    turned = [
        [np.ravel(np.reshape(part, (-1, 2)) * [-1, 1] + [200, 0]).tolist()] for (part,) in outlines
    ]

    def mirrored(matrix):
        flip = np.array([[-1.0, 0, 200], [0, 1, 0], [0, 0, 1]])
        return matrix if matrix is None else (flip @ [*matrix, [0, 0, 1]] @ flip)[:2]

    def of(placed):
        x1, y1, x2, y2 = placed.box
        return placed._replace(
            matrix=mirrored(placed.matrix),
            limb=mirrored(placed.limb),
            box=np.array([200 - x2, y1, 200 - x1, y2]),
            motion=(-placed.motion[0], placed.motion[1]),
        )

    painters = [
        cutouts.Painter([2], image[:, ::step], [other[:, ::step]] * 2, lines, style)
        for image, other, lines, step in (
            (scene, photograph, outlines, 1),
            (scene, photograph, turned, -1),
        )
    ]
    for number, frame in enumerate(pasting.plan([2], (200, 160), outlines, 3, style)):
        there = frame._replace(
            view=mirrored(frame.view),
            below=tuple(map(of, frame.below)),
            target=of(frame.target),
            above=tuple(map(of, frame.above)),
        )
        one, other = painters[0].paint(frame, number), painters[1].paint(there, number)
        difference = np.abs(one.astype(int) - other[:, ::-1])
        assert difference.mean() < 0.5
        assert np.percentile(difference, 99.5) < 12
