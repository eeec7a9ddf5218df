"""Which frames of a one-pass run count, and how: the rules in which the public toolkits differ.

Each rule gives the overlap and the distances of the frames of one sequence, and the number that
shares are taken of. `docs/evaluation.md` has the table of differences and the sources. Boxes are
(N, 4) left, top, width, height in pixels, as the benchmark's files count them.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Real

from siamjax.datasets.forms.base import without_region
from siamjax.errors import UserError, one_of
from siamjax.geometry import boxes

Boxes = Real[np.ndarray, "n 4"]
PerFrame = Float[np.ndarray, " n"]
Flags = Bool[np.ndarray, " n"]
Thresholds = Float[np.ndarray, " k"]

OVERLAPS = np.arange(0, 1.05, 0.05)  # thresholds of the success curve
DISTANCES = np.arange(0, 51, 1)  # px, thresholds of the precision curve
NORMALISED = np.arange(0, 51, 1) / 100  # thresholds of the normalised precision curve


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """The frames of one sequence that are looked at.

    Attributes:
        overlap: 0..1; -1 or NaN: above no threshold.
        distance: px; -1: within every threshold, inf or NaN: within none.
        normalised: the same, divided by the true size.
        count: how many frames the shares are taken of.
    """

    overlap: Float[np.ndarray, " m"]
    distance: Float[np.ndarray, " m"]
    normalised: Float[np.ndarray, " m"]
    count: int


@dataclasses.dataclass(frozen=True)
class Rules:
    """The rules of the published SiamRPN++ figures; a row without a region is a miss everywhere.

    All frames count in the divisor. A true box without area has overlap -1, a true centre that is
    not positive distance -1. Absent frames are left out and stay in the divisor.

    Attributes:
        dataset: the benchmark's name; pytracking and got10k treat some in their own way.
    """

    dataset: str = ""
    name: ClassVar[str] = ""
    text: ClassVar[str] = ""
    overlaps: ClassVar[Thresholds] = OVERLAPS
    distances: ClassVar[Thresholds] = DISTANCES.astype(float)
    normalised: ClassVar[Thresholds] = NORMALISED
    normalised_mean: ClassVar[bool] = False  # whether the mean of that curve is a figure
    true_start: ClassVar[bool] = False  # whether the truth stands in the first frame

    def answers(self, truth: Boxes, result: Boxes, missing: int = 0) -> Boxes:
        """The boxes that are compared with the truth.

        Args:
            missing: so many rows at the end are not in the file.
        """
        return np.where(without_region(result)[:, None], np.nan, result)

    def frames(
        self, truth: Boxes, result: Boxes, absent: Flags | None = None, missing: int = 0
    ) -> Frames:
        """What each frame has.

        Args:
            absent: True where the target is not in the image; None: the benchmark does not say.
            missing: see `answers`.
        """
        count = len(truth)
        result = self.answers(truth, result, missing)
        if absent is not None:
            truth, result = truth[~absent], result[~absent]
        centre = _centre(truth)
        size = truth[:, 2:] + 1e-16
        with np.errstate(all="ignore"):
            found, scaled = _centre(result), centre / size
            distance = np.where(_both(centre), _gap(centre, found), -1.0)
            normalised = np.where(_both(scaled), _gap(scaled, found / size), -1.0)
        overlap = np.where(_both(truth[:, 2:]), _overlap(truth, result), -1.0)
        return Frames(overlap, distance, normalised, count)


class PySot(Rules):
    """As `Rules`, but a box without area still has a centre."""

    name, text = "pysot", "PySOT's"

    def answers(self, truth: Boxes, result: Boxes, missing: int = 0) -> Boxes:
        """The rows as they stand."""
        return result


class Lasot(Rules):
    """The MATLAB toolkit of LaSOT.

    The truth stands in the first frame. A row with NaN or without area repeats the one before it
    where the truth is known. A true box with a number that is not positive has overlap -1 and
    distance -1. Absent frames are left out and stay in the divisor.
    """

    name, text, true_start = "lasot", "the LaSOT toolkit's", True
    # MATLAB's 0:0.05:1 counts its second half down from 1: some thresholds differ in the last bit
    overlaps = np.concatenate([np.arange(10) * 0.05, [0.5], 1 - np.arange(9, -1, -1) * 0.05])

    def bad(self, result: Boxes) -> Flags:
        """Rows that repeat the one before."""
        return np.isnan(result).any(1) | (result[:, 2:] <= 0).any(1)

    def answers(self, truth: Boxes, result: Boxes, missing: int = 0) -> Boxes:
        """As the base class."""
        known = ~np.isnan(truth).any(1)
        return _true_start(truth, _carried(result, self.bad(result) & known))

    def frames(
        self, truth: Boxes, result: Boxes, absent: Flags | None = None, missing: int = 0
    ) -> Frames:
        """As the base class."""
        count = len(truth)
        result = self.answers(truth, result, missing)
        if absent is not None:
            truth, result = truth[~absent], result[~absent]
        valid = (truth > 0).all(1)
        overlap, distance, normalised = _compared(truth, result)
        return Frames(
            np.where(valid, overlap, -1.0),
            np.where(valid, distance, -1.0),
            np.where(valid, normalised, -1.0),
            count,
        )


class Otb(Lasot):
    """The MATLAB toolkit of OTB: as that of LaSOT, but NaN is repeated only where all four are, and
    nothing is absent."""

    name, text = "otb", "the OTB toolkit's"

    def bad(self, result: Boxes) -> Flags:
        """As the base class."""
        return np.isnan(result).all(1) | (result[:, 2:] <= 0).any(1)

    def frames(
        self, truth: Boxes, result: Boxes, absent: Flags | None = None, missing: int = 0
    ) -> Frames:
        """As the base class."""
        return super().frames(truth, result, None, missing)


class PyTracking(Rules):
    """pytracking's analysis.

    The truth stands in the first frame. A row with a side of 0 repeats the one before it where the
    truth is known; rows that the file lacks are boxes of 0. Frames whose true box has no area, and
    absent ones, have overlap -1, distance infinite (-1 for UAV123) and normalised distance -1
    (infinite where LaSOT's target is absent); they are left out of the divisor except for LaSOT and
    UAV123.
    """

    name, text, true_start = "pytracking", "pytracking's", True

    def answers(self, truth: Boxes, result: Boxes, missing: int = 0) -> Boxes:
        """As the base class; NaN and negative sides, which pytracking refuses, are misses."""
        refused = ~np.isfinite(result).all(1) | (result[:, 2:] < 0).any(1)
        empty = (result[:, 2:] == 0).any(1) & ~np.isnan(truth).any(1)
        result = _carried(np.where(refused[:, None], np.nan, result), empty & ~refused)
        result[len(result) - missing :] = 0
        return _true_start(truth, result)

    def frames(
        self, truth: Boxes, result: Boxes, absent: Flags | None = None, missing: int = 0
    ) -> Frames:
        """As the base class."""
        result = self.answers(truth, result, missing)
        lasot, uav = self.dataset == "LaSOT", self.dataset.startswith("UAV")
        gone = np.zeros(len(truth), bool) if absent is None else absent
        valid = _both(truth[:, 2:]) & ~gone
        overlap, distance, normalised = _compared(truth, result)
        distance = np.where(valid, distance, -1.0 if uav else np.inf)
        normalised = np.where(valid, normalised, -1.0)
        if lasot:
            distance, normalised = (np.where(gone, np.inf, d) for d in (distance, normalised))
        count = len(truth) if lasot or uav else int(valid.sum())
        return Frames(np.where(valid, overlap, -1.0), distance, normalised, count)


class Got10kToolkit(Rules):
    """The got10k toolkit's experiments on OTB, LaSOT, UAV123, NFS and DTB70.

    The truth stands in the first frame, no true box is special. Frames of LaSOT and UAV123 whose
    true box is NaN are left out, of the divisor too. Distances are divided by the true size, at
    least 1 px.
    """

    name, text, true_start = "got10k", "the got10k toolkit's", True
    normalised = np.linspace(0, 0.5, 51)
    normalised_mean = True

    def answers(self, truth: Boxes, result: Boxes, missing: int = 0) -> Boxes:
        """As the base class."""
        return _true_start(truth, result.astype(np.float64))

    def frames(
        self, truth: Boxes, result: Boxes, absent: Flags | None = None, missing: int = 0
    ) -> Frames:
        """As the base class."""
        result = self.answers(truth, result, missing)
        if self.dataset == "LaSOT" or self.dataset.startswith("UAV"):
            known = ~np.isnan(truth).any(1)
            truth, result = truth[known], result[known]
        overlap, distance, _ = _compared(truth, result)
        size = np.maximum(truth[:, 2:], 1)
        with np.errstate(all="ignore"):
            gap = _gap((_centre(truth) - _centre(result)) / size, 0.0)
        return Frames(overlap, distance, gap, len(truth))


DEFAULT = Rules()
CONVENTIONS = {kind.name: kind for kind in (PySot, PyTracking, Got10kToolkit, Otb, Lasot)}


def get(name: str, dataset: str = "") -> Rules:
    """The rules of a toolkit for a benchmark; "" gives the default.

    Raises:
        UserError: no such convention.
    """
    if name and name not in CONVENTIONS:
        raise UserError(f"--convention={name}: {one_of(name, CONVENTIONS)}")
    return CONVENTIONS.get(name, Rules)(dataset)


def _true_start(truth: Boxes, result: Boxes) -> Boxes:
    return np.concatenate([truth[:1], result[1:]])


def _carried(result: Boxes, bad: Flags) -> Boxes:
    """The boxes with each bad row but the first replaced by the last good one before it."""
    rows = np.where(bad, 0, np.arange(len(result)))
    return result[np.maximum.accumulate(rows)].astype(np.float64)


def _centre(table: Boxes) -> Float[np.ndarray, "n 2"]:
    with np.errstate(all="ignore"):
        return table[:, :2] + (table[:, 2:] - 1) / 2  # of the pixels that the box covers


def _both(pairs: Float[np.ndarray, "n 2"]) -> Flags:
    """Where both numbers are positive."""
    return (pairs[:, 0] > 0) & (pairs[:, 1] > 0)


def _gap(a, b) -> PerFrame:
    with np.errstate(all="ignore"):
        x, y = ((a - b) ** 2).T
        return np.sqrt(x + y)


def _overlap(truth: Boxes, result: Boxes) -> PerFrame:
    with np.errstate(all="ignore"):
        return boxes.iou(boxes.xywh_to_xyxy(truth), boxes.xywh_to_xyxy(result))


def _compared(truth: Boxes, result: Boxes) -> tuple[PerFrame, PerFrame, PerFrame]:
    """Overlap, distance and distance divided by the true size of all frames."""
    size, centres = truth[:, 2:], (_centre(truth), _centre(result))
    with np.errstate(all="ignore"):
        scaled = [centre / size for centre in centres]
        return _overlap(truth, result), _gap(*centres), _gap(*scaled)
