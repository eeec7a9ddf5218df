import dataclasses
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from siamjax import cli, errors
from siamjax.datasets import registry
from siamjax.datasets.results import Store
from siamjax.errors import UserError
from siamjax.evaluation import latex, protocols, report, runner, scoring, submission, trackers
from siamjax.locks import Lock


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


def test_speed_by_hand(benchmark, tmp_path):
    """Of a tracker that does no work there is none. Before: hundreds of thousands of frames/s."""
    runner.run(benchmark, {"good": factory(benchmark)}, tmp_path, progress=False)
    (tmp_path / "times/good/third.txt").unlink()

    def speed(*seconds, paused=0):
        for name, count in (("first", 6), ("second", 4)):
            rows = np.full((count, 2), seconds)
            rows[0] = 9.0  # the first frame does not count
            rows[1 : 1 + paused] = 0.0  # as between a failure and the next start
            np.savetxt(tmp_path / "times/good" / f"{name}.txt", rows, delimiter=",")
        scores = scoring.score(benchmark, {"good": tmp_path / "results/good"}, tmp_path / "times")
        return [scores.number(name, scores.trackers["good"][name]) for name in scoring.SPEED]

    assert speed(0.01, 0.04) == ["25.0", "20.0"]
    assert speed(0.01, 0.04, paused=2) == ["25.0", "20.0"]  # 3 + 1 frames of 5 + 3
    assert speed(0.01, 1e-5) == ["-", "-"]
    assert speed(0.01, 0.0) == ["-", "-"]


def test_scores_of_perfect_and_shifted(benchmark, tmp_path):
    scores = runner.evaluate(
        benchmark,
        {"good": factory(benchmark), "bad": factory(benchmark, 12.0)},
        tmp_path / "out",
        progress=False,
    )
    assert scores.trackers["good"]["success_auc"] == pytest.approx(20 / 21)
    assert scores.trackers["bad"]["success_auc"] < 0.5
    assert scores.sequences == (3, 3)
    assert scores.ranked() == ["good", "bad"]


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
    store = Store(tmp_path / "results", benchmark.dataset)
    store.write("t", sequence, run)
    (read,) = store.read("t", sequence)
    np.testing.assert_array_equal(read.regions, run.regions)
    np.testing.assert_array_equal(run.regions[0], sequence.boxes[0])


@pytest.mark.parametrize("protocol", ["ope", "longterm", "supervised"])
def test_results_that_changed_since_are_not_skipped_in_silence(benchmark, tmp_path, protocol):
    """Before: a flipped bit in a result file, 31 for 30, was scored."""
    benchmark = runner.with_protocol(benchmark, protocol)
    made = {"t": factory(benchmark, 1.0)}
    benchmark = dataclasses.replace(benchmark, sequences=benchmark.sequences[:1])
    runner.run(benchmark, made, tmp_path, progress=False)
    results = tmp_path / "results"
    good = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    (sums,) = (path for path in (tmp_path / "checksums").rglob("*") if path.is_file())
    for path in (*good, sums):
        content = path.read_bytes()
        path.write_bytes(content[:1] + bytes([content[1] ^ 1]) + content[2:])
        with pytest.raises(UserError, match="damaged or changed since it was written") as raised:
            runner.run(benchmark, made, tmp_path, progress=False)
        line = str(raised.value)
        delete = Path(re.search("; delete (.*) and run again", line)[1])
        assert path not in good or line.startswith(f"{path}: ")
        delete.unlink()
        runner.run(benchmark, made, tmp_path, progress=False)
        assert {p: p.read_bytes() for p in good} == good
    sums.unlink()  # results of earlier versions have none
    assert runner.run(benchmark, made, tmp_path, progress=False) == []


def test_what_a_killed_call_left_is_removed(tmp_path):
    """Before: SIGKILL while plots were written left `plots/.success.0ede67ce.partial.png`."""
    benchmark = registry.load("synthetic", limit=1)
    places = ("results", "results/static", "times/static", "checksums/static", "plots", ".")
    left = [tmp_path / place / ".v.0ede67ce.partial.txt" for place in places]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    other = tmp_path / "results" / "other" / left[0].name  # which may be written by another call
    other.parent.mkdir()
    other.write_text("1")
    scores, results = trackers.run_trackers(benchmark, tmp_path, baselines=["static"])
    assert other.exists()
    report.write(tmp_path, scores, benchmark, results)
    assert not any(path.exists() for path in left)
    with Lock(tmp_path, ".report.lock"), pytest.raises(UserError, match="in use by process"):
        report.write(tmp_path, scores, benchmark, results)


