"""Trackers in an evaluation start where the published results did, however they are made."""

import numpy as np
import pytest

import siamjax
from siamjax import api, cli
from siamjax.datasets import registry, synthetic
from siamjax.datasets.results import Store
from siamjax.errors import UserError
from siamjax.evaluation import baselines, protocols, runner, trackers


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.setattr(synthetic, "CLIPS", 2)
    monkeypatch.setattr(synthetic, "LENGTH", 6)
    return registry.load("synthetic")


def test_siamjax_load_gives_what_the_command_gives(benchmark, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("siamjax.remote.weights.ASSETS", checkpoint.parent)
    found = runner.evaluate(benchmark, {"x": siamjax.load}, tmp_path / "library", progress=False)
    cli.dispatch(["eval", "--dataset=synthetic", "--name=x", f"--out={tmp_path / 'command'}"])
    for sequence in benchmark.sequences:
        files = [
            tmp_path / kind / f"results/x/{sequence.name}.txt" for kind in ("library", "command")
        ]
        assert files[0].read_bytes() == files[1].read_bytes()
        (run,) = Store(tmp_path / "library/results", benchmark.dataset).read("x", sequence)
        np.testing.assert_array_equal(run.regions[0], sequence.boxes[0] + [0.5, 0.5, 0, 0])
    assert 0 <= found.trackers["x"]["success_auc"] <= 1


def test_other_trackers_get_the_true_box(benchmark):
    for name in ("static", "template_matching"):
        tracker = baselines.make(name)
        run = protocols.one_pass(tracker, benchmark.sequences[0])
        np.testing.assert_array_equal(run.regions[0], benchmark.sequences[0].boxes[0])


def test_a_real_time_tracker_starts_as_the_one_it_paces(benchmark, tiny):
    sequence = benchmark.sequences[0]
    paced = protocols.RealTime(api.make_tracker(*tiny), 1e-3)
    run = protocols.one_pass(paced, sequence)
    np.testing.assert_array_equal(run.regions[0], sequence.boxes[0] + [0.5, 0.5, 0, 0])
    run = protocols.one_pass(protocols.RealTime(baselines.make("static"), 25), sequence)
    np.testing.assert_array_equal(run.regions[0], sequence.boxes[0])


def test_names_that_collide_and_nothing_to_run(benchmark, checkpoint, tmp_path):
    with pytest.raises(UserError, match="--tracker=static: two trackers are called static"):
        trackers.run_trackers(benchmark, tmp_path, checkpoint, ["static"], name="static")
    with pytest.raises(UserError, match="nothing to evaluate"):
        trackers.run_trackers(benchmark, tmp_path)
    assert not list(tmp_path.iterdir())
