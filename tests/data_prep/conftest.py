"""Small trees in the true layouts of the sources, with the defects that real ones have."""

import json

import cv2
import numpy as np
import pytest


def save_image(path, key=0, size=(64, 48)):
    """A smooth random image of (width, height), determined by a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(key).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def xml(*objects):
    """An ILSVRC annotation; an object is (trackid or None, xmin, ymin, xmax, ymax)."""
    lines = ["<annotation><size><width>64</width><height>48</height></size>"]
    for track, *box in objects:
        sides = zip(("xmin", "ymin", "xmax", "ymax"), box)
        lines.append("<object>")
        lines += [] if track is None else [f"<trackid>{track}</trackid>"]
        lines.append("<bndbox>" + "".join(f"<{k}>{v}</{k}>" for k, v in sides) + "</bndbox>")
        lines.append("<occluded>0</occluded></object>")
    return "".join([*lines, "</annotation>"])


@pytest.fixture
def coco_tree(tmp_path):
    """4 images: two objects and a crowd; a bad box of each kind; no object; a lost image."""
    root = tmp_path / "coco"
    for i in (1, 2, 3):
        save_image(root / f"train2017/{i:012d}.jpg", i)
    save_image(root / "train2017/000000000099.jpg", 99)
    boxes = [
        (1, 0, [10, 5, 20, 30]),
        (1, 0, [30, 20.5, 12.25, 9]),
        (1, 1, [0, 0, 64, 48]),
        (2, 0, [5, 5, 0, 10]),
        (2, 0, [5, 5, 10, -3]),
        (2, 0, [5, 5, 1, 10]),
        (2, 0, [500, 5, 10, 10]),
        (2, 0, ["x", 5, 10, 10]),
        (2, 0, [5, float("nan"), 10, 10]),
        (2, 0, [50, 40, 30, 30]),
        (4, 0, [5, 5, 10, 10]),
    ]
    content = {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg"} for i in (1, 2, 3, 4)],
        "annotations": [
            {"id": 100 + n, "image_id": image, "iscrowd": crowd, "bbox": box}
            for n, (image, crowd, box) in enumerate(boxes)
        ],
    }
    write_text(root / "annotations/instances_train2017.json", json.dumps(content))
    return root


@pytest.fixture
def composite_tree(tmp_path):
    """3 images with an object each that can be cut out, and others that are small, cut off or a
    crowd."""
    root = tmp_path / "coco"
    for i in (1, 2, 3):
        save_image(root / f"train2017/{i:012d}.jpg", i, (200, 160))
    square = [40, 30, 90, 35, 85, 95, 45, 90]
    objects = [
        (1, 0, 7, [square], [40, 30, 50, 65]),
        (2, 0, 7, [square], [40, 30, 50, 65]),
        (3, 0, 8, [square, [20, 20, 40, 25, 30, 40]], [20, 20, 70, 75]),
        (1, 0, 7, [[50, 50, 60, 50, 60, 80]], [50, 50, 10, 30]),
        (2, 0, 7, [[0, 50, 60, 50, 60, 80]], [0, 50, 60, 30]),
        (3, 1, 7, {"counts": [], "size": [160, 200]}, [50, 50, 60, 60]),
    ]
    content = {
        "images": [
            {"id": i, "file_name": f"{i:012d}.jpg", "width": 200, "height": 160} for i in (1, 2, 3)
        ],
        "annotations": [
            {
                "id": 100 + n,
                "image_id": image,
                "iscrowd": crowd,
                "category_id": category,
                "segmentation": outline,
                "bbox": box,
            }
            for n, (image, crowd, category, outline, box) in enumerate(objects)
        ],
    }
    write_text(root / "annotations/instances_train2017.json", json.dumps(content))
    return root


@pytest.fixture
def vid_tree(tmp_path):
    """A video of two tracks with a gap in one; one whose annotations or frames are partly lost."""
    root = tmp_path / "ILSVRC2015"
    data, annotations = root / "Data/VID/train", root / "Annotations/VID/train"
    for frame in range(6):
        save_image(data / f"a/one/{frame:06d}.JPEG", frame)
        objects = [(0, 5, 5, 25, 35)] if frame not in (2, 3) else []
        objects += [(1, 30, 10, 50, 30)] if frame >= 4 else []
        write_text(annotations / f"a/one/{frame:06d}.xml", xml(*objects))
    for frame in range(3):
        save_image(data / f"b/two/{frame:06d}.JPEG", 10 + frame)
    write_text(annotations / "b/two/000000.xml", xml((7, 5, 5, 25, 35)))
    write_text(annotations / "b/two/000001.xml", "<annotation><object>")
    write_text(annotations / "b/two/000003.xml", xml((7, 5, 5, 25, 35)))
    write_text(annotations / "b/two/000004.xml", xml((7, "left", 5, 25, 35)))
    return root


@pytest.fixture
def det_tree(tmp_path):
    """Images in the two depths of the official folders."""
    root = tmp_path / "ILSVRC2015"
    for stem, objects in (
        ("ILSVRC2013_train/n01/n01_1", [(None, 5, 5, 25, 35), (None, 30, 5, 45, 25)]),
        ("ILSVRC2014_train_0000/x_2", [(None, 8, 8, 20, 20)]),
        ("ILSVRC2014_train_0000/x_3", []),
    ):
        save_image(root / f"Data/DET/train/{stem}.JPEG")
        write_text(root / f"Annotations/DET/train/{stem}.xml", xml(*objects))
    return root


@pytest.fixture
def youtubebb_tree(tmp_path):
    """Two videos; two objects of one class, an absent one, a fraction that is no number."""
    root = tmp_path / "ytbb"
    rows = [
        "id_-1,0,3,cat,0,present,0.25,0.5,0.25,0.75",
        "id_-1,1000,3,cat,0,present,0.25,0.75,0.25,0.75",
        "id_-1,2000,3,cat,0,absent,-1,-1,-1,-1",
        "id_-1,0,3,cat,1,present,0.5,0.9,0.1,0.5",
        "other,1000,5,dog,0,present,0.1,oops,0.1,0.9",
        "other,2000,5,dog,0,present,0.1,0.9,0.1,0.9",
        "other,10000,5,dog,0,present,0.2,0.9,0.1,0.9",
    ]
    write_text(root / "yt_bb_detection_train.csv", "\n".join(rows) + "\n")
    for i, name in enumerate(
        (
            "3/id_-1_0_3_0",
            "3/id_-1_1000_3_0",
            "3/id_-1_0_3_1",
            "5/other_2000_5_0",
            "5/other_10000_5_0",
        )
    ):
        save_image(root / f"yt_bb_detection_train/{name}.jpg", i)
    return root


def sequence(folder, count, first=1, digits=8, key=0):
    for i in range(count):
        save_image(folder / f"{i + first:0{digits}d}.jpg", key + i)


@pytest.fixture
def got10k_tree(tmp_path):
    """Two sequences: absent and covered frames; fewer boxes than frames."""
    root = tmp_path / "got10k"
    for name, boxes in (("GOT-10k_Train_000001", 5), ("GOT-10k_Train_000002", 2)):
        folder = root / "train" / name
        sequence(folder, 5 if boxes == 5 else 3)
        write_text(
            folder / "groundtruth.txt", "".join(f"{5 + i}.5,5,20,30\n" for i in range(boxes))
        )
    first = root / "train/GOT-10k_Train_000001"
    write_text(first / "absence.label", "0\n1\n0\n0\n0\n")
    write_text(first / "cover.label", "8\n8\n0\n1\n8\n")
    return root


@pytest.fixture
def lasot_tree(tmp_path):
    """Two sequences, one of the training set; occlusion and out of view."""
    root = tmp_path / "LaSOT"
    for name in ("cat-1", "cat-2"):
        folder = root / "cat" / name
        sequence(folder / "img", 5)
        write_text(folder / "groundtruth.txt", "".join(f"{6 + i},6,20,30\n" for i in range(5)))
        write_text(folder / "full_occlusion.txt", "0,0,1,0,0")
        write_text(folder / "out_of_view.txt", "0,0,0,1,0")
    write_text(root / "training_set.txt", "cat-2\n")
    return root


@pytest.fixture
def trackingnet_tree(tmp_path):
    """Two chunks; frames count from 0 and are not padded; one frame and one line are lost."""
    root = tmp_path / "TrackingNet"
    for chunk, name, count in ((0, "abc_0", 12), (3, "de-f_1", 3)):
        sequence(root / f"TRAIN_{chunk}/frames/{name}", count, first=0, digits=1)
        lines = [f"{i},5,20,30\n" for i in range(count)]
        write_text(
            root / f"TRAIN_{chunk}/anno/{name}.txt", "".join(lines[: 12 if chunk == 0 else 2])
        )
    (root / "TRAIN_0/frames/abc_0/7.jpg").unlink()
    return root


@pytest.fixture
def folder_tree(tmp_path):
    """A video file with a .csv, a folder of frames with a .txt, one with a .mot."""
    root = tmp_path / "mine"
    root.mkdir()
    writer = cv2.VideoWriter(str(root / "cat.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for i in range(5):
        writer.write(np.full((48, 64, 3), 40 * i, np.uint8))
    writer.release()
    rows = ["frame,track,left,top,width,height", "3,a,5,5,20,20", "1,a,4,5,20,20", "1,b,30,5,20,20"]
    write_text(root / "cat.csv", "\n".join([*rows, "x,a,5,5,20,20"]) + "\n")
    sequence(root / "dog", 3, digits=4, key=20)
    write_text(root / "dog.txt", "5,5,20,20\nNaN,NaN,NaN,NaN\n6,5,20,20\n")
    sequence(root / "run", 3, digits=6, key=40)
    rows = ["1,1,5,5,20,20,1,-1,-1", "1,2,25,5,20,20,1", "3,1,7,5,20,20,0", "3,2,27,5,20,20,1"]
    write_text(root / "run.mot", "\n".join(rows) + "\n")
    return root
