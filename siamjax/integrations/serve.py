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
import contextlib
import dataclasses
import functools
import json
import logging
import re
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
from aiohttp import WSMsgType, web

from siamjax import api, media, viz
from siamjax.errors import UserError
from siamjax.files import replacing
from siamjax.geometry.boxes import check_box
from siamjax.media.labels import table
from siamjax.media.tracks import Row, follow

_FIELDS = ("frame", "x", "y", "w", "h", "score", "second_peak", "lost")
_SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".mpeg")
_POLICY = "default-src 'self' blob: data:; script-src 'self'; style-src 'self' 'unsafe-inline'"
_log = logging.getLogger(__name__)


@dataclasses.dataclass
class _Entry:
    """A video on offer, and the last run over it."""

    key: str
    video: media.Video
    first: np.ndarray
    folder: Path
    rows: list[Row] = dataclasses.field(default_factory=list)
    busy: bool = False

    def describe(self) -> dict:
        height, width = self.first.shape[:2]
        video = {name: getattr(self.video, name) for name in ("name", "fps", "count")}
        return {"id": self.key, "width": width, "height": height, **video}


class Server:
    """The web application; `app` is run by aiohttp.

    Args:
        tracker: of `siamjax.load`; each run gets a `sibling` of it.
        videos: files or folders on offer from the start.
        host: the address that it listens on; requests name it, or this machine, as their host.
        max_upload: largest video that is taken, bytes.
        jobs: runs at a time; further ones are told to wait.
        max_videos: videos kept; further uploads are refused.
    """

    def __init__(
        self,
        tracker,
        videos: Sequence[str] = (),
        *,
        host: str = "127.0.0.1",
        max_upload: int = 512 << 20,
        jobs: int = 2,
        max_videos: int = 64,
    ):
        self._tracker = tracker
        self._hosts = {"localhost", "127.0.0.1", "[::1]", host}
        self._max_upload, self._max_videos, self._jobs = max_upload, max_videos, jobs
        self._folder = tempfile.TemporaryDirectory(prefix="siamjax-serve-")
        self._entries: dict[str, _Entry] = {}
        for source in videos:
            self._add(source)
        self.app = web.Application(middlewares=[self._guard])
        self.app.on_cleanup.append(self._cleanup)
        self.app.add_routes(
            [
                web.get("/", functools.partial(_asset, "serve.html")),
                web.get("/serve.js", functools.partial(_asset, "serve.js")),
                web.get("/videos", self._list),
                web.post("/videos", self._upload),
                web.get("/videos/{id}/first.jpg", self._first),
                web.get("/videos/{id}/track", self._track),
                web.get("/videos/{id}/result.{kind:webm|csv|json}", self._result),
            ]
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

    def _add(self, source: str | Path, name: str = "") -> _Entry:
        video = media.read_video(source)
        video.name = name or video.name
        key = secrets.token_urlsafe(12)
        folder = Path(self._folder.name) / key
        folder.mkdir()
        self._entries[key] = _Entry(key, video, next(iter(video)), folder)
        return self._entries[key]

    def _entry(self, request) -> _Entry:
        entry = self._entries.get(request.match_info["id"])
        if entry is None:
            raise web.HTTPNotFound(text="no such video")
        return entry

    async def _list(self, request):
        return web.json_response([entry.describe() for entry in self._entries.values()])

    async def _upload(self, request):
        if len(self._entries) >= self._max_videos:
            raise UserError(f"{self._max_videos} videos are kept at most; start the server again")
        name = Path(unquote(request.headers.get("X-Name", ""))).name
        suffix = Path(name).suffix.lower()
        if suffix not in _SUFFIXES:
            raise UserError(f"{name or 'the upload'}: not one of {', '.join(_SUFFIXES)}")
        announced = request.content_length or 0
        too_large = web.HTTPRequestEntityTooLarge(
            self._max_upload, announced, text="the video is too large"
        )
        if announced > self._max_upload:
            raise too_large
        path = Path(self._folder.name) / f"{secrets.token_urlsafe(12)}{suffix}"
        with replacing(path) as temporary, temporary.open("wb") as file:
            async for chunk in request.content.iter_chunked(1 << 20):
                if file.tell() + len(chunk) > self._max_upload:
                    raise too_large
                file.write(chunk)
        try:
            entry = await asyncio.to_thread(self._add, path, Path(name).stem)
        except UserError as error:
            path.unlink()
            raise UserError(f"{name}: not a video that FFmpeg can read; encode it again") from error
        return web.json_response(entry.describe())

    async def _first(self, request):
        return web.Response(body=_jpeg(self._entry(request).first), content_type="image/jpeg")

    async def _result(self, request):
        entry, kind = self._entry(request), request.match_info["kind"]
        if not entry.rows or entry.busy:
            raise web.HTTPNotFound(text="no result yet")
        video = entry.video
        name = re.sub(r"[^\w.-]", "_", f"{video.name}_tracked.{kind}", flags=re.ASCII)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if kind == "webm":
            return web.FileResponse(entry.folder / "result.webm", headers=headers)
        if kind == "csv":
            text = table.columns(entry.rows, _FIELDS)
            return web.Response(text=text, content_type="text/csv", headers=headers)
        frames = [_tree(row) for row in entry.rows]
        content = {"video": video.name, "fps": video.fps, "frames": frames}
        return web.json_response(content, headers=headers)

    async def _track(self, request):
        entry = self._entry(request)
        socket = web.WebSocketResponse(max_msg_size=1 << 16, heartbeat=30)
        await socket.prepare(request)
        running = sum(other.busy for other in self._entries.values())
        if entry.busy or running >= self._jobs:
            await socket.send_json({"error": "busy with another run; wait for it to end"})
            await socket.close()
            return socket
        entry.busy = True
        try:
            await self._run(entry, socket)
        except UserError as error:
            if not socket.closed:
                await socket.send_json({"error": str(error)})
        except ConnectionError:
            _log.info("%s: the page was left", entry.video.name)
        finally:
            entry.busy = False
            await socket.close()
        return socket

    async def _run(self, entry, socket):
        message = await socket.receive()
        if message.type != WSMsgType.TEXT:
            return
        box, heatmap = _order(message.data)
        height, width = entry.first.shape[:2]
        check_box(box, (width, height))
        steps = _follow(self._tracker.sibling(), entry, box, heatmap)
        stopped = asyncio.ensure_future(socket.receive())  # only the end of the connection
        try:
            while not stopped.done():
                step = await asyncio.to_thread(next, steps, None)
                if step is None:
                    await socket.send_json({"done": len(entry.rows)})
                    return
                row, jpeg = step
                await socket.send_json(_tree(row) | {"box": row.box})
                await socket.send_bytes(jpeg)
        finally:
            stopped.cancel()
            # finishes the result video with what there is
            await asyncio.to_thread(steps.close)


def _follow(tracker, entry, box, heatmap):
    """Yields (row, JPEG) per frame, and writes the annotated video."""
    entry.rows = []
    output = media.VideoWriter(entry.folder / "result.webm", entry.video.fps)
    with contextlib.closing(output) as writer:  # kept when the generator is closed early
        for frame, (row,), prediction in follow(entry.video, [tracker], [box]):
            entry.rows.append(row)
            if heatmap and prediction:
                frame = viz.draw_heatmap(frame, prediction.heatmap.score, prediction.heatmap.extent)
            shown = viz.draw_boxes(frame, [row.box], [f"{row.score:.2f}"])
            writer.write(shown)
            yield row, _jpeg(shown)


def _tree(row: Row) -> dict:
    return {name: getattr(row, name) for name in _FIELDS}


def _order(text: str) -> tuple[list[float], bool]:
    try:
        order = json.loads(text)
        return [float(v) for v in order["box"]], bool(order.get("heatmap"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError('send {"box": [x, y, w, h]}') from error


def _jpeg(image) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _host(value: str) -> str:
    """The name of "name:port"; IPv6 keeps its brackets."""
    return value if value.endswith("]") else value.rpartition(":")[0] or value


async def _asset(name, request):
    return web.FileResponse(api.ASSETS / name)
