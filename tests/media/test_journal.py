"""Rows that outlive the process that made them."""

import json

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
        rows.append(Row(frame, k, x, x / 11, 1 / 3, 2e-17 + x, 0.1 * k, 1 / 7, bool(k)))
        states.append(journal.State(x * 3, x / 13, 1e300 / 7, 5e-324, not k))
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
    assert json.loads(path.read_text().splitlines()[0][1:]) == HEAD | {"written": True}
    assert len(path.read_text().splitlines()) == 2 + 2 * 2
    write(path, [0]).close(keep=False)
    assert journal.read(path) is None


def test_other_files_are_refused(path):
    for text in ("", "frame,target\n", "# {}\nframe\n", "# []\n", "#\n#\n"):
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
    assert sorted(video.tracks[0].columns) == ["lost", "score", "second_peak"]
    np.testing.assert_array_equal(video.tracks[1].boxes[1], step(1)[0][1].box)
    assert video.skipped == {"line is not a box": 1}
