"""Labels beside frames that are not theirs are refused by every command; others pass."""

import json
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from siamjax.cli import dispatch
from siamjax.datasets import registry
from siamjax.errors import UserError
from siamjax.media import VideoWriter, labels
from siamjax.media.labels import Shape, Video, track
from siamjax.media.labels.check import faults

from .test_formats import cvat, image, key, mot17, put, rows, shape, studio
from .test_own import film, pictures

SMALL = ["--crop=31", "--exemplar=7"]


def frames_of(root, kind, count=5, size=(64, 48)):
    """A video `a` of so many frames, a file or a folder; how messages call it."""
    root.mkdir(exist_ok=True)
    if kind == "file":
        return film(root / "a.avi", count, size)
    for i in range(count):
        image(root / "a" / f"{i:04d}.png", size)
    return root / "a"


def coco(count, size=(64, 48), index=None):
    """COCO-video: an image and a box of one target per frame."""
    size = {"width": size[0], "height": size[1]}
    images = [{"id": i, "video_id": 1, "file_name": f"a/{i:04d}.png", **size} for i in range(count)]
    for i, number in enumerate(index or ()):
        images[i] |= {"frame_index": number, "file_name": f"a/{number:04d}.png"}
    boxes = [{"image_id": i, "track_id": 1, "bbox": [5 + i, 5, 20, 20]} for i in range(count)]
    return {"videos": [{"id": 1, "name": "a"}], "images": images, "annotations": boxes}


def own_json(last):
    return {"video": "a", "targets": [{"frames": [{"frame": last, "box": [5, 5, 20, 20]}]}]}


# what each file says that differs from 5 frames of 64x48 px: file, writes it, said, there
SAYS_FRAMES = {
    "cvat": ("a.xml", lambda path: cvat(path, [(0, 0, 5), (1, 1, 5)]), "says that a has 10 frames"),
    "coco": ("a.json", lambda path: put(path, coco(6)), "says that a has 6 frames"),
    "labelstudio": (
        "a.json",
        lambda path: put(path, studio([key(1, 5)], 200, 20, "a.avi")),
        "says that a has 200 frames",
    ),
    "csv": (
        "a.csv",
        lambda path: put(path, "frame,x,y,w,h\n0,5,5,20,20\n5,5,5,20,20\n"),
        "frame 5 of a (the first is 0) has a box",
    ),
    "json": (
        "a.json",
        lambda path: put(path, own_json(5)),
        "frame 5 of a (the first is 0) has a box",
    ),
    "mot": (  # counts from 1: frame 6 is the sixth
        "a.mot",
        lambda path: put(path, "6,1,5,5,20,20,1,-1,-1,-1\n"),
        "frame 5 of a (the first is 0) has a box",
    ),
}
FIVE = "<stop_frame>4</stop_frame>"
SAYS_SIZE = {
    "cvat": lambda root: cvat(root / "a.xml", [(0, 0, 5), (1, 1, 5)], more=FIVE),
    "coco": lambda root: put(root / "a.json", coco(5)),
    "labelstudio": lambda root: put(root / "a.json", _studio_of_64()),
}  # fmt: skip


