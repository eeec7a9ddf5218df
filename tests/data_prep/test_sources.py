"""The sources: boxes, tracks and counted defects of small trees in the true layouts."""

import json
import math
from collections import Counter

import cv2
import numpy as np
import pytest

from data_prep import coco, det, folder, got10k, lasot, source, trackingnet, vid, youtubebb
from data_prep.command import check
from data_prep.parts import Options, video_crops
from siamjax.data import jpeg
from siamjax.errors import UserError

from .conftest import write_text, xml


def crops(reader):
    """{(video, track): {frame: size}} and what was skipped."""
    skipped, found = Counter(), {}
    for video in reader.videos():
        for record in video_crops(reader, video, Options(crop=127), skipped):
            found.setdefault((record.video, record.track), {})[record.frame] = record.size
    return found, +skipped


def test_coco(coco_tree):
    found, skipped = crops(coco.Coco(coco_tree))
    assert found == {
        ("train2017/000000000001", "100"): {0: (20, 30)},
        ("train2017/000000000001", "101"): {0: (12.25, 9)},
        ("train2017/000000000002", "109"): {0: (30, 30)},  # reaches beyond the edge: kept
    }
    assert skipped == {
        "crowd": 1,
        "box is empty": 1,
        "box is inverted": 1,
        "box is one pixel wide or high": 1,
        "box is outside of the image": 1,
        "box is not a number": 2,
        "image is missing": 1,
    }


def test_vid_keeps_all_runs_of_a_track(vid_tree):
    found, skipped = crops(vid.Vid(vid_tree))
    assert {key: sorted(frames) for key, frames in found.items()} == {
        ("a/one", "0"): [0, 1, 4, 5],
        ("a/one", "1"): [4, 5],
        ("b/two", "7"): [0],
    }
    assert found["a/one", "1"][4] == (20, 20)
    assert skipped == {
        "frame without object": 4,  # two of them, the unreadable file, the box without number
        "missing annotation": 1,
        "annotation is not readable": 1,
        "image is missing": 1,
        "box is not a number": 1,
    }


def test_det(det_tree):
    found, skipped = crops(det.Det(det_tree))
    assert found == {
        ("ILSVRC2013_train/n01/n01_1", "0"): {0: (20, 30)},
        ("ILSVRC2013_train/n01/n01_1", "1"): {0: (15, 20)},
        ("ILSVRC2014_train_0000/x_2", "0"): {0: (12, 12)},
    }
    assert skipped == {"image without object": 1}


def test_youtubebb_boxes_are_pixels(youtubebb_tree):
    """A quarter of 64 px is 16, a half of 48 px 24; the order is that of time, not of names."""
    found, skipped = crops(youtubebb.Youtubebb(youtubebb_tree))
    assert found["id_-1", "3_0"] == {0: (16, 24), 1000: (32, 24)}
    assert found["id_-1", "3_1"][0] == pytest.approx((25.6, 19.2))
    assert list(found["other", "5_0"]) == [2000, 10000]
    assert skipped == {"absent": 1, "box is not a number": 1}


def test_got10k(got10k_tree):
    found, skipped = crops(got10k.Got10k(got10k_tree))
    assert {key: sorted(frames) for key, frames in found.items()} == {
        ("train/GOT-10k_Train_000001", "0"): [0, 3, 4]
    }
    wrong = "train/GOT-10k_Train_000002: 2 rows in groundtruth.txt for 3 images"
    assert skipped == {"absent": 1, "wholly occluded": 1, wrong: 2}


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("groundtruth.txt", "x,y,w,h\n" + "5,5,20,30\n" * 3, None),
        ("groundtruth.txt", "5,5,20,30\n" * 4, "4 rows in groundtruth.txt for 3 images"),
        ("cover.label", "8\n8\n", "2 rows in cover.label for 3 images"),
        ("absence.label", "0\n\n0\n0\n0\n", "4 rows in absence.label for 3 images"),
    ],
)
def test_rows_that_do_not_fit_the_frames_leave_their_sequence_out(got10k_tree, file, text, fault):
    """Before: the first box belonged to the header, or boxes and frames were paired as far as they
    went."""
    name = "train/GOT-10k_Train_000002"
    write_text(got10k_tree / name / "groundtruth.txt", "5,5,20,30\n" * 3)
    write_text(got10k_tree / name / file, text)
    found, skipped = crops(got10k.Got10k(got10k_tree))
    if fault:
        assert (name, "0") not in found
        assert skipped[f"{name}: {fault}"] > 0
    else:
        assert sorted(found[name, "0"]) == [0, 1, 2]


