"""The benchmarks by name: where they lie, which of their sequences are there, and what is
missing."""

import dataclasses
import importlib
import os
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from siamjax.datasets.dataset import EMBEDDED, Dataset
from siamjax.datasets.sequence import Absent, Sequence, alike, composed, key
from siamjax.errors import UserError, nearest
from siamjax.wording import first

# with `DATASETS`, in the order of the lists
MODULES = (
    "siamjax.datasets.synthetic",
    "siamjax.datasets.otb",
    "siamjax.datasets.vot",
    "siamjax.datasets.uav123",
    "siamjax.datasets.lasot",
    "siamjax.datasets.trackingnet",
    "siamjax.datasets.got10k",
    "siamjax.datasets.nfs",
    "siamjax.datasets.dtb70",
    "siamjax.datasets.folder",
)
ROOT_VARIABLE = "SIAMJAX_DATA"
ABSENT = "not in this copy"  # why a sequence is left out that a partial copy does not have


class NotFound(UserError):
    """A benchmark that is in none of the folders where it was looked for.

    Attributes:
        places: these folders.
    """

    def __init__(self, message: str, places: list[Path]):
        super().__init__(message)
        self.places = places


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Sequences of one data set, as far as they are there.

    Attributes:
        dataset: what is known about the benchmark.
        sequences: those to run or score.
        total: how many the whole benchmark has.
        left_out: name -> reason, sequences of the benchmark that were asked for and cannot be used;
            of those that a partial copy does not have it is `ABSENT`.
    """

    dataset: Dataset
    sequences: tuple[Sequence, ...]
    total: int
    left_out: dict[str, str]

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.dataset.name

    @property
    def protocol(self) -> str:
        """How its trackers are run: "ope", "supervised", "longterm"."""
        return self.dataset.protocol

    @property
    def title(self) -> str:
        """The benchmark's name, or "subset of ..." where sequences are missing or left out."""
        complete = len(self.sequences) == self.total
        return self.name if complete else f"subset of {self.name}"

    @property
    def count(self) -> str:
        """ "k of n sequences", for every table."""
        return f"{len(self.sequences)} of {self.total} sequences"


@cache
def datasets() -> dict[str, Dataset]:
    """All known benchmarks by name."""
    modules = map(importlib.import_module, MODULES)
    return {dataset.name: dataset for module in modules for dataset in module.DATASETS}


def get(name: str) -> Dataset:
    """A benchmark by its name, whatever its case and punctuation.

    Raises:
        UserError: unknown; names the nearest one.
    """
    by_key = {key(n): dataset for dataset in datasets().values() for n in dataset.aliases}
    by_key |= {key(known): dataset for known, dataset in datasets().items()}
    if key(name) in by_key:
        return by_key[key(name)]
    raise UserError(
        f"--dataset={name}: no such data set; did you mean {_nearest(name, by_key).name}?"
        f" Known: {', '.join(datasets())}"
    )


def _nearest(name: str, by_key: dict):
    """What is called most like a name, of at least one."""
    return by_key[nearest(key(name), by_key)]


def check_root(names: Iterable[str], data_root: str | Path | None) -> None:
    """Refuses a folder that no data set would be looked for in.

    Raises:
        UserError: all of them are made without files; an unknown one.
    """
    found = [get(name) for name in names]
    if data_root is not None and all(dataset.source == EMBEDDED for dataset in found):
        raise UserError(
            f"--data_root={data_root}: --dataset={found[0].name} is made without files; leave out"
            " --data_root, or give another --dataset"
        )


def load(
    dataset: str,
    data_root: str | Path | None = None,
    sequences: Iterable[str] | None = None,
    limit: int | None = None,
    images: bool = True,
) -> Benchmark:
    """Finds a benchmark on disk and opens the sequences that are there.

    Args:
        dataset: its name.
        data_root: the benchmark's folder or the one above it; None: $SIAMJAX_DATA, then ./data.
        sequences: names to keep; None: all.
        limit: keep the first so many of those that are there.
        images: whether sequences without images are left out; scoring of result files needs none.

    Raises:
        NotFound: no folder has it; says what it needs, its source and the folders searched.
        UserError: unknown data set, a name in `sequences` that the benchmark does not have or that
            cannot be used, or nothing usable at all.
    """
    info = get(dataset)
    root = _find(info, data_root)
    names = info.names(root)
    _check_names(root, names)
    shared = {name for name, times in Counter(map(key, names)).items() if times > 1}
    wanted = _select(info, names, sequences)
    found: list[Sequence] = []
    errors: dict[str, UserError] = {}
    for name in wanted:
        if limit is not None and len(found) >= limit:
            break
        try:
            sequence = _from_first_target(info, info.load(root, name))
            if images and not sequence.has_images:
                raise UserError(f"{name}: no images under {root}")
            sequence = dataclasses.replace(
                sequence, name=composed(sequence.name), loose=key(sequence.name) not in shared
            )
        except UserError as error:
            if sequences is not None:
                raise
            errors[name] = error
        else:
            found.append(sequence)
    if not found:
        # that a partial copy lacks a sequence is the least helpful reason
        order = sorted(errors.values(), key=lambda error: isinstance(error, Absent))
        reason = next(iter(order), "no sequence in it")
        raise UserError(f"{root}: no usable sequence of {info.name}; the first: {reason}")
    left_out = {
        name: ABSENT if isinstance(error, Absent) else str(error)
        for name, error in errors.items()
        if limit is None or not isinstance(error, Absent)  # a limit asks for what is there
    }
    return Benchmark(info, tuple(found), info.total or len(names), left_out)