def test_one_based_benchmarks_get_one_based_files(tmp_path):
    sequence = registry.load("synthetic", limit=1).sequences[0]
    one_based = dataclasses.replace(sequence, base=1)
    run = protocols.one_pass(Follower(sequence.boxes, 0.0), sequence)
    store = Store(tmp_path / "results", registry.get("OTB100"))
    store.write("t", one_based, run)
    row, *_ = (tmp_path / f"results/t/{sequence.name}.txt").read_text().split()
    first = [float(value) for value in row.split(",")]
    np.testing.assert_array_equal(first, sequence.boxes[0] + [1, 1, 0, 0])


def test_half_a_pixel_start_is_what_the_first_frame_reports(benchmark):
    seen = []

    class Spy(Follower):
        half_pixel_start = True

        def init(self, frame, box):
            seen.append(box)
            super().init(frame, box)

    sequence = benchmark.sequences[0]
    run = protocols.one_pass(Spy(sequence.boxes, 0.0), sequence)
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
    assert page.count("<svg") == 4  # with the differences by sequence
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
    for text in (report.markdown(scores), report.terminal(scores), latex.table(scores)):
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


def test_a_cut_off_result_file_is_scored_and_said_or_refused(benchmark, tmp_path):
    runner.evaluate(benchmark, {"a": factory(benchmark)}, tmp_path, progress=False)
    path = tmp_path / "results/a/first.txt"
    path.write_text("".join(path.read_text().splitlines(True)[:3]))
    shutil.rmtree(tmp_path / "checksums")
    results = {"a": tmp_path / "results/a"}
    with pytest.raises(errors.UserError, match=r"first\.txt: 3 rows for 6 frames"):
        scoring.score(benchmark, results, length="strict")
    scores = scoring.score(benchmark, results)
    assert scores.per_sequence["a"]["first"]["success_auc"] == pytest.approx(20 / 21 / 2)
    assert scores.problems == [f"{path}: 3 rows for 6 frames: the 3 missing at the end are misses"]
    assert "assumed: 1 result file of another length" in report.terminal(scores)
    cut = scoring.score(benchmark, results, length="cut")
    assert cut.per_sequence["a"]["first"]["success_auc"] == pytest.approx(20 / 21)
    assert "only the frames that all trackers have rows for" in report.terminal(cut)


# --- other protocols and measures through the runner


@dataclasses.dataclass(frozen=True)
class StaticFactory:
    """Picklable, as worker processes need it."""

    def __call__(self):
        from siamjax.evaluation import baselines

        return baselines.make("static")


@pytest.mark.parametrize(
    "protocol, measure",
    [("supervised", "eao"), ("longterm", "f_score"), ("multistart", "robustness_share")],
)
def test_every_protocol_from_run_to_report(benchmark, tmp_path, protocol, measure):
    changed = runner.with_protocol(benchmark, protocol)
    trackers = {"good": StaticFactory(), "bad": factory(benchmark, 11.0)}
    scores = runner.evaluate(changed, trackers, tmp_path, progress=False)
    assert 0 <= scores.trackers["good"][measure] <= 1
    low, high = scores.intervals["good"][measure]
    assert low <= high
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "results").rglob("*.*")}
    again = runner.evaluate(changed, trackers, tmp_path, progress=False)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "results").rglob("*.*")} == before
    assert again.trackers["good"][measure] == scores.trackers["good"][measure]
    results = {name: tmp_path / "results" / name for name in trackers}
    page = report.write(tmp_path, scores, changed, results).read_text()
    assert page.count("<svg") >= 1
    assert "3 of 3 sequences" in page


def test_measures_of_the_official_toolkit(benchmark, tmp_path):
    changed = runner.with_toolkit_measures(runner.with_protocol(benchmark, "supervised"))
    trackers = {"good": StaticFactory(), "bad": factory(benchmark, 60.0)}
    scores = runner.evaluate(changed, trackers, tmp_path, progress=False, repetitions=2)
    assert "vot-toolkit" in scores.overlap
    assert scores.trackers["good"]["weighted_lost"] == 0
    assert scores.trackers["good"]["reliability"] == 1
    # lost in the frame after each start: once in 6, 4 and 5 frames
    assert scores.trackers["bad"]["weighted_lost"] == pytest.approx(1)
    assert scores.trackers["bad"]["accuracy"] == 0
    assert scores.curves["expected overlap"][1]["good"][1] > 0.5
    results = {name: tmp_path / "results" / name for name in trackers}
    report.write(tmp_path, scores, changed, results)
    assert (tmp_path / "plots/accuracy_robustness.png").is_file()
    with pytest.raises(errors.UserError, match="protocol is ope; add --protocol=supervised"):
        runner.with_toolkit_measures(benchmark)


