"""What all plots share: an empty figure, a tracker's line and marker, the legend, the files.

Drawn by matplotlib without a display; sizes and colours are in `siamjax.evaluation.style`.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from siamjax.evaluation.scoring import Scores
from siamjax.evaluation.style import Medium, Style
from siamjax.files import write_whole

MARKS = 9  # markers on a line
LONGEST = 40  # characters of a name
WIDE = 2.06  # a figure over both columns of a page, in columns
_SETTINGS: dict[Any, Any] = {
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "siamjax",
    "text.parse_math": False,  # a "$" in a tracker's name is one
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.7,
}
# fonts with the letters of other scripts, the first that is installed
_SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "Unifont",
)
_LARGER = {"*": 1.7, "P": 1.3, "X": 1.3}  # markers that seem smaller than they are


class Canvas:
    """What the plots of one evaluation share.

    Args:
        scores: the evaluation.
        medium: sizes.
        styles: tracker -> looks.
    """

    def __init__(self, scores: Scores, medium: Medium, styles: Mapping[str, Style]):
        self.scores, self.medium, self.styles = scores, medium, styles

    def figure(
        self, title: str, height: float, named: Sequence[str] = (), columns: float = 1.0
    ) -> Figure:
        """An empty figure, titled where the medium says so.

        Args:
            height: of the axes with their labels, in widths of a column.
            named: entries of the legend below them.
            columns: width.
        """
        font, width = self.medium.font, self.medium.width * columns
        rows = -(-len(named) // self._columns(named, width))
        lines = 2 * 1.4 * self.medium.titled + (1.42 * rows + 1) * bool(named)
        inches = self.medium.width * height + lines * font / 72
        figure = Figure(figsize=(width, inches), layout="constrained")
        if self.medium.titled:
            text = f"{title} — {self.scores.dataset}\n{self.scores.count}"
            figure.suptitle(text, fontsize=font + 1)
        return figure

    def _columns(self, named: Sequence[str], width: float) -> int:
        """Of a legend with these entries in a figure of this width, in."""
        longest = (max(map(len, named), default=0) * 0.58 + 7) * self.medium.font
        return max(1, min(int(width * 72 / longest), 5, len(named)))

    def line(self, tracker: str, place: int = 0, **more: Any) -> dict[str, Any]:
        """How a tracker's line is drawn; markers of lines at other places stand elsewhere."""
        own = self.styles[tracker]
        return {
            **self.dot(tracker),
            "linestyle": (0, own.dashes) if own.dashes else "-",
            "linewidth": self.medium.line,
            "markevery": (place % 16 / 16 / MARKS, 1 / MARKS),
            **more,
        }

    def dot(self, tracker: str, scale: float = 1.0) -> dict[str, Any]:
        """How a tracker's marker is drawn, without a line."""
        own = self.styles[tracker]
        size = self.medium.marker * _LARGER.get(own.marker, 1) * scale
        edge = {"markeredgecolor": "white", "markeredgewidth": 0.4}
        shape = {"marker": own.marker, "markersize": size, "linestyle": "none"}
        return {"color": own.colour, **shape, **edge}

    def legend(self, figure: Figure, named: Mapping[str, str], lines: bool = True) -> None:
        """Below the axes.

        Args:
            named: tracker -> its entry, in their order.
            lines: whether the trackers are lines, else markers.
        """
        looks = {t: self.line(t, markevery=None) if lines else self.dot(t, 1.4) for t in named}
        handles = [Line2D([], [], **kind) for kind in looks.values()]
        entries = list(named.values())
        legend = figure.legend(
            handles,
            entries,
            loc="outside lower center",
            ncols=self._columns(entries, figure.get_figwidth()),
            frameon=False,
            handlelength=4 if lines else 1.5,
            columnspacing=1.2,
        )
        for text, entry in zip(legend.get_texts(), entries, strict=True):
            text.set_text(entry)  # matplotlib hides a name that begins with "_"

    def named(self, trackers: Sequence[str], by: str = "") -> dict[str, str]:
        """Tracker -> its name with its value of a figure."""
        values = {t: self.scores.trackers[t].get(by) if by else None for t in trackers}
        numbers = {
            t: "" if v is None else f" [{self.scores.number(by, v)}]" for t, v in values.items()
        }
        return {tracker: short(tracker) + number for tracker, number in numbers.items()}


def short(name: str) -> str:
    """A name that leaves room for the axes: the middle of a long one is left out."""
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[1 - half :]}"


def finished(medium: Medium, drawers: Mapping[str, Callable[[], Figure]]) -> dict[str, Figure]:
    """Name -> figure, with all its parts in their places, so that files need not place them."""
    figures = {}
    with _drawing(**{"font.size": medium.font}):
        for name, draw in drawers.items():
            figures[name] = draw()
            # letters are as wide as in print there, not as pixels of a screen make them
            usual = figures[name].dpi
            figures[name].set_dpi(medium.dpi)
            figures[name].draw_without_rendering()
            figures[name].set_dpi(usual)
            figures[name].set_layout_engine("none")
    return figures


@contextlib.contextmanager
def _drawing(**more: Any) -> Iterator[None]:
    """With the settings of all plots, and fonts of other scripts where they are installed."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = ["DejaVu Sans", *(font for font in _SCRIPTS if font in installed)]
    settings = _SETTINGS | {"font.family": fonts} | more
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # letters that no font has are boxes in PNG and PDF, and letters in SVG
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def to_svg(figure: Figure) -> str:
    """SVG text that may stand inside HTML; the same bytes for the same figure."""
    out = io.StringIO()
    with _drawing():
        figure.savefig(out, format="svg", metadata={"Date": None})
    # Verdana has the widths of DejaVu Sans, where a browser lacks that
    own = "font-family: 'DejaVu Sans'"
    text = out.getvalue().replace(own, f"{own}, Verdana, sans-serif")
    return text[text.index("<svg") :]


def save(
    drawn: Mapping[str, Figure], folder: Path, medium: Medium, svgs: Mapping[str, str]
) -> None:
    """Writes each plot in the formats of a medium, each file whole.

    Args:
        svgs: the plots as `to_svg` gives them.
    """
    for name, figure in drawn.items():
        for kind in medium.formats:
            path = folder / f"{name}.{kind}"
            if kind == "svg":
                write_whole(path, svgs[name])
            elif kind == "png":
                save_png(figure, path, medium.dpi)
            else:
                save_pdf(figure, path)


def save_png(figure: Figure, path: Path, dpi: int = 130) -> None:
    """Writes a figure as PNG, whole."""
    with _drawing():
        write_whole(path, lambda file: figure.savefig(file, format="png", dpi=dpi))


def save_pdf(figure: Figure, path: Path) -> None:
    """Writes a figure as PDF with embedded fonts, whole; the same bytes for the same figure."""
    with _drawing():
        meta: dict[str, Any] = {"CreationDate": None}
        write_whole(path, lambda file: figure.savefig(file, format="pdf", metadata=meta))
