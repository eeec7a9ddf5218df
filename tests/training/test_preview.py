"""What the pictures of a training network show, and where."""

import numpy as np

from siamjax.training import preview

A, S = 5, 25


class Answers:
    """A network whose best anchor has the probability 0.75 in one cell, all others 0.5."""

    def apply(self, variables, template, search):
        cls = np.zeros((len(search), S, S, 2, A), np.float32)
        cls[:, 3, 7, 1, 2] = np.log(3)
        return cls.reshape(len(search), S, S, 2 * A), None


def test_first_pairs_with_scores_and_targets_at_their_place(tiny, monkeypatch):
    heats = []

    def draw_heatmap(crop, heat, box, opacity):
        heats.append((heat, box))
        assert opacity == 0.8
        return crop

    monkeypatch.setattr(preview, "draw_heatmap", draw_heatmap)
    batch = {
        "template": np.zeros((6, 127, 127, 3), np.uint8),
        "search": np.zeros((6, 255, 255, 3), np.uint8),
        "template_noise": np.zeros((6, 3), np.float32),
        "search_noise": np.zeros((6, 3), np.float32),
        "label": np.full((6, A, S, S), -1, np.int8),
        "box": np.tile(np.float32([127, 127, 60, 50]), (6, 1)),
    }
    batch["label"][0, :2, 4, 5] = 1
    pictures = preview.make_preview(tiny(), Answers())({}, batch)
    assert {name: p.shape for name, p in pictures.items()} == {
        "scores": (4 * 255, 255, 3),
        "targets": (4 * 255, 255, 3),
    }
    (scores, place), (targets, _) = heats[:2]
    assert tuple(place) == (27, 27, 200, 200)  # cells of 8 px around 31, 39, ... 223
    expected = np.full((S, S), 0.5)
    expected[3, 7] = 0.75
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    expected = np.zeros((S, S))
    expected[4, 5] = 0.4
    np.testing.assert_allclose(targets, expected, rtol=1e-6)
    # The target's box is drawn where there is one.
    assert pictures["scores"][:255].any()
    assert not pictures["scores"][255:].any()
