"""JSON: video, rate and checkpoint, and the frames of each target."""

import json

from siamjax.media.tracks import Tracks

NAMES = ("frame", "box", "score", "second_peak", "lost")


def write(tracks: Tracks) -> str:
    """The whole, indented by one."""
    targets = []
    for target, box in enumerate(tracks.boxes):
        rows = [row for row in tracks.rows if row.target == target]
        frames = [{name: getattr(row, name) for name in NAMES} for row in rows]
        targets.append({"box": box, "frames": frames})
    head = {"video": tracks.video, "fps": tracks.fps, "checkpoint": tracks.checkpoint}
    return json.dumps(head | {"targets": targets}, indent=1) + "\n"
