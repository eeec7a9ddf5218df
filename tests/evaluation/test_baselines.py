"""Baseline trackers on a patch whose path is known."""

import tracemalloc

import cv2
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.evaluation import baselines


def scene(rng=None):
    rng = rng or np.random.default_rng(0)
    small = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC)


def moving_patch(frames=12):
    """Frames with a textured 20x16 patch that moves by (5, 3) px per frame, and its true boxes."""
    ground = scene()
    patch = np.random.default_rng(1).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    images, boxes = [], []
    for i in range(frames):
        image = ground.copy()
        x, y = 30 + 5 * i, 20 + 3 * i
        image[y : y + 16, x : x + 20] = patch
        images.append(image)
        boxes.append((x, y, 20, 16))
    return images, np.array(boxes, float)


def follow(tracker, images, box):
    tracker.init(images[0], box)
    return [tracker.update(image) for image in images[1:]]


def test_static_answers_the_first_box():
    images, boxes = moving_patch()
    for prediction in follow(baselines.Static(), images, boxes[0]):
        assert prediction.box == (30.0, 20.0, 20.0, 16.0)
        assert prediction.score == 1.0


def test_template_matching_follows_exactly():
    images, boxes = moving_patch()
    predictions = follow(baselines.TemplateMatching(), images, boxes[0] + [0.3, -0.2, 0, 0])
    np.testing.assert_allclose([p.box for p in predictions], boxes[1:] + [0.3, -0.2, 0, 0])
    assert min(p.score for p in predictions) > 0.99
    assert max(p.score for p in predictions) <= 1


def test_template_matching_searches_around_the_last_position_alone():
    images, boxes = moving_patch()
    tracker = baselines.TemplateMatching(search=3)
    tracker.init(images[0], boxes[0])
    far = tracker.update(images[8])  # 40 px away; the window reaches 20
    assert np.abs(np.array(far.box) - boxes[8]).max() > 10
    assert far.score < 0.9
    wide = baselines.TemplateMatching(search=6)
    wide.init(images[0], boxes[0])
    np.testing.assert_allclose(wide.update(images[8]).box, boxes[8])


@pytest.mark.parametrize("corner", [(-9, -7), (149, 110), (-9, 111), (70, -8)])
def test_template_matching_at_the_border(corner):
    """A box partly outside of the frame, and a frame that does not move: it stays."""
    image = scene()
    box = (*corner, 20.0, 16.0)
    for prediction in follow(baselines.TemplateMatching(), [image] * 3, box):
        assert prediction.box == box
        assert prediction.score > 0.99


def test_template_matching_without_contrast_stays():
    flat = np.full((60, 80, 3), 90, np.uint8)
    for prediction in follow(baselines.TemplateMatching(), [flat] * 3, (10, 12, 20, 15)):
        assert prediction.box == (10, 12, 20, 15)
        assert prediction.score == 0


def test_template_matching_keeps_the_centre_inside():
    images, boxes = moving_patch()
    tracker = baselines.TemplateMatching()
    tracker.init(images[0], boxes[0])
    rng = np.random.default_rng(4)
    for _ in range(30):  # noise: the best match is anywhere
        x, y, w, h = tracker.update(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)).box
        assert 0 <= x + w / 2 <= 160
        assert 0 <= y + h / 2 <= 120


def test_init_starts_over():
    images, boxes = moving_patch()
    tracker = baselines.TemplateMatching()
    first = follow(tracker, images, boxes[0])
    second = follow(tracker, images[::-1], boxes[-1])
    np.testing.assert_allclose(second[-1].box, boxes[0])
    assert follow(tracker, images, boxes[0]) == first


def test_opencv_mil_follows():
    images, boxes = moving_patch(4)
    for prediction, truth in zip(follow(baselines.OpenCV("MIL"), images, boxes[0]), boxes[1:]):
        x, y, w, h = prediction.box
        assert np.hypot(x - truth[0], y - truth[1]) < 12
        assert (w, h) == (20, 16)
        assert prediction.score == 1


def test_opencv_takes_boxes_over_the_edge():
    image = scene()
    tracker = baselines.OpenCV("MIL")
    tracker.init(image, (-5.4, 100.2, 30.0, 30.0))
    assert len(tracker.update(image).box) == 4


@pytest.mark.parametrize("name", ["CSRT", "KCF"])
def test_contrib_trackers_where_they_are(name):
    images, boxes = moving_patch(4)
    if name in baselines.opencv_trackers():
        assert len(follow(baselines.make(name), images, boxes[0])) == 3
    else:
        with pytest.raises(UserError, match=f"{name} is not in this OpenCV .*opencv-contrib"):
            baselines.make(name)


def test_make_knows_names_in_any_case():
    assert isinstance(baselines.make("static"), baselines.Static)
    assert isinstance(baselines.make("Template_Matching"), baselines.TemplateMatching)
    assert isinstance(baselines.make("mil"), baselines.OpenCV)
    for name in baselines.available():
        baselines.make(name)


def test_make_says_what_there_is():
    with pytest.raises(UserError, match=r"'templat'.*static, template_matching, MIL"):
        baselines.make("templat")
    with pytest.raises(UserError, match="takes no model files"):
        baselines.make("static", net="x.onnx")


def test_opencv_model_files(tmp_path):
    needed = "Nano needs model files: backbone=FILE, neckhead=FILE; get them from https://.*Chu"
    with pytest.raises(UserError, match=needed):
        baselines.make("Nano")
    with pytest.raises(UserError, match=r"none.onnx: no such model file .*; get them .*vittrack$"):
        baselines.make("Vit", net=str(tmp_path / "none.onnx"))
    with pytest.raises(UserError, match="MIL needs model files: none"):
        baselines.make("MIL", net="x.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(UserError, match=r"broken.onnx: OpenCV cannot read"):
        baselines.make("Vit", net=broken)


@pytest.mark.parametrize("name", ["static", "template_matching", "MIL"])
@pytest.mark.parametrize("box", [(1, 2, 0, 5), (1, 2, 5, -1), (float("nan"), 0, 5, 5)])
def test_bad_boxes(name, box):
    with pytest.raises(UserError, match="width, height > 0"):
        baselines.make(name).init(scene(), box)


def test_template_matching_with_a_box_of_nine_frames():
    """Before: 4.7 GB of window, and as much again for the correlation, for a frame of 1280x720."""
    image = scene()
    box = (-640, -480, 1440.5, 1080)
    tracemalloc.start()
    for prediction in follow(baselines.TemplateMatching(), [image] * 2, box):
        assert prediction.box == box
        assert prediction.score == pytest.approx(1, abs=1e-5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * image.nbytes
