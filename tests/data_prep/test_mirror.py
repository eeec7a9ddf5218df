"""Mirrored material gives mirrored crops: no source reads its boxes half a pixel off.

Each writer below puts one image with one target into the layout of a source, by that set's own
convention of what a box counts. Written again with image and box mirrored, the crop must be the
mirrored crop: where a reader is off by d px, the two differ by a shift of 2 d px of the image.
"""

import json
from collections import Counter

import cv2
import numpy as np
import pytest

from data_prep import source as source_lib
from data_prep.__main__ import SOURCES
from data_prep.coco import Coco
from data_prep.davis import Davis
from data_prep.det import Det
from data_prep.folder import Folder
from data_prep.got10k import Got10k
from data_prep.lasot import Lasot
from data_prep.mot import Mot
from data_prep.parts import Options, video_crops
from data_prep.trackingnet import Trackingnet
from data_prep.vid import Vid
from data_prep.yolo import Yolo
from data_prep.youtubebb import Youtubebb
from siamjax.data import jpeg

from .conftest import write_text, xml

WIDTH, HEIGHT = 90, 70
BOX = (17, 21, 48, 41)  # the target covers columns 17 to 47 and rows 21 to 40, counted from 0


def put(path, image):
    """Without loss, whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def row(box, first=0):
    """left, top, width, height; `first` is the number of the first pixel."""
    x1, y1, x2, y2 = box
    return f"{x1 + first},{y1 + first},{x2 - x1},{y2 - y1}\n"


def pixels(box):
    """The first and the last pixel of each side, as ILSVRC names them."""
    x1, y1, x2, y2 = box
    return x1, y1, x2 - 1, y2 - 1


def coco(root, image, box):
    put(root / "train2017/1.jpg", image)
    x1, y1, x2, y2 = box
    one = {"id": 1, "image_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
    content = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [one]}
    write_text(root / "annotations/instances_train2017.json", json.dumps(content))
    return Coco(root)


def det(root, image, box):
    put(root / "Data/DET/train/a/1.JPEG", image)
    write_text(root / "Annotations/DET/train/a/1.xml", xml((None, *pixels(box))))
    return Det(root)


def vid(root, image, box):
    put(root / "Data/VID/train/a/one/000000.JPEG", image)
    write_text(root / "Annotations/VID/train/a/one/000000.xml", xml((0, *pixels(box))))
    return Vid(root)


def youtubebb(root, image, box):
    x1, y1, x2, y2 = (v / s for v, s in zip(box, (WIDTH, HEIGHT) * 2))
    line = f"id,0,3,cat,0,present,{x1},{x2},{y1},{y2}\n"
    write_text(root / "yt_bb_detection_train.csv", line)
    put(root / "yt_bb_detection_train/3/id_0_3_0.jpg", image)
    return Youtubebb(root)


def got10k(root, image, box):
    put(root / "train/GOT-10k_Train_000001/00000001.jpg", image)
    write_text(root / "train/GOT-10k_Train_000001/groundtruth.txt", row(box))
    return Got10k(root)


def lasot(root, image, box):
    put(root / "cat/cat-1/img/00000001.jpg", image)
    write_text(root / "cat/cat-1/groundtruth.txt", row(box, first=1))
    return Lasot(root)


def trackingnet(root, image, box):
    put(root / "TRAIN_0/frames/a/0.jpg", image)
    write_text(root / "TRAIN_0/anno/a.txt", row(box))
    return Trackingnet(root)


def davis(root, image, box):
    put(root / "JPEGImages/480p/bear/00000.jpg", image)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 255
    put(root / "Annotations/480p/bear/00000.png", mask)
    return Davis(root)


def mot(root, image, box):
    put(root / "train/one/img1/000001.jpg", image)
    write_text(root / "train/one/gt/gt.txt", f"1,1,{row(box, first=1).strip()},1,1,1\n")
    size = f"seqLength=1\nimWidth={WIDTH}\nimHeight={HEIGHT}\nimDir=img1\nimExt=.jpg\n"
    write_text(root / "train/one/seqinfo.ini", f"[Sequence]\nname=one\nframeRate=10\n{size}")
    return Mot(root)


def yolo(root, image, box):
    put(root / "images/train/1.jpg", image)
    x1, y1, x2, y2 = (v / s for v, s in zip(box, (WIDTH, HEIGHT) * 2))
    line = f"0 {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n"
    write_text(root / "labels/train/1.txt", line)
    write_text(root / "data.yaml", "path: .\ntrain: images/train\nnames:\n  0: player\n")
    return Yolo(root)


def folder(root, image, box):
    put(root / "cat/0001.jpg", image)
    write_text(root / "cat.txt", row(box))
    return Folder(root)


WRITERS = (coco, davis, det, folder, got10k, lasot, mot, trackingnet, vid, yolo, youtubebb)


def differences(tmp_path, write):
    """Between the mirrored crop and the crop of what was mirrored, grey levels of each pixel."""
    coarse = np.random.default_rng(3).integers(0, 256, (14, 18, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    x1, y1, x2, y2 = BOX
    crops = []
    for name, shown, box in (
        ("plain", image, BOX),
        ("mirrored", image[:, ::-1], (WIDTH - x2, y1, WIDTH - x1, y2)),
        ("upside_down", image[::-1], (x1, HEIGHT - y2, x2, HEIGHT - y1)),
    ):
        reader = write(tmp_path / name, np.ascontiguousarray(shown), box)
        (video,) = reader.videos()
        (record,) = video_crops(reader, video, Options(jpeg_quality=100), Counter())
        crops.append(jpeg.decode(record.image).astype(int))
    plain, mirrored, upside_down = crops
    return np.stack([np.abs(plain[:, ::-1] - mirrored), np.abs(plain[::-1] - upside_down)])


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_mirrored_material_gives_mirrored_crops(tmp_path, write):
    assert np.percentile(differences(tmp_path, write), 99.9) <= 6


def test_half_a_pixel_would_be_seen(tmp_path, monkeypatch):
    def shifted(self, video, targets):
        moved = (t._replace(box=tuple(np.add(t.box, 0.25).tolist())) for t in targets)
        return source_lib.Source.frames(self, video, moved)

    monkeypatch.setattr(Coco, "frames", shifted)
    assert np.percentile(differences(tmp_path, coco), 99.9) > 12  # of a quarter already


def test_every_source_is_here():
    """But those that paint their frames, whose tests hold the painting to the boxes."""
    assert {write.__name__ for write in WRITERS} == SOURCES.keys() - {"composite", "synthetic"}
