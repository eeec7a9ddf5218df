"""`siamjax study returns`: joined clips, their figures by hand, and the command."""

import json

import cv2
import numpy as np
import pytest

from siamjax.cli import dispatch
from siamjax.errors import UserError
from siamjax.studies import returns
from siamjax.studies.given import targets


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two own videos of 40 frames, of different size and colour; a square moves through them."""
    root = tmp_path_factory.mktemp("own")
    patch = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    for name, (width, height) in {"a": (120, 72), "b": (96, 96)}.items():
        (root / name).mkdir()
        rows = []
        for i in range(40):
            frame = np.full((height, width, 3), 90 + 60 * (name == "b"), np.uint8)
            frame[20:40, 5 + i : 29 + i] = patch
            cv2.imwrite(str(root / name / f"{i + 1:04d}.png"), frame)
            rows.append(f"{5 + i},20,24,20\n")
        (root / name / "groundtruth.txt").write_text("".join(rows))
    return root


def test_a_joined_clip(data):
    first, second = targets("--data", f"folder={data}")
    clip, back = returns.joined(first, second)
    assert (len(clip), back) == (20 + 15 + 20, 35)
    assert {frame.shape for frame in clip.frames} == {(72, 120, 3)}
    np.testing.assert_array_equal(clip.frames[7], first.frames[7])
    np.testing.assert_array_equal(clip.frames[back + 2], first.frames[22][:, ::-1])
    assert abs(clip.frames[25].astype(int)[60, 60] - 150).max() < 2  # the other clip's ground
    assert np.isnan(clip.boxes[20:35]).all()
    np.testing.assert_array_equal(clip.boxes[back + 2], [120 - 27 - 24, 20, 24, 20])


def test_figures_by_hand():
    truth = np.tile([10.0, 10, 20, 20], (50, 1))
    truth[20:25] = np.nan
    boxes = np.tile([10.0, 10, 20, 20], (50, 1))
    boxes[15:30] += [100, 0, 0, 0]  # off five frames early, found five frames after the return
    lost = np.zeros(50, bool)
    lost[[3, 17, 21, 22, 23, 24]] = True
    found = returns.figures(truth, boxes, lost, 25)
    assert found == {
        "back": 1.0,
        "held_after": pytest.approx(20 / 25),
        "held_before": pytest.approx(14 / 19),
        "called_away": pytest.approx(4 / 5),
        "called_held": pytest.approx(1 / 34),
    }
    boxes[25:46] += [100, 0, 0, 0]  # too late
    assert returns.figures(truth, boxes, lost, 25)["back"] == 0.0


@pytest.mark.slow  # long-term windows of 831 px
def test_command(data, checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(returns, "HALF", 4)
    monkeypatch.setattr(returns, "AWAY", 3)
    flags = [f"--workdir={tmp_path}", f"--tracker={checkpoint}", f"--data=folder={data}"]
    assert dispatch(["study", "returns", *flags]) is None
    found = json.loads((tmp_path / "returns.json").read_text())
    assert (tmp_path / "table.md").read_text() in capsys.readouterr().out
    assert list(found["modes"]) == ["short-term", "long-term by score"]
    assert list(found["modes"]["short-term"]["clips"]) == ["a_returns", "b_returns"]
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("runs/*/*.npz"))]
    assert len(before) == 4
    assert dispatch(["study", "returns", *flags]) is None
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("runs/*/*.npz"))] == before
    assert json.loads((tmp_path / "returns.json").read_text()) == found


def test_bad_arguments(data, checkpoint, tmp_path):
    for flags, message in (
        (["--tracker=static", f"--data=folder={data}"], "give a checkpoint of siamjax"),
        ([f"--tracker={checkpoint}", f"--data=folder={data}/a"], "give at least two clips"),
    ):
        with pytest.raises(UserError, match=message):
            dispatch(["study", "returns", f"--workdir={tmp_path / 'o'}", *flags])
    assert not (tmp_path / "o").exists()


def test_the_modes_differ_as_they_say(checkpoint, tmp_path):
    from siamjax.evaluation.specs import parse
    from siamjax.models import weights

    config, variables = weights.load(checkpoint)
    config.unlock().tracker.presence = (0.0,) * 16
    weights.save(tmp_path / "fitted.npz", config, variables)
    modes = {
        name: make().constants for name, make in returns._modes(parse(str(tmp_path / "fitted.npz")))
    }
    assert [mode.long_term for mode in modes.values()] == [False, True, True]
    assert not modes["long-term by score"].presence
    assert modes["long-term by presence"].presence == (0.0,) * 16
