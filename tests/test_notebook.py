"""The notebook: stored without outputs, and every cell runs."""

import json
import os
import sys
from pathlib import Path

import pytest

from siamjax import cli

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "siamjax_colab.ipynb"


def cells(kind):
    notebook = json.loads(NOTEBOOK.read_text())
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_outputs_are_stripped():
    assert len(cells("code")) > 8
    for cell in cells("code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_code_is_valid_python():
    for cell in cells("code"):
        compile("".join(cell["source"]), cell["id"], "exec")


@pytest.mark.slow
def test_every_cell_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    cli.dispatch(["render", "--seed=5", "--length=8", f"--out={tmp_path / 'own'}"])
    truth = (tmp_path / "own" / "groundtruth_rect.txt").read_text().splitlines()
    box = tuple(float(value) for value in truth[0].split(","))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    changed = {"SECONDS": 15, "VIDEOS": 30, "CLIPS": 2, "BOX": box}
    changed["VIDEO"] = str(tmp_path / "own" / "img")
    parameters.source += "".join(f"\n{name} = {value!r}" for name, value in changed.items())
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    client = nbclient.NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()

    html = [
        output.data["text/html"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert sum("<video" in text for text in html) == 2  # the embedded clip and the user's own
    assert sum("<iframe" in text for text in html) == 1
    scores = json.loads((tmp_path / "runs/notebook/eval/scores.json").read_text())["trackers"]
    assert set(scores) == {"shipped", "trained", "static", "template_matching"}
    assert scores["shipped"]["success_auc"] > scores["static"]["success_auc"]
