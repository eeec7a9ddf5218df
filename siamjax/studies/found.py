"""What came out of a study: figures by row and seed, as JSON, table, plot and sentences."""

import dataclasses
import json
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from siamjax.evaluation import canvas, tables
from siamjax.evaluation.style import MEDIA, limits, style
from siamjax.files import write_whole
from siamjax.measures import seeds
from siamjax.measures.result import Figure

Values = dict[int, float]  # seed -> figure
PLOTTED = 4  # panels of the plot at most
LABEL = 18  # characters of a line below a panel
MARK = "≈"


@dataclasses.dataclass
class Found:
    """The results of a study.

    Attributes:
        name, question, source: of the study; the place in the paper.
        figures: what was measured.
        rows: row of the table -> figure -> seed -> value; all are compared with the first.
        missing: runs that are not measured yet.
        about: how it was made: data, pairs, clips, machine.
    """

    name: str
    question: str
    source: str
    figures: Mapping[str, Figure]
    rows: dict[str, dict[str, Values]]
    missing: int
    about: Mapping[str, Any]

    def shown(self) -> list[str]:
        """Figures that any row has."""
        return [f for f in self.figures if any(row.get(f) for row in self.rows.values())]

    def compared(self) -> Iterator[tuple[str, str, tuple[float, float, float]]]:
        """Row, figure and the interval of its difference from the first row, for all others that
        share two seeds with it."""
        first, *others = self.rows or [""]
        for figure in self.shown():
            for row in others:
                pair = self.rows[row].get(figure, {}), self.rows[first].get(figure, {})
                bounds = seeds.difference(*pair)
                if bounds is not None and math.isfinite(bounds[1]):
                    yield row, figure, bounds

    def separates(self, figure: str, bounds: tuple[float, float, float]) -> bool:
        """Whether the interval of a difference leaves out 0, and tables print another number."""
        number = self.figures[figure].number
        return seeds.separates(bounds) and number(abs(bounds[0])) != number(0.0)

    def write(self, folder: Path) -> None:
        """`study.json`, `table.md`, `figures.pdf`, `.svg` and `.png` of the folder."""
        write_whole(folder / "study.json", json.dumps(self.to_dict(), indent=1) + "\n")
        write_whole(folder / "table.md", self.table())
        if self.rows:
            save({"figures": self._draw}, folder)

    def to_dict(self) -> dict[str, Any]:
        """JSON's form; what is not finite becomes None."""
        rows = {
            row: {
                figure: {
                    "seeds": {str(seed): _finite(value) for seed, value in values.items()},
                    **dict(zip(("mean", "low", "high"), map(_finite, _interval(values)))),
                }
                for figure, values in own.items()
                if figure in self.figures
            }
            for row, own in self.rows.items()
        }
        differences = [
            {"row": row, "figure": figure, "separates": self.separates(figure, bounds)}
            | dict(zip(("mean", "low", "high"), map(_finite, bounds)))
            for row, figure, bounds in self.compared()
        ]
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        labels = {name: figure.label for name, figure in self.figures.items()}
        return fields | {"figures": labels, "rows": rows, "differences": differences}

    def table(self) -> str:
        """A row for each variant, means with intervals; below it what does not separate."""
        shown = self.shown()
        if not self.rows:
            return "no run is measured yet\n"
        head = ["", "seeds", *(self.figures[name].label for name in shown)]
        lines = [head]
        together = {
            (row, figure)
            for row, figure, bounds in self.compared()
            if not self.separates(figure, bounds)
        }
        for row, own in self.rows.items():
            count = max((len(values) for values in own.values()), default=0)
            cells = [
                text(self.figures[name], own.get(name, {})) + f" {MARK}" * ((row, name) in together)
                for name in shown
            ]
            lines.append([row, str(count), *cells])
        return tables.markdown(lines) + "\n" + "\n".join(self.sentences()) + "\n"

    def sentences(self) -> list[str]:
        """What the table's intervals are, what does not separate, what is missing."""
        first = next(iter(self.rows))
        compared = list(self.compared())
        said = ["Brackets: 95 % interval of the mean over seeds (Student's t)."]
        if all(len(values) < 2 for row in self.rows.values() for values in row.values()):
            said = ["One seed: nothing is said about intervals and differences."]
        if compared:
            said.append(f'{MARK}: does not separate from "{first}", seed by seed.')
        for name in self.shown():
            own = [(row, bounds) for row, figure, bounds in compared if figure == name]
            other = [row for row, bounds in own if self.separates(name, bounds)]
            if own and not other:
                said.append(f'{self.figures[name].label}: nothing separates from "{first}".')
            elif own:
                rows = ", ".join(other)
                said.append(f'{self.figures[name].label}: other than "{first}": {rows}.')
        if self.missing:
            said.append(f"Not measured yet: {self.missing} runs; the same command makes them.")
        return said

    def _draw(self) -> Canvas:
        """A panel per figure: each seed a small dot, the mean with its interval."""
        medium, shown = MEDIA["paper"], self.shown()[:PLOTTED]
        height = 0.6 + 0.17 * len(self.rows)
        width = medium.width * (1 if len(shown) < 3 else canvas.WIDE)
        drawn = Canvas(figsize=(width, height), layout="constrained")
        panels = drawn.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for place, (panel, name) in enumerate(zip(panels, shown)):
            looks, values = style(place), []
            for y, own in enumerate(self.rows.values()):
                one = own.get(name, {})
                if not one:
                    continue
                mean, low, high = _interval(one)
                dots = list(one.values())
                digit = 10.0 ** -self.figures[name].digits
                # equal numbers are one place, whatever rounding makes of them
                values += [*dots, low, high, mean - digit, mean + digit]
                panel.plot(dots, [y] * len(dots), ".", color="0.6", markersize=medium.marker)
                if math.isfinite(low):
                    panel.plot([low, high], [y, y], color=looks.colour, linewidth=medium.line)
                panel.plot(
                    mean, y, looks.marker, color=looks.colour, markersize=1.3 * medium.marker
                )
            label = textwrap.fill(self.figures[name].label, LABEL)
            panel.set(xlabel=label, xlim=limits(values))
            panel.ticklabel_format(axis="x", useOffset=False)
            panel.grid(axis="x")
        panels[0].set_yticks(range(len(self.rows)), list(self.rows))
        panels[0].set_ylim(len(self.rows) - 0.5, -0.5)
        return drawn


