"""Label Studio's JSON for videos: regions with a sequence of keyframes, in percent of the frame.

Format: labelstud.io/tags/videorectangle. Frames count from 1; between keyframes a region is
interpolated; one with `enabled` false is seen in its frame and no longer. The last holds to the
end of the video. Label Studio counts frames at the rate that its labelling interface is told (24 or
25 unless set): where its count of frames and duration give another rate than the video's, frames
are matched by time. As that count is the rate times the duration, which may be that of the sound,
the last frames may not be there; labels of these, up to a second, are those of the last one that
is. A region's name is the text of its `meta`. Exports of the kind JSON_MIN are read, too.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from siamjax.errors import UserError
from siamjax.media.decoded import DecodedFrames
from siamjax.media.labels.fit import count_of
from siamjax.media.labels.images import turned
from siamjax.media.labels.jsons import built_as, head_of, load
from siamjax.media.labels.keyframes import Key, filled
from siamjax.media.labels.model import Shape, Track, Video, track
from siamjax.media.labels.places import Places, base_name

_RATE = 25.0  # where nothing says


def matches(source: Path) -> bool:
    """A JSON file of tasks with regions of videos."""
    return any(True for _ in _regions(head_of(source)))


def _regions(task: dict) -> Iterator[dict]:
    """The regions of a task: its first annotation, or the lists of JSON_MIN."""
    for annotation in (task.get("annotations") or task.get("completions") or [])[:1]:
        for region in annotation.get("result", ()) if isinstance(annotation, dict) else ():
            if "sequence" in region.get("value", {}):
                yield region
    for regions in task.values():
        for value in regions if isinstance(regions, list) else ():
            if isinstance(value, dict) and "sequence" in value:
                yield {"value": value, "id": value.get("id")}


def read(source: Path, places: Places) -> list[Video]:
    """A video per task.

    Raises:
        UserError: not such a file.
    """
    content = load(source)
    with built_as(source, "Label Studio's JSON"):
        tasks = content if isinstance(content, list) else [content]
        videos = [_video(t, source, places) for t in tasks if any(True for _ in _regions(t))]
    return videos


def _video(task: dict, source: Path, places: Places) -> Video:
    data = task.get("data", task)
    address = str(data.get("video") or next((v for v in data.values() if isinstance(v, str)), ""))
    file = base_name(address.partition("?d=")[2] or address)
    plain = re.sub(r"^[0-9a-f]{8}-", "", file)  # what an upload puts before the name
    regions = list(_regions(task))
    value = regions[0]["value"]
    count, duration = value.get("framesCount"), value.get("duration")
    stated = [int(regions[0].get(f"original_{side}") or 0) for side in ("width", "height")]
    video = Video(
        name=Path(plain).stem or source.stem,
        tracks=(),
        **places.media(plain, file, source.stem),
        stated_size=(stated[0], stated[1]) if all(stated) else None,
        source=source,
    )
    rate = real = 1.0
    if count and duration and video.media is not None:
        real = DecodedFrames(video.media).rate
        rate = count / duration
    scale = real / rate if abs(real / rate - 1) > 0.02 else 1.0
    told = round(count * scale) if count else None
    end = told and _end(video, told, count / duration * scale if duration else _RATE)
    size = np.array([*video.size, *video.size]) / 100
    skipped: Counter[str] = Counter()
    ends = told, end
    tracks = [_track(k, region, size, scale, ends, skipped) for k, region in enumerate(regions)]
    if scale != 1:
        skipped[f"frames matched by time, {rate:.3g} to {real:.3g} per second"] += 0
    fps = real if video.media else (count / duration if count and duration else None)
    return video.replace(
        tracks=[each for each in tracks if len(each)], fps=fps, length=end, skipped=skipped
    )


def _end(video: Video, stated: int, rate: float) -> int:
    """The frame behind the last that is there, if that is less than a second before the stated."""
    try:
        there = count_of(video, stated) if video.has_frames else stated
    except UserError:  # told where the frames are read
        there = stated
    return there if 0 < stated - there <= rate else stated


def _track(
    number: int,
    region: dict,
    size: np.ndarray,
    scale: float,
    ends: tuple[int | None, int | None],
    skipped: Counter[str],
) -> Track:
    value = region["value"]
    stated, end = ends
    keys = []
    for at in value["sequence"]:
        box = np.array([at["x"], at["y"], at["width"], at["height"]], np.float64) * size
        polygon = None
        if at.get("rotation"):
            box, polygon = turned(box, float(at["rotation"]), box[:2])
        frame = round((int(at["frame"]) - 1) * scale)
        if stated is not None and end is not None and end <= frame < stated:
            frame = end - 1
        keys.append(Key(Shape(frame, tuple(box), polygon), True, bool(at.get("enabled", True))))
    labels = value.get("labels") or value.get("videolabels") or [""]
    texts = (region.get("meta") or {}).get("text") or [""]
    name = texts if isinstance(texts, str) else str(texts[0])
    id = str(region.get("id") or number)
    return track(id, filled(keys, end), name, str(labels[0]), skipped)


def write(videos: Sequence[Video]) -> dict[str, str]:
    """One file for all videos, to be imported as tasks with annotations; `data.video` is the name
    of the video's file.

    Raises:
        UserError: the size of the frames is not known.
    """
    tasks = []
    for number, video in enumerate(videos, 1):
        file = video.media.name if video.media else f"{video.name}.mp4"
        result = [_region(video, k, each) for k, each in enumerate(video.tracks)]
        tasks.append({"id": number, "data": {"video": file}, "annotations": [{"result": result}]})
    return {"label_studio.json": json.dumps(tasks, indent=1) + "\n"}


def _region(video: Video, number: int, each: Track) -> dict:
    scale = 100 / np.array([*video.size, *video.size])
    rate = video.fps or _RATE
    sequence = []
    shapes = each.shapes()
    for shape, following in zip(shapes, [*shapes[1:], None]):
        gone = following is None or following.frame > shape.frame + 1
        last = shape.frame + 1 == video.count
        x, y, w, h = (np.asarray(shape.box) * scale).tolist()
        sequence.append(
            {
                "frame": shape.frame + 1,
                "enabled": not gone or last,
                "rotation": 0,
                "x": x,
                "y": y,
                "width": w,
                "height": h,
                "time": shape.frame / rate,
            }
        )
    value = {"framesCount": video.count, "duration": video.count / rate, "sequence": sequence}
    value["labels"] = [each.label]
    width, height = video.size
    region: dict = {"id": each.id, "type": "videorectangle", "value": value, "origin": "manual"}
    region |= {"original_width": width, "original_height": height}
    region |= {"from_name": "box", "to_name": "video"}
    return region | ({"meta": {"text": [each.name]}} if each.name else {})
