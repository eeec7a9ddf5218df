"""What looks wrong in labels: boxes that can't be right, targets that jump, frames that are not
there."""

import numpy as np

from siamjax.errors import UserError
from siamjax.geometry.boxes import iou, xywh_to_xyxy
from siamjax.media.labels.model import Track, Video

_JUMP = 3.0  # distance of the centres of two boxes that follow each other, in sides of the larger


def gaps(each: Track) -> int:
    """Frames between a track's first and last in which it has no box."""
    return int(each.frames[-1] - each.frames[0]) + 1 - len(each) if len(each) else 0


def faults(video: Video) -> list[str]:
    """Lines that name video, target and frame: the first place of each kind, and how many more.

    The frames are not read, but the first where the labels do not say its size.
    """
    if not video.tracks:
        return [f"{video.name}: no labels"]
    lines = []
    try:
        size = video.size if video.has_frames or video.stated_size else None
    except UserError as error:
        size = None
        lines.append(f"{video.name}: {error}")
    if not video.has_frames:
        lines.append(
            f"{video.name}: its frames were not found; give their folder as --media=FOLDER"
        )
    known = video.known(video.last)
    if known is not None and video.last >= known:
        lines.append(f"{video.name}: frame {video.last} has a box, but there are {known} frames")
    for each in video.tracks:
        for reason, frames in _of_track(each, size):
            more = f" and {len(frames) - 1} more" if len(frames) > 1 else ""
            lines.append(f"{video.name}, {each.title}, frame {frames[0]}{more}: {reason}")
    return lines


def _of_track(each: Track, size: tuple[int, int] | None) -> list[tuple[str, list[int]]]:
    boxes = xywh_to_xyxy(each.boxes)
    wide = each.boxes[:, 2:]
    kinds = {"the box is empty or inverted": (wide <= 0).any(1)}
    kinds["the box is a pixel wide or high"] = ~kinds["the box is empty or inverted"] & (
        wide <= 1
    ).any(1)
    if size is not None:
        frame = np.array([[0.0, 0.0, *size]])
        outside = (boxes[:, :2] >= frame[:, 2:]).any(1) | (boxes[:, 2:] <= 0).any(1)
        kinds["the box is outside of the frame"] = outside
        kept = np.clip(boxes, 0, frame[:, [2, 3, 2, 3]])
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
