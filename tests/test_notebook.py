"""The notebook: stored without outputs, and every cell runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from siamjax import cli

ROOT = Path(__file__).resolve().parents[1]
MINUTES = float(os.environ.get("SIAMJAX_NOTEBOOK_MINUTES", 2))  # of fine-tuning; busy: more
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


def setup_code(repository=""):
    """The cells up to the one that makes siamjax importable."""
    constant, install = cells("code")[:2]
    assert "repository" in constant["metadata"]["tags"]
    return f"REPOSITORY = {repository!r}\n" + "".join(install["source"])


def test_outside_a_checkout_an_empty_constant_is_one_line(tmp_path):
    bare = [sys._base_executable, "-I", "-S", "-c", setup_code()]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Set REPOSITORY in the cell above: siamjax is not here yet\n"
    assert os.listdir(tmp_path) == []


def test_what_is_installed_is_left_alone(tmp_path):
    """In an environment with siamjax nothing is cloned or installed."""
    code = f"import subprocess; subprocess.run = None\n{setup_code()}\nimport siamjax.models"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == []


def test_the_jax_of_the_runtime_stays(tmp_path):
    """In a checkout without an environment: pip is told the versions of jax that are there."""
    for name in ("version.py", "__init__.py"):
        (tmp_path / "siamjax").mkdir(exist_ok=True)
        (tmp_path / "siamjax" / name).write_text("")
    for name in ("jax", "jax-cuda13-plugin", "jaxtyping", "numpy"):
        about = tmp_path / "site" / f"{name.replace('-', '_')}-0.9.dist-info" / "METADATA"
        about.parent.mkdir(parents=True)
        about.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.9\n")
    place = f"sys.path.insert(0, {str(tmp_path / 'site')!r})"
    fake = "subprocess.run = lambda words, check: print(*words[3:])"
    code = f"import subprocess, sys; {place}; {fake}\n{setup_code()}"
    bare = [sys._base_executable, "-I", "-S", "-c", code]
    (tmp_path / "notebooks").mkdir()
    done = subprocess.run(bare, cwd=tmp_path / "notebooks", capture_output=True, text=True)
    assert done.stdout == f"install --quiet -c own_jax.txt -e {tmp_path}\n", done.stderr
    kept = (tmp_path / "notebooks" / "own_jax.txt").read_text()
    assert kept == "jax-cuda13-plugin==0.9\njax==0.9\n"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A kernel whose environment has what siamjax needs, and not siamjax."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (own,) = (path for path in sys.path if path.endswith("site-packages"))
    (site / "packages.pth").write_text(own + "\n")  # a path alone: its own .pth are not read
    python = str(environment / "bin" / "python")
    code = "import importlib.util as u; assert u.find_spec('jax') and not u.find_spec('siamjax')"
    monkeypatch.delenv("PYTHONPATH", raising=False)
    subprocess.run([python, "-c", code], cwd=tmp_path, check=True)
    words = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": words, "display_name": "bare", "language": "python"}
    folder = tmp_path / "jupyter" / "kernels" / "bare"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return "bare"


@pytest.mark.slow
def test_every_cell_runs(tmp_path, kernel):
    """From an empty folder, where the constant is a `file://` address of this repository."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    cli.dispatch(["render", "--seed=5", "--length=8", f"--out={tmp_path / 'own'}"])
    truth = (tmp_path / "own" / "groundtruth_rect.txt").read_text().splitlines()
    box = tuple(float(value) for value in truth[0].split(","))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    changed = {
        "repository": {"REPOSITORY": ROOT.as_uri()},
        "parameters": {
            **{"VIDEO": str(tmp_path / "own" / "img"), "BOX": box},
            **{"MINUTES": MINUTES, "SECONDS": 10, "VIDEOS": 20, "CLIPS": 2},
        },
    }
    for tag, values in changed.items():
        (cell,) = (c for c in notebook.cells if tag in c.metadata.get("tags", ()))
        cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
    (tmp_path / "empty").mkdir()
    client = nbclient.NotebookClient(
        notebook,
        timeout=1800,
        kernel_name=kernel,
        resources={"metadata": {"path": tmp_path / "empty"}},
    )
    client.execute()

    html = [
        output.data["text/html"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert sum("<video" in text for text in html) == 1
    assert sum("<iframe" in text for text in html) == 1
    there = tmp_path / "empty" / "runs" / "notebook"
    scores = json.loads((there / "eval" / "scores.json").read_text())["trackers"]
    assert set(scores) == {"shipped", "trained", "static", "template_matching"}
    assert scores["shipped"]["success_auc"] > scores["static"]["success_auc"]
    assert (there / "finetuned" / "finetune.json").is_file()
    assert (tmp_path / "empty" / "siamjax_source" / ".git").is_dir()
