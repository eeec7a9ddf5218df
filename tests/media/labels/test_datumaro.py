"""datumaro, another program, reads what is written. It lives in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from siamjax.media import labels

READ = """
import json, logging, sys, warnings
warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
found = Dataset.import_from(*sys.argv[1:])
names = found.categories()[AnnotationType.label]
rows = [
    [item.id, names[a.label].name, list(map(float, a.get_bbox())), a.attributes.get("track_id")]
    for item in found
    for a in item.annotations
    if a.type == AnnotationType.bbox and not a.attributes.get("outside")
]
print(json.dumps(rows, default=str))
"""
# format: datumaro's name, px that it counts from, what it is asked to open
FORMATS = {
    "cvat": ("cvat", 0, "clip.xml"),
    "cvat_images": ("cvat", 0, "clip.xml"),
    "coco": ("coco_instances", 0, ""),
    "voc": ("voc_detection", 1, ""),
    "motchallenge": ("mot_seq", 1, "clip"),
    "yolo": ("yolo", 0, ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_datumaro_reads_it(name, clip, tmp_path):
    """datumaro takes the numbers of VOC and MOT as they stand, which count px from 1."""
    place = os.environ.get("SIAMJAX_DATUMARO")
    if not place:  # lives in an environment of its own
        pytest.skip("name the environment in which datumaro is installed by SIAMJAX_DATUMARO")
    theirs, first, inside = FORMATS[name]
    labels.write([clip], name, tmp_path, images=True)
    if name == "cvat_images":
        (tmp_path / "clip").rename(tmp_path / "images")
    command = [Path(place) / "bin/python", "-c", READ, tmp_path / inside, theirs]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == clip.boxes
    for each in clip.tracks:
        rows = sorted(
            (row for row in found if row[1] == each.category), key=lambda row: _frame(row)
        )
        shift = 1 if name == "motchallenge" else 0
        assert [_frame(row) - shift for row in rows] == each.frames.tolist()
        boxes = np.array([row[2] for row in rows])
        expected = each.boxes + [first, first, 0, 0]
        if name == "voc":  # corners of pixels: it takes their difference for the size
            expected = expected - [0, 0, 1, 1]
        np.testing.assert_allclose(boxes, expected, rtol=0, atol=0.012)
        if name in ("cvat", "motchallenge", "coco"):
            assert len({row[3] for row in rows} - {None}) <= 1


def _frame(row) -> int:
    return int("".join(c for c in row[0].split("/")[-1] if c.isdigit()))
