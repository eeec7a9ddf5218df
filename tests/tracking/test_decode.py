import numpy as np
import pytest

from siamjax.geometry.anchors import Anchors
from siamjax.tracking import decode

ANCHORS = Anchors()


def maps(size, background=5.0):
    """Logits that name no cell, and offsets that leave the anchors as they are."""
    cls = np.zeros((size, size, 2 * 5), np.float32)
    cls[..., :5] = background
    return cls, np.zeros((size, size, 4 * 5), np.float32)


def pick(cls, loc, target=(64.0, 64.0), penalty_k=0.0, influence=0.0):
    grid = decode.grid(ANCHORS, cls.shape[0])
    candidate, response = decode.best_candidate(
        grid, cls, loc, np.float32(target), penalty_k, influence
    )
    return candidate, response, grid


def test_index_counts_anchor_row_column():
    cls, loc = maps(9)
    cls[2, 6, 5 + 3] = 12.0  # row 2, column 6, anchor 3, object
    candidate, _, grid = pick(cls, loc)
    assert int(candidate.anchor) == 3 * 81 + 2 * 9 + 6
    np.testing.assert_allclose(candidate.offset, [(6 - 4) * 8, (2 - 4) * 8])
    np.testing.assert_allclose(candidate.size, ANCHORS.shapes()[3])
    assert float(candidate.score) == pytest.approx(1 / (1 + np.exp(5.0 - 12.0)), abs=1e-6)
    assert grid.anchors.shape == (405, 4)


def test_offsets_are_in_units_of_the_anchor():
    cls, loc = maps(9)
    cls[4, 4, 5 + 2] = 12.0
    loc[4, 4, [2, 7, 12, 17]] = [0.25, -0.5, np.log(2.0), np.log(0.5)]
    candidate, _, _ = pick(cls, loc)
    np.testing.assert_allclose(candidate.offset, [16, -32], rtol=1e-6)
    np.testing.assert_allclose(candidate.size, [128, 32], rtol=1e-6)


def test_penalty_by_hand():
    cls, loc = maps(9)
    cls[4, 4, 5 + 2] = 12.0
    candidate, response, _ = pick(cls, loc, target=(32.0, 64.0), penalty_k=0.3)
    target = np.sqrt((32 + 48) * (64 + 48))
    change = 128 / target * 2  # of scale times of ratio
    assert float(candidate.penalty) == pytest.approx(np.exp(-(change - 1) * 0.3), rel=1e-5)
    best = float(response.penalised[int(candidate.anchor)])
    assert best == pytest.approx(float(candidate.penalty * candidate.score), rel=1e-6)


def test_penalty_of_a_long_anchor_for_an_upright_target():
    cls, loc = maps(9)
    cls[4, 4, 5 + 0] = 12.0  # 104 x 32
    candidate, _, _ = pick(cls, loc, target=(40.0, 80.0), penalty_k=0.1)
    sides = [np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2)) for w, h in ((104, 32), (40, 80))]
    change = max(sides) / min(sides) * (104 / 32) / (40 / 80)
    assert float(candidate.penalty) == pytest.approx(np.exp(-(change - 1) * 0.1), rel=1e-5)


def test_scores_by_hand():
    cls, loc = maps(9, background=0.0)
    cls[4, 3, 5 + 2] = np.log(3.0)  # 3 of 4
    _, response, _ = pick(cls, loc, target=(32.0, 64.0), penalty_k=0.3, influence=0.4)
    place = 2 * 81 + 4 * 9 + 3
    assert float(response.score[place]) == pytest.approx(0.75)
    change = 128 / np.sqrt((32 + 48) * (64 + 48)) * 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * 3 / 8)
    expected = 0.75 * np.exp(-(change - 1) * 0.3) * 0.6 + window * 0.4
    assert float(response.penalised[place]) == pytest.approx(expected, rel=1e-5)


