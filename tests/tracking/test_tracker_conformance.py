"""The tracker against the reference's tracks: every frame of both networks, with the host crop."""

import importlib.util
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from configs import base
from siamjax import models
from siamjax.geometry import crops
from siamjax.models.import_torch import from_pysot
from siamjax.tracking import Tracker, tracker

pytestmark = [pytest.mark.reference, pytest.mark.slow]

CONFIGS = {
    "siamrpn_alex_dwxcorr": {
        "model": {"backbone": "alexnet", "levels": (5,), "adjust_channels": ()},
        "tracker": {
            "penalty_k": 0.16,
            "window_influence": 0.40,
            "lr": 0.30,
            "instance": 287,
            "base_size": 0,
        },
    },
    "siamrpn_r50_l234_dwxcorr": {
        "model": {},
        "tracker": {"penalty_k": 0.05, "window_influence": 0.42, "lr": 0.38, "instance": 255},
    },
}
BOXES = 1e-2  # px
# px; in a free run each frame's rounding stays in the centre, as the crop moves by whole pixels
DRIFT = 5e-2
SCORES = 1e-4
TIE = 1e-4  # margin of the two best candidates below which either may win


def state_dict(reference, name):
    path = reference / "conformance" / "weights.py"
    spec = importlib.util.spec_from_file_location("weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.state_dict(reference / "conformance" / name)


@pytest.fixture(scope="module", params=CONFIGS)
def case(request, reference):
    config = base.get_config()
    for section, values in CONFIGS[request.param].items():
        config[section].update(values)
    variables, _ = from_pysot(
        models.build(config), state_dict(reference, request.param), request.param
    )
    track = np.load(reference / "conformance" / request.param / "tracks.npz")
    folder = reference / "data/eval/VOT2018/bag/color"
    frames = [cv2.imread(str(folder / f"{i + 1:08d}.jpg")) for i in range(len(track["boxes"]))]
    session = Tracker(config, variables)
    session.init(frames[0], (316, 140, 112, 115))
    return SimpleNamespace(session=session, frames=frames, track=track)


def test_tracker_frame_by_frame(case):
    track = case.track
    np.testing.assert_allclose(np.concatenate(case.session.motion[:2]), track["state_before"][1])
    boxes, scores, wrong = [], [], []
    for i, frame in enumerate(case.frames[1:], 1):
        before = track["state_before"][i]
        case.session.motion = tracker.Motion(before[:2], before[2:], False, 2.0)
        prediction = case.session.update(frame)
        if prediction.anchor != track["best_idx"][i]:
            wrong.append(i)
            continue
        boxes.append(np.abs(np.array(prediction.box) - track["boxes"][i]).max())
        scores.append(abs(prediction.score - track["scores"][i]))
    print(
        f"largest differences: boxes {max(boxes):.2e} px, scores {max(scores):.2e}; forks {wrong}"
    )
    assert all(track["margin"][i] < TIE for i in wrong)
    assert len(boxes) > 0.9 * (len(case.frames) - 1)
    assert max(boxes) < BOXES
    assert max(scores) < SCORES


def test_tracker_free_run(case):
    """Equal until the first near tie: of two candidates, or in the rounding of the crop window.

    The reference itself, run in float64, leaves its own track at such frames.
    """
    track, constants = case.track, case.session.constants
    case.session.init(case.frames[0], (316, 140, 112, 115))
    drift = []
    for i, frame in enumerate(case.frames[1:], 1):
        if track["margin"][i] < TIE:
            break
        sides, origins = zip(
            window(constants, case.session.motion.centre, case.session.motion.size),
            window(constants, track["state_before"][i, :2], track["state_before"][i, 2:]),
        )
        if (np.rint(sides[0]) != np.rint(sides[1])) or (origins[0] != origins[1]).any():
            assert abs(sides[0] - sides[1]) < 2 * DRIFT
            print(f"the crop's side rounds differently: {sides[0]:.4f}, {sides[1]:.4f}")
            break
        prediction = case.session.update(frame)
        drift.append(np.abs(np.array(prediction.box) - track["boxes"][i]).max())
        assert drift[-1] < DRIFT
        assert prediction.score == pytest.approx(track["scores"][i], abs=SCORES)
        assert prediction.anchor == track["best_idx"][i]
    early = sum(value < BOXES for value in drift)
    print(
        f"equal up to frame {i - 1} of {len(case.frames) - 1}: largest difference"
        f" {max(drift):.1e} px, below {BOXES} px in {early} frames"
    )
    assert i > 40


def window(constants, centre, size):
    """Unrounded side of the search window, and its first pixel."""
    side = crops.context_size(*size) * constants.instance / constants.exemplar
    return side, crops.window_origin(np.asarray(centre), np.rint(side))
