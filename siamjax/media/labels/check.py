"""What looks wrong in labels: boxes that can't be right, targets that jump, frames that are not
there."""

from collections.abc import Sequence

import numpy as np

from siamjax.errors import UserError
from siamjax.geometry.boxes import iou, xywh_to_xyxy
from siamjax.media.labels.fit import stated_sizes
from siamjax.media.labels.model import Track, Video
from siamjax.wording import counted

_JUMP = 3.0  # distance of the centres of two boxes that follow each other, in sides of the larger


def gaps(each: Track) -> int:
    """Frames between a track's first and last in which it has no box."""
    return int(each.frames[-1] - each.frames[0]) + 1 - len(each) if len(each) else 0


def faults(video: Video) -> list[str]:
    """Lines that name video, target and frame: the first place of each kind, and how many more.

    Of the frames the first alone is read, for its size.
    """
    if not video.tracks:
        return [f"{video.name}: no labels"]
    lines = []
    size = video.stated_size
    try:
        size = video.shown_size if video.has_frames else size
    except UserError as error:
        lines.append(f"{video.name}: {error}")
    stated = stated_sizes(video).get(0)
    if size is not None and stated not in (None, size):  # `fit.check` lets this pass alone
        lines.append(
            f"{video.name}: labels of {_px(stated)}, but its frames are turned by their metadata,"
            f" to {_px(size)}; are the boxes around the targets?"
        )
    if not video.has_frames:
        lines.append(
            f"{video.name}: its frames were not found; give their folder as --media=FOLDER"
        )
    if video.length and video.last >= video.length:
        there = counted(video.length, "frame")
        lines.append(f"{video.name}: frame {video.last} has a box, but there are {there}")
    own = video.frame_sizes if video.images else {}
    for each in video.tracks:
        sizes = None if size is None else np.array([own.get(int(f), size) for f in each.frames])
        for reason, frames in _of_track(each, sizes):
            more = f" and {len(frames) - 1} more" if len(frames) > 1 else ""
            lines.append(f"{video.name}, {each.title}, frame {frames[0]}{more}: {reason}")
    return lines


def to_look_at(found: Sequence[str], most: int) -> list[str]:
    """The first of such lines as they are printed, and how many more there are."""
    lines = [f"look at {line}" for line in found[:most]]
    return [*lines, f"and {len(found) - most} more such places"] if len(found) > most else lines


def _px(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]} px"


def _of_track(each: Track, sizes: np.ndarray | None) -> list[tuple[str, list[int]]]:
    """Reasons with the frames that they stand for; `sizes`: (N, 2) px of the track's frames."""
    boxes = xywh_to_xyxy(each.boxes)
    wide = each.boxes[:, 2:]
    kinds = {"the box is empty or inverted": (wide <= 0).any(1)}
    kinds["the box is a pixel wide or high"] = ~kinds["the box is empty or inverted"] & (
        wide <= 1
    ).any(1)
    if sizes is not None and len(each):
        outside = (boxes[:, :2] >= sizes).any(1) | (boxes[:, 2:] <= 0).any(1)
        reason = "the box is outside of the frame"
        if 2 * outside.sum() > len(each):
            reason += (
                f" ({_px(sizes[0])}), as are {outside.sum()} of {counted(len(each), 'box')} of this"
                " target; are these the labels of this video?"
            )
        kinds[reason] = outside
        kept = np.clip(boxes, 0, sizes[:, [0, 1, 0, 1]])
        part = np.prod(kept[:, 2:] - kept[:, :2], 1) / np.maximum(np.prod(wide, 1), 1e-9)
        half = ~outside & (part < 0.5) & (wide > 0).all(1)
        kinds["more than half of the box is outside of the frame"] = half
    near = np.diff(each.frames) == 1
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    far = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    side = np.sqrt(np.maximum(np.prod(np.maximum(wide, 0), 1), 1))
    distant = far > _JUMP * np.maximum(side[1:], side[:-1])
    jump = near & distant & (iou(boxes[1:], boxes[:-1]) == 0)
    kinds["the box jumps; is it another target?"] = np.concatenate([[False], jump])[: len(each)]
    return [(reason, each.frames[mask].tolist()) for reason, mask in kinds.items() if mask.any()]
