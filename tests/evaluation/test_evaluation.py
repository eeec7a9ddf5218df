import json
import re

import numpy as np
import pytest

from siamjax import errors
from siamjax.benchmarks import registry
from siamjax.benchmarks.results import Store
from siamjax.evaluation import protocols, report, runner, scoring


class Follower:
    """A tracker that knows the truth and adds an error; counts its starts."""

    started = 0

    def __init__(self, truth, error):
        self.truth, self.error = truth, error

    def init(self, frame, box):
        Follower.started += 1
        self.at = 0

    def update(self, frame):
        self.at += 1
        x, y, w, h = self.truth[self.at]
        return x + self.error, y, w, h


@pytest.fixture
def benchmark(tmp_path):
    import cv2

    root = tmp_path / "videos"
    for name, count in (("first", 6), ("second", 4), ("third", 5)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(root / name / f"{i}.png"), np.full((40, 50, 3), 40 * i, np.uint8))
        rows = [f"{5 + i},{6 + i},20,16\n" for i in range(count)]
        (root / name / "groundtruth.txt").write_text("".join(rows))
    return registry.load("folder", root)


def factory(benchmark, error=0.0):
    return lambda: Follower(benchmark.sequences[0].boxes, error)


def test_scores_of_perfect_and_shifted(benchmark, tmp_path):
    scores = runner.evaluate(
        benchmark,
        {"good": factory(benchmark), "bad": factory(benchmark, 12.0)},
        tmp_path / "out",
        progress=False,
    )
    assert scores.trackers["good"]["success_auc"] == pytest.approx(20 / 21)
    assert scores.trackers["bad"]["success_auc"] < 0.5
    assert scores.trackers["good"]["fps"] > scores.trackers["good"]["fps_with_reading"] > 0
    assert scores.sequences == (3, 3)
    assert report.ranked(scores) == ["good", "bad"]


def test_a_second_run_skips_what_is_done(benchmark, tmp_path):
    out = tmp_path / "out"
    runner.evaluate(benchmark, {"t": factory(benchmark)}, out, progress=False)
    before = {p: p.read_bytes() for p in (out / "results").rglob("*.txt")}
    started = Follower.started
    (out / "results/t/second.txt").unlink()
    runner.evaluate(benchmark, {"t": factory(benchmark)}, out, progress=False)
    assert Follower.started == started + 1
    assert {p: p.read_bytes() for p in (out / "results").rglob("*.txt")} == before


def test_an_interrupted_run_leaves_whole_files_alone(benchmark, tmp_path):
    class Dies(Follower):
        def update(self, frame):
            if Follower.started == stop and self.at == 2:
                raise KeyboardInterrupt
            return super().update(frame)

    stop = Follower.started + 2
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        runner.evaluate(
            benchmark, {"t": lambda: Dies(benchmark.sequences[0].boxes, 1.0)}, out, progress=False
        )
    assert [p.name for p in (out / "results/t").iterdir()] == ["first.txt"]
    resumed = runner.evaluate(benchmark, {"t": factory(benchmark, 1.0)}, out, progress=False)
    fresh = runner.evaluate(
        benchmark, {"t": factory(benchmark, 1.0)}, tmp_path / "x", progress=False
    )
    assert resumed.per_sequence == fresh.per_sequence


def test_result_files_read_back_exactly(benchmark, tmp_path):
    sequence = benchmark.sequences[0]
    run = protocols.one_pass(Follower(sequence.boxes, 1 / 3), sequence)
    store = Store(tmp_path, benchmark.dataset)
    store.write("t", sequence, run)
    (read,) = store.read("t", sequence)
    np.testing.assert_array_equal(read.regions, run.regions)
    np.testing.assert_array_equal(run.regions[0], sequence.boxes[0])


