"""Data sets at addresses: their shards are copied to this machine before they are read.

Each file is checked by the data set's own manifest: shards and columns of the index by size and
CRC-32C; shards of sets that note none by the checksum of each record.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import ml_collections

from siamjax.data import columns, index
from siamjax.data.tfrecord import BadRecord, locate_records, read_record
from siamjax.errors import UserError
from siamjax.remote import cache
from siamjax.remote.fetch import Wanted
from siamjax.remote.places import Missing, Place, is_address


def local(path: str | Path) -> Path:
    """A data set's folder on this machine: of an address a copy, made if need be.

    With `#sha256=`, of the manifest, nothing is asked for where the copy is there.

    Raises:
        UserError: no data set there; a file is missing, damaged or cannot be fetched; there is not
            enough room.
    """
    if not is_address(path):
        return Path(path)
    place = Place(str(path))
    if place.digest is not None:
        return cache.fetched(place, "", lambda: _wanted(place, _manifest(place)))
    text = _manifest(place)
    return cache.fetched(place, _digest(text), lambda: _wanted(place, text))


def with_local_sources(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """An experiment whose sources are folders of this machine; the same one where all are.

    Raises:
        UserError: as `local`.
    """
    sources = config.data.sources
    if not any(is_address(source.path) for source in sources.values()):
        return config
    config = config.copy_and_resolve_references()
    with config.unlocked():
        for source in config.data.sources.values():
            source.path = str(local(source.path))
    return config


def _manifest(place: Place) -> bytes:
    try:
        text = place.read(index.MANIFEST)
    except Missing as error:
        raise UserError(
            f"{place.shown}: no data set there (no {index.MANIFEST}); look after the address, or"
            " copy a folder of data_prep there"
        ) from error
    if place.digest is not None and (found := _digest(text)) != place.digest:
        raise UserError(
            f"{place.shown_file(index.MANIFEST)}: its SHA-256 is {found} in place of"
            f" {place.digest}: another data set than was meant"
        )
    return text


def _wanted(place: Place, text: bytes) -> list[Wanted]:
    """All files of a data set that training reads."""
    shown = place.shown_file(index.MANIFEST)
    manifest = index.parse_manifest(text, shown, "copy the folder there again")
    known = manifest.get("columns") or {name: {} for name in columns.TABLE if name != columns.LATER}
    files = [(f"{index.FOLDER}/{name}.npy", about) for name, about in known.items()]
    files += [(shard["file"], shard) for shard in manifest["shards"]]
    found = [
        Wanted(name, about.get("bytes"), check=_check(name, about.get("crc32c")))
        for name, about in files
    ]
    return [*found, Wanted(index.MANIFEST, len(text), _digest(text))]


def _check(name: str, crc32c: str | None) -> Callable[[Path], str] | None:
    """What checks a file: by its checksum where there is one; else each record of a shard."""

    def whole(path):
        found = columns.checksum(path)
        return "" if found == crc32c else f"its CRC-32C is {found} in place of {crc32c}"

    if crc32c is not None:
        return whole
    return None if name.startswith(f"{index.FOLDER}/") else _damaged_record


def _damaged_record(path: Path) -> str:
    """What is wrong with the first damaged record of a shard; "" where none is."""
    try:
        for offset, length in locate_records(path):
            read_record(path, offset, length)
    except BadRecord as error:
        return f"damaged ({error})"
    return ""


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
