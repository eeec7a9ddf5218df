"""One self-contained HTML page: tables that sort, curves, strips of frames with the boxes of all
trackers, a clip."""

import base64
import html
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.evaluation import plots
from siamjax.evaluation.scoring import Scores
from siamjax.geometry import polygons
from siamjax.version import __version__

STRIP_FRAMES = 6
STRIP_HEIGHT = 130  # px
MAX_STRIPS = 100  # sequences; a page with more would be slow to open


def render(
    scores: Scores,
    drawn: Mapping[str, Figure],
    benchmark: Benchmark | None = None,
    results: Mapping[str, Path] | None = None,
    clip: str | Path | None = None,
) -> str:
    """The page's text.

    Args:
        drawn: plots by name.
        benchmark, results: for the strips; sequences whose images are not there have none.
        clip: a .webm video to embed.

    Raises:
        UserError: the clip cannot be read.
    """
    assets = files("siamjax") / "assets"
    style, script = ((assets / name).read_text() for name in ("report.css", "report.js"))
    colours = [(name, plots.colour(place)) for place, name in enumerate(scores.ranked())]
    title = html.escape(scores.dataset)
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{title} — {scores.count}</title><style>\n{style}</style></head><body>",
        f"<h1>{title}</h1><p class=note>{html.escape(scores.caption)}</p>",
        _key(colours),
        "<h2>Trackers</h2>",
        _tracker_table(scores),
        *(f"<p class=note>{html.escape(line)}</p>" for line in scores.footer),
        "<h2>Curves</h2><div class=plots>",
        *(plots.to_svg(figure) for figure in drawn.values()),
        "</div>",
    ]
    if clip is not None:
        parts.append(f"<h2>Clip</h2>{_video(Path(clip))}")
    parts += _attribute_tables(scores)
    parts += [f"<h2>Sequences ({scores.count})</h2>", _sequence_table(scores)]
    strips = _strips(benchmark, results or {}, scores, colours) if benchmark is not None else []
    if strips:
        parts += ["<h2>Frames</h2>", _key([*colours, ("ground truth", plots.TRUTH)]), *strips]
    if scores.left_out:
        items = (f"<li>{html.escape(f'{n}: {why}')}</li>" for n, why in scores.left_out.items())
        parts.append(
            f"<details><summary>Not scored: {len(scores.left_out)}</summary>"
            f"<ul>{''.join(items)}</ul></details>"
        )
    parts += [
        f"<p class=note>siamjax {__version__}</p><script>",
        f"{script}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _key(colours: list[tuple[str, str]]) -> str:
    spans = "".join(
        f"<span><i style='background:{colour}'></i>{html.escape(name)}</span>"
        for name, colour in colours
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


def _tracker_table(scores: Scores) -> str:
    def cell(tracker: str, figure: str) -> str:
        value = scores.trackers[tracker].get(figure)
        kind = " class=best" if value == scores.best(figure) else ""
        bounds = "–".join(scores.bound_numbers(tracker, figure))
        small = f" <small>{bounds}</small>" if bounds else ""
        sort_by = "" if value is None else value
        return f"<td{kind} data-value='{sort_by}'>{scores.number(figure, value)}{small}</td>"

    columns = scores.columns
    heads = ["tracker", *(html.escape(scores.label(figure)) for figure in columns)]
    return _table(heads, [[t, *(cell(t, f) for f in columns)] for t in scores.ranked()])


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

    def cell(value: float | None, figure: str) -> str:
        sort_by = value if value is not None and np.isfinite(value) else -1
        return f"<td data-value='{sort_by}'>{scores.number(figure, value)}</td>"

    columns = [(tracker, figure) for tracker in order for figure in shown]
    heads = ["sequence", *(head(*column) for column in columns)]
    body = [[name, *(cell(rows[t][name].get(f), f) for t, f in columns)] for name in first]
    names = html.escape(", ".join(map(scores.label, shown)))
    note = f"<p class=note>{names} per sequence; a click on a heading sorts</p>"
    return note + _table(heads, body)


def _attribute_tables(scores: Scores) -> list[str]:
    order = scores.ranked()
    heads = ["attribute", *map(html.escape, order)]
    parts = []
    for figure, by_attribute in scores.attributes.items():
        rows = [
            [name, *(f"<td>{scores.number(figure, values.get(t))}</td>" for t in order)]
            for name, values in by_attribute.items()
        ]
        title = html.escape(scores.label(figure))
        parts.append(f"<div><h3>{title}</h3>{_table(heads, rows)}</div>")
    title = f"<h2>Attributes ({scores.count})</h2>"
    return [title, "<div class=plots>", *parts, "</div>"] if parts else []


def _video(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the clip cannot be read ({error.strerror})") from None
    return (
        "<video controls loop muted playsinline src='data:video/webm;base64,"
        f"{base64.b64encode(data).decode()}'></video>"
    )


def _strips(benchmark, results: Mapping[str, Path], scores, colours) -> list[str]:
    scored = set(next(iter(scores.per_sequence.values()), {}))
    shown = [s for s in benchmark.sequences if s.name in scored and s.has_images][:MAX_STRIPS]
    parts = []
    for sequence in shown:
        tracks = [(sequence.groundtruth, plots.TRUTH)]
        for tracker, colour in colours:
            if tracker in results:
                store = Store(results[tracker].parent, benchmark.dataset)
                runs = store.read(results[tracker].name, sequence)
                tracks += [(run.regions, colour) for run in runs[:1]]
        data = base64.b64encode(_strip(sequence, tracks)).decode()
        name = html.escape(sequence.name)
        parts.append(
            f"<div class=strip><b>{name}</b><img alt='frames of {name} with boxes' loading=lazy "
            f"src='data:image/jpeg;base64,{data}'></div>"
        )
    return parts


def _strip(sequence: Sequence, tracks: list[tuple[np.ndarray, str]]) -> bytes:
    """Evenly spaced frames side by side as one JPEG, with the regions of each track in its
    colour."""
    count = len(sequence)
    tiles = []
    for index in np.linspace(0, count - 1, min(STRIP_FRAMES, count)).round().astype(int):
        frame = sequence.frames[index].copy()
        thickness = max(1, round(frame.shape[0] / STRIP_HEIGHT * 1.5))
        for regions, colour in tracks:
            if index < len(regions) and np.isfinite(regions[index]).all():
                points = polygons.corners(regions[index]).reshape(-1, 2).round().astype(np.int32)
                bgr = bytes.fromhex(colour[1:])[::-1]
                cv2.polylines(frame, [points], True, tuple(bgr), thickness, cv2.LINE_AA)
        width = max(1, round(frame.shape[1] * STRIP_HEIGHT / frame.shape[0]))
        tile = cv2.resize(frame, (width, STRIP_HEIGHT), interpolation=cv2.INTER_AREA)
        for shade, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(tile, str(index), (4, 14), font, 0.42, shade, width, cv2.LINE_AA)
        tiles.append(tile)
    done, data = cv2.imencode(".jpg", np.hstack(tiles), [cv2.IMWRITE_JPEG_QUALITY, 75])
    if not done:
        raise UserError(f"{sequence.name}: the strip of frames could not be encoded")
    return data.tobytes()
