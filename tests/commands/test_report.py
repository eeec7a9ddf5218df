"""Finished evaluations on one page."""

import json
import re

import cv2
import numpy as np
import pytest

from siamjax.cli import dispatch
from siamjax.datasets import registry
from siamjax.errors import UserError
from siamjax.evaluation import finished, plots, report, scoring, strips


@pytest.fixture
def videos(tmp_path):
    """Two videos of six frames, and result files of three trackers, 0, 4 and 8 px off."""
    root = tmp_path / "videos"
    for video, left in (("first", 5), ("second", 9)):
        (root / video).mkdir(parents=True)
        boxes = np.array([(left + i, 6, 20, 16) for i in range(6)])
        for i in range(6):
            image = np.full((40, 60, 3), 40 * i, np.uint8)
            cv2.imwrite(str(root / video / f"{i}.png"), image)
        np.savetxt(root / video / "groundtruth.txt", boxes, delimiter=",")
        for off, name in ((0, "exact"), (4, "near & dear"), (8, "far_off")):
            (tmp_path / "results" / name).mkdir(parents=True, exist_ok=True)
            rows = boxes + [off, 0, 0, 0]
            np.savetxt(tmp_path / "results" / name / f"{video}.txt", rows, delimiter=",")
    return root


@pytest.fixture
def undrawn(monkeypatch):
    """Without plots, which take most of the time."""
    monkeypatch.setattr(plots, "draw_all", lambda *_: {})


@pytest.fixture
def evaluated(videos, tmp_path, monkeypatch, undrawn):
    """Those of the three results of one folder that are given, scored by `siamjax eval`."""
    monkeypatch.chdir(tmp_path)

    def run(out, *names, **flags):
        kept = tmp_path / f"{out}-results"
        kept.mkdir()
        for name in names:
            (kept / name).symlink_to(tmp_path / "results" / name)
        more = [f"--{flag}={value}" for flag, value in flags.items()]
        dispatch(
            ["eval", "--dataset=folder", f"--data_root={videos}", f"--results={kept}"]
            + [f"--out={out}", *more]
        )
        return tmp_path / out

    return run


def test_evaluations_of_one_data_set_are_compared(evaluated, tmp_path, capsys):
    evaluated("one", "exact", "far_off")
    evaluated("two", "near & dear", "exact")
    capsys.readouterr()
    dispatch(["report", "one", "two", "--out=both"])
    printed = capsys.readouterr().out
    assert printed.count("folder: 2 of 2 sequences") == 1
    scores = json.loads((tmp_path / "both/folder/scores.json").read_text())
    assert set(scores["trackers"]) == {"exact (one)", "exact (two)", "far_off", "near & dear"}
    rows = [line.split("  ")[0] for line in printed.splitlines()[2:6]]
    assert rows == ["exact (one)", "exact (two)", "near & dear", "far_off"]


def test_the_first_tracker_is_drawn_last(evaluated, monkeypatch):
    """Before: of two that overlap, the worse one hid the better one."""
    drawn = []

    def strip(sequence, tracks):
        drawn.append(tracks)
        return b""

    monkeypatch.setattr(strips, "_strip", strip)
    evaluated("one", "exact", "far_off")
    truth, _, last = drawn[0]
    np.testing.assert_array_equal(last[0], truth[0])  # "exact" is the best


def test_several_data_sets_on_one_page(evaluated, tmp_path, monkeypatch):
    one = evaluated("one", "exact", "far_off")
    two = evaluated("two", "exact", "near & dear", sequences="first")
    monkeypatch.undo()
    dispatch(["report", str(one), str(two), f"--out={tmp_path / 'both'}", "--style=paper"])
    page = (tmp_path / "both/report.html").read_text()
    assert [f"<section id=s{i}>" in page for i in range(3)] == [True, True, False]
    assert page.count("data:image/jpeg;base64") == 3  # strips of two sequences and of one
    assert not re.search(r"(src|href)=['\"]?(http|//)", page)
    overview = (tmp_path / "both/table.tex").read_text()
    assert r"near \& dear & -- & \underline{" in overview
    for folder in ("folder-ope-1", "folder-ope-2"):
        names = {path.suffix for path in (tmp_path / "both" / folder / "plots").iterdir()}
        assert names == {".pdf", ".svg", ".png"}
    png = cv2.imread(str(tmp_path / "both/folder-ope-1/plots/success.png"))
    assert png.shape[1] == pytest.approx(3.45 * 300, abs=1)  # a column at 300 dpi
    assert (tmp_path / "both/folder-ope-1/plots/success.pdf").read_bytes()[:5] == b"%PDF-"


def test_evaluations_of_other_sequences_name_each_other(evaluated, tmp_path, capsys):
    """Before: two tables, without a word on why the trackers are not compared."""
    evaluated("one", "exact", "far_off")
    evaluated("two", "near & dear", sequences="first")
    evaluated("three", "far_off", sequences="first", length="cut")
    capsys.readouterr()
    dispatch(["report", "one", "two", "three", "--out=both"])
    first, second, third = capsys.readouterr().out.split("\n\n")
    line = "in other tables, as their sequences differ from these: "
    assert first.splitlines()[-1] == line + "two (1)"
    assert second.splitlines()[-1] == line + "one (2)"
    assert line not in third
    assert line + "two (1)" in (tmp_path / "both/report.html").read_text()
    assert line + "one (2)" in (tmp_path / "both/folder-ope-2/table.md").read_text()


