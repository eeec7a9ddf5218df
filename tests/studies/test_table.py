"""A study is one file and one line in the table."""

import pytest

from siamjax.cli import dispatch
from siamjax.commands import study
from siamjax.errors import UserError
from siamjax.studies import STUDIES

COUNT = """
from siamjax.errors import UserError

def plan(config, args):
    if args.words == "none":
        raise UserError("--words: none")
    return args.words.split(",")

def run(config, workdir, plan, benchmark):
    workdir.mkdir()
    path = config.data.sources.synthetic.path
    (workdir / "table.md").write_text(f"{len(plan)} of {len(benchmark.sequences)}, {path}\\n")
    return {"finished": config.seed == 0}
"""


STUDY = ["study", "count", "--config=demo"]


@pytest.fixture
def count(tmp_path, monkeypatch):
    (tmp_path / "count_study.py").write_text(COUNT)
    monkeypatch.syspath_prepend(tmp_path)
    row = ("count_study", "counts words", {"--words": ("a,b", "to count")})
    monkeypatch.setitem(STUDIES, "count", row)
    built = []
    monkeypatch.setattr(study.synthetic, "build", lambda *args, **kwargs: built.append(args))
    return built


def test_a_new_study(count, tmp_path, capsys):
    out = tmp_path / "out"
    assert dispatch([*STUDY, f"--workdir={out}", "--clips=2"]) is None
    assert capsys.readouterr().out.startswith(f"2 of 2, {out / 'shards'}\n")
    assert count == [(out / "shards", 200)]


def test_it_refuses_its_own_flags_before_anything_is_rendered(count, tmp_path):
    with pytest.raises(UserError, match="--words: none"):
        dispatch([*STUDY, f"--workdir={tmp_path / 'out'}", "--words=none"])
    assert not count


def test_a_stopped_study_has_its_exit_code(count, tmp_path):
    assert dispatch([*STUDY, f"--workdir={tmp_path / 'o'}", "--config.seed=1"]) == 143
