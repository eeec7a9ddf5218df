"""One self-contained HTML page: tables that sort, plots, strips of frames with the boxes of all
trackers, a clip."""

import base64
import dataclasses
import html
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from siamjax.errors import UserError
from siamjax.evaluation import compare
from siamjax.evaluation.marks import places
from siamjax.evaluation.scoring import Scores
from siamjax.evaluation.style import TRUTH
from siamjax.version import __version__

LEVEL = 0.05  # of an adjusted probability below which a difference is marked
_CLASSES = {1: " class=best", 2: " class=second", 3: " class=third"}


@dataclasses.dataclass(frozen=True)
class Section:
    """One evaluation on the page.

    Attributes:
        scores: what is shown.
        svgs: plots by name.
        strips: HTML of the frames, from `siamjax.evaluation.strips`.
    """

    scores: Scores
    svgs: Mapping[str, str]
    strips: Sequence[str] = ()


def render(
    sections: Sequence[Section], colours: Mapping[str, str], clip: str | Path | None = None
) -> str:
    """The page's text.

    Args:
        sections: the evaluations.
        colours: tracker -> "#rrggbb", on all of them.
        clip: a .webm video to embed.

    Raises:
        UserError: the clip cannot be read.
    """
    assets = files("siamjax") / "assets"
    style, script = ((assets / name).read_text() for name in ("report.css", "report.js"))
    titles = [html.escape(section.scores.dataset) for section in sections]
    counts = ", ".join(section.scores.count for section in sections)
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{', '.join(titles)} — {counts}</title><style>\n{style}</style></head><body>",
    ]
    if len(sections) > 1:
        links = (f"<a href='#s{i}'>{title}</a>" for i, title in enumerate(titles))
        parts += ["<h1>Trackers on several data sets</h1>", f"<nav>{''.join(links)}</nav>"]
        parts += [_key(colours), _overview([section.scores for section in sections])]
    for number, section in enumerate(sections):
        parts += [f"<section id=s{number}>", *_section(section, colours, clip), "</section>"]
    parts += [
        f"<p class=note>siamjax {__version__}</p><script>",
        f"{script}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _section(section: Section, colours: Mapping[str, str], clip: str | Path | None) -> list[str]:
    scores = section.scores
    own = {tracker: colours[tracker] for tracker in scores.ranked()}
    parts = [
        f"<h1>{html.escape(scores.dataset)}</h1><p class=note>{html.escape(scores.caption)}</p>",
        _key(own),
        "<h2>Trackers</h2>",
        _tracker_table(scores),
        *(f"<p class=note>{html.escape(line)}</p>" for line in scores.footer),
    ]
    if section.svgs:
        plots = (
            f"<figure{' class=wide' if name.endswith('_by_attribute') else ''}>{svg}</figure>"
            for name, svg in section.svgs.items()
            if name != "differences"
        )
        parts += ["<h2>Curves</h2><div class=plots>", *plots, "</div>"]
    if clip is not None:
        parts.append(f"<h2>Clip</h2>{_video(Path(clip))}")
    parts += _differences(scores, section.svgs.get("differences"))
    parts += _attribute_tables(scores)
    parts += [f"<h2>Sequences ({scores.count})</h2>", _sequence_table(scores)]
    if section.strips:
        key = _key({**own, "ground truth": TRUTH})
        parts += ["<h2>Frames</h2>", key, *section.strips]
    if scores.left_out:
        items = (f"<li>{html.escape(f'{n}: {why}')}</li>" for n, why in scores.left_out.items())
        parts.append(
            f"<details><summary>Not scored: {len(scores.left_out)}</summary>"
            f"<ul>{''.join(items)}</ul></details>"
        )
    return parts


def _key(colours: Mapping[str, str]) -> str:
    spans = "".join(
        f"<span><i style='background:{colour}'></i>{html.escape(name)}</span>"
        for name, colour in colours.items()
    )
    return f"<p class=key>{spans}</p>"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    """A table that sorts: headings in HTML, and rows of a name and whole cells."""
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = (f"<tr><td>{html.escape(name)}</td>{''.join(cells)}</tr>" for name, *cells in rows)
    return (
        f"<div class=scroll><table class=sort><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _row(scores: Scores, figure: str, values: Mapping[str, float | None]) -> list[str]:
    """Cells of one figure side by side, the first three marked."""
    first = places(scores.figures[figure], values)
    return [
        f"<td{_CLASSES.get(first.get(name, 0), '')} data-value='{_sortable(value)}'>"
        f"{scores.number(figure, value)}</td>"
        for name, value in values.items()
    ]


def _sortable(value: float | None) -> float | str:
    return value if value is not None and np.isfinite(value) else ""


def _overview(everything: Sequence[Scores]) -> str:
    """The main figure on each data set."""
    trackers = dict.fromkeys(name for scores in everything for name in scores.ranked())
    heads, columns = ["tracker"], []
    for scores in everything:
        main = scores.main
        heads.append(f"{html.escape(scores.dataset)}<br><small>{html.escape(scores.label(main))}")
        values = {t: scores.trackers.get(t, {}).get(main) for t in trackers}
        columns.append(dict(zip(trackers, _row(scores, main, values), strict=True)))
    return _table(heads, [[t, *(column[t] for column in columns)] for t in trackers])


def _tracker_table(scores: Scores) -> str:
    columns = scores.columns
    first = {f: places(scores.figures[f], _column(scores, f)) for f in columns}

    def cell(tracker: str, figure: str) -> str:
        value = scores.trackers[tracker].get(figure)
        kind = _CLASSES.get(first[figure].get(tracker, 0), "")
        bounds = "–".join(scores.bound_numbers(tracker, figure))
        small = f"<br><small>{bounds}</small>" if bounds else ""
        number = scores.number(figure, value)
        return f"<td{kind} data-value='{_sortable(value)}'>{number}{small}</td>"

    heads = ["tracker", *(html.escape(scores.label(figure)) for figure in columns)]
    return _table(heads, [[t, *(cell(t, f) for f in columns)] for t in scores.ranked()])


def _column(scores: Scores, figure: str) -> dict[str, float | None]:
    return {tracker: row.get(figure) for tracker, row in scores.trackers.items()}


def _differences(scores: Scores, svg: str | None) -> list[str]:
    """Each tracker in a row less each in a column, and the plot of the first two."""
    pairs = compare.differences(scores)
    if not pairs:
        return []
    figure, order = compare.compared(scores), scores.ranked(compare.compared(scores))
    signed = {(one.first, one.second): (one, 1) for one in pairs}
    signed |= {(one.second, one.first): (one, -1) for one in pairs}

    def cell(row: str, column: str) -> str:
        if row == column:
            return "<td></td>"
        one, sign = signed[row, column]
        ends = sorted((sign * one.low, sign * one.high))
        text = f"{scores.number(figure, sign * one.value)}"
        title = f"95 %: {ends[0]:.4f} .. {ends[1]:.4f}; p {one.p:.4f}, adjusted {one.adjusted:.4f}"
        kind = " class=best" if one.adjusted < LEVEL else ""
        return f"<td{kind} title='{title}' data-value='{sign * one.value}'>{text}</td>"

    label = html.escape(scores.label(figure))
    adjusted = f", adjusted by Holm's rule for {len(pairs)} pairs" if pairs[1:] else ""
    note = (
        f"{label}: row less column. Bold: p &lt; {LEVEL} in a paired test over sequences"
        f"{adjusted}. A cell's title has interval and p"
    )
    heads = ["", *map(html.escape, order)]
    table = _table(heads, [[row, *(cell(row, column) for column in order)] for row in order])
    plot = f"<div class=plots><figure>{svg}</figure></div>" if svg else ""
    return ["<h2>Differences</h2>", f"<p class=note>{note}</p>", table, plot]


def _sequence_table(scores: Scores) -> str:
    """One row per sequence: the main figure of every tracker side by side, without it the first
    two."""
    order, rows = scores.ranked(), scores.per_sequence
    first = next(iter(rows.values()), {})
    sample = next(iter(first.values()), {})
    shown = [scores.main] if scores.main in sample else list(sample)[:2]

    def head(tracker: str, figure: str) -> str:
        below = f"<br><small>{html.escape(scores.label(figure))}</small>" if shown[1:] else ""
        return html.escape(tracker) + below

    def cells(name: str) -> list[str]:
        parts = [_row(scores, f, {t: rows[t][name].get(f) for t in order}) for f in shown]
        return [cell for of_tracker in zip(*parts, strict=True) for cell in of_tracker]

    columns = [(tracker, figure) for tracker in order for figure in shown]
    heads = ["sequence", *(head(*column) for column in columns)]
    body = [[name, *cells(name)] for name in first]
    names = html.escape(", ".join(map(scores.label, shown)))
    note = f"<p class=note>{names} per sequence; a click on a heading sorts</p>"
    return note + _table(heads, body)


def _attribute_tables(scores: Scores) -> list[str]:
    order = scores.ranked()
    heads = ["attribute", *map(html.escape, order)]
    parts = []
    for figure, by_attribute in scores.attributes.items():
        rows = []
        for name, values in by_attribute.items():
            rows.append(
                [scores.sized(name), *_row(scores, figure, {t: values.get(t) for t in order})]
            )
        title = html.escape(scores.label(figure))
        parts.append(f"<div><h3>{title}</h3>{_table(heads, rows)}</div>")
    title = f"<h2>Attributes ({scores.count})</h2>"
    return [title, "<div class=tables>", *parts, "</div>"] if parts else []


def _video(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the clip cannot be read ({error.strerror})") from None
    return (
        "<video controls loop muted playsinline src='data:video/webm;base64,"
        f"{base64.b64encode(data).decode()}'></video>"
    )