def _find(info: Dataset, data_root: str | Path | None) -> Path:
    """The benchmark's own folder.

    Raises:
        NotFound: not there; names what it needs, where to get it and the folders searched; of a
            folder that was given, what is missing in it.
    """
    if data_root is not None:
        places = [Path(data_root)]
    else:
        roots = map(Path, filter(None, (os.environ.get(ROOT_VARIABLE), "data")))
        places = [folder for root in roots for folder in (root / info.name, root)]
    found = next(filter(None, map(info.find, places)), None)
    if found is not None:
        return found
    if data_root is not None:
        raise NotFound(_unfit(info, places[0]), places)
    layout = "\n".join("    " + line for line in info.layout.splitlines())
    searched = "\n".join(f"    {place.resolve()}" for place in places)
    raise NotFound(
        f"{info.name} was not found; give its folder as --data_root=DIR\n"
        f"  it needs:\n{layout}\n"
        f"  get it from:\n    {info.source}\n"
        f"  looked in:\n{searched}\n"
        f"    (--data_root, or ${ROOT_VARIABLE}, or ./data)",
        places,
    )


def _unfit(info: Dataset, root: Path) -> str:
    """What is wrong with a folder that was given, and what was expected of it."""
    if not root.is_dir():
        return f"--data_root={root}: {'not a folder' if root.exists() else 'no such folder'}"
    held = sorted(path.name for path in root.iterdir())
    holds = f"it holds {first(held)}" if held else "it is empty"
    needs = "; ".join(info.layout.splitlines())
    return (
        f"--data_root={root}: nothing of the data set {info.name} in it; {holds}\n"
        f"  expected, from {info.source}: {needs}"
    )


def _select(info: Dataset, names: list[str], wanted: Iterable[str] | None) -> list[str]:
    if wanted is None:
        return names
    selected = []
    for name in wanted:
        found = alike(name, names)
        if not found:
            by_key = {key(known): known for known in names}
            hint = f"; did you mean {_nearest(name, by_key)}?" if names else ""
            raise UserError(f"--sequences: {info.name} has no sequence '{name}'{hint}")
        if len(found) > 1:
            raise UserError(f"--sequences: '{name}' may be any of {', '.join(found)}; write one")
        if found[0] in selected:
            raise UserError(f"--sequences: {found[0]} is named twice")
        selected += found
    return selected


def _check_names(root: Path, names: list[str]) -> None:
    """Raises UserError for two sequences of one name, and for a name that leads out of a folder:
    result files are called so."""
    counts = Counter(map(composed, names))
    if twice := [name for name, times in counts.items() if times > 1]:
        raise UserError(f"{root}: two sequences are called {twice[0]}; rename or remove one")
    if wrong := [name for name in names if "/" in name or "\0" in name or name in ("", "..")]:
        raise UserError(f"{root}: {wrong[0]!r} cannot be a sequence's name: files are called so")


def _from_first_target(info: Dataset, sequence: Sequence) -> Sequence:
    """The sequence from the first frame on that has a target; restart protocols wait for it
    themselves.

    Raises:
        UserError: no frame has one.
    """
    truth = sequence.groundtruth
    known = np.isfinite(truth).all(1)
    if truth.shape[1] == 4:  # many write 0,0,0,0 where there is no target
        known &= (truth[:, 2:] > 0).all(1)
    if not known.any():
        raise UserError(f"{sequence.name}: no frame has a box of the target")
    start = int(known.argmax())
    waits = info.protocol not in ("ope", "longterm")
    return sequence if start == 0 or waits else sequence.since(start)
