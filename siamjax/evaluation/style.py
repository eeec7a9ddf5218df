"""How trackers and figures are drawn, in one place: sixteen trackers that colour, line and marker
tell from each other, the sizes for paper and screen, and ranges of axes that fit the data.

No two of the sixteen have line and marker in common, so they stay distinct without colour. Their
colours differ by at least 30 in CIELAB (about 2 is just visible). Colours are strings "#rrggbb".
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from siamjax.errors import UserError, one_of

COLOURS = (
    *("#d62728", "#1f5fbf", "#009e73", "#8e3b9e", "#e69f00", "#56b4e9", "#333333", "#cc79a7"),
    *("#969164", "#8aa405", "#004400", "#7a0a32", "#23b849", "#ff8f84", "#ff66d3", "#00727d"),
)
# on and off, in line widths; empty: a whole line
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 1.6), (5, 1.4, 1, 1.4), (1.2, 1.3))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
TRUTH = "#2ca02c"  # of the true boxes on frames


@dataclasses.dataclass(frozen=True)
class Style:
    """One tracker's looks: colour, pattern of its line, marker."""

    colour: str
    dashes: tuple[float, ...]
    marker: str


def style(place: int) -> Style:
    """The looks of the tracker at a place, from 0; the first 32 differ even without colour."""
    again, first = divmod(place, len(MARKERS))
    return Style(
        COLOURS[place % len(COLOURS)],
        DASHES[(first + again) % len(DASHES)],
        MARKERS[first],
    )


def styles(rankings: Iterable[Sequence[str]]) -> dict[str, Style]:
    """Tracker -> looks: the same on all data sets of a page, given in the order of the rankings."""
    names = dict.fromkeys(name for ranking in rankings for name in ranking)
    return {name: style(place) for place, name in enumerate(names)}


@dataclasses.dataclass(frozen=True)
class Medium:
    """Sizes of figures.

    Attributes:
        width: in.
        font: pt.
        line, marker: pt.
        titled: whether a figure says what it shows; in a paper its caption does.
        formats: written files, by their suffix.
        dpi: of PNG.
        attributes: whether curves of each attribute are drawn, which takes longer than all else.
    """

    width: float
    font: float
    line: float
    marker: float
    titled: bool
    formats: tuple[str, ...]
    dpi: int
    attributes: bool


MEDIA = {
    # a column of a page in two columns
    "paper": Medium(3.45, 7.5, 1.1, 3.2, False, ("pdf", "svg", "png"), 300, True),
    "screen": Medium(5.6, 10.5, 1.6, 4.5, True, ("svg", "png"), 130, False),
}


def medium(name: str) -> Medium:
    """The sizes of this name.

    Raises:
        UserError: there is none.
    """
    if name not in MEDIA:
        raise UserError(f"--style={name}: {one_of(name, MEDIA)}")
    return MEDIA[name]


def limits(values: Iterable, pad: float = 0.04) -> tuple[float, float]:
    """Ends of an axis that shows all values with a margin.

    Values of shares, 0..1, have an axis that does not leave 0..1 by more than the width of a line.

    Args:
        values: numbers or arrays; what is not finite is ignored.
        pad: margin on each side, as a share of the values' range.
    """
    parts = [np.ravel(np.asarray(value, np.float64)) for value in values]
    known = np.concatenate([[], *parts])
    known = known[np.isfinite(known)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    margin = pad * (high - low) or pad * max(abs(high), 0.5)
    bottom, top = low - margin, high + margin
    if low >= 0:
        bottom = max(bottom, -0.01 * (top - max(bottom, 0.0)))
    if high <= 1 and low >= 0:
        top = min(top, 1 + 0.02 * (1 - max(bottom, 0.0)))
    return bottom, top