def test_unknown_protocol(benchmark):
    with pytest.raises(errors.UserError, match="--protocol=ofe: choose one of ope"):
        runner.with_protocol(benchmark, "ofe")


def test_repetitions_of_a_supervised_run(benchmark, tmp_path):
    changed = runner.with_protocol(benchmark, "supervised")
    runner.evaluate(changed, {"t": StaticFactory()}, tmp_path, progress=False, repetitions=3)
    files = sorted(p.name for p in (tmp_path / "results/t/baseline/first").iterdir())
    assert files == ["first_001.txt", "first_002.txt", "first_003.txt"]


def test_worker_processes_write_the_same_files(benchmark, tmp_path):
    for name, workers in (("one", 0), ("two", 2)):
        runner.evaluate(
            benchmark, {"t": StaticFactory()}, tmp_path / name, progress=False, workers=workers
        )
    one, two = (
        {p.name: p.read_bytes() for p in (tmp_path / name / "results/t").iterdir()}
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) == 3


def got10k_test_set(root):
    import cv2

    for number in (1, 2):
        folder = root / f"test/GOT-10k_Test_{number:06d}"
        folder.mkdir(parents=True)
        for i in range(1, 4):
            cv2.imwrite(str(folder / f"{i:08d}.jpg"), np.zeros((20, 30, 3), np.uint8))
        (folder / "groundtruth.txt").write_text("2,3,10,8\n")
    return registry.load("GOT-10k-test", root)


def test_submission_of_a_test_set_without_truth(tmp_path):
    part = got10k_test_set(tmp_path / "data")
    results = tmp_path / "out/results/static"
    scores = runner.evaluate(part, {"static": StaticFactory()}, tmp_path / "out", progress=False)
    assert set(scores.trackers["static"]) == {"fps", "fps_with_reading"}
    assert "no public ground truth" in report.markdown(scores)
    report.write(tmp_path / "out", scores, part, {"static": results})
    with pytest.raises(errors.UserError, match="178 of 180 sequences are left out"):
        submission.write(part, "static", results, tmp_path)
    whole = dataclasses.replace(part, total=2)
    first = submission.write(whole, "static", results, tmp_path).read_bytes()
    archive = zipfile.ZipFile(tmp_path / "static_GOT-10k-test.zip")
    assert sorted(archive.namelist()) == sorted(
        f"GOT-10k_Test_00000{n}/GOT-10k_Test_00000{n}_{kind}.txt"
        for n in (1, 2)
        for kind in ("001", "time")
    )
    assert submission.write(whole, "static", results, tmp_path).read_bytes() == first


def test_no_archive_for_a_benchmark_without_server(benchmark, tmp_path):
    with pytest.raises(errors.UserError, match="has no server"):
        submission.write(benchmark, "t", tmp_path, tmp_path)


def test_attributes_get_a_table(benchmark, tmp_path):
    attributes = {"first": ("SV", "OCC", "DEF"), "second": ("SV",), "third": ()}
    sequences = tuple(
        dataclasses.replace(s, attributes=attributes[s.name]) for s in benchmark.sequences
    )
    changed = dataclasses.replace(benchmark, sequences=sequences)
    scores = runner.evaluate(changed, {"t": StaticFactory()}, tmp_path, progress=False)
    rows = scores.per_sequence["t"]
    by_attribute = scores.attributes["success_auc"]
    assert by_attribute["OCC"]["t"] == rows["first"]["success_auc"]
    mean = (rows["first"]["success_auc"] + rows["second"]["success_auc"]) / 2
    assert by_attribute["SV"]["t"] == pytest.approx(mean)
    page = report.write(tmp_path, scores).read_text()
    assert "success AUC by attribute" in (tmp_path / "table.md").read_text()
    assert page.count("<svg") == 4  # with the radar


