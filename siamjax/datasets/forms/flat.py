"""One text file per sequence (OTB, UAV123, LaSOT, NFS, DTB70, TrackingNet).

`<tracker>/<sequence>.txt`: a row left,top,width,height per frame, the first frame included, counted
from the benchmark's own first pixel. Found as well: other case and punctuation (`jogging_1`), the
prefixes of pytracking (`nfs_`, `uav_`, `otb_`), a folder per class (`airplane/airplane-1.txt`) or
per sequence, with numbered repetitions (`Basketball/Basketball_001.txt`); rows of eight corners.
"""

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from siamjax.datasets.forms.base import Form, Run, unscored
from siamjax.datasets.sequence import Sequence, composed, key, shifted
from siamjax.media.tables import read_table

PREFIXES = ("nfs_", "uav_", "uav20l_", "otb_", "lasot_", "dtb_", "dtb70_", "trackingnet_")


class Flat(Form):
    """Rows that read back as the same float64 numbers."""

    def paths(self, sequence: Sequence, repetition: int = 1) -> list[str]:
        """One file; there are no repetitions."""
        return [f"{sequence.name}.txt"]

    def texts(self, sequence: Sequence, run: Run) -> list[str]:
        """The shortest decimals that give the same numbers."""
        rows = shifted(run.regions, sequence.base)
        return ["".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())]

    def files(self, folder: Path, sequence: Sequence) -> list[Path]:
        """The text files of the sequence: one, or those of its repetitions."""
        exact = folder / f"{sequence.name}.txt"
        if exact.is_file():
            return [exact]
        return found(folder, (sequence.name, *sequence.aliases), sequence.loose)

    def holds(self, folder: Path, sequences: Iterable[Sequence]) -> bool:
        """As the base class, by one look into the folder."""
        table = _table(folder)
        return any(key(name) in table for s in sequences for name in (s.name, *s.aliases))

    def read_file(self, path: Path, sequence: Sequence) -> Run:
        """As the base class."""
        return unscored(shifted(read_table(path, (4, 8)), -sequence.base))


def found(folder: Path, names: tuple[str, ...], loose: bool = True) -> list[Path]:
    """The files in a folder that are called like a sequence, under the first name that has any.

    Args:
        loose: whether names that are only alike count, where no other file is alike.
    """
    table = _table(folder)
    for name in names:
        files = table.get(key(name), {})
        if same := files.get(composed(name)):
            return list(same)
        if loose and len(files) == 1:
            return list(*files.values())
    return []


def _table(folder: Path) -> dict[str, dict[str, list[Path]]]:
    if not folder.is_dir():
        return {}
    inner = sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    kept = (path for path in inner if path.name != "times" and path.name[0] != ".")
    return _by_key(tuple((place, place.stat().st_mtime_ns) for place in (folder, *kept)))


@lru_cache(maxsize=4)
def _by_key(places: tuple[tuple[Path, int], ...]) -> dict[str, dict[str, list[Path]]]:
    """Files of a folder and those below by key and name of the sequence they are called after."""
    table: dict[str, dict[str, list[Path]]] = {}
    prefixed: dict[str, dict[str, list[Path]]] = {}
    repeated: dict[str, dict[str, list[Path]]] = {}

    def add(to, name, path, several=False):
        paths = to.setdefault(key(name), {}).setdefault(composed(name), [])
        if several or not paths:
            paths.append(path)

    (top, _), *_ = places
    for place, _ in places:
        for path in sorted(place.glob("*.txt")):
            if path.name[0] == "." or not (place == top or _belongs(path)):
                continue
            add(table, path.stem, path)
            for prefix in PREFIXES:
                if path.stem.lower().startswith(prefix):
                    add(prefixed, path.stem[len(prefix) :], path)
            number = re.fullmatch(r"(.+)_\d{3}", path.stem)
            if number and key(number[1]) == key(place.name):
                add(repeated, number[1], path, several=True)
    return prefixed | repeated | table


def _belongs(path: Path) -> bool:
    """Whether a file lies in the folder of its class or sequence, not in that of a tracker."""
    return key(path.stem).startswith(key(path.parent.name))


FORM = Flat()
