"""Whose results a folder holds: `results/<tracker>.json`."""

import json
from pathlib import Path

import pytest

from siamjax import cli
from siamjax.errors import UserError
from siamjax.evaluation import claims, specs

MINE = """
class Mine:
    def init(self, frame, box):
        self.box = box

    def update(self, frame):
        return self.box
"""
CHANGED = (
    "Mine: its code has changed since out/results/Mine was begun; what is there is kept: delete it"
    " to run all again"
)


@pytest.fixture
def out(tmp_path):
    """A folder with a result of the tracker t."""
    (tmp_path / "results" / "t").mkdir(parents=True)
    (tmp_path / "results" / "t" / "a.txt").write_text("1,2,3,4\n")
    return tmp_path


def test_results_of_two_trackers_are_not_mixed(out, capsys):
    claims.claim(out, "t", "one", "a")
    claims.claim(out, "t", "one", "a")
    with pytest.raises(UserError, match="results of another checkpoint or tracker"):
        claims.claim(out, "t", "other", "a")
    assert capsys.readouterr().err == ""
    assert claims.notes("t", out / "results" / "t") == []


def test_changed_code_is_said_until_no_result_of_the_old_one_is_left(out, capsys):
    """Before: the line stayed after the results were deleted, and no report had it."""
    folder = out / "results" / "t"
    for code, said in (("a", False), ("b", True), ("b", True), ("a", True), ("c", True)):
        claims.claim(out, "t", "one", code)
        assert ("t: its code has changed since" in capsys.readouterr().err) == said
        assert len(claims.notes("t", folder)) == said
    (folder / "a.txt").unlink()
    for identity in ("one", "other"):  # nothing is there to be mixed with
        claims.claim(out, "t", identity, "b")
        assert capsys.readouterr().err == ""
        assert claims.notes("t", folder) == []
    with pytest.raises(UserError, match="results of another checkpoint or tracker"):
        claims.claim(out, "t", "one", "b", alone=False)  # another process may write the first now


def test_a_report_says_that_code_has_changed(tmp_path, monkeypatch, capsys):
    """Before: on standard error alone."""
    monkeypatch.chdir(tmp_path)
    command = ["eval", "--dataset=synthetic", "--limit=1", "--tracker=claimed_mine:Mine"]

    def evaluate(more=""):
        Path("claimed_mine.py").write_text(MINE + more)
        cli.dispatch([*command, "--out=out"])
        texts = [Path("out", name).read_text() for name in ("table.md", "report.html")]
        problems = json.loads(Path("out/scores.json").read_text())["problems"]
        return capsys.readouterr().out, problems, *texts

    printed, problems, *texts = evaluate()
    assert problems == []
    assert all("code has changed" not in text for text in (printed, *texts))
    printed, problems, *texts = evaluate("# repaired\n")
    assert problems == [CHANGED]
    assert all(f"found: {CHANGED}" in text for text in (printed, *texts))
    cli.dispatch(["report", "out", "--out=again"])
    assert "found: Mine: its code has changed" in capsys.readouterr().out
    for path in Path("out/results/Mine").iterdir():
        path.unlink()
    printed, problems, *_ = evaluate("# repaired\n")
    assert problems == []
    assert "code has changed" not in printed


@pytest.mark.parametrize("content", ["", '{"identity": ', "[1]", "\x00\xff"])
def test_a_damaged_claim_is_one_line(content, out):
    """Before: with an empty `results/siamjax.json` `siamjax eval` ended in a traceback of
    "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"."""
    (out / "results" / "t.json").write_bytes(content.encode("latin-1"))
    assert claims.notes("t", out / "results" / "t") == []
    with pytest.raises(UserError, match=r"t\.json: cannot be read"):
        claims.claim(out, "t", "static")


def test_a_claim_with_a_flipped_bit_is_named(out, capsys):
    """Before: one bit of "identity" made it the name of something else, and any results were taken
    for this tracker's; one of "code" said that the code had changed."""
    path = out / "results" / "t.json"
    claims.claim(out, "t", "static", "a")
    claims.claim(out, "t", "static", "b")
    capsys.readouterr()
    good = path.read_bytes()
    for bit in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"t\.json: cannot be read"):
            claims.claim(out, "t", "static", "b")
    assert capsys.readouterr().err == ""


def test_claims_of_earlier_versions_are_known(out, checkpoint):
    spec = specs.of_checkpoint(checkpoint, "t", {"lr": 0.1})
    old = f"{specs.checkpoint_identity(checkpoint)} {(('lr', 0.1),)}"
    (out / "results" / "t.json").write_text(json.dumps({"checkpoint": old}))
    claims.claim(out, "t", spec.identity, spec.code)
    with pytest.raises(UserError, match="results of another checkpoint"):
        claims.claim(out, "t", specs.of_checkpoint(checkpoint, "t").identity)
