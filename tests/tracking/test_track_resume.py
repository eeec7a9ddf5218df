"""`siamjax track --resume`: a run that was killed, interrupted or stopped by an error ends with the
tables of one that was not."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from siamjax import cli
from siamjax.commands import track_resume
from siamjax.errors import UserError
from siamjax.locks import Lock
from siamjax.media import VideoWriter, journal, read_video
from siamjax.media import frames as images
from siamjax.media.tracks import Row
from siamjax.models import weights
from siamjax.tracking import session

GIVEN = ("--box=40,50,30,24:fish", "--add=3:100,20,40,40", "--add=7:60,57,30,24:fish")
TABLES = ("--csv=out.csv", "--json=out.json", "--mot=out.mot")
NAMES = ("out.csv", "out.json", "out.mot")
ROWS = "out.csv.rows.csv"


def contents():
    return {name: Path(name).read_bytes() for name in NAMES}


@pytest.fixture
def whole(track, folder):
    """What an uninterrupted run writes."""
    track(folder, *GIVEN, *TABLES)
    made = contents()
    for name in NAMES:
        os.remove(name)
    return made


@contextlib.contextmanager
def stopped(calls, error=None):
    """Raises an error, Ctrl-C's, at the start of the call of that number of `Tracker.search`."""
    search, seen = session.Tracker.search, []

    def stops(self, frame):
        seen.append(1)
        if len(seen) == calls:
            raise error or KeyboardInterrupt
        return search(self, frame)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Tracker, "search", stops)
        yield


KILLED = """\
import os, signal, sys
from siamjax import cli
from siamjax.tracking import session

search, seen = session.Tracker.search, []

def killed(self, frame):
    seen.append(1)
    if len(seen) == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return search(self, frame)

session.Tracker.search = killed
cli.main()
"""


