"""Client of the official VOT toolkit over TraX: `python -m siamjax.integrations.trax`.

The toolkit starts it (see docs/vot-toolkit.md) with the weights named by the environment variable
SIAMJAX_CHECKPOINT. Everything is compiled before the handshake, since the toolkit's watchdog runs
from then on. Standard output belongs to the protocol; messages go to standard error.
"""

import os
from pathlib import Path

import numpy as np

from siamjax import api, installation
from siamjax.errors import UserError, run_main
from siamjax.evaluation.protocols import published_start
from siamjax.geometry import polygons
from siamjax.media.frames import read_image

try:
    import trax
except ImportError:  # the extra siamjax[vot]
    trax = None


def main() -> None:
    """Loads the tracker, then answers the toolkit until it ends the session.

    Raises:
        UserError: no weights named, or vot-trax not installed.
    """
    if trax is None:
        raise UserError(f"vot-trax is not installed: {installation.extra('vot')}")
    checkpoint = os.environ.get("SIAMJAX_CHECKPOINT")
    if not checkpoint:
        raise UserError(
            "name the weights: env_SIAMJAX_CHECKPOINT = <folder or .npz> in trackers.ini"
        )
    tracker = api.load(checkpoint)
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
    while True:
        request = server.wait()
        if request.type not in (trax.TraxStatus.INITIALIZE, trax.TraxStatus.FRAME):
            return
        frame = read_image(Path(request.image["color"].path()))
        if request.type == trax.TraxStatus.INITIALIZE:
            region, _ = request.objects[0]
            tracker.init(frame, first_box(region))
            server.status([(region, {"confidence": 1.0})])
        else:
            prediction = tracker.update(frame)
            found = trax.Rectangle.create(*prediction.box)
            server.status([(found, {"confidence": prediction.score})])


def first_box(region) -> tuple[float, ...]:
    """x, y, w, h to start from: a rectangle as it is, a polygon's box of the same area.

    A polygon's box starts the tracker so that its first report is that box (see
    `siamjax.evaluation.protocols`).

    Raises:
        UserError: a polygon of more or fewer than four corners.
    """
    if region.type == trax.Region.RECTANGLE:
        return tuple(region.bounds())
    points = np.array(list(region), np.float64).reshape(-1)
    if points.size != 8:
        raise UserError(f"a region of {points.size // 2} corners; the tracker takes four")
    return published_start(polygons.box_of_region(points))


if __name__ == "__main__":
    run_main(main)
