import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_eval(*flags, cwd=None):
    return subprocess.run(
        [sys.executable, str(ROOT / "run_eval.py"), *flags],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
    )


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--dataset=OTB110"], "did you mean OTB100"),
        (["--dataset=OTB100", "--data_root=/no/such/folder"], "/no/such/folder"),
        (["--dataset=synthetic"], "nothing to evaluate"),
        (["--dataset=synthetic", "--baselines=nonsense", "--limit=1"], "nonsense"),
        (["--dataset=synthetic", "--limit=0", "--baselines=static"], "--limit=0"),
        (["--dataset=synthetic", "--checkpoint=/no/such/file"], "no such file"),
        (["--dataset=synthetic", "--results=/no/such"], "no such folder"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(flags, message, tmp_path):
    done = run_eval(*flags, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_synthetic_works_at_once_and_results_are_scored_again(tmp_path):
    out = tmp_path / "out"
    flags = ["--dataset=synthetic", "--sequences=clip000"]
    done = run_eval(*flags, "--baselines=static", f"--out={out}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "subset of synthetic: 1 of 16 sequences" in done.stdout
    first = json.loads((out / "scores.json").read_text())
    again = run_eval(*flags, f"--results={out / 'results'}", f"--out={tmp_path / 'again'}")
    assert again.returncode == 0, again.stderr
    second = json.loads((tmp_path / "again/scores.json").read_text())
    assert second["per_sequence"] == first["per_sequence"]


def test_scoring_needs_no_jax():
    code = (
        "import sys; from siamjax.commands import eval; from siamjax.benchmarks import registry;"
        "from siamjax.evaluation import scoring, report, page, plots;"
        "assert not {'jax', 'flax', 'tensorflow'} & set(sys.modules), 'jax was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.reference
@pytest.mark.parametrize("tracker, auc", [("SiamRPN++", 0.696), ("DaSiamRPN", 0.658)])
def test_toolkit_published_otb_boxes(reference, tmp_path, tracker, auc):
    from siamjax.benchmarks import registry
    from siamjax.evaluation import scoring

    root = reference / "data/published/OTB100"
    benchmark = registry.load("OTB100", root, images=False)
    scores = scoring.score(benchmark, {tracker: root / "results" / tracker})
    assert scores.sequences == (100, 100)
    assert scores.dataset == "OTB100"
    assert round(scores.trackers[tracker]["success_auc"], 3) == auc