def test_window_prefers_the_centre_and_is_zero_on_the_rim():
    cls, loc = maps(9)
    cls[4, 4, 5 + 2], cls[0, 4, 5 + 2] = 11.0, 12.0
    assert int(pick(cls, loc)[0].anchor) == 2 * 81 + 4
    assert int(pick(cls, loc, influence=0.4)[0].anchor) == 2 * 81 + 4 * 9 + 4
    window = pick(cls, loc)[2].window.reshape(5, 9, 9)
    assert window[:, 4, 4] == pytest.approx(1)
    assert (window[:, 0] == 0).all()
    assert (window[:, :, 8] == 0).all()


def test_first_of_equal_candidates_wins():
    cls, loc = maps(9)
    cls[3, 3, 5 + 1] = cls[5, 5, 5 + 1] = 9.0
    assert int(pick(cls, loc)[0].anchor) == 81 + 3 * 9 + 3


def test_second_peak_sees_another_object_but_not_the_neighbour():
    cls, loc = maps(25, background=30.0)
    cls[12, 12, 5 + 2] = 60.0
    cls[12, 13, 5 + 2] = 60.0  # 8 px beside it: the same object
    assert float(pick(cls, loc)[0].second_peak) < 1e-6
    cls[12, 22, 5 + 2] = 30.0  # 80 px beside it, score one half
    assert float(pick(cls, loc)[0].second_peak) == pytest.approx(0.5, rel=1e-4)


def test_second_peak_of_small_scores_and_at_the_edge_of_the_box():
    cls, loc = maps(25, background=30.0)
    cls[12, 12, 5 + 2] = 30 + np.log(0.004)
    cls[12, 16, 5 + 2] = 30 + np.log(0.002)  # 32 px beside it: on the edge of 64 px
    assert float(pick(cls, loc)[0].second_peak) < 1e-6
    cls[12, 17, 5 + 2] = 30 + np.log(0.002)
    assert float(pick(cls, loc)[0].second_peak) == pytest.approx(0.5, rel=0.01)


def test_candidates_that_overflow_are_never_chosen():
    cls, loc = maps(9)
    cls[1, 1, 5:] = 20.0
    loc[1, 1, 10:15] = 500.0
    cls[4, 4, 5 + 2] = 12.0
    candidate, _, _ = pick(cls, loc, penalty_k=0.05)
    assert int(candidate.anchor) == 2 * 81 + 4 * 9 + 4
    assert np.isfinite(candidate.size).all()


def test_response_map_shows_the_best_anchor_of_each_cell():
    values = np.arange(5 * 9.0)
    np.testing.assert_array_equal(decode.response_map(values, 3), np.arange(36.0, 45).reshape(3, 3))


@pytest.mark.reference
@pytest.mark.parametrize(
    ("name", "penalty_k", "influence"),
    [("siamrpn_alex_dwxcorr", 0.16, 0.40), ("siamrpn_r50_l234_dwxcorr", 0.05, 0.42)],
)
def test_decoding_equals_the_reference(reference, name, penalty_k, influence):
    step = np.load(reference / "conformance" / name / "step001.npz")
    cls, loc = (step[key][0].transpose(1, 2, 0) for key in ("cls", "loc"))
    candidate, response, grid = pick(
        cls, loc, step["size_before"] * step["scale_z"], penalty_k, influence
    )
    np.testing.assert_array_equal(grid.anchors, step["anchors"])
    np.testing.assert_allclose(grid.window, step["window"], atol=1e-7)
    np.testing.assert_allclose(response.score, step["score"], atol=1e-6)
    np.testing.assert_allclose(response.penalised, step["pscore"], atol=2e-6)
    best = int(step["best_idx"])
    assert int(candidate.anchor) == best
    box = np.concatenate([candidate.offset, candidate.size])
    np.testing.assert_allclose(box, step["pred_bbox"][:, best], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(candidate.penalty, step["penalty"][best], atol=1e-5)
