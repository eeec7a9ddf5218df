"""The tracker in a browser (`siamjax serve`): choose a video, draw a box, watch, save the result.

Meant for one person, or some who trust each other. No path ever comes from a request: videos and
runs have random names, which are their addresses until the server ends.

    GET  /                           the page
    GET  /limits                     what the server takes, the fields of `Limits`
    GET  /videos                     [{id, name, width, height, fps, count}]
    POST /videos                     a video file as the body, its URL-encoded name in X-Name
    GET  /videos/{id}/first.jpg      the first frame; pictures have `pictures.SIDE` px at most
    POST /videos/{id}/runs           {"box": [x, y, w, h], "heatmap": bool} in; a run out
    GET  /runs                       all runs: {id, video, name, state, message, frames, count, fps,
                                     box, heatmap}; of one also `ahead`, the runs before its turn
    GET  /runs/{id}                  the page, showing this run
    GET  /runs/{id}/state            the run
    GET  /runs/{id}/watch?from=N     WebSocket: the run with `rows` from number N on, as they come,
                                     each {frame, x, y, w, h, score, second_peak, lost}; where
                                     `picture` is true, a JPEG of the last one follows. It is closed
                                     when the run has ended
    POST /runs/{id}/stop             ends it at the next frame; what it has is kept
    GET  /runs/{id}/result.webm      the annotated video when it has ended; also .csv and .json

Errors are {"error": one line} with a status of 400 or more.
"""

from siamjax.integrations.serving.limits import Limits
from siamjax.integrations.serving.listen import run
from siamjax.integrations.serving.server import Server

__all__ = ["Limits", "Server", "run"]
