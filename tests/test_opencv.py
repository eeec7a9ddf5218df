"""Two wheels of OpenCV in one environment are said in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from siamjax import cli, opencv
from siamjax.errors import UserError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "found, line",
    [
        (
            ["opencv-python-headless"],
            "goes in its place, since two of OpenCV's wheels break each other:"
            " pip uninstall -y opencv-python-headless; then pip install opencv-contrib-python",
        ),
        (
            ["opencv-python", "opencv-contrib-python-headless"],
            "opencv-python and opencv-contrib-python-headless are both installed and overwrite"
            " each other: pip uninstall -y opencv-python opencv-contrib-python-headless;",
        ),
        (["opencv-contrib-python-headless"], "pip install --force-reinstall --no-deps opencv-c"),
        ([], "pip install opencv-contrib-python-headless"),
    ],
)
def test_the_remedy_fits_what_is_installed(found, line, monkeypatch):
    monkeypatch.setattr(opencv, "installed", lambda: found)
    assert line in opencv.remedy()
    assert "\n" not in opencv.remedy()


def test_one_wheel_is_installed_here():
    assert len(opencv.installed()) == 1
    assert set(opencv.installed()) <= set(opencv.WHEELS)


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("module 'cv2' has no attribute 'imread'"),
        ModuleNotFoundError("No module named 'cv2'", name="cv2"),
        ImportError("libGL.so.1: cannot open shared object file", name="cv2"),
    ],
)
def test_a_broken_cv2_is_one_line_in_every_command(error, monkeypatch):
    """Before: after `pip uninstall opencv-python-headless` beside opencv-contrib-python-headless
    every command ended with this AttributeError's traceback."""

    def broken(args):
        raise error

    monkeypatch.setattr("siamjax.commands.eval.run", broken)
    with pytest.raises(UserError, match=r"OpenCV is broken .*pip install"):
        cli.dispatch(["eval", "--dataset=synthetic"])


@pytest.mark.parametrize("words", [["siamjax", "track", "x.mp4"], ["data_prep", "coco", "--help"]])
def test_without_the_environment_the_line_names_it(words, tmp_path):
    """Before: `python3 -m siamjax` asked for OpenCV in the system's Python, `python3 -m data_prep`
    ended with a traceback."""
    code = (
        "import runpy, sys\n"
        "sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "from importlib import metadata\n"
        "def absent(name): raise metadata.PackageNotFoundError(name)\n"
        "metadata.version = absent\n"
        f"sys.argv[1:] = {words[1:]}\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"runpy.run_module({words[0]!r}, run_name='__main__')\n"
    )
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {sys.executable} has no ")
    assert f"; in {ROOT}: make env, then .venv/bin/" in line


def test_other_errors_are_not_hidden():
    with pytest.raises(AttributeError, match="no attribute"), opencv.explained():
        raise AttributeError("'Sequence' object has no attribute 'x'")
