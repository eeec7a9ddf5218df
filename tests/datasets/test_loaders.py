"""Every loader on a small tree in the true layout, and on wrong files."""

import json

import numpy as np
import pytest

from siamjax.datasets import lasot, registry, uav123
from siamjax.errors import UserError

POLYGON = "1,2,11,2,11,12,1,12\n"


# --- VOT


def make_vot(root, write_images, name="bag", count=3, truth=POLYGON * 3, folder="color"):
    write_images(root / name / folder, range(1, count + 1), "{:08d}.jpg")
    (root / name / "groundtruth.txt").write_text(truth)
    return root / name


def test_vot_plain_layout(tmp_path, write_images):
    folder = make_vot(tmp_path, write_images)
    make_vot(tmp_path, write_images, "older", folder=".")
    (tmp_path / "list.txt").write_text("bag\nolder\nants1\n")
    (folder / "occlusion.tag").write_text("0\n1\n")  # one row short: 0
    (folder / "sequence").write_text("name=bag\nwidth=640\nheight=480\n")
    (folder / "anchor.value").write_text("1\n0\n-1\n")
    benchmark = registry.load("vot2018", tmp_path)
    assert [s.name for s in benchmark.sequences] == ["bag", "older"]
    assert benchmark.count == "2 of 60 sequences"
    assert "ants1" in benchmark.left_out
    bag, older = benchmark.sequences
    assert bag.groundtruth.shape == (3, 8)
    assert bag.tags["occlusion"].tolist() == [False, True, False]
    assert bag.anchors.tolist() == [1, 0, -1]
    assert bag.size == (640, 480)
    assert older.size == (32, 24)
    np.testing.assert_allclose(bag.boxes[0], [0.5, 1.5, 11, 11])


def test_vot_mixed_rows_become_polygons(tmp_path, write_images):
    make_vot(tmp_path, write_images, truth=POLYGON + "3,4,10,5\n" + POLYGON)
    (bag,) = registry.load("VOT2016", tmp_path).sequences
    np.testing.assert_array_equal(bag.groundtruth[1], [3, 4, 12, 4, 12, 8, 3, 8])


@pytest.mark.parametrize(
    "truth, message",
    [
        (POLYGON * 2, "2 rows for 3 images"),
        (POLYGON * 4, "4 rows for 3 images"),
        (POLYGON * 2 + "1,2,3\n", r"groundtruth\.txt:3: 3 numbers"),
        ("", "empty"),
    ],
)
def test_vot_wrong_ground_truth_is_named(tmp_path, write_images, truth, message):
    make_vot(tmp_path, write_images, truth=truth)
    with pytest.raises(UserError, match=message):
        registry.load("VOT2018", tmp_path)


def test_vot_missing_frame_is_named(tmp_path, write_images):
    folder = make_vot(tmp_path, write_images)
    (folder / "color/00000002.jpg").unlink()
    with pytest.raises(UserError, match=r"frame number 2 of 1\.\.3 is missing"):
        registry.load("VOT2018", tmp_path)


def test_vot_annotation_file(tmp_path, write_images):
    make_vot(tmp_path, write_images)
    video = {
        "video_dir": "bag",
        "init_rect": [1, 2, 11, 2, 11, 12, 1, 12],
        "img_names": [f"bag/color/{i:08d}.jpg" for i in (1, 2, 3)],
        "gt_rect": [[1, 2, 11, 2, 11, 12, 1, 12]] * 3,
        "camera_motion": [0, 1, 1],
        "occlusion": [],
        "width": 32,
        "height": 24,
    }
    (tmp_path / "VOT2019.json").write_text(json.dumps({"bag": video}))
    (bag,) = registry.load("VOT2019", tmp_path).sequences
    assert bag.tags["camera_motion"].tolist() == [False, True, True]
    assert not bag.tags["occlusion"].any()
    assert bag.frames[2].shape == (24, 32, 3)
    video["img_names"].pop()
    (tmp_path / "VOT2019.json").write_text(json.dumps({"bag": video}))
    with pytest.raises(UserError, match="3 boxes for 2 images"):
        registry.load("VOT2019", tmp_path)


