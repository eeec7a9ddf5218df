"""`siamjax study constants` on a small network, a small grid and short clips."""

from dataclasses import replace

import pytest

from siamjax.config import load_config
from siamjax.evaluation.search import Grid
from siamjax.models import weights
from siamjax.studies import constants, driver, session
from siamjax.studies.runs import Setting


@pytest.mark.slow
def test_surfaces_of_two_sets(tiny, tmp_path, monkeypatch):
    def short(benchmark):
        cut = [
            replace(s, frames=[s.frames[i] for i in range(12)], groundtruth=s.groundtruth[:12])
            for s in benchmark.sequences
        ]
        return replace(benchmark, sequences=tuple(cut))

    weights.save(tmp_path / "tiny.npz", *tiny)
    monkeypatch.setitem(constants.GRIDS, "small", Grid((0.05, 0.3), (0.2, 0.4, 0.5), (0.3,)))
    zoomed = constants.zoomed
    monkeypatch.setattr(constants, "zoomed", lambda clips: short(zoomed(clips)))
    sets = tuple(map(short, session.scores.benchmarks("synthetic", None, 1)))
    flags = {"checkpoint": str(tmp_path / "tiny.npz"), "grid": "small"}
    setting = Setting(tmp_path, load_config("studies"), {}, sets, flags)
    jobs = driver.jobs_of("constants", constants, setting, 3)
    assert len(jobs) == 1  # a given network has no seeds
    assert driver.execute(jobs)
    found = driver.write("constants", constants, setting, jobs)
    assert list(found.rows) == ["given, synthetic", "given, synthetic zoom"]
    for row in found.rows.values():
        assert row.keys() == constants.FIGURES.keys()
        assert row["best"][0] >= max(row["carried"][0], row["configured"][0])
        assert row["lr"][0] == 0
    for name in ("surface.pdf", "surface.svg", "surface.png", "table.md"):
        assert (tmp_path / "constants" / name).stat().st_size > 200
