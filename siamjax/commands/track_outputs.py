"""What `siamjax track` writes: the annotated video, tables, labels, and the rows kept meanwhile."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from siamjax import files, viz
from siamjax.errors import UserError
from siamjax.media import journal, labels
from siamjax.media.formats import TRACK_FLAGS
from siamjax.media.frames import IMAGE_SUFFIXES, frame_folder
from siamjax.media.tracks import Row
from siamjax.media.writer import check_suffix


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Paths of the outputs.

    Attributes:
        video: of the annotated video; None: none.
        tables: by format, a file each.
        labels: format and path of the labels; None: none.
    """

    video: str | None
    tables: Mapping[str, str]
    labels: tuple[str, str] | None

    @property
    def paths(self) -> dict[str, str]:
        """All of them, by flag."""
        found = {f"--{name}": path for name, path in self.tables.items()}
        found |= {"--out_labels": self.labels[1]} if self.labels else {}
        return found | ({"--out": self.video} if self.video else {})

    @property
    def rows(self) -> Path | None:
        """The file of rows that lies beside the first output while it is made."""
        first = next(iter(self.paths.values()), None)
        return Path(f"{Path(first)}{journal.SUFFIX}") if first else None

    def check(self, source: str, inputs: Mapping[str, str | Path], record: str | None) -> None:
        """Refuses, before anything is written, what would lose something or cannot be written.

        Args:
            source: the video.
            inputs: other inputs, by flag.
            record: a file that a camera is recorded to.

        Raises:
            UserError: an output is an input, a frame of the source, or another output; it is no
                place for a file; a video has a suffix that is not written.
        """
        outputs = self.paths | ({"--record": record} if record else {})
        if self.rows:
            outputs["the rows kept meanwhile"] = str(self.rows)
        files.check_apart(outputs, {"the video": source, **inputs})
        frames = frame_folder(Path(source))
        for flag, path in outputs.items():
            if flag in ("--out", "--record"):
                check_suffix(path)
            folder = Path(path).parent
            is_image = Path(path).suffix.lower() in IMAGE_SUFFIXES
            if is_image and frames and folder.is_dir() and folder.samefile(frames):
                raise UserError(f"{flag}={path}: a frame of the video; choose another place")
            if flag != "--out_labels" or Path(path).suffix:
                files.check_writable(path)

    def check_labels(
        self, video: labels.Video, inputs: Mapping[str, str | Path], replace: bool
    ) -> None:
        """Tries the labels on a video with one row for each target.

        Args:
            inputs: as `check` takes them.
            replace: files that are there may be replaced: an interrupted run wrote them.

        Raises:
            UserError: the format cannot hold them or be written there, or a file that is there
                would be replaced, were it an input or another output.
        """
        if not self.labels:
            return
        format, place = self.labels
        made = labels.planned([video], format, place, "--out_labels")
        for path in made:
            files.check_apart(self.paths | {"--out_labels": str(path)}, inputs)
        if not replace:
            labels.check_absent(made, f"--out_labels={place}")

    def write(self, video: labels.Video) -> list[str]:
        """Writes tables and labels; returns their paths.

        Raises:
            UserError: one could not be written; the others are.
        """
        failed = None
        for name, path in self.tables.items():
            try:
                (text,) = labels.contents([video], name).values()
                files.write_whole(path, text)
            except UserError as error:
                failed = failed or error
        if self.labels:
            try:
                labels.write([video], *self.labels, replace=True)
            except UserError as error:
                failed = failed or error
        if failed:
            raise failed
        return list(self.paths.values())


def chosen(args: argparse.Namespace, name: str) -> Outputs:
    """The outputs that the flags ask for; an annotated video where they ask for nothing.

    Args:
        name: of the video.

    Raises:
        UserError: half of --labels and --out_labels, or a format that is not written.
    """
    if (args.labels is None) != (args.out_labels is None):
        raise UserError("--labels=FORMAT and --out_labels=PLACE: give both, or neither")
    if args.labels is not None:
        labels.check_format("--labels", args.labels)
    tables = {name: path for name in TRACK_FLAGS if (path := getattr(args, name))}
    wanted = (args.labels, args.out_labels) if args.labels else None
    nothing = not (args.out or args.show or tables or wanted)
    return Outputs(args.out or (f"{name}_tracked.mp4" if nothing else None), tables, wanted)


def annotate(frame: np.ndarray, rows: Sequence[Row], names: Sequence[str], prediction):
    """The frame with the boxes, over the score map of a prediction if there is one."""
    if prediction:
        frame = viz.draw_heatmap(frame, prediction.heatmap.score, prediction.heatmap.extent)
    captions = [f"{row.score:.2f}{' lost' if row.lost else ''}" for row in rows]
    if len(names) > 1 or any(names):
        # OpenCV's letters are ASCII
        shown = [name if name.isascii() and name else str(k) for k, name in enumerate(names)]
        captions = [f"{shown[row.target]} {caption}" for row, caption in zip(rows, captions)]
    colours = [viz.PALETTE[row.target % len(viz.PALETTE)] for row in rows]
    return viz.draw_boxes(frame, [row.box for row in rows], captions, colours)
