"""A rendered clip with two targets that have names, and gaps in their tracks."""

from pathlib import Path

import cv2
import pytest

from siamjax.media.labels import Shape, Video, track
from siamjax.synthetic import SyntheticVideo

LENGTH, SIZE = 12, (320, 240)


@pytest.fixture(scope="session")
def rendered():
    """The clip, with more than one target."""
    return SyntheticVideo(3, LENGTH, SIZE[1], SIZE[0])


@pytest.fixture(scope="session")
def frames(rendered, tmp_path_factory) -> Path:
    """Its frames as a folder."""
    folder = tmp_path_factory.mktemp("media") / "clip"
    folder.mkdir()
    for i in range(LENGTH):
        cv2.imwrite(str(folder / f"{i:06d}.jpg"), rendered.frames[i])
    return folder


@pytest.fixture(scope="session")
def clip(rendered, frames) -> Video:
    """Anna, a person, is not seen in frames 4 and 5; Rex, a dog, only in frames 3 to 9, hidden in
    part in frame 9."""
    anna = [Shape(i, rendered.boxes[0, i]) for i in range(LENGTH) if i not in (4, 5)]
    rex = [Shape(i, rendered.boxes[1, i], occluded=i == 9) for i in range(3, 10)]
    tracks = [track("1", anna, "Anna", "person"), track("2", rex, "Rex", "dog")]
    images = sorted(frames.glob("*.jpg"))
    return Video("clip", tracks, images=images, stated_size=SIZE, fps=25.0, length=LENGTH)


@pytest.fixture
def alone(clip) -> Video:
    """Anna's track alone, for formats of one target."""
    return clip.replace(tracks=clip.tracks[:1])