def test_an_empty_row_is_a_frame_without_target(lasot_tree):
    """Before: the boxes after it sat a frame too early, with the sizes of their neighbours."""
    rows = ["6,6,20,30", "", "8,6,21,31", "9,6,22,32", "10,6,23,33", "", ""]
    write_text(lasot_tree / "cat/cat-2/groundtruth.txt", "\ufeff" + "\r\n".join(rows))
    found, skipped = crops(lasot.Lasot(lasot_tree))
    assert found == {("cat/cat-2", "0"): {0: (20, 30), 4: (23, 33)}}
    assert skipped == {"absent": 1, "wholly occluded": 1, "box is not a number": 1}


def test_coco_with_a_filtered_list_of_images(coco_tree):
    """Before: "not COCO's instances file (4 is missing); download it again", for ids as text
    too."""
    expected, all_skipped = crops(coco.Coco(coco_tree))
    path = coco_tree / coco.INSTANCES
    content = json.loads(path.read_text())
    content["images"] = [image for image in content["images"] if image["id"] != 4]
    for annotation in content["annotations"][:5]:
        annotation["image_id"] = str(annotation["image_id"])
    del content["annotations"][3]["id"]
    write_text(path, json.dumps(content))
    found, skipped = crops(coco.Coco(coco_tree))
    assert found == expected
    del all_skipped["image is missing"]
    assert skipped == all_skipped | {"image is not in the file": 1}
    assert "  would be skipped, image is not in the file: 1" in check(coco.Coco(coco_tree))


def test_coco_with_two_images_of_one_number(coco_tree):
    """Before: the boxes of both went to the second."""
    path = coco_tree / coco.INSTANCES
    content = json.loads(path.read_text())
    content["images"][1]["id"] = "1"
    write_text(path, json.dumps(content))
    with pytest.raises(UserError, match="two images have the same id"):
        list(coco.Coco(coco_tree).videos())


def test_two_videos_of_one_name(coco_tree):
    """Before: their boxes became one video's."""
    path = coco_tree / coco.INSTANCES
    content = json.loads(path.read_text())
    content["images"][1]["file_name"] = "000000000001.png"
    write_text(path, json.dumps(content))
    with pytest.raises(UserError, match="two videos are called train2017/000000000001"):
        list(coco.Coco(coco_tree).first_videos())


def test_lasot(lasot_tree):
    reader = lasot.Lasot(lasot_tree)
    found, skipped = crops(reader)
    assert {key: sorted(frames) for key, frames in found.items()} == {("cat/cat-2", "0"): [0, 1, 4]}
    assert skipped == {"absent": 1, "wholly occluded": 1}
    (video,) = reader.videos()
    target = next(reader.targets(video, Counter()))
    assert target.box == (5, 5, 25, 35)  # the annotation counts from 1
    (lasot_tree / "training_set.txt").unlink()
    assert len(list(reader.videos())) == 2


def test_trackingnet(trackingnet_tree):
    found, skipped = crops(trackingnet.Trackingnet(trackingnet_tree))
    assert sorted(found["TRAIN_0/abc_0", "0"]) == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    assert sorted(found["TRAIN_3/de-f_1", "0"]) == [0, 1]
    assert skipped == {"image is missing": 1, "missing annotation": 1}


def test_trackingnet_line_is_the_frame_of_that_number(trackingnet_tree):
    """10.jpg comes before 2.jpg by name, but belongs to line 10."""
    reader = trackingnet.Trackingnet(trackingnet_tree)
    targets = list(reader.targets(next(reader.videos()), Counter()))
    assert [t.box[0] for t in targets] == list(range(12))
    assert targets[10].image.endswith("/10.jpg")
    assert targets[2].image.endswith("/2.jpg")


def test_folder(folder_tree):
    found, skipped = crops(folder.Folder(folder_tree))
    assert {key: sorted(frames) for key, frames in found.items()} == {
        ("cat", "a"): [1, 3],
        ("cat", "b"): [1],
        ("dog", "0"): [0, 2],
        ("run", "1"): [0],
        ("run", "2"): [0, 2],
    }
    assert skipped == {
        "line is not a box": 1,
        "confidence is 0": 1,
    }


def test_a_video_that_ends_before_what_it_claims(folder_tree, monkeypatch):
    """It claims 10 frames and has 5: the box of frame 9 is left out and counted."""
    claimed = property(lambda self: 10, lambda self, value: None)
    monkeypatch.setattr("siamjax.media.decoder.Decoder.announced", claimed, raising=False)
    with (folder_tree / "cat.csv").open("a") as file:
        file.write("9,a,5,5,20,20\n")
    found, skipped = crops(folder.Folder(folder_tree))
    assert sorted(found["cat", "a"]) == [1, 3]
    assert skipped["image is unreadable"] == 1


