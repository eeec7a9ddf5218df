"""Sources that are labelled videos in a format of `siamjax.media.labels`."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_prep.source import Skipped, Source, Target, Targets, Video, Videos, read_image
from siamjax.errors import UserError
from siamjax.media import labels
from siamjax.media.decoded import DecodedFrames


class Labelled(Source):
    """Labelled videos.

    expected is a folder of labels

    Attributes:
        format: a name in `siamjax.media.labels.FORMATS`, or "folder"; None: found out.
    """

    format: str | None = None
    code = (
        "siamjax.media.labels",
        "siamjax.media.labels.model",
        "siamjax.media.decoded",
        "siamjax.media.video",
    )

    @functools.cached_property
    def labels(self) -> dict[str, labels.Video]:
        """The labelled videos by name, read once.

        Raises:
            UserError: the folder does not have the layout.
        """
        videos = labels.read(self.root, self.format)
        return {video.name: video for video in videos if video.tracks}

    def videos(self) -> Videos:
        """One per video with labels; the payload tells changed labels from known ones."""
        for name, video in sorted(self.labels.items()):
            boxes = np.concatenate([each.boxes for each in video.tracks])
            payload = [len(video.tracks), float(np.nansum(boxes)), *map(_title, video.tracks)]
            yield Video(name, video.boxes, payload)

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """All boxes in the order of frames; a track is called by its name, or category and id."""
        known = self.labels[video.name]
        skipped.update(known.skipped)
        titles = _titles(known.tracks)
        rows = [
            (shape.frame, k, shape)
            for k, each in enumerate(known.tracks)
            for shape in each.shapes()
        ]
        for frame, k, shape in sorted(rows, key=lambda row: row[:2]):
            if shape.columns.get("lost"):
                skipped["target is lost"] += 1
                continue
            x, y, w, h = shape.box
            image = self._image(known, frame)
            if image is None:
                skipped["image is missing"] += 1
                continue
            yield Target(titles[k], frame, (x, y, x + w, y + h), image)

    def _image(self, video: labels.Video, frame: int) -> str | None:
        if video.images:
            return str(video.images[frame]) if frame < len(video.images) else None
        return str(video.media) if video.media else None

    def frames(self, video, targets):
        """Decodes images, and video files up to each frame that is needed."""
        known = self.labels[video.name]
        if known.images or known.media is None:
            yield from super().frames(video, targets)
            return
        decoded = DecodedFrames(known.media)
        for number, of_frame in itertools.groupby(targets, lambda target: target.frame):
            try:
                image = decoded[number]
            except (UserError, IndexError):
                image = None
            for target in of_frame:
                yield target, image

    def images(self) -> Iterator[str]:
        """All frames of videos with labels, and video files."""
        for video in self.labels.values():
            yield from map(str, video.images or filter(None, [video.media]))


def _title(each: labels.Track) -> str:
    return each.title


def _titles(tracks: Sequence[labels.Track]) -> list[str]:
    """Names for the tracks of a video: their own, else category and id; unique."""
    titles = [each.title for each in tracks]
    return [
        title if titles.count(title) == 1 else f"{title} ({each.id})"
        for title, each in zip(titles, tracks)
    ]
