"""The bundled checkpoint's recipe as one command, on a few images and a tiny network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import siamjax
from siamjax.models import weights

from .test_mirror import BOX, coco, davis, det, got10k, mot, vid, yolo, youtubebb

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks/train_bundled.py"
FOLDERS = {
    "got10k": got10k,
    "got10k_more": got10k,
    "davis": davis,
    "vid/ILSVRC2015": vid,
    "ytbb": youtubebb,
    "mot15": mot,
    "coco": coco,
    "coco_animals": coco,
    "det/ILSVRC2015": det,
    "yolo": yolo,
}


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment},
    )


@pytest.fixture
def material(tmp_path):
    """One image with one target in each set; COCO's have outlines."""
    rng = np.random.default_rng(0)
    x1, y1, x2, y2 = BOX
    for folder, write in FOLDERS.items():
        coarse = rng.integers(0, 256, (14, 18, 3)).astype(np.uint8)
        write(tmp_path / "material" / folder, cv2.resize(coarse, (90, 70)), BOX)
        path = tmp_path / "material" / folder / "annotations/instances_train2017.json"
        if path.is_file():
            content = json.loads(path.read_text())
            content["images"][0] |= {"width": 90, "height": 70}
            outline = [[x1, y1, x2, y1, x2, y2, x1, y2]]
            content["annotations"][0] |= {"category_id": 1, "segmentation": outline}
            path.write_text(json.dumps(content))
    return tmp_path / "material"


@pytest.mark.slow
@pytest.mark.reference
def test_pack_and_train(material, reference, tmp_path):
    backbone = reference / "data/weights/nanotrackv3_backbone.npz"
    packed = f"--pack={tmp_path / 'pack'}"
    pack = (packed, f"--material={material}", f"--backbone={backbone}")
    done = run(*pack)
    assert done.returncode == 0, done.stderr
    assert "quality 70" in done.stdout
    assert "remove it" in run(*pack).stderr
    out = tmp_path / "run"
    train = (packed, f"--out={out}", "--tiny", "--workers=2")
    done = run(*train)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout[done.stdout.index("{") :])
    assert said["finished"]
    assert said["step"] == 4
    assert said["pairs"] == 16
    assert np.isfinite(said["loss"])
    config, _ = weights.load(out / "bundled.npz")
    assert config.model.backbone == "mobilenetv3"
    tracker = siamjax.load(out / "bundled.npz")
    frame = np.zeros((120, 160, 3), np.uint8)
    tracker.init(frame, (40, 40, 30, 20))
    assert np.isfinite(tracker.update(frame).box).all()
    again = run(*train)
    assert again.returncode == 0, again.stderr
    assert "finished already" in again.stderr


def test_rows_go_with_their_images(tmp_path):
    """Of long videos every other image stays, and the row of each that does."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import train_bundled
    finally:
        sys.path.remove(str(SCRIPT.parent))
    source = tmp_path / "material/got10k"
    folder = source / "train/GOT-10k_Train_000001"
    for i in range(5):
        image = np.full((20, 30, 3), 40 * i, np.uint8)
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{i + 1:08d}.jpg"), image)
    (folder / "groundtruth.txt").write_text("".join(f"{i},1,9,9\n" for i in range(5)))
    (folder / "meta_info.ini").write_text("[METAINFO]\nanno_fps: 10Hz\n")
    train_bundled._copy(source, tmp_path / "out/got10k", 70)
    there = tmp_path / "out/got10k/train/GOT-10k_Train_000001"
    assert (there / "groundtruth.txt").read_text() == "0,1,9,9\n2,1,9,9\n4,1,9,9\n"
    assert (there / "meta_info.ini").read_bytes() == (folder / "meta_info.ini").read_bytes()
    shown = [cv2.imread(str(path)).mean() for path in sorted(there.glob("*.jpg"))]
    np.testing.assert_allclose(shown, [0, 80, 160], atol=3)