def text(figure: Figure, values: Mapping[int, float]) -> str:
    """Mean and interval as tables print them; "-" where there is no value."""
    if not values:
        return "-"
    mean, low, high = _interval(values)
    between = f" [{figure.number(low)}, {figure.number(high)}]" if math.isfinite(low) else ""
    return figure.number(mean) + between


def save(drawers: Mapping[str, Any], folder: Path) -> None:
    """Draws figures for print and writes them as PDF, SVG and PNG."""
    medium = MEDIA["paper"]
    drawn = canvas.finished(medium, drawers)
    canvas.save(drawn, folder, medium, {name: canvas.to_svg(each) for name, each in drawn.items()})


def collect(measured: Sequence[tuple[str, int, Mapping[str, Mapping[str, float]]]]) -> dict:
    """Rows of a table from what was measured of each run.

    Args:
        measured: variant's name, seed, and figures by the row's further name ("": none).
    """
    rows: dict[str, dict[str, Values]] = {}
    for variant, seed, parts in measured:
        for part, figures in parts.items():
            row = rows.setdefault(", ".join(filter(None, (variant, part))), {})
            for figure, value in figures.items():
                if value is not None and np.isfinite(value):
                    row.setdefault(figure, {})[seed] = float(value)
    return rows


def _interval(values: Mapping[int, float]) -> tuple[float, float, float]:
    return seeds.interval(list(values.values()))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
