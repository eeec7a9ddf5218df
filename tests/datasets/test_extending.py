"""A data set and a form of result files are one new file and one line of a table each."""

import numpy as np
import pytest

from siamjax.datasets import registry, result_folders, results
from siamjax.datasets.forms.base import unscored
from siamjax.errors import UserError

DATASET = '''
"""Two-column boxes: squares given by their upper left corner, as an example."""

from siamjax.datasets.dataset import Dataset, aligned_images
from siamjax.datasets.sequence import Sequence
from siamjax.media.tables import read_table
import numpy as np


class Squares(Dataset):
    def open(self, path, name):
        corners = read_table(path, (2,))
        boxes = np.hstack([corners, np.full((len(corners), 2), 8.0)])
        return Sequence(name, aligned_images(path.parent / "frames", len(boxes), path), boxes)


DATASETS = (
    Squares(
        name="Squares",
        total=3,
        source="https://example.org",
        layout="Squares/<video>/corners.txt",
        truth="{name}/corners.txt",
        folders=("squares",),
        results="centres",
    ),
)
'''
FORM = '''
"""One file per sequence with the centres of boxes of 8 x 8 px."""

import numpy as np

from siamjax.datasets.forms.base import Form, unscored
from siamjax.media.tables import read_table


class Centres(Form):
    def paths(self, sequence, repetition=1):
        return [f"{sequence.name}.centres"]

    def texts(self, sequence, run):
        return ["".join(f"{x + 4:.2f} {y + 4:.2f}\\n" for x, y, _, _ in run.regions)]

    def files(self, folder, sequence):
        path = folder / self.paths(sequence)[0]
        return [path] if path.is_file() else []

    def read_file(self, path, sequence):
        centres = read_table(path, (2,))
        return unscored(np.hstack([centres - 4, np.full((len(centres), 2), 8.0)]))


FORM = Centres()
'''


@pytest.fixture
def extended(tmp_path, monkeypatch):
    """The tables with one line more each."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/squares_of_a_test.py").write_text(DATASET)
    (tmp_path / "modules/centres_of_a_test.py").write_text(FORM)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setattr(registry, "MODULES", (*registry.MODULES, "squares_of_a_test"))
    monkeypatch.setitem(results.FORMATS, "centres", "centres_of_a_test")
    registry.datasets.cache_clear()
    yield
    registry.datasets.cache_clear()


def test_a_new_data_set_and_form_need_one_file_and_one_line(extended, tmp_path, write_images):
    write_images(tmp_path / "data/Squares/ball/frames", range(2))
    (tmp_path / "data/Squares/ball/corners.txt").write_text("3 4\n5 6\n")
    benchmark = registry.load("squares", tmp_path / "data")
    assert benchmark.count == "1 of 3 sequences"
    (ball,) = benchmark.sequences
    np.testing.assert_array_equal(ball.boxes, [[3, 4, 8, 8], [5, 6, 8, 8]])
    assert ball.frames[1].shape == (24, 32, 3)

    store = results.Store(tmp_path / "out", benchmark.dataset)
    store.write("t", ball, unscored(ball.boxes + [1, 0, 0, 0]))
    assert (tmp_path / "out/t/ball.centres").read_text() == "8.00 8.00\n10.00 10.00\n"
    found = result_folders.find(tmp_path / "out", benchmark.dataset, benchmark.sequences)
    assert [*found.trackers] == ["t"]
    (run,) = store.read("t", ball)
    np.testing.assert_array_equal(run.regions, ball.boxes + [1, 0, 0, 0])

    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"nothing of the data set Squares(.|\n)*example\.org"):
        registry.load("Squares", tmp_path / "empty")
