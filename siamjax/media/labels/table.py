"""CSV: a header and a line per frame and target."""

import csv
import io

from siamjax.media.tracks import Row, Tracks


def write(tracks: Tracks) -> str:
    """The columns of `Row`; `lost` as 0 or 1."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Row._fields)
    table.writerows((*row[:-1], int(row.lost)) for row in tracks.rows)
    return text.getvalue()
