"""What a run gives to keep: its tracks as labels of a format."""

import io
import re
import zipfile
from pathlib import PurePath
from typing import NamedTuple

from siamjax.integrations.serving.run import Run
from siamjax.media import labels
from siamjax.media.tracks import Tracks

_TYPES = {".csv": "text/csv", ".json": "application/json", ".xml": "application/xml"}


class Result(NamedTuple):
    """A file.

    Attributes:
        name: in ASCII.
        kind: its media type.
        content: its bytes.
    """

    name: str
    kind: str
    content: bytes


def formats() -> dict[str, str]:
    """The formats of labels that can be had, with what they are."""
    return {name: labels.FORMATS[name][1] for name in labels.writable()}


def file_name(run: Run, suffix: str) -> str:
    """What a result is called when it is saved."""
    return re.sub(r"[^\w.-]", "_", f"{run.entry.video.name}_tracked{suffix}", flags=re.ASCII)


def result(run: Run, format: str, checkpoint: str) -> Result:
    """The labels of a run; more than one file is an archive.

    Args:
        run: with rows.
        format: one of `formats`.
        checkpoint: name of the weights.

    Raises:
        UserError: the format cannot hold them; says why.
    """
    made = labels.contents([labelled(run, checkpoint)], format)
    if len(made) == 1:
        name, text = next(iter(made.items()))
        suffix = PurePath(name).suffix
        return Result(file_name(run, suffix), _TYPES.get(suffix, "text/plain"), text.encode())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in made.items():
            file.writestr(name, text)
    return Result(file_name(run, f"_{format}.zip"), "application/zip", archive.getvalue())


def labelled(run: Run, checkpoint: str) -> labels.Video:
    """The tracks of a run."""
    entry, rows = run.entry, run.rows()
    tracks = Tracks(rows, [], entry.video.name, entry.video.fps, checkpoint, run.order.names)
    length = rows[-1].frame + 1
    video = labels.of_source(tracks, entry.source, entry.size, length)
    return video.replace(length=max(length, len(video.images)))