def test_folder_with_another_number_of_rows(folder_tree):
    """Before: row 4 of 3 frames was counted as a missing image, and a row too few as nothing."""
    for rows, count in (("5,5,20,20\n" * 4, 4), ("5,5,20,20\n" * 2, 2)):
        (folder_tree / "dog.txt").write_text(rows)
        with pytest.raises(UserError, match=rf"dog\.txt: {count} rows for 3 images in .*dog;"):
            list(folder.Folder(folder_tree).videos())


def test_folder_reads_mot_from_1(folder_tree):
    """Before: `python -m data_prep folder` took the box of a .mot one pixel too far to the lower
    right: 5,5,25,25 for the first of run.mot."""
    reader = folder.Folder(folder_tree)
    (video,) = (video for video in reader.videos() if video.name == "run")
    assert next(reader.targets(video, Counter())).box == (4, 4, 24, 24)


def test_folder_reads_the_right_frame_of_a_video(folder_tree):
    reader = folder.Folder(folder_tree)
    video = next(reader.videos())
    for target, image in reader.frames(video, reader.targets(video, Counter())):
        assert image.mean() == pytest.approx(40 * target.frame, abs=3)


def test_a_crop_shows_the_object(coco_tree):
    """The centre of the crop has the colour of the middle of the box."""
    reader = coco.Coco(coco_tree)
    video = next(reader.videos())
    image = source.read_image(coco_tree / "train2017/000000000001.jpg")
    record = next(iter(video_crops(reader, video, Options(), Counter())))
    crop = jpeg.decode(record.image)
    np.testing.assert_allclose(crop[255, 255].astype(int), image[20, 20].astype(int), atol=12)


@pytest.mark.parametrize(
    "reader, tree, image, covered",
    [
        # COCO's 10, 5, 20, 30 ends where pixel 29 ends, VID's 5..25 on pixel 25 itself
        (coco.Coco, "coco_tree", "train2017/000000000001.jpg", (10, 30, 5, 35)),
        (vid.Vid, "vid_tree", "Data/VID/train/a/one/000000.JPEG", (5, 26, 5, 36)),
        (det.Det, "det_tree", "Data/DET/train/ILSVRC2013_train/n01/n01_1.JPEG", (5, 26, 5, 36)),
    ],
)
def test_the_covered_pixels_are_in_the_middle_of_the_crop(reader, tree, image, covered, request):
    """To a tenth of a pixel of the image, of which a crop has 2.5 px each."""
    root = request.getfixturevalue(tree)
    left, right, top, bottom = covered
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    # read by its content, not by its name; without loss, for sharp edges
    (root / image).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    reader = reader(root)
    videos = (video for video in reader.videos() if next(reader.targets(video, Counter()), None))
    record = next(video_crops(reader, next(videos), Options(jpeg_quality=100), Counter()))
    rows, columns = np.nonzero(jpeg.decode(record.image)[..., 0] > 127)
    assert rows.mean() == pytest.approx(255, abs=0.25)
    assert columns.mean() == pytest.approx(255, abs=0.25)


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_a_damaged_image_is_counted(coco_tree, damage):
    path = coco_tree / "train2017/000000000001.jpg"
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "text": b"hello"}[damage])
    found, skipped = crops(coco.Coco(coco_tree))
    assert len(found) == 1
    assert skipped["image is unreadable"] == 2


def test_two_boxes_of_a_track_in_one_frame(vid_tree):
    path = vid_tree / "Annotations/VID/train/a/one/000000.xml"
    path.write_text(xml((0, 5, 5, 25, 35), (0, 6, 6, 26, 36)))
    found, skipped = crops(vid.Vid(vid_tree))
    assert found["a/one", "0"][0] == (20, 30)
    assert skipped["two boxes of a track in one frame"] == 1


@pytest.mark.parametrize(
    "box, fault",
    [
        ((0, 0, 10, 10), None),
        ((-5, -5, 1, 1), None),
        ((math.nan, 0, 10, 10), "box is not a number"),
        ((0, 0, math.inf, 10), "box is not a number"),
        ((10, 0, 0, 10), "box is inverted"),
        ((0, 10, 10, 0), "box is inverted"),
        ((5, 0, 5, 10), "box is empty"),
        ((0, 0, 1, 10), "box is one pixel wide or high"),
        ((0, 0, 10, 1), "box is one pixel wide or high"),
        ((64, 0, 74, 10), "box is outside of the image"),
        ((0, 48, 10, 58), "box is outside of the image"),
        ((-10, 0, 0, 10), "box is outside of the image"),
        ((63, 47, 74, 58), None),
        ((0, 0, 640, 480), None),
        ((0, 0, 640.5, 48), "box is over 10 times the image"),
        ((-1e300, 0, 1e300, 48), "box is over 10 times the image"),
    ],
)
def test_box_faults(box, fault):
    assert source.box_fault(box, 64, 48) == fault


