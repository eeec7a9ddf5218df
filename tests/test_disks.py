"""Disks that refuse, at every command that writes: one line, exit code 2, nothing half-written."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamjax import checksums, files
from siamjax.datasets.results import write_times
from siamjax.errors import UserError
from siamjax.locks import Lock
from siamjax.media.journal import Journal

ROOT = Path(__file__).resolve().parents[1]
REFUSALS = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "disk quota exceeded",
    errno.EROFS: "Read-only file system",
}

# Runs commands whose output lies on a disk of 8 MiB that refuses, and prints of each: its name,
# exit code, the lines of its error, and the files that it left.
DRIVER = """
import contextlib, errno, io, json, os, subprocess, sys
from pathlib import Path
from siamjax.cli import dispatch
from siamjax.errors import run_main

disk, how, commands = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]
subprocess.run(mount, check=True)
if how == "full":
    with contextlib.suppress(OSError), open(disk / "ballast", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
elif how == "read-only":
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
else:
    def fsync(descriptor, real=os.fsync):
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(disk)):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        real(descriptor)
    os.fsync = fsync
for name, command in commands.items():
    said, code = io.StringIO(), None
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            run_main(lambda: dispatch(command))
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = repr(error)
    lines = [x for x in said.getvalue().replace("\\r", "\\n").splitlines() if "error" in x.lower()]
    left = [str(p) for p in disk.rglob("*") if p.is_file() and p.name != "ballast"]
    print("RESULT " + json.dumps([name, code, lines, left]))
"""


@pytest.fixture
def videos(tmp_path):
    """Two clips with their boxes."""
    for name in ("first", "second"):
        folder = tmp_path / "videos" / name
        folder.mkdir(parents=True)
        for i in range(5):
            image = np.full((60, 80, 3), 90, np.uint8)
            cv2.rectangle(image, (20 + i, 20), (40 + i, 36), (40, 200, 30), -1)
            cv2.imwrite(str(folder / f"{i}.png"), image)
        rows = [f"{20 + i},20,20,16\n" for i in range(5)]
        (folder / "groundtruth.txt").write_text("".join(rows))
    return tmp_path / "videos"


def commands(videos, good, disk):
    """A command line for each kind of output."""
    data = ["--dataset=folder", f"--data_root={videos}"]
    clip = str(videos / "first")
    track = ["track", clip, "--box=20,20,20,16", "--tracker=static"]
    return {
        "eval": ["eval", *data, "--baselines=static", f"--out={disk}/eval"],
        "eval, workers": ["eval", *data, "--tracker=static", "--workers=2", f"--out={disk}/w"],
        "eval, part": ["eval", *data, "--tracker=static", "--shard=0/2", f"--out={disk}/part"],
        "eval of results": ["eval", *data, f"--results={good}/results", f"--out={disk}/scored"],
        "report": ["report", str(good), f"--out={disk}/report"],
        "track, table": [*track, f"--csv={disk}/a.csv", f"--out={good}/a.webm"],
        "track, video": [*track, f"--out={disk}/a.webm"],
        "render, video": ["render", "--length=3", f"--out={disk}/clip.webm"],
        "render, folder": ["render", "--length=3", f"--out={disk}/clip"],
        "labels": ["labels", clip, "--to=coco", f"--out={disk}/labels.json"],
        "prepare": ["prepare", "folder", f"--source={videos}", f"--out={disk}/set"],
        "search": ["search", *data, f"--out={disk}/search"],
        "study": ["study", "shift", f"--workdir={disk}/study"],
        "demo": ["demo", f"--out={disk}/demo"],
        "finetune": ["finetune", str(videos), f"--out={disk}/finetune"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("how", ["full", "read-only", "quota"])
def test_every_command_on_a_disk_that_refuses(videos, tmp_path, own_mounts, how):
    """A tmpfs in a mount namespace of its own; a quota by fsync, which all writers call. Before:
    `siamjax render --out=FOLDER` said its line behind the progress bar, and a full disk was "cannot
    be written (No space left on device); choose another --out"."""
    disk, good = tmp_path / "disk", tmp_path / "good"
    disk.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    run = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True}
    table = commands(videos, good, disk)
    before = [*table["eval"][:-1], f"--out={good}"]
    done = subprocess.run([sys.executable, "-m", "siamjax", *before], **run)
    assert done.returncode == 0, done.stderr
    (tmp_path / "driver.py").write_text(DRIVER)
    driver = [sys.executable, str(tmp_path / "driver.py"), str(disk), how, json.dumps(table)]
    done = subprocess.run([*own_mounts, *driver], **run)
    found = [json.loads(x[7:]) for x in done.stdout.splitlines() if x.startswith("RESULT ")]
    assert [name for name, *_ in found] == [*table], done.stderr
    words = {"full": "no space left", "read-only": "read-only", "quota": "quota exceeded"}[how]
    for name, code, lines, left in found:
        assert (name, code, len(lines), left) == (name, 2, 1, []), lines
        assert lines[0].startswith("error: "), (name, lines)
        assert words in lines[0].lower(), (name, lines)


def journal(path):
    with_rows = Journal(path / "a.rows.csv", {"names": ["a"]})
    with_rows.close()


WRITERS = {
    "whole": lambda path: files.write_whole(path / "a.txt", "1"),
    "appended": lambda path: files.Appending(path / "a.jsonl").sync(),
    "folder": lambda path: _folder(path / "set"),
    "checksums": lambda path: checksums.write(path / "sums.txt", ROOT, ["README.md"]),
    "lock": lambda path: Lock(path),
    "journal": journal,
    "times": lambda path: write_times(path / "t.txt", _Run),
}


class _Run:
    reading, seconds = (0.1,), (0.2,)


def _folder(path):
    with files.replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("1")


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_says_what_the_disk_refused(tmp_path, monkeypatch, name, code):
    def refuse(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError) as raised:
        WRITERS[name](tmp_path)
    message = str(raised.value)
    assert message.startswith(str(tmp_path))
    assert REFUSALS[code] in message
    assert "\n" not in message
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ([] if name != "appended" else ["a.jsonl"])
