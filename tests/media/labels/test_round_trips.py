"""What is written is read back, equal to the format's own precision; other programs read it."""

import json
import shutil
from xml.etree import ElementTree

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from siamjax.media import labels
from siamjax.media.labels import Shape, Video, track

# px that rounding may move a side; whether names, categories and partly hidden boxes are kept
KEPT = {
    "csv": (0, True, True, True),
    "json": (0, True, True, True),
    "cvat": (0.011, True, True, True),
    "cvat_images": (0.011, True, True, True),
    "coco": (0.0006, True, True, True),
    "ytvis": (0.0006, True, True, False),
    "labelstudio": (1e-9, True, True, False),
    "labelme": (1e-9, True, True, True),
    "voc": (0.011, False, True, True),
    "motchallenge": (0.0001, False, True, True),
    "mot": (0.0001, False, False, False),
    "vot": (0.0001, False, False, False),
    "txt": (0.0001, False, False, False),
    "yolo": (0.0004, False, True, False),
}
ALONE = ("vot", "txt")


def test_every_format_that_is_written_is_here():
    assert set(labels.writable()) == KEPT.keys()


@pytest.mark.parametrize("name", [name for name in KEPT if name != "yolo"])
def test_a_clip_comes_back(name, clip, alone, frames, tmp_path):
    precision, names, categories, occluded = KEPT[name]
    video = alone if name in ALONE else clip
    made = labels.write([video], name, tmp_path / "out")
    source = made[0] if len(made) == 1 else tmp_path / "out"
    assert labels.detect(source) == name
    (back,) = labels.read(source, media=frames.parent)
    assert back.name == "clip"
    assert [path.name for path in back.images] == [path.name for path in video.images]
    assert back.count == video.count
    assert len(back.tracks) == len(video.tracks)
    for ours, theirs in zip(video.tracks, back.tracks):
        assert theirs.frames.tolist() == ours.frames.tolist()
        np.testing.assert_allclose(theirs.boxes, ours.boxes, rtol=0, atol=precision)
        assert theirs.name == (ours.name if names else "")
        assert theirs.category == (ours.category if categories else "")
        if occluded:
            assert theirs.occluded.tolist() == ours.occluded.tolist()


def test_yolo_keeps_the_boxes_of_each_frame(clip, frames, tmp_path):
    """The format has no identities: each image is a picture of its own."""
    labels.write([clip], "yolo", tmp_path)
    shutil.copytree(frames, tmp_path / "images" / "clip")
    pictures = labels.read(tmp_path)
    assert [video.name for video in pictures] == [f"clip/{i:06d}" for i in range(clip.count)]
    for frame, picture in enumerate(pictures):
        here = [each for each in clip.tracks if frame in each.frames]
        assert [each.category for each in picture.tracks] == [each.category for each in here]
        for ours, theirs in zip(here, picture.tracks):
            expected = ours.boxes[ours.frames == frame]
            np.testing.assert_allclose(theirs.boxes, expected, rtol=0, atol=KEPT["yolo"][0])


def test_coco_is_read_by_pycocotools(clip, tmp_path):
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    (path,) = labels.write([clip], "coco", tmp_path)
    content = coco.COCO(str(path))
    assert sorted(c["name"] for c in content.loadCats(content.getCatIds())) == ["dog", "person"]
    assert len(content.getImgIds()) == clip.count
    for each in clip.tracks:
        (category,) = content.getCatIds(catNms=[each.category])
        found = content.loadAnns(content.getAnnIds(catIds=[category]))
        frames = [content.loadImgs(a["image_id"])[0]["frame_index"] for a in found]
        assert frames == each.frames.tolist()
        boxes = [a["bbox"] for a in found]
        np.testing.assert_allclose(boxes, each.boxes, rtol=0, atol=0.0006)


def test_two_videos_in_one_file(clip, tmp_path):
    other = clip.replace(name="other", tracks=clip.tracks[1:])
    for name in ("coco", "ytvis", "labelstudio"):
        (path,) = labels.write([clip, other], name, tmp_path / name)
        back = labels.read(path)
        assert [(video.name, len(video.tracks)) for video in back] == [("clip", 2), ("other", 1)]
        np.testing.assert_allclose(back[1].tracks[0].boxes, other.tracks[0].boxes, atol=0.001)


@settings(max_examples=30, deadline=None)
@given(
    boxes=arrays.arrays(
        np.float64, st.tuples(st.integers(1, 6), st.just(4)), elements=st.floats(-500, 4000)
    ),
    gap=st.integers(1, 5),
    name=st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8),
)
def test_any_boxes_and_names_come_back(boxes, gap, name, tmp_path_factory):
    """Tables keep the last bit, also behind names with commas, quotes and spaces."""
    shapes = [Shape(gap * i, box) for i, box in enumerate(boxes)]
    video = Video("v", [track("a b", shapes, name, "c,d")], stated_size=(640, 480))
    folder = tmp_path_factory.mktemp("any")
    for format in ("csv", "json"):
        (path,) = labels.write([video], format, folder / format)
        ((back,),) = (each.tracks for each in labels.read(path))
        assert (back.id, back.name, back.category) == ("a b", name, "c,d")
        np.testing.assert_array_equal(back.boxes, boxes)
        assert back.frames.tolist() == [shape.frame for shape in shapes]


def test_cvat_says_once_where_a_target_leaves(clip, tmp_path):
    """Anna leaves behind frame 3 and is there to the end, Rex leaves behind frame 9."""
    (path,) = labels.write([clip], "cvat", tmp_path)
    tracks = ElementTree.parse(path).getroot().findall("track")
    outside = [[int(b.get("frame")) for b in t if b.get("outside") == "1"] for t in tracks]
    assert outside == [[4], [10]]
    listed = [[int(box.get("frame")) for box in node] for node in tracks]
    assert listed == [[0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11], [3, 4, 5, 6, 7, 8, 9, 10]]


def test_label_studio_says_once_where_a_target_leaves(clip, tmp_path):
    """Frames count from 1; a region that is there at the end stays enabled."""
    (path,) = labels.write([clip], "labelstudio", tmp_path)
    regions = json.loads(path.read_text())[0]["annotations"][0]["result"]
    values = [region["value"] for region in regions]
    left = [[at["frame"] for at in value["sequence"] if not at["enabled"]] for value in values]
    assert left == [[4], [10]]
    assert {(value["framesCount"], value["duration"]) for value in values} == {(12, 12 / 25)}


def test_a_target_without_a_category_has_its_name_as_the_label():
    """Before: `siamjax track --box=1,2,30,40:person --labels=cvat` wrote the label "object"."""
    shapes = [Shape(0, (1, 2, 30, 40))]
    tracks = [track("0", shapes, "person"), track("1", shapes, "Bo", "dog"), track("2", shapes)]
    video = Video("a", tracks, stated_size=(64, 48), length=1)
    root = ElementTree.fromstring(labels.contents([video], "cvat")["a.xml"])
    assert [node.get("label") for node in root.iter("track")] == ["person", "dog", "object"]
    assert sorted(node.text for node in root.findall(".//labels/label/name")) == [
        "dog",
        "object",
        "person",
    ]
    (coco,) = labels.contents([video], "coco").values()
    assert [each["name"] for each in json.loads(coco)["categories"]] == ["dog", "object", "person"]
