"""A page with pictures of labels: whether the boxes are where the targets are."""

import base64
import html
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from siamjax import viz
from siamjax.errors import UserError
from siamjax.media.labels import Video
from siamjax.wording import counted

PICTURES = 4  # of each video
WIDTH = 420  # px


def page(
    videos: Sequence[Video], faults: Mapping[str, Sequence[str]], left_out: Sequence[str]
) -> str:
    """HTML: some frames of every video with all boxes, and what looks wrong.

    Args:
        faults: what looks wrong, by the video's name.
        left_out: names of the videos that are not trained on.
    """
    parts = []
    for video in videos:
        use = "left out, for evaluation" if video.name in left_out else "trained on"
        frames = sorted({int(frame) for each in video.tracks for frame in each.frames})
        chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, PICTURES).round().astype(int)]
        wrong = "".join(f"<li>{html.escape(line)}" for line in faults[video.name])
        counts = f"{counted(len(video.tracks), 'target')}, {counted(video.boxes, 'box')}; {use}"
        pictures = "".join(_picture(video, frame) for frame in dict.fromkeys(chosen))
        parts.append(f"<h2>{html.escape(video.name)}</h2><p>{counts}</p><ul>{wrong}</ul>{pictures}")
    return f"""<!doctype html>
<meta charset="utf-8"><title>Labels</title>
<style>
body {{ font: 14px sans-serif; margin: 2em; background: #fff; color: #222 }}
figure {{ display: inline-block; margin: 0 1em 1em 0 }} li {{ color: #a00 }}
</style>
<h1>Labels</h1>
<p>Is every box around its target? Lines in red name what looks wrong.</p>
{"".join(parts)}
"""


def _picture(video: Video, frame: int) -> str:
    shown = [
        (s.box, each.title) for each in video.tracks for s in each.shapes() if s.frame == frame
    ]
    try:
        image = video.frames()[frame]
    except (UserError, IndexError):
        return f"<figure>frame {frame} cannot be read</figure>"
    image = viz.draw_boxes(image, *map(list, zip(*shown)))
    height = max(1, round(image.shape[0] * WIDTH / image.shape[1]))
    image = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".jpg", image)[1].tobytes()).decode()
    source = f"data:image/jpeg;base64,{data}"
    return f'<figure><img width="{WIDTH}" src="{source}"><figcaption>frame {frame}</figure>'
