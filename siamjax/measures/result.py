"""What a measure of a benchmark gives, with the description that tables and plots are made from."""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool

from siamjax.datasets.forms.base import Run
from siamjax.datasets.sequence import Sequence

Bounds = tuple[float, float]  # low and high
Interval = tuple[int, int]  # lengths low..high
Sequences = AbstractSequence[Sequence]
EMPTY = "empty"  # the tag of frames without another
Runs = AbstractSequence[AbstractSequence[Run]]  # the repetitions of each sequence, of one tracker


@dataclass(frozen=True)
class Figure:
    """A number that a measure gives.

    Attributes:
        label: as tables and plots print it.
        lower_is_better: whether the smallest is the best.
        digits: decimals in tables.
    """

    label: str
    lower_is_better: bool = False
    digits: int = 3

    def number(self, value: float | None) -> str:
        """A value as tables print it; "-" where there is none."""
        known = value is not None and np.isfinite(value)
        return f"{value:.{self.digits}f}" if known else "-"


@dataclass(frozen=True)
class Plot:
    """A plot with a line, a point or a bar per tracker.

    Attributes:
        kind: "lines", "points" or "bars".
        title, x, y: of the plot and its axes.
        figure: stands in the legend of lines; the height of bars.
        data: result, tracker -> x and y of its line or point; None: the curve called `title`.
        mark: figures that give x and y of a point on each line.
        x_range: of the axis; None: that of the data.
        diagonal: whether the line y = x is drawn, for comparison.
    """

    kind: str
    title: str
    x: str
    y: str
    figure: str = ""
    data: Callable[["Result", str], tuple] | None = None
    mark: tuple[str, str] | None = None
    x_range: tuple[float, float] | None = None
    diagonal: bool = False

    def at(self, result: "Result", tracker: str) -> tuple:
        """x and y of a tracker's line or point."""
        if self.data is not None:
            return self.data(result, tracker)
        thresholds, lines = result.curves[self.title]
        return thresholds, lines[tracker]


@dataclass(kw_only=True)
class Result:
    """The figures of some trackers on the same sequences.

    Attributes:
        overlap: which overlap the figures use.
        trackers: name -> figure -> value; the first figure is the one trackers are ranked by.
        intervals: name -> figure -> (low, high), 95 % bootstrap over sequences; empty for one.
        per_sequence: name -> sequence -> figure -> value.
        curves: curve's name -> (thresholds, {tracker: values}).
        attributes: figure -> attribute or tag -> tracker -> value.
        attribute_curves: curve's name -> attribute or tag -> tracker -> values.
        attribute_sizes: attribute or tag -> on how much it rests, "12 sequences".
        resampled: name -> figure -> values of the bootstrap's draws.
        interval: lengths low, high that an expected average overlap averages over.
        figures: name -> description, of all figures above.
        plots: name -> description.
    """

    overlap: str
    trackers: dict[str, dict[str, float]] = field(default_factory=dict)
    intervals: dict[str, dict[str, Bounds]] = field(default_factory=dict)
    per_sequence: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    curves: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = field(default_factory=dict)
    attributes: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    attribute_curves: dict[str, dict[str, dict[str, np.ndarray]]] = field(default_factory=dict)
    attribute_sizes: dict[str, str] = field(default_factory=dict)
    resampled: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    interval: Interval | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)
    plots: Mapping[str, Plot] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The figures that any tracker has, in the order of `figures`."""
        return [name for name in self.figures if any(name in row for row in self.trackers.values())]

    @property
    def main(self) -> str:
        """The figure trackers are ranked by: the first one; "" where there is none."""
        return next(iter(self.columns), "")

    def ranked(self, figure: str = "") -> list[str]:
        """Trackers, best of a figure first, by default of the main one; without a value last."""
        main = figure or self.main
        sign = 1 if main and self.figures[main].lower_is_better else -1

        def place(tracker):
            value = self.trackers[tracker].get(main, np.nan)
            return (not np.isfinite(value), sign * value)

        return sorted(self.trackers, key=place)

    def best(self, figure: str) -> float:
        """The best value of a figure."""
        values = [row[figure] for row in self.trackers.values() if figure in row]
        return (min if self.figures[figure].lower_is_better else max)(values)

    def label(self, figure: str) -> str:
        """A figure's name as tables and plots print it."""
        return self.figures[figure].label

    def number(self, figure: str, value: float | None) -> str:
        """A value of a figure as tables print it; "-" where there is none."""
        return self.figures[figure].number(value)

    def sized(self, attribute: str) -> str:
        """An attribute with the number of sequences or frames that have it."""
        size = self.attribute_sizes.get(attribute)
        return attribute.replace("_", " ") + (f" ({size.split()[0]})" if size else "")

    def bounds(self, tracker: str, figure: str) -> Bounds | None:
        """The interval of a tracker's figure; None where there is none."""
        return self.intervals.get(tracker, {}).get(figure)

    def bound_numbers(self, tracker: str, figure: str) -> list[str]:
        """`bounds` as tables print them; empty where there are none."""
        return [self.number(figure, value) for value in self.bounds(tracker, figure) or ()]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one tracker scored: the fields of `Result`, of its sequences in their order.

    Attributes:
        resampled: figure -> its values in the draws of `siamjax.measures.bootstrap.resamples`; its
            interval need not be given then.
    """

    overlap: str
    values: dict[str, float]
    per_sequence: list[dict[str, float]]
    curves: dict[str, tuple[np.ndarray, np.ndarray]]
    intervals: dict[str, Bounds] = field(default_factory=dict)
    resampled: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, dict[str, float]] = field(default_factory=dict)
    attribute_curves: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    interval: Interval | None = None


def by_attribute(sequences: Sequences) -> dict[str, list[int]]:
    """Attribute -> the places of the sequences that have it, attributes in alphabetical order."""
    names = sorted({name for sequence in sequences for name in sequence.attributes})
    return {name: [i for i, s in enumerate(sequences) if name in s.attributes] for name in names}


def by_tag(sequences: Sequences) -> dict[str, list[Bool[np.ndarray, " _"]]]:
    """Tag -> which frames of each sequence carry it; "empty", where nothing is tagged, is the last.

    Without tags there is none.
    """
    names = sorted({tag for sequence in sequences for tag in sequence.tags} - {EMPTY})
    flags = {name: [s.tags.get(name, np.zeros(len(s), bool)) for s in sequences] for name in names}
    tagged = [np.any([flags[name][i] for name in names], 0) for i in range(len(sequences))]
    return flags | {EMPTY: [~one for one in tagged]} if names else {}