def _studio_of_64():
    task = studio([key(1, 5)], 5, 0.5, "a.avi")
    task[0]["annotations"][0]["result"][0] |= {"original_width": 64, "original_height": 48}
    return task


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", SAYS_FRAMES)
def test_more_frames_than_there_are(tmp_path, name, kind):
    place = frames_of(
        tmp_path / "mine", kind, size=(200, 100) if name == "labelstudio" else (64, 48)
    )
    file, write, said = SAYS_FRAMES[name]
    path = write(tmp_path / "mine" / file)
    there = "5 frames" if kind == "file" else "5 images"
    with pytest.raises(UserError) as caught:
        labels.read(tmp_path / "mine")
    assert str(caught.value).startswith(
        f"{path}: {said}, but there are {there} in {place}; give the"
    )
    assert f"siamjax labels {path} --media={'VIDEO' if kind == 'file' else 'FOLDER'}" in str(
        caught.value
    )
    kept = {}
    assert labels.read(tmp_path / "mine", faults=kept) == []
    assert list(kept) == ["a"]


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", SAYS_SIZE)
def test_another_size_than_that_of_the_frames(tmp_path, name, kind):
    root = tmp_path / "mine"
    place = frames_of(root, kind, size=(128, 96))
    path = SAYS_SIZE[name](root)
    place = place / "0000.png" if kind == "folder" else place
    with pytest.raises(UserError) as caught:
        labels.read(root)
    said = "frame 0" if name == "coco" else "a frame"
    expected = f"{path}: says that {said} of a has 64x48 px, {place} has 128x96; give the frames"
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("command", ["labels", "prepare", "finetune", "media"])
def test_every_command_refuses_them(tmp_path, command, capsys):
    """Before: `siamjax labels` said "nothing looks wrong", the others trained on what was there."""
    root, out = tmp_path / "mine", tmp_path / "out"
    frames_of(root, "file")
    path = cvat(root / "a.xml", [(0, 0, 5), (1, 1, 5)])
    flags = {
        "labels": ["labels", str(root)],
        "media": ["labels", str(path), f"--media={root / 'a.avi'}"],
        "prepare": ["prepare", "folder", f"--source={root}", f"--out={out}", *SMALL],
        "finetune": ["finetune", str(root), f"--out={out}"],
    }[command]
    with pytest.raises(UserError, match=r"a\.xml: says that a has 10 frames, but there are 5"):
        dispatch(flags)
    assert "nothing looks wrong" not in capsys.readouterr().out
    assert not out.exists()


def test_the_other_videos_are_looked_at_and_evaluated(tmp_path, capsys):
    root = tmp_path / "mine"
    frames_of(root, "file")
    cvat(root / "a.xml", [(0, 0, 5), (1, 1, 5)])
    film(root / "b.avi")
    put(root / "b.csv", "frame,x,y,w,h\n0,5,5,20,20\n1,5,5,20,20\n")
    with pytest.raises(UserError, match="says that a has 10 frames"):
        dispatch(["labels", str(root)])
    assert capsys.readouterr().out.startswith("1 video, 1 target, 2 boxes\nb: 5 frames\n")
    benchmark = registry.load("folder", root)
    assert [sequence.name for sequence in benchmark.sequences] == ["b"]
    assert "says that a has 10 frames" in benchmark.left_out["a"]
    flags = [f"--source={root}", f"--out={tmp_path / 'out'}", "--leave_out", "a"]
    dispatch(["prepare", "folder", *flags, *SMALL])


def test_sizes_of_a_sequence_of_mot_challenge(tmp_path):
    mot17(tmp_path / "a", "1,2,11,21,5,6,1,1,1\n")  # 3 frames of 64x48
    for i in range(3):
        image(tmp_path / "a" / "img1" / f"{i + 1:06d}.jpg", (64, 50))
    with pytest.raises(
        UserError, match=r"a: says that a frame of a has 64x48 px, .*1\.jpg has 64x50"
    ):
        labels.read(tmp_path / "a")
    for i in range(2):
        image(tmp_path / "a" / "img1" / f"{i + 1:06d}.jpg")
    (tmp_path / "a" / "img1" / "000003.jpg").unlink()
    with pytest.raises(UserError, match="a: says that a has 3 frames, but there are 2 images in"):
        labels.read(tmp_path / "a")


def test_a_single_image_of_another_size_is_named(tmp_path):
    """Before: labels with ids, image by image in a folder, were all in frame 0."""
    pictures(tmp_path / "v", 3)
    for i in range(3):
        content = {"shapes": [shape([[5, 5], [25, 25]], group_id=1)], "imageWidth": 64}
        put(tmp_path / "v" / f"{i:04d}.json", content | {"imageHeight": 48})
    (video,) = labels.read(tmp_path)
    assert rows(video.tracks[0]) == {i: [5, 5, 20, 20] for i in range(3)}
    image(tmp_path / "v" / "0002.jpg", (32, 24))
    with pytest.raises(UserError, match=r"frame 2 of v has 64x48 px, .*0002\.jpg has 32x24"):
        labels.read(tmp_path)


# --- what passes


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_labels_of_the_first_frames(tmp_path, kind):
    frames_of(tmp_path / "mine", kind, 12)
    cvat(tmp_path / "mine" / "a.xml", [(0, 0, 5), (4, 0, 9)])  # 10 frames
    (video,) = labels.read(tmp_path / "mine")
    assert video.boxes == 10
    (tmp_path / "mine" / "a.xml").unlink()
    put(tmp_path / "mine" / "a.csv", "frame,x,y,w,h\n11,5,5,20,20\n")
    (video,) = labels.read(tmp_path / "mine")
    assert rows(video.tracks[0]) == {11: [5, 5, 20, 20]}


