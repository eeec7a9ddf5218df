"""Sources that are labelled videos in a format of `siamjax.media.labels`."""

import functools
import itertools
import pkgutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from data_prep.source import Skipped, Source, Target, Targets, Video, Videos
from siamjax.errors import UserError
from siamjax.media import labels
from siamjax.media.decoded import DecodedFrames
from siamjax.media.labels import fit

_READERS = tuple(m.name for m in pkgutil.iter_modules(labels.__path__, "siamjax.media.labels."))


class Labelled(Source):
    """Labelled videos.

    expected is a folder of labels

    Attributes:
        format: a name in `siamjax.media.formats.FORMATS`; None: found out.
    """

    format: str | None = None
    code = ("data_prep.labelled", "siamjax.media.labels", "siamjax.media.decoded", *_READERS)

    @functools.cached_property
    def known(self) -> dict[str, labels.Video]:
        """The videos with labels by name, read once.

        Raises:
            UserError: the folder does not have the layout.
        """
        return {v.name: v for v in self.read if v.tracks}

    @functools.cached_property
    def read(self) -> list[labels.Video]:
        """All videos, also those without labels.

        Raises:
            UserError: the folder does not have the layout.
        """
        return labels.read(self.root, self.format, compare=False)  # `videos` does, once

    def videos(self) -> Videos:
        """One per video with labels; the payload is a hash of them.

        Raises:
            UserError: labels that cannot be those of their frames.
        """
        for name, video in sorted(self.known.items()):
            if name not in self.left_out:
                fit.check(video)
            yield Video(name, video.boxes, video.digest())

    def box_files(self, names: Collection[str]) -> list[Path]:
        """The label files of these videos."""
        found = [self.known[name].source or self.root for name in names]
        return list(dict.fromkeys(found))

    def about(self) -> dict:
        """How many tracks each category has, and the videos without any."""
        taken = (video for name, video in self.known.items() if name not in self.left_out)
        tracks = (each for video in taken for each in video.tracks)
        counts = Counter(each.category for each in tracks)
        without = [video.name for video in self.read if not video.tracks]
        return {"categories": dict(sorted(counts.items())), "without_labels": without}

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """All boxes in the order of frames; a track is called by its name, or category and id."""
        labelled = self.known[video.name]
        skipped.update(labelled.skipped)
        titles = _titles(labelled.tracks)
        shapes = [(s.frame, k, s) for k, each in enumerate(labelled.tracks) for s in each.shapes()]
        for frame, k, shape in sorted(shapes, key=lambda row: row[:2]):
            image = self._image(labelled, frame)
            if shape.columns.get("lost"):
                skipped["target is lost"] += 1
            elif image is None:
                skipped["image is missing"] += 1
            else:
                x, y, w, h = map(float, shape.box)
                category = labelled.tracks[k].category
                yield Target(titles[k], frame, (x, y, x + w, y + h), image, category)

    def _image(self, video: labels.Video, frame: int) -> str | None:
        if video.images:
            return self._path(video.images[frame]) if frame < len(video.images) else None
        return self._path(video.media) if video.media else None

    def _path(self, path: Path) -> str:
        """Relative to the source's folder where it lies there."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def frames(self, video, targets):
        """Decodes images, and video files up to each frame that is needed."""
        labelled = self.known[video.name]
        if labelled.images or labelled.media is None:
            yield from super().frames(video, targets)
            return
        decoded = DecodedFrames(labelled.media)
        for number, of_frame in itertools.groupby(targets, lambda target: target.frame):
            try:
                image = decoded[number]
            except UserError:
                image = None
            for target in of_frame:
                yield target, image

    def images(self) -> Iterator[str]:
        """All frames of videos with labels, and video files."""
        for video in self.known.values():
            yield from map(self._path, video.images or filter(None, [video.media]))


def _titles(tracks: Sequence[labels.Track]) -> list[str]:
    """Names for the tracks of a video: their own, else category and id; unique."""
    titles = [each.title for each in tracks]
    return [
        title if titles.count(title) == 1 else f"{title} ({each.id})"
        for title, each in zip(titles, tracks)
    ]
