"""Files that an operating system leaves beside labels and frames change nothing."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from siamjax.media import labels

ALONE = ("vot", "txt")  # formats of one target


@pytest.mark.parametrize("name", labels.writable())
def test_hidden_files_are_no_labels(name, clip, alone, frames, tmp_path):
    """Before: a folder of labelme or Pascal VOC was of no known format, since "._000000.json" was
    taken for its first file; a folder of YOLO was an error by "._000000.jpg"."""
    media = tmp_path / "media"
    shutil.copytree(frames, media / "clip")
    made = labels.write([alone if name in ALONE else clip], name, tmp_path / "out")
    source = made[0] if len(made) == 1 else tmp_path / "out"
    before, kind = labels.read(source, media=media), labels.detect(source)
    for place, folders, files in list(os.walk(tmp_path)):
        for file in (*folders, *files):
            Path(place, f"._{file}").write_bytes(b"\x00\x05\x16\x07 Mac OS X\xb0")
        Path(place, ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1\xff")
        Path(place, "Thumbs.db").write_bytes(b"\xd0\xcf\x11")
    after = labels.read(source, media=media)
    assert labels.detect(source) == kind
    assert [video.name for video in after] == [video.name for video in before]
    for ours, theirs in zip(before, after, strict=True):
        assert theirs.images == ours.images
        assert len(theirs.tracks) == len(ours.tracks)
        for a, b in zip(ours.tracks, theirs.tracks, strict=True):
            np.testing.assert_array_equal(a.boxes, b.boxes)