def test_a_broken_annotation_file_is_named(tmp_path):
    (tmp_path / "VOT2019.json").write_text('{"bag": ')
    with pytest.raises(UserError, match=r"VOT2019\.json: not a readable JSON file"):
        registry.load("VOT2019", tmp_path)


def test_vot_longterm_rows_of_nan_are_absent(tmp_path, write_images):
    make_vot(tmp_path, write_images, truth="1,2,10,10\nnan,nan,nan,nan\n1,2,10,10\n")
    (bag,) = registry.load("VOT2018-LT", tmp_path).sequences
    assert bag.absent.tolist() == [False, True, False]


# --- UAV123


def test_uav123_parts_start_inside_their_video(tmp_path, write_images, rows, boxes):
    write_images(tmp_path / "data_seq/UAV123/car6", range(485, 495), "{:06d}.jpg")
    write_images(tmp_path / "data_seq/UAV123/bike1", range(1, 4), "{:06d}.jpg")
    anno = tmp_path / "anno/UAV123"
    (anno / "att").mkdir(parents=True)
    (anno / "car6_2.txt").write_text(rows(boxes(4)) + "NaN,NaN,NaN,NaN\n")
    (anno / "att/car6_2.txt").write_text("1,0,0,0,0,0,0,0,0,0,1,0\n")
    (anno / "bike1.txt").write_text(rows(boxes(3)))
    benchmark = registry.load("UAV123", tmp_path)
    bike, car = benchmark.sequences
    assert [path.name for path in car.frames.paths][::4] == ["000487.jpg", "000491.jpg"]
    assert car.attributes == ("SV", "CM")
    assert np.isnan(car.boxes[4]).all()
    np.testing.assert_array_equal(bike.boxes[0], [4, 5, 10, 8])
    assert len(uav123._FIRST_IMAGE) == 32


def test_uav20l_has_its_own_boxes(tmp_path, write_images, rows, boxes):
    write_images(tmp_path / "data_seq/UAV123/car6", range(1, 7), "{:06d}.jpg")
    (tmp_path / "anno/UAV20L").mkdir(parents=True)
    (tmp_path / "anno/UAV20L/car6.txt").write_text(rows(boxes(6)))
    benchmark = registry.load("UAV20L", tmp_path)
    assert benchmark.count == "1 of 20 sequences"
    assert len(benchmark.sequences[0]) == 6


# --- LaSOT


@pytest.mark.parametrize("nested", [True, False])
def test_lasot(tmp_path, write_images, rows, boxes, nested):
    folder = tmp_path / ("airplane/airplane-1" if nested else "airplane-1")
    write_images(folder / "img", range(1, 5), "{:08d}.jpg")
    (folder / "groundtruth.txt").write_text(rows(boxes(4)))
    (folder / "full_occlusion.txt").write_text("0,0,1,0\n")
    (folder / "out_of_view.txt").write_text("0,1,0,0\n")
    (airplane,) = registry.load("LaSOT", tmp_path).sequences
    assert airplane.absent.tolist() == [False, True, True, False]
    np.testing.assert_array_equal(airplane.boxes, boxes(4))
    (folder / "out_of_view.txt").write_text("0,1\n")
    with pytest.raises(UserError, match="2 values for 4 frames"):
        registry.load("LaSOT", tmp_path)


def test_lasot_list_has_280_names():
    assert len(set(lasot.TEST_NAMES)) == 280


# --- TrackingNet


def test_trackingnet(tmp_path, write_images):
    write_images(tmp_path / "TEST/frames/abc", range(12), "{:d}.jpg")
    (tmp_path / "TEST/anno").mkdir()
    (tmp_path / "TEST/anno/abc.txt").write_text("1,2,10,8\n")
    (video,) = registry.load("TrackingNet", tmp_path).sequences
    assert [path.name for path in video.frames.paths][9:] == ["9.jpg", "10.jpg", "11.jpg"]
    assert video.boxes.shape == (1, 4)
    (tmp_path / "TEST/frames/abc/5.jpg").unlink()
    with pytest.raises(UserError, match="gap"):
        registry.load("TrackingNet", tmp_path)


