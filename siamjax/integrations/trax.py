"""Client of the official VOT toolkit over TraX: `python -m siamjax.integrations.trax`.

The toolkit starts it (see docs/vot-toolkit.md) with the weights named by the environment variable
SIAMJAX_CHECKPOINT. Everything is compiled before the handshake, since the toolkit's watchdog runs
from then on. Standard output belongs to the protocol; messages go to standard error.
"""

import os
from pathlib import Path

import numpy as np

from siamjax.errors import UserError, run_main
from siamjax.geometry import polygons


def main() -> None:
    """Loads the tracker, then answers the toolkit until it says quit.

    Raises:
        UserError: no weights named, or vot-trax not installed.
    """
    try:
        import trax
    except ImportError as error:
        raise UserError(
            "pip install vot-trax into this environment (extra: siamjax[vot])"
        ) from error
    checkpoint = os.environ.get("SIAMJAX_CHECKPOINT")
    if not checkpoint:
        raise UserError(
            "name the weights: env_SIAMJAX_CHECKPOINT = <folder or .npz> in trackers.ini"
        )
    from siamjax import api

    tracker = api.load(checkpoint)
    _warm_up(tracker)
    formats = [trax.Region.POLYGON, trax.Region.RECTANGLE]
    name = Path(checkpoint).stem
    with trax.Server(formats, [trax.Image.PATH], tracker_name=name) as server:
        answer(server, tracker)


def answer(server, tracker) -> None:
    """The protocol: a region for every request, with the score as confidence.

    Args:
        server: a `trax.Server`.
        tracker: with init(frame, box) and update(frame), as `siamjax.load` gives.

    Raises:
        UserError: an image that cannot be read.
    """
    import trax

    while True:
        request = server.wait()
        if request.type == trax.TraxStatus.INITIALIZE:
            region, _ = request.objects[0]
            tracker.init(_frame(request), first_box(region))
            server.status([(region, {"confidence": 1.0})])
        elif request.type == trax.TraxStatus.FRAME:
            prediction = tracker.update(_frame(request))
            found = trax.Rectangle.create(*prediction.box)
            server.status([(found, {"confidence": prediction.score})])
        else:
            return


def first_box(region) -> tuple[float, ...]:
    """x, y, w, h to start from: a rectangle as it is, a polygon's box of the same area.

    The published tracker counts the centre as x + (w - 1) / 2, half a pixel from x + w / 2.

    Raises:
        UserError: a polygon of more or fewer than four corners.
    """
    import trax

    if region.type == trax.Region.RECTANGLE:
        return tuple(region.bounds())
    points = np.array(list(region), np.float64).reshape(-1)
    if points.size != 8:
        raise UserError(f"a region of {points.size // 2} corners; the tracker takes four")
    x, y, w, h = (float(v) for v in polygons.box_of_region(points))
    return x + 0.5, y + 0.5, w, h


def _frame(request) -> np.ndarray:
    import cv2

    path = request.image["color"].path()
    frame = cv2.imread(path, cv2.IMREAD_COLOR)
    if frame is None:
        raise UserError(f"{path}: not a readable image")
    return frame


def _warm_up(tracker) -> None:
    """One frame of everything, so that the first answer is as fast as the others."""
    frame = np.zeros((128, 128, 3), np.uint8)
    tracker.init(frame, (32, 32, 64, 64))
    tracker.update(frame)


if __name__ == "__main__":
    run_main(main)
