"""A study is one file and one line in the table; what all of them share."""

import json
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from siamjax import models
from siamjax.cli import dispatch
from siamjax.commands import study
from siamjax.config import load_config
from siamjax.errors import UserError
from siamjax.locks import Lock
from siamjax.measures.result import Figure
from siamjax.studies import STUDIES, cost, driver, found, runs, session, stride
from siamjax.studies.found import Found
from siamjax.studies.runs import Run, Setting, Variant, key_of, resolve

COUNT = """
from siamjax.errors import UserError
from siamjax.measures.result import Figure
from siamjax.studies.runs import Variant

CONFIG, QUESTION, SOURCE = "studies", "How many?", "nowhere"
FIGURES = {"count": Figure("words", digits=1), "even": Figure("even", digits=0)}
measured = []

def variants(setting):
    words = setting.flags["words"].split(",")
    if "none" in words:
        raise UserError("--words: none")
    return [Variant(w, {"train.momentum": len(w) / 10}, main=w in words[:2]) for w in words]

def measure(run):
    measured.append((run.variant.name, run.seed))
    return {"": {"count": len(run.variant.name) + run.seed / 10}, "x": {"even": 0.0}}
"""


SAVE = found.save


@pytest.fixture
def count(tmp_path, monkeypatch):
    """The study `count`; trainings are counted and take no time."""
    (tmp_path / "count_study.py").write_text(COUNT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "count_study", raising=False)
    row = ("count_study", "counts words", {"--words": ("ab,cde,f", "to count")})
    for name in ("count", "count_again"):
        monkeypatch.setitem(STUDIES, name, row)
    trained = []

    def train(config, folder, until=None):
        trained.append(config.seed)
        return {"finished": True, "stopped": False, "step": 1}

    monkeypatch.setattr(runs.loop, "train", train)
    monkeypatch.setattr(study.synthetic, "build", lambda *args, **kwargs: None)
    monkeypatch.setattr(found, "save", lambda *args: None)  # plots take seconds
    return trained


@pytest.fixture
def drawn(count, monkeypatch):
    """The same with plots."""
    monkeypatch.setattr(found, "save", SAVE)
    return count


def call(tmp_path, *flags, name="count", out="out"):
    return dispatch(["study", name, f"--workdir={tmp_path / out}", "--clips=2", *flags])


def test_a_new_study(drawn, tmp_path, capsys):
    import count_study

    assert call(tmp_path) is None
    assert len(drawn) == 9
    # the first seed of the main contrast, its others, the rest
    order = [("ab", 0), ("cde", 0), ("ab", 1), ("ab", 2), ("cde", 1), ("cde", 2)]
    assert count_study.measured == [*order, ("f", 0), ("f", 1), ("f", 2)]
    table = (tmp_path / "out" / "count" / "table.md").read_text()
    assert table in capsys.readouterr().out
    assert "| ab | 3 | 2.1 [1.9, 2.3] | - |" in table
    assert "| cde | 3 | 3.1 [2.9, 3.3] | - |" in table
    assert 'words: other than "ab": cde, f.' in table
    result = json.loads((tmp_path / "out" / "count" / "study.json").read_text())
    assert result["rows"]["cde"]["count"]["seeds"] == {"0": 3.0, "1": 3.1, "2": 3.2}
    assert result["missing"] == 0
    for kind in ("pdf", "svg", "png"):
        assert (tmp_path / "out" / "count" / f"figures.{kind}").stat().st_size > 500


def test_what_is_done_is_kept_and_shared(count, tmp_path):
    import count_study

    call(tmp_path, "--seeds=1")
    call(tmp_path, "--seeds=1")
    assert len(count) == len(count_study.measured) == 3
    call(tmp_path, "--seeds=1", name="count_again")  # the same networks, measured for another
    assert len(count) == 3
    assert len(count_study.measured) == 6
    call(tmp_path, "--seeds=1", "--config.train.lr_end=0.002")
    assert len(count) == 6