def test_one_based_benchmarks_get_one_based_files(tmp_path):
    import dataclasses

    sequence = registry.load("synthetic", limit=1).sequences[0]
    one_based = dataclasses.replace(sequence, base=1)
    run = protocols.one_pass(Follower(sequence.boxes, 0.0), sequence)
    store = Store(tmp_path, registry.get("OTB100"))
    store.write("t", one_based, run)
    first = [
        float(v) for v in (tmp_path / f"t/{sequence.name}.txt").read_text().split()[0].split(",")
    ]
    np.testing.assert_array_equal(first, sequence.boxes[0] + [1, 1, 0, 0])


def test_half_a_pixel_start_is_what_the_first_frame_reports(benchmark):
    seen = []

    class Spy(Follower):
        def init(self, frame, box):
            seen.append(box)
            super().init(frame, box)

    sequence = benchmark.sequences[0]
    run = protocols.one_pass(protocols.FromHalfPixel(Spy(sequence.boxes, 0.0)), sequence)
    assert seen[-1] == (5.5, 6.5, 20.0, 16.0)
    np.testing.assert_array_equal(run.regions[0], seen[-1])


def test_report_files(benchmark, tmp_path):
    out = tmp_path / "out"
    trackers = {"good": factory(benchmark), "b<a>d": factory(benchmark, 9.0)}
    clip = tmp_path / "clip.webm"
    clip.write_bytes(b"webm bytes")
    scores = runner.evaluate(benchmark, trackers, out, progress=False)
    results = {name: out / "results" / name for name in trackers}
    page = report.write(out, scores, benchmark, results, clip).read_text()
    saved = json.loads((out / "scores.json").read_text())
    assert saved["sequences"] == [3, 3]
    assert saved["trackers"]["good"]["success_auc"] == pytest.approx(20 / 21)
    assert saved["per_sequence"]["good"]["first"]["precision_20"] == 1.0
    assert "3 of 3 sequences" in (out / "table.md").read_text()
    assert (out / "plots/success.png").read_bytes().startswith(b"\x89PNG")
    assert r"\textbf{" in (out / "table.tex").read_text()
    assert (out / "trackers.csv").read_text().count("\n") > 8
    assert page.count("<svg") == 3
    assert page.count("data:image/jpeg;base64") == 3
    assert "data:video/webm;base64" in page
    assert "<a>d" not in page
    assert not re.search(r"(src|href)=['\"]?(http|//)", page)  # nothing is fetched


def test_a_subset_does_not_get_the_benchmarks_name(benchmark, tmp_path):
    trackers = {"good": factory(benchmark)}
    part = registry.load("synthetic", limit=1)
    scores = runner.evaluate(
        part, {"t": lambda: Follower(part.sequences[0].boxes, 0.0)}, tmp_path, progress=False
    )
    assert scores.dataset == "subset of synthetic"
    for text in (report.markdown(scores), report.terminal(scores), report.latex(scores)):
        assert "subset of synthetic: 1 of 16 sequences" in text
    full = runner.evaluate(benchmark, trackers, tmp_path / "full", progress=False)
    assert full.dataset == "folder"


def test_trackers_are_compared_on_the_same_sequences(benchmark, tmp_path):
    trackers = {"a": factory(benchmark), "b": factory(benchmark, 3.0)}
    runner.evaluate(benchmark, trackers, tmp_path, progress=False)
    (tmp_path / "results/b/third.txt").unlink()
    results = {name: tmp_path / "results" / name for name in trackers}
    scores = scoring.score(benchmark, results)
    assert scores.sequences == (2, 3)
    assert scores.dataset == "subset of folder"
    assert "no result of b" in scores.left_out["third"]


def test_a_cut_off_result_file_is_named(benchmark, tmp_path):
    runner.evaluate(benchmark, {"a": factory(benchmark)}, tmp_path, progress=False)
    path = tmp_path / "results/a/first.txt"
    path.write_text("".join(path.read_text().splitlines(True)[:3]))
    with pytest.raises(errors.UserError, match=r"first\.txt: 3 rows for 6 frames"):
        scoring.score(benchmark, {"a": tmp_path / "results/a"})
