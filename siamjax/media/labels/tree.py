"""JSON: video, rate and checkpoint, and the frames of each target."""

import json

from siamjax.media.tracks import Tracks


def write(tracks: Tracks) -> str:
    """The whole, indented by one."""
    targets = []
    for target, box in enumerate(tracks.boxes):
        rows = [row for row in tracks.rows if row.target == target]
        frames = [{"frame": row.frame, "box": row.box} | row.answer() for row in rows]
        targets.append({"box": box, "frames": frames})
    head = {"video": tracks.video, "fps": tracks.fps, "checkpoint": tracks.checkpoint}
    return json.dumps(head | {"targets": targets}, indent=1) + "\n"
