"""A measure is one new file and one line of a table, and reaches every table, plot and page."""

import dataclasses
import json

import numpy as np
import pytest

from siamjax.datasets.forms.base import unscored
from siamjax.datasets.results import Store
from siamjax.evaluation import report, scoring
from siamjax.measures import table

MEASURE = '''
"""Lost frames."""

import numpy as np

from siamjax.measures import bootstrap
from siamjax.measures.result import Figure, Part, Plot

FIGURES = {"lost_frames": Figure("lost frames", lower_is_better=True, digits=1)}
PLOTS = {"lost_frames": Plot("bars", "frames without a region", "", "frames", "lost_frames")}


def score(sequences, runs, interval=None):
    lost = [float(np.isnan(repeated[0].regions).any(1).sum()) for repeated in runs]
    return Part(
        overlap="none",
        values={"lost_frames": float(np.mean(lost))},
        intervals={"lost_frames": bootstrap.of_mean(lost)},
        per_sequence=[{"lost_frames": value} for value in lost],
        curves={},
    )
'''


@pytest.fixture
def lost_frames(tmp_path, monkeypatch):
    """The table of measures with one more in it."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/lost_frames_of_a_test.py").write_text(MEASURE)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setitem(table.MEASURES, "lost_frames", "lost_frames_of_a_test")


def test_a_new_measure_needs_one_file_and_one_line(lost_frames, clips, tmp_path):
    dataset = dataclasses.replace(clips.dataset, measures="lost_frames")
    benchmark = dataclasses.replace(clips, dataset=dataset)
    store = Store(tmp_path / "results", dataset)
    for tracker, lost in (("bad", 4), ("good", 1)):
        for sequence in benchmark.sequences:
            regions = sequence.boxes.copy()
            regions[1 : 1 + lost] = np.nan
            store.write(tracker, sequence, unscored(regions))
    results = {name: tmp_path / "results" / name for name in ("bad", "good")}
    scores = scoring.score(benchmark, results)
    assert scores.ranked() == ["good", "bad"]  # the smaller the better

    page = report.write(tmp_path / "out", scores, benchmark, results).read_text()
    saved = json.loads((tmp_path / "out/scores.json").read_text())
    assert saved["trackers"] == {"bad": {"lost_frames": 4.0}, "good": {"lost_frames": 1.0}}
    assert "| tracker | lost frames |" in (tmp_path / "out/table.md").read_text()
    assert "| good | 1.0 [1.0, 1.0] |" in (tmp_path / "out/table.md").read_text()
    assert r"good & \textbf{1.0} \\" in (tmp_path / "out/table.tex").read_text()
    assert ",good,lost_frames,1.0,1.0,1.0\n" in (tmp_path / "out/trackers.csv").read_text()
    assert ",bad,clip000,4.0\n" in (tmp_path / "out/sequences.csv").read_text()
    assert "frames without a region" in (tmp_path / "out/plots/lost_frames.svg").read_text()
    assert "<td class=best data-value='1.0'>1.0" in page
    assert "lost frames" in report.terminal(scores)
