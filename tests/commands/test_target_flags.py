"""Which targets start where: --box, --add and --box_file."""

import argparse

import numpy as np
import pytest

from siamjax.commands import target_flags, track
from siamjax.errors import UserError


def numbered(*flags, count=None, first=0, stride=1):
    parser = argparse.ArgumentParser()
    track.add_targets(parser)
    given = target_flags.read_given(parser.parse_args(flags), count)
    found = target_flags.numbered(given, first, stride)
    return [(frame, target, one.box) for frame, target, one in found.boxes], found.names


def test_targets_are_numbered_as_they_are_given():
    boxes, names = numbered(
        "--add=40:9,9,9,9",
        "--box=1,2,3,4:red cat",
        "--box=5 6 7 8",
        "--add=20:1,1,2,2:  red   cat ",
    )
    assert boxes == [
        (0, 0, (1, 2, 3, 4)),
        (0, 1, (5, 6, 7, 8)),
        (40, 2, (9, 9, 9, 9)),
        (20, 0, (1, 1, 2, 2)),
    ]
    assert names == ["red cat", "", ""]


def test_a_name_of_foreign_bytes_can_be_written():
    """As the shell of a Latin-1 machine gives it."""
    (name,) = numbered(b"--box=1,2,3,4:na\xefve".decode("utf-8", "surrogateescape"))[1]
    assert name.encode("utf-8").decode() == name


def test_a_number_names_a_target_before():
    boxes, names = numbered("--box=1,2,3,4", "--box=1,2,3,4:Kätzchen: 2", "--add=9:5,5,5,5:1")
    assert boxes[2] == (9, 1, (5, 5, 5, 5))
    assert names == ["", "Kätzchen: 2"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--box=1,2,3"], "--box=1,2,3: give four numbers x,y,w,h"),
        (["--box=1,2,3,4:"], "no name behind the colon"),
        (["--add=1,2,3,4"], "--add=1,2,3,4: give the frame's number and a box"),
        (["--add=-1:1,2,3,4"], "give the frame's number"),
        (["--add=4.5s:1,2,3,4"], "give the frame's number"),
        (["--add=5:1,2,3,4,5"], "--add=5:1,2,3,4,5: give four numbers"),
        (["--box=1,2,3,4:a", "--box=1,2,3,4:a"], "--box: a has a box in frame 0 already"),
        (["--box=1,2,3,4", "--add=0:1,2,3,4:0"], "--add in frame 0: 0 has a box in frame 0"),
        (["--add=5:1,2,3,4:0"], "0 is the number of a target, and there are 0 before it"),
        (["--box=1,2,3,4", "--add=5:1,2,3,4:7"], "7 is the number of a target, .* are 1 before"),
    ],
)
def test_what_is_refused(flags, message):
    with pytest.raises(UserError, match=message):
        numbered(*flags)


def test_frames_that_are_not_read_are_refused():
    assert numbered("--add=16:1,2,3,4", first=10, stride=3)[0] == [(16, 0, (1, 2, 3, 4))]
    with pytest.raises(UserError, match="frame 15 is left out by --stride=3; 10, 13, 16, "):
        numbered("--add=15:1,2,3,4", first=10, stride=3)
    with pytest.raises(UserError, match="frame 15 is left out by --start; the first read is 16"):
        numbered("--add=15:1,2,3,4", first=16)


def test_a_file_with_a_box_per_target(tmp_path):
    (tmp_path / "b.txt").write_text("1,2,3,4\n\n5,6,7,8\n")
    boxes, names = numbered(f"--box_file={tmp_path}/b.txt", "--box=0,0,9,9:a", first=7, count=120)
    assert boxes == [(7, 0, (0, 0, 9, 9)), (7, 1, (1, 2, 3, 4)), (7, 2, (5, 6, 7, 8))]
    assert names == ["a", "", ""]


def test_a_file_with_a_box_per_frame_is_one_target(tmp_path, capsys):
    """Before: `siamjax track frames --box_file=groundtruth_rect.txt`, 120 boxes of 120 frames,
    followed 120 targets, and a first row without a target was refused."""
    path = tmp_path / "truth.txt"
    np.savetxt(path, np.arange(480).reshape(120, 4) + 1, "%d", delimiter=",")
    assert numbered(f"--box_file={path}", count=120) == ([(0, 0, (1, 2, 3, 4))], [""])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(["NaN,NaN,NaN,NaN\n", "\n", *lines[2:]]))
    assert numbered(f"--box_file={path}", count=120) == ([(2, 0, (9, 10, 11, 12))], [""])
    assert "a row per frame; the target starts in frame 2" in capsys.readouterr().out
    path.write_text("nan,nan,nan,nan\n" * 120)
    with pytest.raises(UserError, match=r"truth\.txt: no row with a box"):
        numbered(f"--box_file={path}", count=120)


def test_otbs_own_file_counts_pixels_from_one(tmp_path):
    path = tmp_path / "groundtruth_rect.txt"
    path.write_text("11,21,30,40\n12,22,30,40\n")
    assert numbered(f"--box_file={path}", count=2)[0] == [(0, 0, (10, 20, 30, 40))]
    path = path.rename(tmp_path / "groundtruth.txt")
    assert numbered(f"--box_file={path}", count=2)[0] == [(0, 0, (11, 21, 30, 40))]


def test_rows_of_one_target_for_another_number_of_frames(tmp_path, capsys):
    """Before: 50 rows of a target in a video of 60 frames were 50 targets of its first frame."""
    path = tmp_path / "truth.txt"
    follows = np.stack([np.arange(50) * 3, np.arange(50), *[np.full(50, 20)] * 2], 1)
    np.savetxt(path, follows, "%d", delimiter=",")
    with pytest.raises(UserError, match=r"truth\.txt: 50 rows that follow one target, for 60"):
        numbered(f"--box_file={path}", count=60)
    corners = np.tile(follows[:, :2], 4) + [0, 0, 20, 0, 20, 20, 0, 20]
    np.savetxt(path, corners, "%d", delimiter=",")
    with pytest.raises(UserError, match="50 rows that follow one target, for 60 frames"):
        numbered(f"--box_file={path}", count=60)
    grid = [(40 * x, 40 * y, 30, 30) for y in range(4) for x in range(5)]
    np.savetxt(path, grid, "%d", delimiter=",")
    assert len(numbered(f"--box_file={path}", count=60)[0]) == 20
    assert "a box per target; 20 targets start in the first frame" in capsys.readouterr().out
    np.savetxt(path, follows[:2], "%d", delimiter=",")
    assert len(numbered(f"--box_file={path}", count=60)[0]) == 2


def test_a_table_of_frames_and_targets(tmp_path):
    (tmp_path / "t.csv").write_text(
        "frame,target,x,y,w,h\n3,dog,1,2,3,4\n4,dog,2,2,3,4\n0,7,5,6,7,8\n"
    )
    boxes, names = numbered(f"--box_file={tmp_path}/t.csv", "--add=9:1,1,9,9:dog")
    assert boxes == [(0, 0, (5, 6, 7, 8)), (3, 1, (1, 2, 3, 4)), (9, 1, (1, 1, 9, 9))]
    assert names == ["", "dog"]
    with pytest.raises(UserError, match=r"none\.txt: no such file"):
        numbered("--box_file=none.txt")
    with pytest.raises(UserError, match=r"^--box_file=.*: a folder; give a file of boxes$"):
        numbered(f"--box_file={tmp_path}")  # before: "no such file"
