"""`siamjax inspect`: the page of pairs and the verification of shards."""

import base64
import re

import cv2
import numpy as np
import pytest

from siamjax.cli import dispatch
from siamjax.errors import UserError
from siamjax.geometry.anchors import Anchors
from siamjax.viz.pairs import BOX, NEGATIVE, POSITIVE, draw_pair, position_map

from ..data.conftest import to_format_1, write_set

CONFIG = """
import ml_collections
from configs import base

def get_config():
    c = base.get_config()
    c.data.sources = ml_collections.ConfigDict({{"toy": base.source({path!r}, 3)}})
    return c
"""


@pytest.fixture
def experiment(tmp_path):
    write_set(tmp_path / "toy", "toy", videos=5, frames=4)
    (tmp_path / "config.py").write_text(CONFIG.format(path=str(tmp_path / "toy")))
    return tmp_path / "config.py"


def pictures(page):
    data = re.findall(r'base64,([^"]+)"', page.read_text())
    return [cv2.imdecode(np.frombuffer(base64.b64decode(d), np.uint8), 1) for d in data]


def test_page_of_pairs(experiment, tmp_path):
    page = tmp_path / "deep/pairs.html"
    dispatch(["inspect", "pairs", f"--config={experiment}", f"--out={page}", "--count=3"])
    shown = pictures(page)
    assert [p.shape for p in shown[:3]] == [(255, 127 + 255 + 255, 3)] * 3
    maps = shown[3:]
    assert len(maps) == 4  # shifts 0, 16, 32, 64
    spread = [int((m.astype(int) != m[0, 0].astype(int)).any(2).sum()) for m in maps]
    assert spread[0] == 25  # without shift all targets are in one cell of the map
    assert spread == sorted(spread)
    text = page.read_text()
    assert "0: positive" in text or "0: negative" in text
    assert re.search(r"<td>toy<td>5<td>3<td>5<td>5<td>20", text)
    assert [p.name for p in page.parent.iterdir()] == ["pairs.html"]


def test_overrides_reach_the_pairs(experiment, tmp_path):
    page = tmp_path / "pairs.html"
    flags = ["--config.data.negative=1.0", "--config.data.search.shift=20.0"]
    dispatch(["inspect", "pairs", f"--config={experiment}", f"--out={page}", "--count=4", *flags])
    text = page.read_text()
    assert text.count(": negative;") == 4
    assert "shift 20 px" in text


def test_bad_arguments(experiment, tmp_path):
    (tmp_path / "file").write_text("")
    cases = (
        ("--count=0", "--count=0: must be at least 1"),
        ("--start=-1", "--start=-1: must be at least 0"),
        (f"--out={tmp_path / 'file' / 'x.html'}", "cannot make this folder"),
    )
    for flag, message in cases:
        with pytest.raises(UserError, match=message):
            dispatch(["inspect", "pairs", f"--config={experiment}", flag])


def test_shards(experiment, tmp_path, capsys):
    assert dispatch(["inspect", "shards", str(tmp_path / "toy")]) is None
    assert "5 videos, 5 tracks, 20 crops, 0 damaged" in capsys.readouterr().out
    (shard,) = (tmp_path / "toy").glob("*.tfrecord-*")
    data = bytearray(shard.read_bytes())
    data[1000] ^= 1
    shard.write_bytes(data)
    assert dispatch(["inspect", "shards", str(tmp_path / "toy")]) == 1
    assert "video v0, track 00, frame 0" in capsys.readouterr().out


def test_shards_whose_index_is_damaged(experiment, tmp_path, capsys):
    """Before: `siamjax inspect shards toy` named eight records, all of them whole, as damaged."""
    folder = str(tmp_path / "toy")
    column, manifest = (
        tmp_path / "toy" / name for name in ("index/track_start.npy", "manifest.json")
    )
    before = column.read_bytes()
    column.write_bytes(before[:136] + b"\x7f" + before[137:])
    assert dispatch(["inspect", "shards", folder]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{column}: unreadable index column (its checksum is wrong); siamjax")
    assert last.endswith("20 crops, 1 damaged")
    manifest.write_text("{")
    with pytest.raises(UserError, match=r"manifest.json: not a manifest; .* --reindex"):
        dispatch(["inspect", "shards", folder])
    assert dispatch(["inspect", "shards", folder, "--reindex"]) is None
    assert column.read_bytes() == before


def test_shards_without_checksums(experiment, tmp_path, capsys):
    folder = str(to_format_1(tmp_path / "toy"))
    assert dispatch(["inspect", "shards", folder]) is None
    assert f"no checksums; siamjax inspect shards {folder} --reindex" in capsys.readouterr().out
    assert dispatch(["inspect", "shards", folder, "--reindex"]) is None
    assert "no checksums" not in capsys.readouterr().out


def test_picture_shows_box_and_labels():
    grid = Anchors().grid(25, centre=127)
    label = np.full((5, 25, 25), -1)
    label[2, 12, 12], label[0, 3, 4] = 1, 0
    black = np.zeros((255, 255, 3), np.uint8)
    picture = draw_pair(np.full((127, 127, 3), 9, np.uint8), black, label, (100, 60, 41, 21), grid)
    assert (picture[:127, :127] == 9).all()
    framed, dotted = picture[:, 127:382], picture[:, 382:]
    assert tuple(framed[50, 100]) == BOX
    assert tuple(framed[127 - 32, 127]) == POSITIVE  # the upper side of the 64 px anchor
    assert tuple(dotted[127, 127]) == POSITIVE
    assert tuple(dotted[31 + 3 * 8, 31 + 4 * 8]) == NEGATIVE
    assert not black.any()


def test_map_of_positions():
    picture = position_map(np.array([[10, 30], [11, 31], [200, 100], [999, 5]]), 255)
    brightness = picture.astype(int).sum(2)
    assert picture.shape == (255, 255, 3)
    assert brightness[32, 12] > brightness[102, 202] > brightness[0, 0]


def test_a_weights_file(checkpoint, capsys):
    assert dispatch(["inspect", "weights", str(checkpoint)]) is None
    said = capsys.readouterr().out
    assert said.startswith(f"{checkpoint}: resnet18, 125 arrays, ")
    assert said.endswith(" numbers, all finite\n")
    for what in ("weights", "run", "archive"):
        with pytest.raises(UserError, match=f"inspect {what}: name the"):
            dispatch(["inspect", what])
