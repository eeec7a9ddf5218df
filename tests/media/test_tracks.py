"""Tracks: the text of every format by hand."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from siamjax.media import labels
from siamjax.media.tracks import Row, Tracks

ROWS = [
    Row(0, 0, 10.0, 20.0, 30.0, 40.0, 1.0, 0.0, False),
    Row(0, 1, 1.5, 2.0, 3.0, 4.0, 1.0, 0.0, False),
    Row(1, 0, 11.0, 20.25, 30.0, 40.0, 0.5, 0.125, True),
    Row(1, 1, 2.5, 2.0, 3.0, 4.0, 0.75, 0.0, False),
]
TRACKS = Tracks(ROWS, [(10.0, 20.0, 30.0, 40.0), (1.5, 2.0, 3.0, 4.0)], "clip", 25.0, "small.npz")


def text(name):
    return labels.text(name, TRACKS)


def test_csv():
    assert text("csv").splitlines()[:4] == [
        "frame,target,x,y,w,h,score,second_peak,lost",
        "0,0,10.0,20.0,30.0,40.0,1.0,0.0,0",
        "0,1,1.5,2.0,3.0,4.0,1.0,0.0,0",
        "1,0,11.0,20.25,30.0,40.0,0.5,0.125,1",
    ]


def test_presence_is_a_column_where_the_weights_have_it():
    """A box that was given holds the target."""
    rows = [row._replace(presence=0.25 * row.target) for row in ROWS[2:]]
    judged = TRACKS._replace(rows=[*ROWS[:2], *rows])
    assert labels.text("csv", judged).splitlines() == [
        "frame,target,x,y,w,h,score,second_peak,lost,presence",
        "0,0,10.0,20.0,30.0,40.0,1.0,0.0,0,1.0",
        "0,1,1.5,2.0,3.0,4.0,1.0,0.0,0,1.0",
        "1,0,11.0,20.25,30.0,40.0,0.5,0.125,1,0.0",
        "1,1,2.5,2.0,3.0,4.0,0.75,0.0,0,0.25",
    ]
    first, _ = json.loads(labels.text("json", judged))["targets"]
    assert [frame["presence"] for frame in first["frames"]] == [1.0, 0.0]


def test_json():
    tree = json.loads(text("json"))
    assert [tree[key] for key in ("video", "fps", "checkpoint")] == ["clip", 25.0, "small.npz"]
    first, second = tree["targets"]
    assert first["box"] == [10, 20, 30, 40]
    assert first["frames"][1] == {
        "frame": 1,
        "box": [11, 20.25, 30, 40],
        "score": 0.5,
        "second_peak": 0.125,
        "lost": True,
    }
    assert [frame["box"][0] for frame in second["frames"]] == [1.5, 2.5]


def test_otb_counts_from_0_and_mot_from_1():
    one = Tracks([row for row in ROWS if row.target == 0], TRACKS.boxes[:1], *TRACKS[2:])
    assert labels.text("txt", one).splitlines()[1] == "11.0000,20.2500,30.0000,40.0000"
    assert text("mot").splitlines()[2:] == [
        "2,1,12.0000,21.2500,30.0000,40.0000,0.500000,-1,-1,-1",
        "2,2,3.5000,3.0000,3.0000,4.0000,0.750000,-1,-1,-1",
    ]


def test_a_format_is_one_line(monkeypatch):
    count = SimpleNamespace(write=lambda videos: {"rows.txt": str(videos[0].boxes)})
    monkeypatch.setitem(sys.modules, "count_rows", count)
    monkeypatch.setitem(labels.FORMATS, "count", ("count_rows", "rows"))
    assert text("count") == "3"  # a row is lost
    assert labels.detect(Path(__file__).parent) == labels.FOLDER  # it has no `matches`
