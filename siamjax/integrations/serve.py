"""The tracker in a browser: a page to choose a video, draw a box and watch (`siamjax serve`).

Meant for one person on one machine. It listens on the loopback address unless told otherwise, and
answers only requests that name its own host, so that other web pages cannot reach it through the
browser. No path ever comes from a request: videos have random names.

    GET  /                           the page
    GET  /videos                     [{id, name, width, height, fps, count}]
    POST /videos                     a video file as the body, its URL-encoded name in X-Name
    GET  /videos/{id}/first.jpg      the first frame
    GET  /videos/{id}/track          WebSocket: {"box": [x, y, w, h], "heatmap": bool} in; out for
                                     each frame {frame, box, score, second_peak, lost} and a JPEG
    GET  /videos/{id}/result.webm    the annotated video of the last run; also .csv and .json
"""

import asyncio
import csv
import dataclasses
import functools
import io
import json
import logging
import secrets
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from aiohttp import WSMsgType, web

from siamjax import media, viz
from siamjax.errors import UserError
from siamjax.tracking.frames import checked_box

_FIELDS = ("frame", "x", "y", "w", "h", "score", "second_peak", "lost")
_SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".mpeg")
_POLICY = "default-src 'self' blob: data:; script-src 'self'; style-src 'self' 'unsafe-inline'"
_log = logging.getLogger(__name__)


@dataclasses.dataclass
class _Entry:
    """A video on offer, and the last run over it."""

    video: media.Video
    first: np.ndarray
    folder: Path
    rows: list[dict] = dataclasses.field(default_factory=list)
    busy: bool = False

    def describe(self, key: str) -> dict:
        height, width = self.first.shape[:2]
        video = self.video
        return {
            "id": key,
            "name": video.name,
            "width": width,
            "height": height,
            "fps": video.fps,
            "count": video.count,
        }


class Server:
    """The web application; `app` is run by aiohttp.

    Args:
        tracker: of `siamjax.load`; each run gets `tracker.sibling()`.
        videos: files or folders on offer from the start.
        hosts: names under which requests may come, without port.
        max_upload: largest video that is taken, bytes.
        jobs: runs at a time; further ones are told to wait.
        max_videos: videos kept; further uploads are refused.
    """

    def __init__(
        self,
        tracker,
        videos: Sequence[str] = (),
        *,
        hosts: Sequence[str] = ("localhost", "127.0.0.1", "[::1]"),
        max_upload: int = 512 << 20,
        jobs: int = 2,
        max_videos: int = 64,
    ):
        self._tracker = tracker
        self._hosts = frozenset(hosts)
        self._max_upload, self._max_videos = max_upload, max_videos
        self._free = jobs
        self._folder = tempfile.TemporaryDirectory(prefix="siamjax-serve-")
        self._entries: dict[str, _Entry] = {}
        for source in videos:
            self._add(media.read_video(source))
        self.app = web.Application(middlewares=[self._guard])
        self.app.on_cleanup.append(self._cleanup)
        self.app.router.add_get("/", functools.partial(_asset, "serve.html", "text/html"))
        self.app.router.add_get(
            "/serve.js", functools.partial(_asset, "serve.js", "text/javascript")
        )
        self.app.router.add_get("/videos", self._list)
        self.app.router.add_post("/videos", self._upload)
        self.app.router.add_get("/videos/{id}/first.jpg", self._first)
        self.app.router.add_get("/videos/{id}/track", self._track)
        for kind in ("webm", "csv", "json"):
            self.app.router.add_get(
                f"/videos/{{id}}/result.{kind}", functools.partial(self._result, kind)
            )

    async def _cleanup(self, app) -> None:
        self._folder.cleanup()

    @web.middleware
    async def _guard(self, request, handler):
        """Own host and origin only; errors as one line of JSON."""
        origin = request.headers.get("Origin")
        if _host(request.host) not in self._hosts or (
            origin is not None and origin.partition("://")[2] != request.host
        ):
            raise web.HTTPForbidden(text="this server answers its own page only")
        try:
            response = await handler(request)
        except UserError as error:
            response = web.json_response({"error": str(error)}, status=400)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _add(self, video: media.Video) -> str:
        first = next(iter(video))
        key = secrets.token_urlsafe(12)
        folder = Path(self._folder.name) / key
        folder.mkdir()
        self._entries[key] = _Entry(video, first, folder)
        return key

    def _entry(self, request) -> _Entry:
        entry = self._entries.get(request.match_info["id"])
        if entry is None:
            raise web.HTTPNotFound(text="no such video")
        return entry

    async def _list(self, request):
        return web.json_response([entry.describe(key) for key, entry in self._entries.items()])

    async def _upload(self, request):
        if len(self._entries) >= self._max_videos:
            raise UserError(f"{self._max_videos} videos are kept at most; start the server again")
        name = Path(unquote(request.headers.get("X-Name", ""))).name
        suffix = Path(name).suffix.lower()
        if suffix not in _SUFFIXES:
            raise UserError(f"{name or 'the upload'}: not one of {', '.join(_SUFFIXES)}")
        too_large = web.HTTPRequestEntityTooLarge(
            self._max_upload, request.content_length or 0, text="the video is too large"
        )
        if (request.content_length or 0) > self._max_upload:
            raise too_large
        path = Path(self._folder.name) / f"{secrets.token_urlsafe(12)}{suffix}"
        try:
            size = 0
            with path.open("wb") as file:
                async for chunk in request.content.iter_chunked(1 << 20):
                    size += len(chunk)
                    if size > self._max_upload:
                        raise too_large
                    file.write(chunk)
            video = await asyncio.to_thread(_opened, path, name)
            key = await asyncio.to_thread(self._add, video)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return web.json_response(self._entries[key].describe(key))

    async def _first(self, request):
        entry = self._entry(request)
        return web.Response(body=_jpeg(entry.first), content_type="image/jpeg")

    async def _result(self, kind, request):
        entry = self._entry(request)
        if not entry.rows or entry.busy:
            raise web.HTTPNotFound(text="no result yet")
        name = f"{entry.video.name}_tracked.{kind}"
        headers = {"Content-Disposition": f'attachment; filename="{_ascii(name)}"'}
        if kind == "webm":
            return web.FileResponse(entry.folder / "result.webm", headers=headers)
        if kind == "csv":
            return web.Response(text=_csv(entry.rows), content_type="text/csv", headers=headers)
        head = {"video": entry.video.name, "fps": entry.video.fps, "frames": entry.rows}
        return web.json_response(head, headers=headers)

    async def _track(self, request):
        entry = self._entry(request)
        socket = web.WebSocketResponse(max_msg_size=1 << 16, heartbeat=30)
        await socket.prepare(request)
        if self._free == 0 or entry.busy:
            await socket.send_json({"error": "busy with another run; wait for it to end"})
            await socket.close()
            return socket
        self._free -= 1
        entry.busy = True
        try:
            await self._run(entry, socket)
        except UserError as error:
            if not socket.closed:
                await socket.send_json({"error": str(error)})
        except ConnectionError:
            _log.info("%s: the page was left", entry.video.name)
        finally:
            self._free += 1
            entry.busy = False
            if not socket.closed:
                await socket.close()
        return socket

    async def _run(self, entry, socket):
        message = await socket.receive()
        if message.type != WSMsgType.TEXT:
            return
        box, heatmap = _order(message.data)
        height, width = entry.first.shape[:2]
        checked_box(box, width, height)
        steps = _follow(self._tracker.sibling(), entry, box, heatmap)
        stopped = asyncio.ensure_future(socket.receive())  # the page says nothing more but goodbye
        try:
            while not stopped.done():
                step = await asyncio.to_thread(next, steps, None)
                if step is None:
                    await socket.send_json({"done": len(entry.rows)})
                    return
                row, jpeg = step
                await socket.send_json(row | {"box": [row[key] for key in "xywh"]})
                await socket.send_bytes(jpeg)
        finally:
            stopped.cancel()
            # finishes the result video with what there is
            await asyncio.to_thread(steps.close)


