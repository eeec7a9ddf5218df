"""What a loader describes of its benchmark, and the steps that all loaders share: finding the
folder, naming the sequences, choosing between text files and an annotation file, aligning images
with boxes."""

import dataclasses
from pathlib import Path

from siamjax.datasets import annotations, attributes
from siamjax.datasets.sequence import Absent, NoFrames, Sequence, key, shifted
from siamjax.errors import UserError
from siamjax.media.frames import ImageFiles, frame_number, list_images
from siamjax.media.lines import read_text
from siamjax.media.tables import read_table

EMBEDDED = "embedded"  # the source of a data set without files
_LONGEST_NAME = 200  # characters; longer ones are no file's


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A benchmark. A loader subclasses it and replaces what its layout needs.

    Attributes:
        name: as it is printed.
        total: sequences (targets) of the whole benchmark; 0: whatever is found is the whole.
        source: where to get it, one line.
        layout: lines that show how the folder looks.
        truth: the ground truth of a sequence below the benchmark's folder, with `{name}`.
        images: the folder of a sequence's images, from that of its ground truth.
        folders: names the benchmark's folder may have, in any case.
        inner: a folder inside it where everything may lie.
        listed: the official names of the sequences; empty: those that are on disk.
        list_file: file with the names, in the benchmark's folder.
        annotated: names, without ".json", of a file with all boxes that may replace the texts.
        annotations_first: whether that file is read even where the texts are there.
        base: what the benchmark's files count the first pixel as, 0 or 1.
        protocol: how a tracker is run on it, a name in `siamjax.evaluation.protocols.EXPERIMENTS`.
        measures: which scores it reports, a name in `siamjax.measures.table.MEASURES`.
        results: form of its result files, a name in `siamjax.datasets.results.FORMATS`.
        interval: frame numbers low..high of the EAO measure (VOT).
        test: whether tuning on it spoils the benchmark.
        attributes: those of its sequences, in the order of the files that hold 0 or 1 for each, see
            `siamjax.datasets.attributes`.
        server: whether its server takes archives of result files.
        aliases: other names it is found by.
    """

    name: str
    total: int
    source: str
    layout: str
    truth: str = "{name}/groundtruth.txt"
    images: str = "."
    folders: tuple[str, ...] = ()
    inner: str = "."
    listed: tuple[str, ...] = ()
    list_file: str = ""
    annotated: tuple[str, ...] = ()
    annotations_first: bool = False
    base: int = 0
    protocol: str = "ope"
    measures: str = "ope"
    results: str = "flat"
    interval: tuple[int, int] | None = None
    test: bool = True
    server: bool = False
    attributes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def open(self, path: Path, name: str) -> Sequence:
        """Reads the sequence whose ground truth is the file `path`, a row of a box for each frame.

        Raises:
            UserError: its files do not fit together.
        """
        boxes = read_table(path)
        frames = self.frames(path, name, len(boxes))
        return Sequence(name, frames, shifted(boxes, -self.base), base=self.base)

    def frames(self, path: Path, name: str, count: int) -> ImageFiles | NoFrames:
        """The images of a sequence, one per row of the file `path` of `count` rows."""
        return aligned_images(path.parent / self.images, count, path)

    def truth_file(self, root: Path, name: str) -> Path:
        """The file with the ground truth of a sequence, whether it is there or not."""
        return root / self.truth.format(name=name)

    def on_disk(self, root: Path) -> list[str]:
        """Names of the sequences that lie in a folder, in order."""
        if self.listed:
            return [name for name in self.listed if self.truth_file(root, name).parent.is_dir()]
        parts = Path(self.truth).parts
        place = next(i for i, part in enumerate(parts) if "{name}" in part)
        found = (path.relative_to(root).parts for path in root.glob(self.truth.format(name="*")))
        names = {parts[place] for parts in found if not any(part[0] == "." for part in parts)}
        return sorted(name.removesuffix(".txt") for name in names)

    def find(self, root: Path) -> Path | None:
        """The benchmark's own folder: `root` or one below it; None: not there."""
        present = [path for path in sorted(root.glob("*")) if path.is_dir()]
        by_name = {path.name.lower(): path for path in present} | {p.name: p for p in present}
        wanted = (*self.folders, *map(str.lower, self.folders))
        known = [by_name[name] for name in wanted if name in by_name]
        outer = (root, *known[:1])
        for folder in (*outer, *(place / self.inner for place in outer)):
            if annotations.find(folder, self.annotated) or self.on_disk(folder):
                return folder
        return None

    def names(self, root: Path) -> list[str]:
        """The names of the benchmark's sequences, in order.

        An annotation file with none of the official names is another benchmark in the same form:
        its own names count.

        Raises:
            UserError: a file of names that holds none.
        """
        path = annotations.find(root, self.annotated)
        described = list(annotations.read(path)) if path else []
        if described and not {*map(key, described)} & {*map(key, self.listed)}:
            return described
        if self.listed:
            return list(self.listed)
        if self.list_file and (root / self.list_file).is_file():
            lines = read_text(root / self.list_file).splitlines()
            found = [line.strip() for line in lines if line.strip()]
            if max(map(len, found), default=0) > _LONGEST_NAME:
                raise UserError(f"{root / self.list_file}: not a list of names; restore it")
            return found
        return self.on_disk(root)

    def load(self, root: Path, name: str) -> Sequence:
        """Opens a sequence.

        Args:
            root: the benchmark's own folder, from `find`.

        Raises:
            Absent: a partial copy does not have it.
            UserError: its files do not fit together.
        """
        truth = self.truth_file(root, name)
        path = annotations.find(root, self.annotated)
        if path and (self.annotations_first or not truth.is_file()):
            sequence = annotations.load(path, name, self.base)
        elif truth.parent.is_dir():
            sequence = self.open(truth, name)
        else:
            raise Absent(f"{truth.parent}: no such folder")
        if sequence.attributes:
            return sequence
        own = attributes.read(root, truth, name, self.name, self.attributes)
        return dataclasses.replace(sequence, attributes=own) if own else sequence


def aligned_images(
    folder: Path, count: int, truth: Path, first: int | None = None, secret: bool = False
) -> ImageFiles | NoFrames:
    """The images of a sequence, one per row of its ground truth; `NoFrames` without images.

    Args:
        count: rows of the ground truth in the file `truth`.
        first: number of the image that the first row belongs to; images before it and after the
            last row are left out. None: all images belong to the sequence.
        secret: whether a single row is the first box of a benchmark that keeps the others.

    Raises:
        UserError: an image is missing, which would shift all boxes after it, or the numbers of
            rows and images differ.
    """
    paths = list_images(folder)
    if not paths:
        return NoFrames(count, folder)
    if secret and count == 1:
        count = len(paths)
    by_number = {frame_number(path): path for path in paths}
    if first is None:
        numbers, last = range(min(by_number), min(by_number) + len(paths)), max(by_number)
    else:
        numbers, last = range(first, first + count), first + count - 1
    missing = [number for number in numbers if number not in by_number]
    if missing:
        some = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"{folder}: frame number {some} of {numbers[0]}..{last} is missing;"
            " fill the gap or leave the sequence out"
        )
    if first is None and len(paths) != count:
        what = "images" if len(paths) < count else "rows"
        raise UserError(
            f"{truth}: {count} rows for {len(paths)} images in {folder}; restore the missing {what}"
        )
    return ImageFiles([by_number[number] for number in numbers])