# --- GOT-10k


def test_got10k(tmp_path, write_images, rows, boxes):
    for split, name in (("val", "GOT-10k_Val_000001"), ("test", "GOT-10k_Test_000001")):
        folder = write_images(tmp_path / split / name, range(1, 4), "{:08d}.jpg")
        (folder / "groundtruth.txt").write_text(rows(boxes(3 if split == "val" else 1)))
        (folder / "meta_info.ini").write_text("[METAINFO]\nresolution: (1920, 1080)\n")
    (tmp_path / "val/GOT-10k_Val_000001/cover.label").write_text("8\n0\n3\n")
    (val,) = registry.load("GOT-10k-val", tmp_path).sequences
    assert val.absent.tolist() == [False, True, False]
    assert val.size == (1920, 1080)
    folder = tmp_path / "val/GOT-10k_Val_000001"  # of two frames it says so, too
    (folder / "00000003.jpg").unlink()
    (folder / "groundtruth.txt").write_text(rows(boxes(2)))
    (folder / "cover.label").write_text("8\n0\n")
    (val,) = registry.load("GOT-10k-val", tmp_path).sequences
    assert val.absent.tolist() == [False, True]
    (test,) = registry.load("got10k-test", tmp_path).sequences
    assert len(test) == 3
    assert test.boxes.shape == (1, 4)


# --- NFS


def nfs_rows(count):
    return "".join(f'0 {i} 10 {i + 20} 40 {i} {int(i == 8)} 0 0 "ball"\n' for i in range(count))


def test_nfs_at_30_takes_every_eighth_row(tmp_path, write_images):
    write_images(tmp_path / "ball/30/ball", range(1, 4), "{:05d}.jpg")
    (tmp_path / "ball/30/ball.txt").write_text(nfs_rows(20))
    (ball,) = registry.load("NFS30", tmp_path).sequences
    np.testing.assert_array_equal(ball.boxes, [[0, 10, 20, 30], [8, 10, 20, 30], [16, 10, 20, 30]])
    assert ball.tags["lost"].tolist() == [False, True, False]


def test_nfs_at_240(tmp_path, write_images):
    write_images(tmp_path / "ball/240/ball", range(1, 11), "{:05d}.jpg")
    (tmp_path / "ball/240/ball.txt").write_text(nfs_rows(10))
    assert len(registry.load("NFS240", tmp_path).sequences[0]) == 10
    (tmp_path / "ball/240/ball.txt").write_text(nfs_rows(7))
    with pytest.raises(UserError, match="boxes for 7 frames, 10 images"):
        registry.load("NFS240", tmp_path)
    (tmp_path / "ball/240/ball.txt").write_text("0 1 2\n")
    with pytest.raises(UserError, match=r"ball\.txt:1: expected"):
        registry.load("NFS240", tmp_path)


# --- DTB70


def test_dtb70(tmp_path, write_images, rows, boxes):
    write_images(tmp_path / "Animal1/img", range(1, 4), "{:05d}.jpg")
    (tmp_path / "Animal1/groundtruth_rect.txt").write_text(rows(boxes(3)))
    (animal,) = registry.load("DTB70", tmp_path).sequences
    np.testing.assert_array_equal(animal.boxes[0], [4, 5, 10, 8])
    assert animal.base == 1


# --- all


@pytest.mark.parametrize("name", sorted(set(registry.datasets()) - {"synthetic", "folder"}))
def test_every_benchmark_says_what_it_needs(tmp_path, name):
    with pytest.raises(UserError) as caught:
        registry.load(name, tmp_path)
    assert "http" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.reference
def test_the_real_vot_sequence(reference):
    (bag,) = registry.load("VOT2018", reference / "data/eval/VOT2018").sequences
    assert bag.groundtruth.shape == (196, 8)
    assert bag.size == (480, 360)
    assert set(bag.tags) == {
        "camera_motion",
        "illum_change",
        "motion_change",
        "occlusion",
        "size_change",
    }
