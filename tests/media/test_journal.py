"""Rows that outlive the process that made them."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.media import journal, labels
from siamjax.media.tracks import Row

HEAD = {"video": "clip", "starts": [], "names": ["a, b", "\u00e4"]}


def step(frame, targets=2):
    """Rows and states whose numbers have long binary fractions."""
    rows, states = [], []
    for k in range(targets):
        x = frame / 7 + k / 3
        presence = None if frame == 3 else x / 17
        rows.append(Row(frame, k, x, x / 11, 1 / 3, 2e-17 + x, 0.1 * k, 1 / 7, bool(k), presence))
        states.append(journal.State(x * 3, x / 13, 1e300 / 7, 5e-324, not k, -x / 7))
    return rows, states


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.csv.rows.csv"


def write(path, frames, targets=2):
    made = journal.Journal(path, HEAD)
    for frame in frames:
        made.append(*step(frame, targets))
    return made


def test_all_but_the_last_frame_is_read_to_the_bit(path):
    write(path, [3, 4, 7])  # not closed, as after a kill
    past = journal.read(path)
    assert past.head == HEAD
    assert past.rows == {3: step(3)[0], 4: step(4)[0]}
    assert past.states == dict(enumerate(step(4)[1]))
    assert past.last == 4


def test_a_file_torn_anywhere_gives_whole_frames(path):
    write(path, range(4)).close()
    data = path.read_bytes()
    start = data.index(b"\n", data.index(b"\n") + 1) + 1
    lengths = set()
    for end in range(start, len(data) + 1, 7):
        path.write_bytes(data[:end])
        past = journal.read(path)
        assert past.rows == {frame: step(frame)[0] for frame in range(len(past.rows))}
        assert data.startswith(past.text.encode())
        lengths.add(len(past.rows))
    assert lengths == {0, 1, 2, 3}


def test_what_follows_damage_is_left_out(path):
    write(path, range(5), targets=1).close()
    lines = path.read_text().splitlines(keepends=True)
    lines[4] = "\0" * 40 + "\n"  # of frame 2
    path.write_text("".join(lines))
    assert list(journal.read(path).rows) == [0]
    assert journal.read(path).damaged == 5


def test_no_flipped_bit_is_taken_for_what_was_written(path, monkeypatch):
    """Before: any digit of a row could be another one, and --resume took it over."""
    made = journal.Journal(path, {"starts": [], "names": ["\u00e4"]})
    for frame in (2, 3):
        row = Row(frame, 0, 1.5, 2.0, 3.25, 4.0, 0.5, 0.0, True, 0.75)
        made.append([row], [journal.State(1.5, 2.5, 3.0, 4.0, False, 2.0)])
    made.close()
    data, whole, refused = path.read_bytes(), journal.read(path), set()
    assert (list(whole.rows), whole.damaged) == ([2], None)
    last = len(data) - 1  # without the end of its line the last row looks torn by a kill
    for place, bit in itertools.product(range(len(data)), range(8)):
        flipped = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        monkeypatch.setattr(Path, "read_bytes", lambda _, flipped=flipped: flipped)
        try:
            past = journal.read(path)
        except UserError as error:
            refused.add(re.sub(r".*csv: |;.*", "", str(error)))
            continue
        assert past.head == whole.head
        assert all(whole.rows[frame] == rows for frame, rows in past.rows.items())
        line = data[:place].count(b"\n") + 1
        assert past.damaged == line or place == last or line == 1  # \u00e4 is \u00E4
    assert refused == {"not the rows of a run of this version", "its first line is damaged"}


def test_a_run_continues_the_rows_before(path):
    write(path, range(4)).close()
    past = journal.read(path)
    made = journal.Journal(path, {"video": "second"}, past)
    for frame in (3, 4):
        made.append(*step(frame))
    assert made.frames == 5
    again = journal.read(path)
    assert again.head == {"video": "second"}
    assert again.rows == {frame: step(frame)[0] for frame in range(4)}


def test_the_end_of_a_file(path):
    made = write(path, [0, 1])
    made.append([], [])  # a frame before the first target
    made.close(written=True)
    head = json.loads(path.read_text().splitlines()[0][1:])
    assert head.pop("crc32c")
    assert head == HEAD | {"written": True}
    assert len(path.read_text().splitlines()) == 2 + 2 * 2
    write(path, [0]).close(keep=False)
    assert journal.read(path) is None


def test_other_files_are_refused(path):
    before = "frame,target,x,y,w,h,score,second_peak,lost,name," + ",".join(journal.STATE)
    for text in ("", "frame,target\n", "# {}\nframe\n", "# []\n", "#\n#\n", f"# {{}}\n{before}\n"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"rows\.csv: not the rows of a run"):
            journal.read(path)
    with pytest.raises(UserError, match="cannot be read"):
        journal.read(path.parent)


def test_the_rows_are_labels(path):
    """Names, scores and boxes come back; a torn line is counted."""
    write(path, range(3)).close()
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"\n2,1,") + 12])
    (video,) = labels.read(path)
    assert [each.name for each in video.tracks] == ["a, b", "\u00e4"]
    assert [each.frames.tolist() for each in video.tracks] == [[0, 1, 2], [0, 1]]
    assert sorted(video.tracks[0].columns) == ["lost", "presence", "score", "second_peak"]
    np.testing.assert_array_equal(video.tracks[1].boxes[1], step(1)[0][1].box)
    assert video.skipped == {"line is not a box": 1}


def test_damaged_rows_are_no_labels(path):
    write(path, range(3)).close()
    data = path.read_bytes()
    place = data.index(b"\n1,1,") + 6  # a digit of x
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    (video,) = labels.read(path)
    assert [each.frames.tolist() for each in video.tracks] == [[0, 1, 2], [0, 2]]
    assert video.skipped == {"line is damaged": 1}


def test_a_presence_that_is_not_there_stays_away(path):
    write(path, [2, 3, 4]).close()  # frame 3 has none
    (video,) = labels.read(path)
    (text,) = labels.contents([video], "csv").values()
    head, *lines = text.splitlines()
    assert head == "frame,target,x,y,w,h,score,second_peak,lost,presence,name"
    assert [line.split(",")[9] == "" for line in lines] == [False, False, True, True, False, False]
    (text,) = labels.contents([video], "json").values()
    frames = json.loads(text)["targets"][0]["frames"]
    assert [row.get("presence") for row in frames] == [2 / 7 / 17, None, 4 / 7 / 17]