def test_a_report_leaves_nothing_of_an_earlier_one(benchmark, tmp_path):
    """Before: differences.csv and plots of trackers, measures and media that were not asked for."""
    sequences = tuple(dataclasses.replace(s, attributes=("SV",)) for s in benchmark.sequences)
    rich = dataclasses.replace(benchmark, sequences=sequences)
    pair = {"good": factory(benchmark), "bad": factory(benchmark, 12.0)}
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    report.write(out, runner.evaluate(rich, pair, tmp_path, progress=False), medium="paper")
    (out / "plots" / "mine.png").touch()

    def files(folder):
        return {str(path.relative_to(folder)) for path in folder.rglob("*.*")}

    optional = {"attributes.tex", "differences.csv", "sequence_differences.csv"}
    assert optional | {"plots/success.pdf", "plots/differences.svg"} <= files(out)
    one = scoring.score(benchmark, {"good": tmp_path / "results" / "good"})
    report.write(out, one)
    report.write(fresh, one)
    assert files(out) == files(fresh) | {"plots/mine.png"}


def test_trackers_of_earlier_calls_are_named(benchmark, tmp_path, monkeypatch, capsys):
    """Before: nothing said that `siamjax report` would show them."""
    monkeypatch.chdir(tmp_path)
    command = ["eval", "--dataset=folder", "--data_root=videos", "--out=out"]
    cli.dispatch([*command, "--baselines=static,template_matching"])
    assert "earlier calls" not in capsys.readouterr().out
    cli.dispatch([*command, "--baselines=static"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "not in this report, in out/results from earlier calls: template_matching;"
        " siamjax report out shows all"
    )
    (tmp_path / "fails.py").write_text("def make():\n    raise ValueError('x')\n")
    assert cli.dispatch([*command, "--tracker=fails:make"]) == 1
    assert "out/report.html: of an earlier call; this one has no result" in capsys.readouterr().err


def test_a_folder_that_is_used_again_has_no_false_line(benchmark, tmp_path, monkeypatch, capsys):
    """Before: `--results` said nothing of the trackers whose report it replaced; of another
    protocol or of other sequences it was said that `siamjax report` shows them."""
    monkeypatch.chdir(tmp_path)
    command = ["eval", "--dataset=folder", "--data_root=videos", "--out=out"]

    def last(*flags):
        cli.dispatch([*command, *flags])
        return capsys.readouterr().out.splitlines()[-1]

    last("--baselines=static", "--sequences=first")
    shutil.copytree("out/results/static", "others/mine")
    line = "not in this report, in out/results from earlier calls: static; give another --out"
    assert last("--results=others", "--sequences=first").startswith(line)
    assert last("--results=out/results", "--sequences=first") == "report: out/report.html"
    lacking = (
        "not in this report, in out/results without results of these sequences: static;"
        " give another --out for another data set or protocol"
    )
    assert last("--tracker=n=static", "--sequences=second") == lacking
    flags = ("--tracker=n=static", "--sequences=first", "--protocol=supervised")
    assert last(*flags) == lacking


def test_a_missing_eao_has_its_reason_below_the_table(benchmark, tmp_path):
    """Before: "-" alone."""
    restarts = runner.with_protocol(benchmark, "supervised")
    line = (
        "no EAO of t: it is taken over lengths 7..9, and no stretch of a run here is 7 frames long"
    )
    for low in (6, 7):  # the longest has six frames
        timed = runner.with_interval(restarts, (low, 9))
        scores = runner.evaluate(timed, {"t": StaticFactory()}, tmp_path, progress=False)
        found = [text for text in scores.footer if "EAO" in text]
        assert np.isfinite(scores.trackers["t"]["eao"]) == (low == 6)
        assert found == ([] if low == 6 else [line])
        assert all(text in report.terminal(scores) for text in found)
        toolkit = runner.with_toolkit_measures(timed)
        scores = scoring.score(toolkit, {"t": tmp_path / "results/t"})
        assert ("no EAO of t" in report.markdown(scores)) == bool(
            np.isnan(scores.trackers["t"]["eao"])
        )


def test_one_sequence_has_no_interval(benchmark, tmp_path):
    one = dataclasses.replace(benchmark, sequences=benchmark.sequences[:1])
    scores = runner.evaluate(one, {"t": factory(benchmark)}, tmp_path, progress=False)
    assert scores.intervals == {}
    assert "bootstrap" not in report.markdown(scores)
    value = scores.trackers["t"]["success_auc"]
    assert scores.number("success_auc", value) in latex.table(scores)