def test_parts_of_a_study_make_the_whole(count, tmp_path):
    call(tmp_path)
    one = (tmp_path / "out" / "count" / "study.json").read_bytes()
    call(tmp_path, "--shard=0/2", out="parts")
    path = tmp_path / "parts" / "count"
    assert json.loads((path / "study.json").read_text())["missing"] == 4
    assert "Not measured yet: 4 runs" in (path / "table.md").read_text()
    call(tmp_path, "--shard=1/2", out="parts")
    assert (path / "study.json").read_bytes() == one
    assert len(count) == 9 + 9


def test_the_cost_is_in_the_unit_of_the_machine_that_is_meant(count, tmp_path, capsys, monkeypatch):
    """Before: `siamjax study correlation --dry_run` gave 'about 0.0 GPU hours'."""
    call(tmp_path, "--dry_run", "--seeds=1")  # 3 trainings of 4,000 pairs
    printed = capsys.readouterr().out
    assert "about 6 minutes of processor time" in printed
    assert "GPU" not in printed
    monkeypatch.setattr(cost, "SMALL", 1e6)
    call(tmp_path, "--dry_run", "--seeds=1")
    assert "about 0.0 GPU hours" in capsys.readouterr().out


def test_a_run_that_another_process_holds_is_left_to_it(count, tmp_path, capsys):
    call(tmp_path, "--dry_run", "--seeds=1")
    assert capsys.readouterr().out.count("to do") == 3
    assert count == []
    call(tmp_path, "--words=ab", "--seeds=1")
    (run,) = (tmp_path / "out" / "runs").iterdir()
    for path in (run / "measured").iterdir():
        path.unlink()
    with Lock(run, runs.LOCK):
        call(tmp_path, "--seeds=1")
    said = capsys.readouterr()
    assert "Not measured yet: 1 runs" in said.out
    assert "in use" in said.err
    call(tmp_path, "--seeds=1")
    assert len(count) == 3


def test_a_run_that_fails_leaves_the_others(count, tmp_path, monkeypatch, capsys):
    def train(config, folder, until=None):
        if config.train.momentum == 0.3:
            raise UserError("the loss is not finite")
        return {"finished": True, "stopped": False}

    monkeypatch.setattr(runs.loop, "train", train)
    with pytest.raises(UserError, match="count, cde, seed 0: the loss is not finite"):
        call(tmp_path, "--seeds=1")
    assert "| f | 1 | 1.0 |" in capsys.readouterr().out


def test_the_time_ends(count, tmp_path, monkeypatch):
    """Each training takes 100 s: of five minutes three are done when no more is begun."""
    real = time.monotonic
    clock = SimpleNamespace(monotonic=lambda: real() + 100 * len(count))
    monkeypatch.setattr(driver, "time", clock)
    assert call(tmp_path, "--minutes=5") is None
    assert len(count) == 3


def test_it_refuses_its_own_flags_before_anything_is_written(count, tmp_path):
    with pytest.raises(UserError, match="--words: none"):
        call(tmp_path, "--words=none")
    with pytest.raises(UserError, match="no study here"):
        call(tmp_path, name="report")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_is_not_there_writes_nothing(tmp_path):
    """Before: `siamjax study channels --checkpoint=none.npz` left a run's folder and a table."""
    for name in ("channels", "constants"):
        with pytest.raises(UserError, match=r"--checkpoint=none.npz: no such file or folder"):
            call(tmp_path, "--checkpoint=none.npz", name=name)
    assert not (tmp_path / "out").exists()


def test_a_stopped_study_has_its_exit_code(count, tmp_path, monkeypatch):
    monkeypatch.setattr(
        runs.loop, "train", lambda *args, **kwargs: {"finished": False, "stopped": False}
    )
    assert call(tmp_path) == 143


def test_all_and_the_page(drawn, tmp_path, monkeypatch, capsys):
    for name in [n for n in STUDIES if not n.startswith("count")]:
        monkeypatch.delitem(STUDIES, name)
    assert call(tmp_path, name="all") is None
    assert len(drawn) == 9
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<h2>") == 2
    assert page.count("<svg") == 2
    assert "<td>3.1 [2.9, 3.3]</td>" in page
    assert call(tmp_path, name="report") is None
    assert (tmp_path / "out" / "report.html").read_text() == page


@pytest.fixture
def setting(tmp_path):
    config = load_config("studies")
    return Setting(tmp_path, config, {"a": 1}, (), {}, False)


