"""The index of a data set written anew from its shards, whose records name video, track and frame.

For an index that is damaged or lost, and for data sets of format 1, which had no checksums.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from siamjax.data import columns, index, jpeg, shards, tfds_metadata, tfrecord
from siamjax.errors import UserError

_SHARD = re.compile(r"(.+)-train\.tfrecord-\d{5,}-of-(\d{5,})")
_COMPUTED = ("version", "videos", "tracks", "crops", "columns", "crc32c")  # by `index.write`


def reindex(folder: str | Path) -> list[str]:
    """Writes index and manifest from the shards; equal records give equal files.

    Other entries of a manifest that can be read are kept: source, options, what was skipped.

    Returns:
        A line for each damaged record. The index leaves it out.

    Raises:
        UserError: the shards are not complete, a record's length is damaged, so that those behind
            it are lost, no record is whole, or the folder cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such data set; name the folder that holds its shards")
    name, paths = _shards(folder)
    with contextlib.closing(shards.lock_folder(folder)):
        rows, bad, files, side = shards.Rows(), [], [], 0
        for i, path in enumerate(paths):
            records = 0
            for offset, length, record in _records(path, bad):
                records += 1
                if record is not None:
                    rows.add(record, i, offset, length)
                    side = side or jpeg.decode(record.image).shape[0]
            known = {"bytes": path.stat().st_size, "crc32c": columns.checksum(path)}
            files.append({"file": path.name, **known, "records": records})
        if tfds_metadata.faults(folder, side, [file["records"] for file in files]):
            tfds_metadata.write(folder, name, side, files)
        listed = [{key: file[key] for key in ("file", "bytes", "crc32c")} for file in files]
        manifest = {**_manifest(folder), "name": name, "crop": side, "shards": listed}
        index.write(folder, manifest, **rows.columns())
    return bad


def _shards(folder: Path) -> tuple[str, list[Path]]:
    """The data set's name and the paths of its shards."""
    found = {match.groups() for path in folder.iterdir() if (match := _SHARD.fullmatch(path.name))}
    if len(found) != 1:
        what = "shards of several data sets in it" if found else "no shards in it"
        raise UserError(f"{folder}: {what}; name the folder of one data set")
    ((name, count),) = found
    paths = [folder / shards.shard_name(name, i, int(count)) for i in range(int(count))]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: this shard is missing; prepare the data set again")
    return name, paths


def _records(path: Path, bad: list[str]) -> Iterator[tuple[int, int, tfrecord.Record | None]]:
    """Offset, length and content of each record; None: damaged, and a line more in `bad`."""
    try:
        for offset, length in tfrecord.locate_records(path):
            try:
                payload = tfrecord.read_record(path, offset, length)
                yield offset, length, tfrecord.decode_example(payload)
            except tfrecord.BadRecord as error:
                bad.append(f"{path} at byte {offset}: {error}")
                yield offset, length, None
    except tfrecord.BadRecord as error:
        raise UserError(
            f"{path}: {error}, so that the records behind are lost; prepare the data set again"
        ) from error


def _manifest(folder: Path) -> dict:
    """What the manifest says beside the values computed here, as far as it can be read."""
    try:
        known = json.loads((folder / index.MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: value for name, value in known.items() if name not in _COMPUTED}
