"""Strips of frames with the boxes of all trackers, as HTML."""

import base64
import html
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.evaluation.scoring import Scores
from siamjax.evaluation.style import TRUTH
from siamjax.geometry import polygons

FRAMES = 6
HEIGHT = 130  # px
MOST = 100  # sequences; a page with more would be slow to open


def strips(
    benchmark: Benchmark, results: Mapping[str, Path], scores: Scores, colours: Mapping[str, str]
) -> list[str]:
    """One per scored sequence whose images are there.

    Args:
        results: the folder of each tracker's result files.
        colours: tracker -> "#rrggbb".

    Raises:
        UserError: a frame or a result file cannot be read.
    """
    scored = set(next(iter(scores.per_sequence.values()), {}))
    shown = [s for s in benchmark.sequences if s.name in scored and s.has_images][:MOST]
    parts = []
    for sequence in shown:
        tracks = [(sequence.groundtruth, TRUTH)]
        for tracker, colour in reversed(list(colours.items())):  # the legend's first is on top
            if tracker in results:
                store = Store(results[tracker].parent, benchmark.dataset)
                runs = store.read(results[tracker].name, sequence)
                tracks += [(run.regions, colour) for run in runs[:1]]
        data = base64.b64encode(_strip(sequence, tracks)).decode()
        name = html.escape(sequence.name)
        parts.append(
            f"<div class=strip><b>{name}</b><img alt='frames of {name} with boxes' loading=lazy "
            f"src='data:image/jpeg;base64,{data}'></div>"
        )
    return parts


def _strip(sequence: Sequence, tracks: list[tuple[np.ndarray, str]]) -> bytes:
    """Evenly spaced frames side by side as one JPEG, with the regions of each track in its
    colour."""
    count = len(sequence)
    tiles = []
    for index in np.linspace(0, count - 1, min(FRAMES, count)).round().astype(int):
        frame = sequence.frames[index].copy()
        thickness = max(1, round(frame.shape[0] / HEIGHT * 1.5))
        for regions, colour in tracks:
            if index < len(regions) and np.isfinite(regions[index]).all():
                points = polygons.corners(regions[index]).reshape(-1, 2).round().astype(np.int32)
                bgr = bytes.fromhex(colour[1:])[::-1]
                cv2.polylines(frame, [points], True, tuple(bgr), thickness, cv2.LINE_AA)
        width = max(1, round(frame.shape[1] * HEIGHT / frame.shape[0]))
        tile = cv2.resize(frame, (width, HEIGHT), interpolation=cv2.INTER_AREA)
        for shade, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(tile, str(index), (4, 14), font, 0.42, shade, width, cv2.LINE_AA)
        tiles.append(tile)
    done, data = cv2.imencode(".jpg", np.hstack(tiles), [cv2.IMWRITE_JPEG_QUALITY, 75])
    if not done:
        raise UserError(f"{sequence.name}: the strip of frames could not be encoded")
    return data.tobytes()