def _follow(tracker, entry, box, heatmap):
    """Yields (row, JPEG) per frame, and writes the annotated video."""
    rows: list[dict] = []
    writer = media.VideoWriter(entry.folder / "result.webm", entry.video.fps)
    try:
        for number, frame in enumerate(entry.video):
            shown = frame
            if number == 0:
                tracker.init(frame, box)
                values = (*map(float, box), 1.0, 0.0, False)
            else:
                prediction = tracker.update(frame)
                values = (
                    *prediction.box,
                    prediction.score,
                    prediction.second_peak,
                    prediction.lost,
                )
                if heatmap:
                    shown = viz.draw_heatmap(
                        frame, prediction.heatmap.score, prediction.heatmap.extent
                    )
            row = dict(zip(_FIELDS, (number, *values)))
            rows.append(row)
            shown = viz.draw_boxes(shown, [values[:4]], [f"{row['score']:.2f}"])
            writer.write(shown)
            yield row, _jpeg(shown)
    finally:
        writer.close()
        entry.rows = rows


def _order(text: str) -> tuple[list[float], bool]:
    try:
        order = json.loads(text)
        box = [float(v) for v in order["box"]]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError('send {"box": [x, y, w, h]}') from error
    return box, bool(order.get("heatmap"))


def _opened(path: Path, name: str) -> media.Video:
    try:
        video = media.read_video(path)
    except UserError as error:
        raise UserError(f"{name}: not a video that OpenCV can read; encode it again") from error
    video.name = Path(name).stem
    return video


def _jpeg(image) -> bytes:
    import cv2

    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _csv(rows) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    table.writeheader()
    table.writerows(row | {"lost": int(row["lost"])} for row in rows)
    return text.getvalue()


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)


def _host(value: str) -> str:
    """The name of "name:port"; IPv6 keeps its brackets."""
    return value if value.endswith("]") else value.rpartition(":")[0] or value


async def _asset(name, kind, request):
    text = resources.files("siamjax").joinpath("assets", name).read_text()
    return web.Response(text=text, content_type=kind)
