"""A measure is one new file and one line of a table, and reaches every table, plot and page."""

import dataclasses
import json

import numpy as np
import pytest

from siamjax.datasets.forms.base import unscored
from siamjax.datasets.results import Store
from siamjax.evaluation import plots, report, scoring
from siamjax.measures import table

MEASURE = '''
"""Lost frames."""

import numpy as np

from siamjax.measures import bootstrap
from siamjax.measures.result import Figure, Part, Plot, by_attribute

FIGURES = {"lost_frames": Figure("lost frames & more", lower_is_better=True, digits=1)}
PLOTS = {
    "lost_frames": Plot("bars", "frames without a region", "", "frames", "lost_frames"),
    "over_time": Plot("lines", "lost over time", "frame", "lost frames", "lost_frames"),
}


def score(sequences, runs, interval=None):
    flags = [np.isnan(repeated[0].regions).any(1) for repeated in runs]
    lost = [float(one.sum()) for one in flags]
    groups = by_attribute(sequences)
    curve = lambda places: np.sum([np.cumsum(flags[i][:8]) for i in places], 0)
    return Part(
        overlap="none",
        values={"lost_frames": float(np.mean(lost))},
        resampled={"lost_frames": bootstrap.means(lost)},
        per_sequence=[{"lost_frames": value} for value in lost],
        curves={"lost over time": (np.arange(8), curve(range(len(runs))))},
        attributes={
            "lost_frames": {a: float(np.mean([lost[i] for i in g])) for a, g in groups.items()}
        },
        attribute_curves={"lost over time": {a: curve(g) for a, g in groups.items()}},
    )
'''


@pytest.fixture
def lost_frames(tmp_path, monkeypatch):
    """The table of measures with one more in it."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/lost_frames_of_a_test.py").write_text(MEASURE)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setitem(table.MEASURES, "lost_frames", "lost_frames_of_a_test")


@pytest.fixture
def scores(lost_frames, clips, tmp_path):
    """A tracker that loses four frames of each clip, and one that loses one of the first, two of
    the second."""
    dataset = dataclasses.replace(clips.dataset, measures="lost_frames")
    attributes = {"clip000": ("OCC", "S_V"), "clip001": ("S_V",)}
    sequences = tuple(
        dataclasses.replace(s, attributes=attributes[s.name]) for s in clips.sequences
    )
    benchmark = dataclasses.replace(clips, dataset=dataset, sequences=sequences)
    store = Store(tmp_path / "results", dataset)
    for tracker, lost in (("bad", (4, 4)), ("good", (1, 2))):
        for sequence, count in zip(sequences, lost, strict=True):
            regions = sequence.boxes.copy()
            regions[1 : 1 + count] = np.nan
            store.write(tracker, sequence, unscored(regions))
    return scoring.score(benchmark, {n: tmp_path / "results" / n for n in ("bad", "good")})


def test_a_new_measure_needs_one_file_and_one_line(scores, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "draw_all", lambda *_: {})  # those are the next test's
    assert scores.ranked() == ["good", "bad"]  # the smaller the better
    page = report.write(tmp_path / "out", scores, medium="paper").read_text()

    def text(name):
        return (tmp_path / "out" / name).read_text()

    assert json.loads(text("scores.json"))["trackers"] == {
        "bad": {"lost_frames": 4.0},
        "good": {"lost_frames": 1.5},
    }
    assert "| tracker | lost frames & more |" in text("table.md")
    assert "| good | 1.5 [1.0, 2.0] |" in text("table.md")
    assert "| bad | -2.5 [-3.0, -2.0] |" in text("table.md")  # good less bad
    assert r"good & \textbf{1.5} \\" in text("table.tex")
    assert r"lost frames \& more $\downarrow$" in text("table.tex")
    assert ",good,lost_frames,1.5,1.0,2.0\n" in text("trackers.csv")
    assert ",bad,clip000,4.0\n" in text("sequences.csv")
    assert ",lost_frames,good,bad,-2.5,-3.0,-2.0," in text("differences.csv")
    assert ",lost_frames,bad,good,clip000,3.0\n" in text("sequence_differences.csv")
    assert "<td class=best data-value='1.5'>1.5" in page
    assert "lost frames &amp; more" in page
    assert "lost frames & more" in report.terminal(scores)


def test_plots_and_tables_by_attribute_of_a_new_measure(scores, tmp_path):
    page = report.write(tmp_path / "out", scores, medium="paper").read_text()
    folder = tmp_path / "out/plots"
    drawn = {path.stem for path in folder.glob("*.pdf")}
    assert drawn == {
        *("lost_frames", "over_time", "over_time_by_attribute"),
        *("attributes", "differences"),
    }
    assert "good [1.5]" in (folder / "over_time.svg").read_text()
    assert "S V (2)" in (folder / "attributes.svg").read_text()
    assert "OCC (1)" in (folder / "over_time_by_attribute.svg").read_text()
    assert page.count("<svg") == len(drawn)
    assert (
        r"S V (2) & \textbf{1.5} & \underline{4.0}" in (tmp_path / "out/attributes.tex").read_text()
    )
    assert "S V (2)" in page
