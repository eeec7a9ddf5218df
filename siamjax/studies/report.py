"""One page of all studies of a folder."""

import base64
import html
from pathlib import Path

from siamjax.errors import UserError
from siamjax.files import read_json, write_whole
from siamjax.media.labels.jsons import built_as

PAGE = "report.html"
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse}td{white-space:nowrap}"
    "td,th{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:right}"
    "td:first-child,th:first-child{text-align:left}svg,img{max-width:100%;height:auto}"
)


def write(workdir: Path) -> Path:
    """Writes `report.html` from the studies' tables and plots.

    Raises:
        UserError: there is no study, or one is damaged.
    """
    folders = sorted(path.parent for path in workdir.glob("*/study.json"))
    if not folders:
        raise UserError(f"--workdir={workdir}: no study here; run one by siamjax study NAME")
    sections = ""
    for folder in folders:
        with built_as(folder, "a finished study", "run it again"):
            sections += _section(folder)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Studies</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>Studies</h1>\n{sections}</body></html>\n"
    )
    return write_whole(workdir / PAGE, text)


def _section(folder: Path) -> str:
    found = read_json(folder / "study.json", "the record of a study")
    about = found["about"]
    made = (
        f"{about['config']}: {about['pairs']:,} pairs per run, {len(about['runs'])} runs; "
        f"scored on {'; '.join(about['scored_on'])}; siamjax {about['siamjax']}"
    )
    pictures = "".join(f"<p>{path.read_text()}</p>\n" for path in sorted(folder.glob("*.svg")))
    for path in sorted(folder.glob("*.png")):
        if not path.with_suffix(".svg").exists():
            data = base64.b64encode(path.read_bytes()).decode()
            title = html.escape(path.stem)
            pictures += f'<p><img alt="{title}" src="data:image/png;base64,{data}"> {title}</p>\n'
    return (
        f"<h2>{html.escape(found['name'])}</h2>\n<p><b>{html.escape(found['question'])}</b><br>"
        f"{html.escape(found['source'])}</p>\n{_table((folder / 'table.md').read_text())}"
        f"{pictures}<p>{html.escape(made)}</p>\n"
    )


def _table(text: str) -> str:
    """A Markdown table, and the lines below it, as HTML."""
    lines = text.splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    head, *body = [row for i, row in enumerate(rows) if i != 1] or [[]]
    if len(head) < len((body or [head])[0]):
        head = ["", *head]

    def cells(row, tag):
        return "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)

    below = "".join(f"{html.escape(s)}<br>" for s in lines if s and not s.startswith("|"))
    table = f"<tr>{cells(head, 'th')}</tr>" + "".join(f"<tr>{cells(r, 'td')}</tr>" for r in body)
    return f'<div class="scroll"><table>{table}</table></div>\n<p>{below}</p>\n'
