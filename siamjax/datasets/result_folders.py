"""Where the trackers lie in a folder, or archive, of result files: in its sub-folders, as siamjax
writes them, in the folder itself, or levels deeper, as other toolkits write them.

pytracking: `<tracker>/<parameters>_000`, `_001` and so on are runs of one tracker; the LaSOT
toolkit: `<tracker>_tracking_result`; others: a folder named like the benchmark above or below the
trackers; zip and tar archives stand for folders, and so does mmtracking's file of all sequences.
"""

import dataclasses
import itertools
import lzma
import os
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from siamjax.datasets.dataset import Dataset
from siamjax.datasets.forms import mmtracking
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import Sequence, key
from siamjax.errors import UserError

PICKLES = (".pkl", ".pickle")  # mmtracking's
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", *PICKLES)
# what damaged archives raise
BROKEN = (
    *(OSError, EOFError, ValueError, KeyError, IndexError, OverflowError, RuntimeError),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
_EXPANSION, _SLACK = 100, 64 << 20  # most bytes in an archive: so many times its own, and these
DEEPEST = 4  # levels of folders
# folders that are no tracker's name
_PLAIN = {"results", "result", "trackingresults", "default", "baseline", "longterm", "multistart"}
_EPOCHS = re.compile(r"(.*[_-])?(epoch|checkpoint|ckpt|step|snapshot|e)[_-]?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What a folder of results holds.

    Attributes:
        trackers: name -> its folders, one per run.
        without: folders and archives in it that hold no result of the sequences.
        unpacked: keeps what archives held until nobody needs it.
    """

    trackers: dict[str, tuple[Path, ...]]
    without: tuple[str, ...]
    unpacked: tempfile.TemporaryDirectory | None = None

    @property
    def folders(self) -> dict[str, Path]:
        """Tracker -> the folder of its first run."""
        return {name: folders[0] for name, folders in self.trackers.items()}


def find(folder: Path | str, dataset: Dataset, sequences: tuple[Sequence, ...]) -> Found:
    """The trackers in a folder or archive.

    Raises:
        UserError: no such folder, nothing of these sequences in it, or a broken archive.
    """
    top = Path(os.path.abspath(folder))
    if not top.is_dir() and not (top.is_file() and _is_archive(top)):
        raise UserError(f"{folder}: no such folder, zip, tar or pkl file")
    scratch = tempfile.TemporaryDirectory(prefix="siamjax-results-")
    form = Store(top, dataset).form

    def unpacked(path: Path) -> Path:
        place = Path(scratch.name) / f"{len(os.listdir(scratch.name))}" / _stem(path)
        place.mkdir(parents=True)
        if path.name.lower().endswith(PICKLES):
            for sequence, run in mmtracking.runs(path, sequences):
                form.write(place, sequence, run)
        else:
            _unpack(path, place)
        return place

    def holding(path: Path, depth: int) -> Iterator[Path]:
        """The folders at or below one that hold results."""
        if _is_archive(path):
            path = unpacked(path)
        if form.holds(path, sequences):
            yield path
        elif depth < DEEPEST:
            for child in _children(path):
                yield from holding(child, depth + 1)

    root = unpacked(top) if _is_archive(top) else top
    if form.holds(root, sequences):
        return Found({_name((top.parent.name, _stem(top)), dataset): (root,)}, (), scratch)
    places: dict[tuple[str, ...], Path] = {}
    without = []
    for child in _children(root):
        below = list(holding(child, 1))
        if not below:
            without.append(child.name)
        for path in below:
            places[(_stem(child), *_inside(path, child, Path(scratch.name)))] = path
    if not places:
        raise UserError(
            f"{folder}: no results of these sequences in it; expected for"
            f" example <tracker>/{form.paths(sequences[0])[-1]}"
        )
    return Found(_named(places, top.name, dataset), tuple(without), scratch)


def _children(folder: Path) -> list[Path]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        path
        for path in paths
        if path.name[0] != "." and path.name != "times" and (path.is_dir() or _is_archive(path))
    ]


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVES) and path.is_file()


def _stem(path: Path) -> str:
    """A name without the ending of an archive."""
    end = next((end for end in ARCHIVES if path.name.lower().endswith(end)), "")
    return path.name[: len(path.name) - len(end)] if _is_archive(path) else path.name


def _unpack(path: Path, folder: Path) -> None:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_claims(path, (info.file_size for info in archive.infolist()))
                archive.extractall(folder)
        else:
            with tarfile.open(path) as archive:
                check_claims(path, (member.size for member in archive))
                archive.extractall(folder, filter="data")
    except BROKEN as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); pack it again") from None


def check_claims(path: Path, sizes: Iterable[int]) -> None:
    """Before an archive is unpacked.

    Args:
        sizes: of its members, bytes; taken one by one.

    Raises:
        UserError: they are far more than a file of this size can hold of text.
    """
    size = path.stat().st_size
    for total in itertools.accumulate(sizes):
        if total > _EXPANSION * size + _SLACK:
            raise UserError(
                f"{path}: claims over {total >> 20} MiB in {size:,} bytes; unpack it yourself"
            )


def _inside(path: Path, child: Path, scratch: Path) -> tuple[str, ...]:
    """The folders between a child of the results folder and one that holds results."""
    if path.is_relative_to(scratch):  # <scratch>/<number>/<name of the archive>/...
        return path.relative_to(scratch).parts[2:]
    return path.relative_to(child).parts


def _name(parts: tuple[str, ...], dataset: Dataset) -> str:
    """A tracker's name: the last part that is not one of the common names of folders."""
    known = {*map(key, (dataset.name, *dataset.aliases, *dataset.folders))} | _PLAIN
    named = [part for part in parts if key(re.sub(r"_\d{3}$", "", part)) not in known]
    return re.sub(r"_tracking_results?$", "", (named or parts)[-1])


def _named(
    places: dict[tuple[str, ...], Path], top: str, dataset: Dataset
) -> dict[str, tuple[Path, ...]]:
    """Names of trackers; numbered folders beside each other are runs of one."""
    groups: dict[tuple[str, ...], list[Path]] = {}
    for parts, path in places.items():
        runs = re.fullmatch(r"(.+)_(\d{3})", parts[-1])
        whole = (*parts[:-1], runs[1]) if runs else parts
        siblings = {one[-1] for one in places if one[:-1] == parts[:-1]}
        together = runs and not _EPOCHS.fullmatch(runs[1]) and f"{runs[1]}_000" in siblings
        groups.setdefault(whole if together else parts, []).append(path)
    found: dict[str, tuple[Path, ...]] = {}
    for parts, paths in groups.items():
        name = _name((top, *parts), dataset)
        if name in found:
            name = "-".join(parts)
        found[name] = tuple(paths)
    return found