def test_numbers_of_any_separator(tmp_path):
    write_text(tmp_path / "n", "1,2,3,4\n5 6 7 8\n\n1\t2\t3\t4.5\n1,2,3\nx,2,3,4\n")
    rows = source.read_numbers(tmp_path / "n", 4)
    np.testing.assert_array_equal(rows[[0, 1, 3]], [[1, 2, 3, 4], [5, 6, 7, 8], [1, 2, 3, 4.5]])
    assert np.isnan(rows[[2, 4]]).all()  # an empty row, and one of another length
    np.testing.assert_array_equal(rows[5], [math.nan, 2, 3, 4])
    assert source.read_numbers(tmp_path / "missing", 4).shape == (0, 4)


SOURCES = [
    coco.Coco,
    det.Det,
    vid.Vid,
    youtubebb.Youtubebb,
    got10k.Got10k,
    lasot.Lasot,
    trackingnet.Trackingnet,
    folder.Folder,
]


@pytest.mark.parametrize("kind", SOURCES, ids=lambda kind: kind.name)
def test_a_folder_without_the_layout(tmp_path, kind):
    with pytest.raises(UserError, match="no such folder; expected"):
        kind(tmp_path / "nowhere")
    with pytest.raises(UserError, match="; expected"):
        list(kind(tmp_path).first_videos())


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}', '{"images": [{"id": 1}]}'])
def test_coco_with_another_json(coco_tree, text):
    (coco_tree / "annotations/instances_train2017.json").write_text(text)
    with pytest.raises(UserError, match=r"instances_train2017\.json: not"):
        list(coco.Coco(coco_tree).videos())


def test_youtubebb_with_wrong_fields(youtubebb_tree):
    path = youtubebb_tree / "yt_bb_detection_train.csv"
    path.write_text(path.read_text() + "a,b,c\n")
    with pytest.raises(UserError, match="line 8: 3 fields, not the 10"):
        list(youtubebb.Youtubebb(youtubebb_tree).videos())


def test_folder_with_wrong_header(folder_tree):
    (folder_tree / "cat.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"cat\.csv:2: 2 numbers where 4 are expected"):
        list(folder.Folder(folder_tree).videos())


def test_folder_without_the_video(folder_tree):
    (folder_tree / "cat.avi").unlink()
    with pytest.raises(UserError, match="boxes of a video cat, but there is nothing"):
        list(folder.Folder(folder_tree).videos())


def test_check_says_what_is_missing_and_surplus(coco_tree):
    before = sorted(coco_tree.rglob("*"))
    report = "\n".join(check(coco.Coco(coco_tree)))
    assert "images: 4 (official release: 118287)" in report
    assert "would be skipped, crowd: 1" in report
    assert "missing images: 1, the first: train2017/000000000004.jpg" in report
    assert "images without a box: 2, the first: train2017/000000000003.jpg" in report
    assert sorted(coco_tree.rglob("*")) == before


def test_check_of_a_whole_tree(det_tree):
    (det_tree / "Annotations/DET/train/ILSVRC2014_train_0000/x_3.xml").unlink()
    (det_tree / "Data/DET/train/ILSVRC2014_train_0000/x_3.JPEG").unlink()
    report = check(det.Det(det_tree))
    assert report[-1] == "  nothing is missing"
    assert "  boxes: 3" in report


@pytest.mark.reference
@pytest.mark.parametrize(
    "kind, path, expected",
    [
        (coco.Coco, "coco", {"videos: 128", "boxes: 929", "would be skipped, crowd: 10"}),
        (vid.Vid, "vid/ILSVRC2015", {"videos: 5", "images: 1000", "boxes: 1000"}),
        (det.Det, "det/ILSVRC2015", {"images: 65", "boxes: 65"}),
        # 9 YouTube ids, one of them with two tracks
        (youtubebb.Youtubebb, "ytbb", {"tracks: 10", "boxes: 653", "would be skipped, absent: 1"}),
        (got10k.Got10k, "got10k", {"videos: 20", "images: 690", "boxes: 690"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_real_sets_have_their_counts(reference, kind, path, expected):
    report = check(kind(reference / "data/train" / path))
    found = {line.strip().split(" (official")[0] for line in report}
    assert expected <= found