def test_many_missing_sequences_are_counted():
    """Before: a paragraph of all their names in the report."""
    missing = {f"s{i:02}": "no result of a" for i in range(93)}
    found = scoring.Scores(
        overlap="none", dataset="d", sequences=(7, 100), protocol="ope", left_out=missing
    )
    last = report.markdown(found).splitlines()[-1]
    assert last.startswith("Not scored (93): s00, s01, ")
    assert last.endswith(", s11 and 81 more")


def test_broken_sequences_are_named_and_absent_ones_counted():
    """Before: "not scored: 15 sequences; the first, s00: no such folder" was all that the terminal
    said, and nothing of the video that lacks a frame."""
    left_out = {f"s{i:02}": registry.ABSENT for i in range(14)}
    found = scoring.Scores(
        overlap="none", dataset="d", sequences=(7, 100), protocol="ope", left_out=left_out
    )
    left_out["s02"] = "s02/img: frame number 50 of 1..140 is missing"
    first, second = found.footer
    assert first.startswith("not scored, not in this copy: s00, s01, s03, ")
    assert first.endswith(", s12 and 1 more")
    assert second == f"not scored, s02: {left_out['s02']}"
    left_out |= {f"t{i:02}": f"t{i:02}: fault {i}" for i in range(13)}
    assert found.footer[2] == "not scored, t00: fault 0"
    assert found.footer[-1] == "not scored: 3 sequences more, named in scores.json"
    assert len(found.footer) == 13


def test_protocols_of_one_data_set_have_names(videos, tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    for protocol in ("ope", "supervised"):
        flags = ["--baselines=static", f"--protocol={protocol}", f"--out={protocol}"]
        dispatch(["eval", "--dataset=folder", f"--data_root={videos}", *flags])
    dispatch(["report", "ope", "supervised", "--out=both"])
    folders = {path.name for path in (tmp_path / "both").iterdir() if path.is_dir()}
    assert folders == {"folder-ope", "folder-supervised"}
    scores = json.loads((tmp_path / "both/folder-ope/scores.json").read_text())
    assert scores["trackers"]["static"]["fps"] is None  # before: hundreds of thousands a second


def test_result_files_from_elsewhere(videos, tmp_path, undrawn):
    results = tmp_path / "results"
    out = f"--out={tmp_path / 'out'}"
    dispatch(["report", f"folder={results}", f"--data_root={videos}", out])
    scores = json.loads((tmp_path / "out/folder/scores.json").read_text())
    assert set(scores["trackers"]) == {"exact", "near & dear", "far_off"}


def test_the_report_has_what_eval_has(evaluated, tmp_path):
    evaluated("one", "exact", "far_off")
    dispatch(["report", "one", "--out=again"])
    for name in ("scores.json", "table.tex", "sequences.csv", "differences.csv"):
        assert (tmp_path / "again/folder" / name).read_bytes() == (
            tmp_path / "one" / name
        ).read_bytes()


def test_the_plan_reads_back(tmp_path):
    plan = finished.Plan("OTB100", str(tmp_path), ("a", "b"), 3, "ope", None, "cut", "pysot")
    (tmp_path / "results").mkdir()
    finished.record(tmp_path, plan, tmp_path / "results")
    found = finished.read(str(tmp_path))
    assert found == finished.Finished(plan, tmp_path / "results", None, tmp_path.name)


@pytest.mark.parametrize(
    "make, message",
    [
        (None, "no such folder; give that of an evaluation, or DATASET=FOLDER"),
        ("", r"folder: empty; give the --out of siamjax eval"),  # before: DATASET=, which fails too
        ("{", r"evaluation\.json: not as siamjax eval writes it"),
        ("[]", r"evaluation\.json: not as siamjax eval writes it"),
        ('{"results": "r"}', r"evaluation\.json: not as siamjax eval writes it"),
        ('{"results": "r", "dataset": "OTB100", "sequences": null, "x": 1}', "not as siamjax"),
    ],
)
def test_folders_that_are_no_evaluation(tmp_path, make, message):
    folder = tmp_path / "folder"
    if make is not None:
        folder.mkdir()
    if make:
        (folder / "evaluation.json").write_text(make)
    with pytest.raises(UserError, match=message):
        dispatch(["report", str(folder), f"--out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


def test_report_names_no_flag_that_it_lacks(tmp_path, monkeypatch):
    """Before: "--results=...", and "to try siamjax without it: --dataset=synthetic"."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    for folder, message in (
        ("a", r"^a: no evaluation\.json says of which data set; give DATASET="),
        ("synthetic=a", "^a: no results of these sequences in it; expected for example"),
        ("OTB100=a", r"OTB100 was not found; give its folder as --data_root=DIR\n"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            dispatch(["report", folder])
        assert not re.search("--results|--dataset", str(caught.value))


def test_two_of_the_same_name_are_refused(evaluated, tmp_path):
    evaluated("one", "exact")
    with pytest.raises(UserError, match="two evaluations called one have results of exact"):
        dispatch(["report", "one", "one", "--out=both"])
