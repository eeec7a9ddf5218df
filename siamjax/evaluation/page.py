"""One self-contained HTML page: tables that sort, curves, strips of frames with the boxes of all
trackers, a clip."""

import base64
import html
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

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

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1180px;
padding:1.5rem;color:#1d2433;background:#fff}
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p.note{color:#5c677d;margin:.2rem 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .5rem;border-bottom:1px solid #dde2ea;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
th{cursor:pointer;user-select:none;background:#f4f6f9;position:sticky;top:0;
white-space:normal;vertical-align:bottom}
th[aria-sort=ascending]::after{content:" \\25B2"}th[aria-sort=descending]::after{content:" \\25BC"}
td small{color:#5c677d;display:block}td.best{font-weight:700}
.plots{display:flex;flex-wrap:wrap;gap:1rem}.plots svg{width:360px;height:auto}
.key span{display:inline-block;margin-right:1rem}.key i{display:inline-block;
width:.9rem;height:.9rem;margin-right:.3rem;
vertical-align:-2px;border-radius:2px}
.strip{margin:.9rem 0}.strip img{max-width:100%;display:block}
video{max-width:100%;background:#000}
"""

_SCRIPT = """
document.querySelectorAll('table.sort').forEach(table=>{
 table.querySelectorAll('th').forEach((head,column)=>head.addEventListener('click',()=>{
  const was=head.getAttribute('aria-sort');  // names rise at first, figures fall
  const down=column?was!=='descending':was==='ascending';
  table.querySelectorAll('th').forEach(h=>h.removeAttribute('aria-sort'));
  head.setAttribute('aria-sort',down?'descending':'ascending');
  const value=row=>{const c=row.children[column];return c.dataset.value??c.textContent};
  const body=table.tBodies[0];
  [...body.rows].sort((a,b)=>{
   const x=value(a),y=value(b),n=parseFloat(x)-parseFloat(y);
   const order=isNaN(n)?x.localeCompare(y,undefined,{numeric:true}):n;return down?-order:order;
  }).forEach(row=>body.append(row));
 }));
});
"""


def render(
    scores: Scores,
    drawn: Mapping[str, object],
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
    from siamjax.evaluation.report import caption, ranked

    order = ranked(scores)
    title = html.escape(scores.dataset)
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{title} — {scores.count}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1><p class=note>{html.escape(caption(scores))}</p>",
        _key(order),
        "<h2>Trackers</h2>",
        _tracker_table(scores),
        "<h2>Curves</h2><div class=plots>",
        *(plots.to_svg(figure) for figure in drawn.values()),
        "</div>",
    ]
    if clip is not None:
        parts.append(f"<h2>Clip</h2>{_video(Path(clip))}")
    parts += _attribute_tables(scores, order)
    parts += [f"<h2>Sequences ({scores.count})</h2>", _sequence_table(scores, order)]
    strips = _strips(benchmark, results or {}, order, scores) if benchmark is not None else []
    if strips:
        parts += ["<h2>Frames</h2>", _key(order, truth=True), *strips]
    if scores.left_out:
        items = "".join(
            f"<li>{html.escape(name)}: {html.escape(reason)}</li>"
            for name, reason in scores.left_out.items()
        )
        parts.append(
            f"<details><summary>Not scored: {len(scores.left_out)}</summary>"
            f"<ul>{items}</ul></details>"
        )
    parts.append(f"<p class=note>siamjax {__version__}</p><script>{_SCRIPT}</script></body></html>")
    return "\n".join(parts) + "\n"


def _key(order: list[str], truth: bool = False) -> str:
    entries = [(name, plots.colour(place)) for place, name in enumerate(order)]
    if truth:
        entries.append(("ground truth", plots.TRUTH))
    spans = "".join(
        f"<span><i style='background:{colour}'></i>{html.escape(name)}</span>"
        for name, colour in entries
    )
    return f"<p class=key>{spans}</p>"


def _tracker_table(scores: Scores) -> str:
    from siamjax.evaluation.report import LOWER_IS_BETTER, label, measures, number, ranked

    columns = measures(scores)
    best = {}
    for measure in columns:
        values = [row[measure] for row in scores.trackers.values() if measure in row]
        best[measure] = (min if measure in LOWER_IS_BETTER else max)(values)
    head = "".join(f"<th>{html.escape(label(m))}</th>" for m in columns)
    body = []
    for tracker in ranked(scores):
        cells = []
        for measure in columns:
            value = scores.trackers[tracker].get(measure)
            bounds = scores.intervals.get(tracker, {}).get(measure)
            small = ""
            if bounds is not None:
                small = f" <small>{number(measure, bounds[0])}–{number(measure, bounds[1])}</small>"
            kind = " class=best" if value == best[measure] else ""
            sort_by = "" if value is None else value
            cells.append(f"<td{kind} data-value='{sort_by}'>{number(measure, value)}{small}</td>")
        body.append(f"<tr><td>{html.escape(tracker)}</td>{''.join(cells)}</tr>")
    return _table(f"<th>tracker</th>{head}", body)


def _sequence_table(scores: Scores, order: list[str]) -> str:
    """One row per sequence: the main measure of every tracker side by side, for VOT two of them."""
    from siamjax.evaluation.report import label, main_measure, number

    rows = scores.per_sequence
    first = next(iter(rows.values()), {})
    sample = next(iter(first.values()), {})
    main = main_measure(scores)
    shown = [main] if main in sample else list(sample)[:2]
    head = ""
    for tracker in order:
        for measure in shown:
            below = f"<br><small>{html.escape(label(measure))}</small>" if len(shown) > 1 else ""
            head += f"<th>{html.escape(tracker)}{below}</th>"
    body = []
    for sequence in first:
        cells = []
        for tracker in order:
            for measure in shown:
                value = rows[tracker][sequence].get(measure)
                known = value is not None and np.isfinite(value)
                sort_by = value if known else -1
                cells.append(f"<td data-value='{sort_by}'>{number(measure, value)}</td>")
        body.append(f"<tr><td>{html.escape(sequence)}</td>{''.join(cells)}</tr>")
    names = ", ".join(map(label, shown))
    note = f"<p class=note>{html.escape(names)} per sequence; a click on a heading sorts</p>"
    return note + _table(f"<th>sequence</th>{head}", body)


def _attribute_tables(scores: Scores, order: list[str]) -> list[str]:
    from siamjax.evaluation.report import label, number

    parts = []
    head = "<th>attribute</th>" + "".join(f"<th>{html.escape(t)}</th>" for t in order)
    for measure, by_attribute in scores.attributes.items():
        body = []
        for attribute, values in by_attribute.items():
            cells = "".join(f"<td>{number(measure, values.get(t))}</td>" for t in order)
            body.append(f"<tr><td>{html.escape(attribute)}</td>{cells}</tr>")
        parts.append(f"<div><h3>{html.escape(label(measure))}</h3>{_table(head, body)}</div>")
    title = f"<h2>Attributes ({scores.count})</h2>"
    return [title, "<div class=plots>", *parts, "</div>"] if parts else []


def _table(head: str, body: list[str]) -> str:
    return (
        f"<div class=scroll><table class=sort><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _video(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the clip cannot be read ({error.strerror})") from None
    return (
        "<video controls loop muted playsinline src='data:video/webm;base64,"
        f"{base64.b64encode(data).decode()}'></video>"
    )


def _strips(benchmark: Benchmark, results, order: list[str], scores: Scores) -> list[str]:
    scored = set(next(iter(scores.per_sequence.values()), {}))
    shown = [s for s in benchmark.sequences if s.name in scored and s.has_images][:MAX_STRIPS]
    parts = []
    for sequence in shown:
        runs = {}
        for tracker in order:
            if tracker in results:
                folder = results[tracker]
                found = Store(folder.parent, benchmark.dataset).read(folder.name, sequence)
                if found:
                    runs[tracker] = found[0].regions
        strip = _strip(sequence, runs, order)
        data = base64.b64encode(strip).decode()
        name = html.escape(sequence.name)
        parts.append(
            f"<div class=strip><b>{name}</b><img alt='frames of {name} with boxes' loading=lazy "
            f"src='data:image/jpeg;base64,{data}'></div>"
        )
    return parts


def _bgr(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return blue, green, red


def _strip(sequence: Sequence, runs: Mapping[str, np.ndarray], order: list[str]) -> bytes:
    """Evenly spaced frames side by side as one JPEG, with the true box and the trackers' boxes."""
    count = len(sequence)
    tiles = []
    for index in np.linspace(0, count - 1, min(STRIP_FRAMES, count)).round().astype(int):
        frame = sequence.frames[index].copy()
        thickness = max(1, round(frame.shape[0] / STRIP_HEIGHT * 1.5))
        regions = []
        if index < len(sequence.groundtruth):
            regions.append((sequence.groundtruth[index], plots.TRUTH))
        regions += [
            (runs[t][index], plots.colour(place)) for place, t in enumerate(order) if t in runs
        ]
        for region, colour in regions:
            if np.isfinite(region).all():
                points = polygons.corners(region).reshape(-1, 2).round().astype(np.int32)
                cv2.polylines(frame, [points], True, _bgr(colour), thickness, cv2.LINE_AA)
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