def test_sets_of_images_of_many_sizes(tmp_path):
    """Each is compared with its own picture."""
    images, boxes = [], []
    for i, size in enumerate([(64, 48), (48, 64), (32, 32)]):
        image(tmp_path / "images" / f"{i}.png", size)
        images.append({"id": i, "file_name": f"{i}.png", "width": size[0], "height": size[1]})
        boxes.append({"image_id": i, "bbox": [1, 2, 3, 4]})
    path = put(tmp_path / "a.json", {"images": images, "annotations": boxes})
    assert len(labels.read(path)) == 3
    image(tmp_path / "images" / "1.png", (40, 40))
    with pytest.raises(UserError, match=r"a frame of 1 has 48x64 px, .*1\.png has 40x40"):
        labels.read(path)


def test_a_target_in_images_of_many_sizes_is_in_each_of_them(tmp_path):
    content = coco(2)
    for i, size in enumerate([(30, 30), (90, 60)]):
        image(tmp_path / "a" / f"{i:04d}.png", size)
        content["images"][i] |= {"width": size[0], "height": size[1]}
    content["annotations"][1]["bbox"] = [55, 35, 20, 20]
    (video,) = labels.read(put(tmp_path / "a.json", content))
    assert [line for line in faults(video) if "outside" in line] == []


@pytest.mark.parametrize("index", [[0, 5, 10], [1, 2, 3]])
def test_a_folder_of_some_frames_of_a_video(tmp_path, index):
    """`frame_index` counts all frames of the video, or from 1: the images' order counts."""
    for number in index:
        image(tmp_path / "a" / f"{number:04d}.png", value=number)
    (video,) = labels.read(put(tmp_path / "a.json", coco(3, index=index)))
    assert rows(video.tracks[0]) == {i: [5 + i, 5, 20, 20] for i in range(3)}
    assert [frame.mean() for frame in video.frames()] == index


def claim(monkeypatch, count):
    claimed = property(lambda self: count, lambda self, value: None)
    monkeypatch.setattr("siamjax.media.decoder.Decoder.announced", claimed, raising=False)


def test_containers_that_claim_a_wrong_number(tmp_path, monkeypatch):
    """Too few are counted; too many are believed, without decoding all."""
    frames_of(tmp_path, "file", 10)
    cvat(tmp_path / "a.xml", [(0, 0, 5), (4, 0, 9)])  # 10 frames
    claim(monkeypatch, 3)
    assert labels.read(tmp_path)[0].boxes == 10
    film(tmp_path / "a.avi", 5)
    with pytest.raises(UserError, match="says that a has 10 frames, but there are 5 frames in"):
        labels.read(tmp_path)
    claim(monkeypatch, 10)

    def refuse(*_):
        raise AssertionError("all frames are decoded")

    monkeypatch.setattr("siamjax.media.labels.fit.frame_count", refuse)
    assert labels.read(tmp_path)[0].boxes == 10


@pytest.mark.parametrize("count, boxes", [(5, 5), (6, 5), (15, 5), (16, None)])
def test_the_estimated_count_of_label_studio(tmp_path, count, boxes):
    """At 10 frames per second; the video has 5. Up to a second more is the sound's duration; the
    key in the last frame of its count is the video's last."""
    frames_of(tmp_path, "file", size=(200, 100))
    put(tmp_path / "a.json", studio([key(1, 0), key(count, 10)], count, count / 10, "a.avi"))
    if boxes is None:
        with pytest.raises(UserError, match="says that a has 16 frames, but there are 5 frames in"):
            labels.read(tmp_path)
    else:
        (video,) = labels.read(tmp_path)
        assert list(rows(video.tracks[0])) == [0, 1, 2, 3, 4]
        assert rows(video.tracks[0])[4][0] == 20
        assert video.length == 5


def turn(path):
    """By a quarter, in the metadata of a video of 64x48 px."""
    with VideoWriter(path, 10) as writer:
        for _ in range(5):
            writer.write(np.full((48, 64, 3), 90, np.uint8))
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    quarter = [0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30]
    data[place : place + 36] = struct.pack(">9i", *quarter)
    path.write_bytes(data)


