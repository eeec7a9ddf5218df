"""CSV: a header and a line per frame and target."""

import csv
import io
from collections.abc import Iterable, Sequence

from siamjax.media.tracks import Row, Tracks


def write(tracks: Tracks) -> str:
    """The columns of `Row`."""
    return columns(tracks.rows, Row._fields)


def columns(rows: Iterable[Row], names: Sequence[str]) -> str:
    """Some columns of `Row`; `lost` as 0 or 1."""
    text = io.StringIO()
    table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(row._asdict() | {"lost": int(row.lost)} for row in rows)
    return text.getvalue()