def test_the_key_is_of_what_changes_the_numbers(setting):
    base = Run.of(setting, Variant("a", {}), 0)
    same = load_config("studies", ["--config.data.workers=7", "--config.name=other"])
    same.data.sources.synthetic.path = "elsewhere"
    assert key_of(same, {"a": 1}) == base.key
    assert Run.of(setting, Variant("b", {}, main=True), 0).key == base.key
    others = [
        Run.of(setting, Variant("a", {}), 1).key,
        Run.of(setting, Variant("a", {"train.lr_end": 0.003}), 0).key,
        Run.of(setting, Variant("a", {}, weights="bundled"), 0).key,
        key_of(same, {"a": 2}),
    ]
    assert len({base.key, *others}) == 5


def test_variants_replace_fields_that_exist(setting):
    config = resolve(setting, Variant("x", {"model.levels": (3,)}), 5)
    assert (config.model.levels, config.seed, config.name) == ((3,), 5, "studies: x")
    assert setting.base.model.levels == (2, 3, 4)
    with pytest.raises(KeyError):
        resolve(setting, Variant("x", {"model.lvls": (3,)}), 0)


def test_rows_that_do_not_separate_are_called_so():
    rows = {
        "a": {"auc": {0: 0.30, 1: 0.34, 2: 0.32}},
        "b": {"auc": {0: 0.31, 1: 0.33, 2: 0.33}},
        "c": {"auc": {0: 0.50, 1: 0.545, 2: 0.52}},
    }
    result = Found("n", "q", "s", session.scores.FIGURES, rows, 0, {})
    table = result.table()
    assert "| b | 3 | 0.323 [0.295, 0.352] ≈ |" in table
    assert "≈ |\n| c" in table
    assert table.count("≈ |") == 1
    assert 'success AUC: other than "a": c.' in table
    del rows["c"]
    assert 'success AUC: nothing separates from "a".' in result.table()
    one = Found("n", "q", "s", session.scores.FIGURES, {"a": {"auc": {0: 0.3}}}, 0, {})
    assert "| a | 1 | 0.300 |\n\nOne seed: nothing is said" in one.table()
    assert np.isfinite(one.to_dict()["rows"]["a"]["auc"]["mean"])
    assert one.to_dict()["rows"]["a"]["auc"]["low"] is None


def test_what_prints_as_one_number_does_not_separate():
    """Before: 0.5 MB was "other than" 0.5 MB, for bytes that no digit shows."""
    values = {"a": 0.50910, "b": 0.50909, "c": 0.61}
    rows = {name: {"auc": {seed: value for seed in range(3)}} for name, value in values.items()}
    result = Found("n", "q", "s", session.scores.AUC, rows, 0, {})
    assert 'success AUC: other than "a": c.' in result.table()
    assert [row["separates"] for row in result.to_dict()["differences"]] == [False, True]


def test_all_words_of_the_plot_are_on_the_page(tmp_path, monkeypatch):
    """Before: long names of rows and of figures were cut at the edges."""
    figures = {str(i): Figure("parameters of a level's branches", digits=1) for i in range(4)}
    values = {name: {0: 0.5091, 1: 0.50909} for name in figures}
    rows = {f"stride {i}, 15x15, no dilation": values for i in range(7)}
    drawn = {}
    monkeypatch.setattr(found.canvas, "save", lambda figures, *_: drawn.update(figures))
    SAVE({"figures": Found("n", "q", "s", figures, rows, 0, {})._draw}, tmp_path)
    (canvas,) = drawn.values()
    canvas.set_dpi(400)
    canvas.draw_without_rendering()
    for panel in canvas.axes:
        assert panel.xaxis.get_offset_text().get_text() == ""
        for text in (*panel.get_yticklabels(), panel.xaxis.label):
            box = text.get_window_extent()
            assert 0 <= box.x0 < box.x1 <= canvas.bbox.width, text.get_text()


@pytest.mark.slow
def test_memory_of_a_stride_is_that_of_its_gradients(setting):
    large, small = (
        stride.memory(models.build(resolve(setting, variant, 0)))["memory"]
        for variant in (stride.variants(setting)[0], stride.variants(setting)[-1])
    )
    assert large > small > 0