def test_a_video_that_its_metadata_turn(tmp_path):
    """Its frames are 48x64 px; as stored 64x48, which is questioned; nothing else passes."""
    turn(tmp_path / "a.mp4")
    path = cvat(tmp_path / "a.xml", [(0, 0, 5), (4, 0, 9)], more=FIVE)  # says 64x48
    (video,) = labels.read(tmp_path)
    assert faults(video) == [
        "a: labels of 64x48 px, but its frames are turned by their metadata, to 48x64 px; are the"
        " boxes around the targets?"
    ]
    swapped = path.read_text().replace("64<", "-<").replace("48<", "64<").replace("-<", "48<")
    path.write_text(swapped)
    (video,) = labels.read(tmp_path)
    assert faults(video) == []
    path.write_text(swapped.replace("64<", "63<"))
    with pytest.raises(UserError, match=r"a frame of a has 48x63 px, .*a\.mp4 has 48x64"):
        labels.read(tmp_path)


def test_frames_that_cannot_be_read_are_told_where_they_are_read(tmp_path):
    put(tmp_path / "a.avi", "no video")
    cvat(tmp_path / "a.xml", [(0, 0, 5)])
    (video,) = labels.read(tmp_path)
    assert any("a.avi: a text file, not a video" in line for line in faults(video))


# --- boxes outside


def outside(count, of=10):
    """The first boxes of a target are right of the frame."""
    shapes = [Shape(i, (700 if i < count else 5, 5, 20, 20)) for i in range(of)]
    return Video("a", [track("1", shapes)], stated_size=(64, 48))


def test_a_target_that_is_mostly_outside(tmp_path):
    """Boxes of a larger copy of the video, in formats that say no size."""
    (line,) = (line for line in faults(outside(6)) if "outside" in line)
    assert line == (
        "a, 1, frame 0 and 5 more: the box is outside of the frame (64x48 px), as are 6 of 10 boxes"
        " of this target; are these the labels of this video?"
    )
    (line,) = (line for line in faults(outside(5)) if "outside" in line)
    assert line == "a, 1, frame 0 and 4 more: the box is outside of the frame"


def test_boxes_that_give_no_crop(tmp_path, capsys):
    """Before: "no crop was written; look at the source folder and the skipped counts", with the
    name of a folder that was gone, and no counts."""
    root, out = tmp_path / "mine", tmp_path / "out"
    frames_of(root, "file")
    path = put(root / "a.csv", "frame,x,y,w,h\n" + "".join(f"{i},700,5,20,20\n" for i in range(5)))
    dispatch(["labels", str(root)])
    assert "as are 5 of 5 boxes of this target" in capsys.readouterr().out
    message = rf"^{path}: no crop was written \(box is outside of the image: 5 boxes\); put the"
    with pytest.raises(UserError, match=message):
        dispatch(["prepare", "folder", f"--source={root}", f"--out={out}", *SMALL])
    assert not out.exists()
    with pytest.raises(UserError, match=message):
        dispatch(["finetune", str(root), f"--out={out}"])


def test_labels_are_named_up_to_three(tmp_path):
    root = tmp_path / "mine"
    root.mkdir()
    for name in "abcd":
        film(root / f"{name}.avi")
        put(root / f"{name}.json", json.dumps(own_json(0)).replace("[5, 5,", "[700, 5,"))
    with pytest.raises(
        UserError, match=r"a\.json, .*b\.json, .*c\.json, \.\.\.: no crop was writt"
    ):
        dispatch(["prepare", "folder", f"--source={root}", f"--out={tmp_path / 'out'}", *SMALL])


def test_a_picture_that_its_metadata_turn(tmp_path):
    """EXIF's orientation 6: stored as 64x48, shown as 48x64."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / "1.jpg", exif=exif)
    assert cv2.imread(str(tmp_path / "1.jpg")).shape[:2] == (64, 48)
    for width, height, fits in ((48, 64, True), (64, 48, True), (64, 50, False)):
        size = {"imageWidth": width, "imageHeight": height}
        path = put(tmp_path / "1.json", {"shapes": [shape([[1, 2], [9, 9]])], **size})
        if fits:
            (video,) = labels.read(path)
            assert bool([f for f in faults(video) if "turned" in f]) == (width == 64)
        else:
            with pytest.raises(UserError, match=r"has 64x50 px, .*1\.jpg has 48x64"):
                labels.read(path)
