"""What every loader offers, and the steps they share: finding images, lining frames up with
boxes."""

import dataclasses
import itertools
import re
from collections.abc import Callable
from pathlib import Path

from siamjax.datasets.sequence import NoFrames, Sequence
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles, frame_number, list_images


class Absent(UserError):
    """A sequence of the benchmark that a partial copy does not have."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A benchmark siamjax knows.

    Attributes:
        name: as it is printed.
        total: sequences (targets) of the whole benchmark; 0: whatever is found is the whole.
        protocol: how a tracker is run on it: "ope", "supervised", "longterm".
        measures: which scores it reports: "ope", "vot", "longterm", "got10k".
        results: form of its result files: "flat", "vot", "got10k".
        source: where to get it, one line.
        layout: lines that show how the folder looks.
        find: folder -> the data set's own folder inside it or itself, None where it is not there.
        names: own folder -> the benchmark's sequence names in order.
        load: own folder, name -> sequence; raises `Absent` where a partial copy lacks it.
        interval: frame numbers low..high of the EAO measure (VOT).
        test: whether tuning on it spoils the benchmark.
        split: official name of the part, for submission archives.
    """

    name: str
    total: int
    protocol: str
    measures: str
    results: str
    source: str
    layout: str
    find: Callable[[Path], Path | None]
    names: Callable[[Path], list[str]]
    load: Callable[[Path, str], Sequence]
    interval: tuple[int, int] | None = None
    test: bool = True


def key(name: str) -> str:
    """A sequence's name without case and punctuation: Jogging.1, jogging_1 and Jogging-1 are
    one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def subfolder(root: Path, *names: str) -> Path:
    """The first folder of these names under `root`, whatever its case; `root` itself if there is
    none."""
    if root.is_dir():
        present = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
        for name in names:
            if name.lower() in present:
                return present[name.lower()]
    return root


def images_of(folder: Path) -> list[Path]:
    """The images of a folder in the order of the numbers in their names.

    Raises:
        Absent: no such folder or no image in it.
    """
    found = list_images(folder)
    if not found:
        raise Absent(f"{folder}: no {'image in it' if folder.is_dir() else 'such folder'}")
    return found


def numbered_images(folder: Path, first: int, count: int) -> ImageFiles | NoFrames:
    """The images numbered `first`, `first + 1`, ... of a folder, `count` of them; `NoFrames`
    without the folder.

    Raises:
        UserError: one of them is missing, which would shift all boxes after it.
    """
    if not folder.is_dir():
        return NoFrames(count, folder)
    by_number = {frame_number(path): path for path in images_of(folder)}
    missing = [n for n in range(first, first + count) if n not in by_number]
    if missing:
        some = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"{folder}: {len(missing)} of frames {first}..{first + count - 1} are missing"
            f" (number {some}); restore them or leave the sequence out"
        )
    return ImageFiles([by_number[n] for n in range(first, first + count)])


def aligned_images(folder: Path, count: int, truth: Path, spare: bool = False):
    """All images of a folder, one per row of the ground truth; `NoFrames` without the folder.

    Args:
        spare: frames after the last row are left out (as OTB's Football1 has them) instead of being
            an error.

    Raises:
        UserError: the numbers differ, or the images' numbers have a gap.
    """
    if not folder.is_dir():
        return NoFrames(count, folder)
    paths = images_of(folder)
    numbers = [frame_number(path) for path in paths]
    for before, after in itertools.pairwise(numbers):
        if after != before + 1:
            raise UserError(
                f"{folder}: frame number {before + 1} of {numbers[0]}..{numbers[-1]} is missing;"
                " restore it or leave the sequence out"
            )
    if len(paths) < count or (len(paths) > count and not spare):
        raise UserError(
            f"{truth}: {count} rows for {len(paths)} images in {folder}; restore the missing ones"
        )
    return ImageFiles(paths[:count])
