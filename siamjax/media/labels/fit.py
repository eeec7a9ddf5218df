"""Whether labels can be those of the frames beside them: what they say of the size and the number
of the frames, against what is there.

Labels of fewer frames than there are may be those of the first ones. Boxes outside of the picture
are no contradiction, as targets leave it; `siamjax.media.labels.check` names them.
"""

from collections.abc import Mapping
from pathlib import Path

from siamjax.errors import UserError
from siamjax.media.decoded import DecodedFrames, frame_count
from siamjax.media.labels.model import Video
from siamjax.media.labels.sizes import image_sizes
from siamjax.wording import counted

Size = tuple[int, int]


def check(video: Video) -> None:
    """Compares labels with their frames. Frames that are missing or not readable are told where
    they are read.

    Of a video file one frame is decoded, and all of them only where it claims to hold too few: its
    claim is an estimate.

    Raises:
        UserError: another size, or more frames than there are; names the labels, what they say,
            what is there, and the fix.
    """
    if not video.has_frames:
        return
    if fault := _size_fault(video) or _count_fault(video):
        labels = video.source or video.name
        place, kind = (_folder(video), "FOLDER") if video.images else (video.media, "VIDEO")
        raise UserError(
            f"{labels}: {fault}; give the frames of these labels (siamjax labels {labels}"
            f" --media={kind}), or the labels of {place} in their place"
        )


def stated_sizes(video: Video) -> Mapping[int, Size]:
    """Width and height in px by frame, as the labels say; of one frame where they say it once."""
    return video.frame_sizes or ({0: video.stated_size} if video.stated_size else {})


def _size_fault(video: Video) -> str:
    known: dict[Path, tuple[Size, ...]] = {}
    for frame, size in stated_sizes(video).items():
        place = _place(video, frame)
        if place is None:
            continue
        if place not in known:
            known[place] = _sizes(video, place)
        if known[place] and size not in known[place]:
            (width, height), (w, h) = size, known[place][0]
            which = f"frame {frame}" if video.frame_sizes else "a frame"
            return f"says that {which} of {video.name} has {width}x{height} px, {place} has {w}x{h}"
    return ""


def _place(video: Video, frame: int) -> Path | None:
    if not video.images:
        return video.media
    return video.images[frame] if 0 <= frame < len(video.images) else None


def _sizes(video: Video, place: Path) -> tuple[Size, ...]:
    """Of a frame as shown, and as stored, which programs state that do not turn it as its metadata
    say; empty: it is not readable."""
    try:
        if video.images:
            return image_sizes(place)
        stored = DecodedFrames(place).stored
        return (video.shown_size, stored) if stored else (video.shown_size,)
    except UserError:
        return ()


def _count_fault(video: Video) -> str:
    stated = video.length or 0
    needed = max(video.last + 1, stated)
    try:
        there = count_of(video, needed)
    except UserError:
        return ""
    if needed <= there:
        return ""
    said = f"frame {video.last} of {video.name} (the first is 0) has a box"
    if stated > there:
        said = f"says that {video.name} has {counted(stated, 'frame')}"
    if video.images:
        return f"{said}, but there are {counted(there, 'image')} in {_folder(video)}"
    return f"{said}, but there are {counted(there, 'frame')} in {video.media}"


def count_of(video: Video, needed: int) -> int:
    """Number of frames that are there; of a video file what it claims where that is enough.

    Args:
        needed: how many the labels need.

    Raises:
        UserError: not a video.
    """
    if video.images or video.media is None or not needed:
        return len(video.images)
    claimed = len(DecodedFrames(video.media))
    return claimed if claimed >= needed else frame_count(video.media, needed)


def _folder(video: Video) -> Path:
    return video.images[0].parent