def test_a_kill_keeps_the_rows(track, whole, folder, checkpoint):
    """Before: SIGKILL left a hidden file .out.PID.partial.webm, and nothing of the tables."""
    out = ("--out=out.webm", *TABLES)
    arguments = ["track", str(folder), *GIVEN, *out, f"--checkpoint={checkpoint}"]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert process.returncode == -signal.SIGKILL
    assert not {*NAMES, "out.webm"} & {*os.listdir()}
    lines = Path(ROWS).read_text().splitlines()
    assert lines[1].startswith("frame,target,x,y,w,h,score,second_peak,lost,")
    # frame 0..7; target 1 is there from frame 3 on
    assert [line.split(",")[:2] for line in lines[2:]] == [
        [str(frame), str(target)] for frame in range(8) for target in range(1 + (frame >= 3))
    ]
    with pytest.raises(UserError, match=f"{ROWS}: rows of a run that did not end, 8 frames; cont"):
        track(folder, *GIVEN, *out)
    assert track(folder, *GIVEN, *out, "--resume") is None
    assert contents() == whole
    assert sorted(os.listdir()) == sorted([*NAMES, "out.webm"])  # nothing half-written stays
    resumed = list(read_video("out.webm"))
    track(folder, *GIVEN, "--out=whole.webm")
    for one, other in zip(resumed, read_video("whole.webm"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("calls", [2, 9, 14])
def test_ctrl_c_and_resume(track, whole, folder, capsys, calls):
    with stopped(calls):
        assert track(folder, *GIVEN, *TABLES) == 130
    assert "they are kept; --resume continues" in capsys.readouterr().out
    partial = contents()
    assert whole["out.csv"].startswith(partial["out.csv"])
    assert track(folder, *GIVEN, *TABLES, "--resume") is None
    assert contents() == whole
    assert sorted(os.listdir()) == sorted(NAMES)


def test_a_damaged_row_is_tracked_again(track, whole, folder, capsys):
    """Before: `siamjax track --resume` took a changed digit over into the tables."""
    with stopped(9):
        track(folder, *GIVEN, *TABLES)
    lines = Path(ROWS).read_text().splitlines(keepends=True)
    lines[4] = lines[4].replace("2,0,", "2,0,1", 1)  # x of frame 2
    Path(ROWS).write_text("".join(lines))
    assert track(folder, *GIVEN, *TABLES, "--resume") is None
    assert f"{ROWS}:5: damaged; the frames from there on are tracked" in capsys.readouterr().out
    assert contents() == whole


def test_after_ctrl_c_a_new_run_may_start(track, whole, folder):
    with stopped(5):
        track(folder, *GIVEN, *TABLES)
    assert track(folder, *GIVEN, *TABLES) is None  # the outputs hold the rows: nothing is lost
    assert contents() == whole


def test_an_error_keeps_the_rows(track, whole, folder, capsys):
    """Before: `siamjax track frames --csv=lost.csv` with a broken image in frame 14 gave 'not a
    readable image', exit code 2, and none of the 14 frames that were tracked."""
    shutil.copytree(folder, "frames")
    good = Path("frames/0008.png").read_bytes()
    Path("frames/0008.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"0008\.png: not a readable.*; 8 frames are kept in"):
        track("frames", *GIVEN, *TABLES)
    assert capsys.readouterr().err.endswith("\n")  # the message stands on a line of its own
    assert sorted(os.listdir()) == ["frames", ROWS]
    Path("frames/0008.png").write_bytes(good)
    track("frames", *GIVEN, *TABLES, "--resume")
    assert Path("out.csv").read_bytes() == whole["out.csv"]


def test_frames_that_are_there_are_not_tracked_again(track, whole, folder, monkeypatch):
    with stopped(14):
        track(folder, *GIVEN, *TABLES)
    frames = len(journal.read(Path(ROWS)).rows)
    seen, read = [], images.read_image
    monkeypatch.setattr(images, "read_image", lambda path: (seen.append(path.name), read(path))[1])
    track(folder, *GIVEN, *TABLES, "--resume")
    # the first frame, those in which boxes are given, and what was not tracked yet
    wanted = {0, 3, 7, *range(frames, 12)}
    assert {int(name[:4]) for name in seen} == wanted
    assert contents() == whole


def test_boxes_may_be_left_out_or_corrected_behind_the_end(track, whole, folder):
    with stopped(9):  # in frame 6
        track(folder, *GIVEN[:2], "--add=7:1000,57,30,24:fish", *TABLES)
    shutil.copy(ROWS, "saved")
    track(folder, *GIVEN, *TABLES, "--resume")
    assert contents() == whole
    shutil.copy("saved", ROWS)
    with pytest.raises(
        UserError, match="box in frame 7, given to the run before, 1000,57,30,24 lies"
    ):
        track(folder, *TABLES, "--resume")  # with the boxes of the run before
    track(folder, *GIVEN, *TABLES, "--resume")
    assert contents() == whole


def test_another_run_is_not_continued(track, folder, clip):
    with stopped(9):
        track(folder, *GIVEN, *TABLES)
    with VideoWriter("other.avi") as writer:
        for frame in clip.frames[::-1]:
            writer.write(frame)
    for arguments, message in (
        ((folder, "--box=41,50,30,24:fish", *GIVEN[1:]), r"other boxes \(frame 0: 40\.0,50\.0"),
        ((folder, *GIVEN, "--stride=1", "--start=1"), "give the video and --start as then"),
        (("other.avi", *GIVEN), "give the video and --start as then"),
        ((folder, *GIVEN, "--set", "lr=0.1"), "give --checkpoint and --set as then"),
    ):
        with pytest.raises(UserError, match=message):
            track(*arguments, *TABLES, "--resume")
        assert len(journal.read(Path(ROWS)).rows) >= 5  # still there


@pytest.mark.slow
def test_long_term_runs_resume(track, folder, tiny, tmp_path):

    config = tiny.config.copy_and_resolve_references().unlock()
    config.tracker.update({"long_term": True, "lost_instance": 271})
    weights.save(tmp_path / "long.npz", config, tiny.variables)
    more = ("--box=40,50,30,24", "--add=2:100,20,40,40", "--csv=out.csv")

    def run(*arguments):
        return cli.dispatch(["track", str(folder), *more, "--checkpoint=long.npz", *arguments])

    run()
    before = Path("out.csv").read_bytes()
    with stopped(13):
        run()
    assert Path("out.csv").read_bytes() != before
    run("--resume")
    assert Path("out.csv").read_bytes() == before
    assert b",1\n" in before  # a target was lost


def test_the_memory_of_presence_resumes(track, whole, folder, tiny, tmp_path):
    """The evidence is taken up to the bit: presence says the same in all frames."""
    config = tiny.config.copy_and_resolve_references().unlock()
    config.tracker.presence = (0.7, *[0.9] * 5, *[-0.4] * 10)
    weights.save(tmp_path / "fitted.npz", config, tiny.variables)

    def run(*arguments):
        more = (*GIVEN, *TABLES, "--checkpoint=fitted.npz")
        return cli.dispatch(["track", str(folder), *more, *arguments])

    run()
    before = contents()
    assert before["out.csv"] != whole["out.csv"]
    with stopped(13):
        run()
    assert contents() != before
    run("--resume")
    assert contents() == before


def test_resume_without_rows_starts_at_the_start(track, whole, folder, capsys):
    assert track(folder, *GIVEN, *TABLES, "--resume") is None
    assert f"no rows in {ROWS}: from the start" in capsys.readouterr().out
    assert contents() == whole


def test_rows_of_a_camera_are_not_resumed(tmp_path):
    """Before: the line named --resume, which refuses cameras."""
    rows, out = tmp_path / ROWS, tmp_path / "out.csv"

    def fails():
        with track_resume.KeptRows(rows, [str(out)], False, live=True) as kept:
            kept.begin({"names": []})
            for frame in range(2):
                row = Row(frame, 0, 1.0, 2.0, 3.0, 4.0, 0.5, 0.1, False)
                kept.append([row], [journal.State(1.0, 2.0, 3.0, 4.0, False, 2.0)])
            raise UserError("disk")

    table = f"siamjax labels {rows} --to=csv --out=NAME.csv makes a table of them"
    with pytest.raises(UserError, match=f"^disk; 2 frames are kept in {rows}, {table}$"):
        fails()
    with pytest.raises(UserError, match=r"did not end, 2 frames; move this file away$"):
        fails()


def test_two_runs_never_write_the_same_outputs(track, folder):
    busy = pytest.raises(UserError, match=r"in use by process .* or choose other outputs")
    with Lock(Path(), ".out.mot.lock"), busy:
        track(folder, *GIVEN, *TABLES)
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--show"], "--resume: no output to continue"),
        (["--heatmap"], "--resume: score maps of earlier frames are not kept"),
    ],
)
def test_what_cannot_be_resumed(track, folder, arguments, message):
    with pytest.raises(UserError, match=message):
        track(folder, *GIVEN, "--resume", *arguments)
    assert os.listdir() == []
