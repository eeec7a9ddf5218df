"""Sources in formats of labels; the sets of the reference data are counted without the readers."""

import json
from collections import Counter

import cv2
import numpy as np
import pytest

from data_prep import coco, command, davis, folder, got10k, mot, yolo
from data_prep.source import box_fault
from siamjax.data import shards
from siamjax.data.index import Index
from siamjax.errors import UserError

from .conftest import write_text

SETS = {
    "davis": davis.Davis,
    "mot15": mot.Mot,
    "yolo": yolo.Yolo,
    "coco_animals": coco.Coco,
    "got10k_more": got10k.Got10k,
}


def count_davis(root):
    folders = sorted((root / "Annotations/480p").iterdir())
    masks = [cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for f in folders for p in f.glob("*.png")]
    return len(folders), len(folders), sum(bool(mask.any()) for mask in masks)


def count_mot15(root):
    lines = [
        (path.parts[-3], *line.split(","))
        for path in root.glob("train/*/gt/gt.txt")
        for line in path.read_text().splitlines()
    ]
    kept = [line for line in lines if float(line[7]) != 0]
    return len({line[0] for line in kept}), len({(line[0], line[2]) for line in kept}), len(kept)


def count_yolo(root):
    """One box is one pixel wide."""
    lines = [p.read_text().splitlines() for p in root.glob("labels/*/*.txt")]
    return len(lines), sum(map(len, lines)) - 1, sum(map(len, lines)) - 1


def count_coco_animals(root):
    (path,) = (root / "annotations").glob("*.json")
    boxes = json.loads(path.read_text())["annotations"]
    return len({a["image_id"] for a in boxes}), len(boxes), len(boxes)


def count_got10k_more(root):
    folders = [path.parent for path in root.glob("train/*/groundtruth.txt")]
    seen = 0
    for place in folders:
        absent, cover = (np.loadtxt(place / name) for name in ("absence.label", "cover.label"))
        seen += int(((absent != 1) & (cover != 0)).sum())
    return len(folders), len(folders), seen


def counted(source):
    """What the source gives: videos, tracks and boxes that can become crops."""
    skipped = Counter()
    keys = [
        (video.name, target.track)
        for video in source.videos()
        for target in source.targets(video, skipped)
        if box_fault(target.box) is None
    ]
    return len({name for name, _ in keys}), len(set(keys)), len(keys)


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("name", SETS)
def test_sets_become_shards(reference, tmp_path, name):
    root = reference / "data/train" / name
    expected = globals()[f"count_{name}"](root)
    assert counted(SETS[name](root)) == expected
    command.main(SETS[name], [f"--source={root}", f"--out={tmp_path / 'out'}", "--workers=1"])
    index = Index(tmp_path / "out")
    assert (index.videos, index.tracks, index.crops) == expected
    assert shards.verify(tmp_path / "out") == []


@pytest.mark.reference
def test_boxes_of_a_real_sequence(reference):
    """The first lines of TUD-Campus's gt.txt, which counts px from 1."""
    source = mot.Mot(reference / "data/train/mot15")
    (video,) = (video for video in source.videos() if video.name == "TUD-Campus")
    targets = list(source.targets(video, Counter()))
    assert targets[0].track == "1"
    assert targets[0].box == (398, 181, 398 + 121, 181 + 229)
    assert targets[0].image == "train/TUD-Campus/img1/000001.jpg"


@pytest.mark.slow
@pytest.mark.reference
def test_a_mask_covers_its_box(reference):
    source = davis.Davis(reference / "data/train/davis")
    video = next(source.videos())
    target = next(source.targets(video, Counter()))
    path = source.root / target.image.replace("JPEGImages", "Annotations").replace(".jpg", ".png")
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    x1, y1, x2, y2 = map(int, target.box)
    assert mask.any()
    for edge in (mask[y1, :], mask[y2 - 1, :], mask[:, x1], mask[:, x2 - 1]):
        assert edge.any()
    mask[y1:y2, x1:x2] = 0
    assert not mask.any()


def test_lost_boxes_are_no_examples(tmp_path):
    """Results of `siamjax track --csv` as labels: where the tracker had lost the target, none."""
    (tmp_path / "v").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "v" / f"{i}.png"), np.zeros((48, 64, 3), np.uint8))
    head = "frame,target,x,y,w,h,score,second_peak,lost\n"
    write_text(tmp_path / "v.csv", head + "0,0,1,2,30,40,1,0,0\n1,0,1,2,30,40,0.1,0,1\n")
    source = folder.Folder(tmp_path)
    (video,) = source.videos()
    skipped = Counter()
    assert [t.frame for t in source.targets(video, skipped)] == [0]
    assert skipped == {"target is lost": 1}


def test_changed_labels_are_another_set(folder_tree, tmp_path):
    out = [f"--source={folder_tree}", f"--out={tmp_path / 'out'}", "--crop=31", "--exemplar=7"]
    command.main(folder.Folder, out)
    write_text(folder_tree / "dog.txt", "5,5,20,20\nNaN,NaN,NaN,NaN\n6.5,5,20,20\n")
    with pytest.raises(UserError, match="was prepared from another source"):
        command.main(folder.Folder, out)


def test_tracks_of_one_name_stay_two(tmp_path):
    (tmp_path / "v").mkdir()
    cv2.imwrite(str(tmp_path / "v" / "0.png"), np.zeros((48, 64, 3), np.uint8))
    rows = "0,a,1,2,30,40,Bo\n0,b,9,2,30,40,Bo\n0,c,9,9,30,30,\n"
    write_text(tmp_path / "v.csv", "frame,target,x,y,w,h,name\n" + rows)
    source = folder.Folder(tmp_path)
    (video,) = source.videos()
    tracks = [target.track for target in source.targets(video, Counter())]
    assert tracks == ["Bo (a)", "Bo (b)", "c"]


def test_a_misspelt_flag_is_named(folder_tree, tmp_path):
    """Before: it went to Beam, whose absence was all that was said, or which took no notice."""
    flags = [f"--source={folder_tree}", f"--out={tmp_path / 'out'}", "--jpeg_qualty=80"]
    with pytest.raises(
        UserError, match="unknown argument --jpeg_qualty=80; did you mean --jpeg_qua"
    ):
        command.main(folder.Folder, flags)
    assert not (tmp_path / "out").exists()
