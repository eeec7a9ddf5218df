"""The commands that README and docs print, found in their code blocks.

    python docs/commands.py          # run all that can run here, in a copy of the repository
    python docs/commands.py --list   # say which would run and why others would not

Each is run as printed, in the order of the pages. `docs/check_commands.sh` is the same.
"""

import argparse
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("make", "pip", "uv", "python", "python3", "siamjax", "vot", "export", "ffmpeg")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`((?:siamjax|python|make|pip) [^`]+)`(?!`)")

# What is not run, and why; the first pattern that is found in a command decides.
LEFT_OUT = {
    r"^make test|^make commands": "is what runs this, or runs beside it in CI",
    r"^python -m pytest|^make (docs|notebook|wheel)": "a step of CI of its own",
    r"(data_prep[. ]|siamjax prepare )(?!synthetic)": "needs the data set",
    r"--dataset=(OTB|VOT|LaSOT|UAV)": "needs the data set",
    r"configs/(resnet50|mobilenetv.|mine).*--workdir|--workdir.*init_from": "needs the full data",
    r"^siamjax inspect (pairs|shards)": "needs shards of the training sets",
    r"runs/(resnet50|r50|mine|bundled)|r50\.npz|pysot|\.pth|\.model": "needs other weights",
    r"votenv|^vot |vot_results|VOT_RESULTS": "needs an environment of its own",
    r"^pip (un)?install|pip install|-m venv|^uv": "would change this environment",
    r"^siamjax (labels|finetune) mine|--data_root=held_out|--out_labels=video": "needs own videos",
    r"train_bundled": "needs the material of the bundled checkpoint",
    r"--distributed|beam_runner": "needs several machines",
    r"(s3|gs|hf)://": "needs an account there",
    r"mytracker:|\.onnx;": "needs a file of the user's; tests/evaluation/test_specs.py has them",
    r"\.rows\.csv": "needs a run that was killed; tests/media/test_journal.py reads one",
    r"^siamjax track (0|rtsp)": "needs a camera or a stream",
    r"^siamjax study (?!.*--dry_run)": "takes up to 40 minutes",
    r"^siamjax serve": "serves until Ctrl-C; tests/tracking/test_serve_page.py drives it",
    r"^npm|--ort=|http\.server": "needs npm and a browser; tests/integrations/test_web.py has both",
    r"^ffmpeg": "needs another program",
    r"\[--|VIDEO|FILE|DIR\b|NAME|FOLDER|\.\.\.": "a pattern, not a command",
}


@dataclasses.dataclass(frozen=True)
class Command:
    """A line of a code block.

    Attributes:
        page: file it stands in, relative to the repository.
        text: the line, continuation lines joined, comments removed.
    """

    page: str
    text: str

    @property
    def left_out(self) -> str:
        """Why it is not run; empty where it is."""
        return next((why for what, why in LEFT_OUT.items() if re.search(what, self.text)), "")


def pages() -> list[Path]:
    """README, CONTRIBUTING and every page of docs."""
    docs = sorted(page for part in ("*.md", "studies/*.md") for page in (ROOT / "docs").glob(part))
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *docs]


def commands(page: Path, inline: bool = False) -> list[Command]:
    """The commands of a page's code blocks.

    Args:
        page: a Markdown file.
        inline: also those in `backquotes` in its text.
    """
    text = page.read_text()
    name = str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name
    found = []
    for language, block in FENCE.findall(text):
        if language in ("", "bash", "sh"):
            lines = block.replace("\\\n", " ").splitlines()
            found += [line for line in map(_without_comment, lines) if _is_command(line)]
    if inline:
        found += [" ".join(each.split()) for each in INLINE.findall(FENCE.sub("", text))]
    return [Command(name, line) for line in found]


def _without_comment(line: str) -> str:
    return re.sub(r"\s+#.*", "", " ".join(line.split())) if not line.startswith("#") else ""


def _is_command(line: str) -> bool:
    first, _, rest = line.partition(" ")
    known = first in PROGRAMS or first.startswith((".venv/bin/", "docs/"))
    return known and not rest.startswith("= ")  # a setting in an .ini file


def run_all(scratch: Path) -> int:
    """Runs them in a copy of the repository.

    Args:
        scratch: folder for the copy.

    Returns:
        How many failed.
    """
    copy = scratch / "siamjax"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    environment = Path(os.path.abspath(sys.executable)).parent.parent
    (copy / ".venv").symlink_to(environment)
    for path in (copy / "pyproject.toml", *copy.glob("constraints*.txt")):
        os.utime(path, (0, 0))  # older than the environment: make has nothing to install
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(copy)}
    finished = os.environ.get("SIAMJAX_DEMO")
    if finished:  # a finished demo: `make demo` then only evaluates
        shutil.copytree(finished, copy / "runs" / "demo")
    video = ["siamjax", "render", "--seed=3", "--length=20", "--out=video.mp4"]
    subprocess.run(video, cwd=copy, env=env, check=True, capture_output=True)
    failed = 0
    seen = set()
    for command in (each for page in pages() for each in commands(page)):
        if command.text in seen:
            continue
        seen.add(command.text)
        if command.left_out:
            print(f"      -  {command.text}  [{command.left_out}]", flush=True)
            continue
        began = time.monotonic()
        done = subprocess.run(
            command.text, shell=True, cwd=copy, env=env, capture_output=True, text=True
        )
        print(f"{time.monotonic() - began:6.1f}s  {command.text}", flush=True)
        if done.returncode:
            failed += 1
            print(f"         FAILED ({command.page}), exit code {done.returncode}:")
            print("\n".join((done.stdout + done.stderr).splitlines()[-12:]), flush=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="run nothing")
    args = parser.parse_args()
    if args.list:
        for command in (each for page in pages() for each in commands(page)):
            print(f"{command.page}: {command.text}  [{command.left_out or 'runs'}]")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        failed = run_all(Path(scratch))
    print(f"{failed} failed" if failed else "all that ran passed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
