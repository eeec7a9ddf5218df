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

import asyncio
import contextlib
import dataclasses
import functools
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from siamjax import api
from siamjax.integrations.serving.access import Access
from siamjax.integrations.serving.limits import Disk, Limits, Refusal
from siamjax.integrations.serving.runs import ENDED, Run, Runs, read_order
from siamjax.integrations.serving.scratch import Scratch
from siamjax.integrations.serving.videos import Videos
from siamjax.media.labels import table
from siamjax.media.tracks import Row

FIELDS = ("frame", "x", "y", "w", "h", "score", "second_peak", "lost")
_ORDER = 64 << 10  # bytes of a request that is no video
_ROWS = 1000  # in one message
_PAGES = {"serve.html": "text/html", "serve.js": "text/javascript"}


class Server:
    """The web application.

    Attributes:
        app: run by aiohttp.
        access: who may ask.
        limits: see below.

    Args:
        tracker: of `siamjax.load`; each run gets a `sibling` of it.
        videos: files or folders on offer from the start.
        host: the address that it listens on, see `access`.
        limits: what is taken and kept; None: the default ones.
        jobs: runs at a time; further ones wait.

    Raises:
        UserError: one of the videos cannot be read, or is over the limits.
    """

    def __init__(
        self,
        tracker: Any,
        videos: Sequence[str] = (),
        *,
        host: str = "127.0.0.1",
        limits: Limits | None = None,
        jobs: int = 2,
    ):
        self.limits = limits = limits or Limits()
        self._scratch = Scratch("siamjax-serve-")
        disk = Disk(limits.disk)
        with contextlib.ExitStack() as failed:
            failed.callback(self._scratch.close)
            self._videos = Videos(videos, self._scratch.path, limits, disk)
            self._runs = Runs(tracker, self._scratch.path, limits, disk, jobs)
            failed.pop_all()
        self.access = Access(host)
        self.app = web.Application(middlewares=[self.access.guard], client_max_size=_ORDER)
        self.app.on_startup.append(self._begin)
        self.app.on_shutdown.append(self._end)  # pages that watch are told
        self.app.on_cleanup.append(self._clean)
        files = {name: (api.ASSETS / name).read_text() for name in _PAGES}
        page = functools.partial(_asset, files["serve.html"], "text/html")
        script = functools.partial(_asset, files["serve.js"], "text/javascript")
        self.app.add_routes(
            [
                web.get("/", page),
                web.get("/serve.js", script),
                web.get("/limits", self._show_limits),
                web.get("/videos", self._list_videos),
                web.post("/videos", self._upload),
                web.get("/videos/{id}/first.jpg", self._first),
                web.post("/videos/{id}/runs", self._start),
                web.get("/runs", self._list_runs),
                web.get("/runs/{id}", page),
                web.get("/runs/{id}/state", self._state),
                web.post("/runs/{id}/stop", self._stop),
                web.get("/runs/{id}/watch", self._watch),
                web.get("/runs/{id}/result.{kind:webm|csv|json}", self._result),
            ]
        )

    async def _begin(self, app):
        self._tidying = asyncio.create_task(self._runs.tidy())

    async def _end(self, app):
        self._tidying.cancel()
        await self._runs.close()

    async def _clean(self, app):
        self._videos.close()
        self._scratch.close()

    def _run(self, request) -> Run:
        return self._runs.get(request.match_info["id"])

    async def _show_limits(self, request):
        return web.json_response(dataclasses.asdict(self.limits))

    async def _list_videos(self, request):
        return web.json_response(self._videos.describe())

    async def _upload(self, request):
        name = unquote(request.headers.get("X-Name", ""))
        entry = await self._videos.receive(name, request.content_length, request.content)
        return web.json_response(entry.describe())

    async def _first(self, request):
        entry = self._videos.get(request.match_info["id"])
        return web.Response(body=entry.first, content_type="image/jpeg")

    async def _start(self, request):
        entry = self._videos.get(request.match_info["id"])
        try:
            async with asyncio.timeout(self.limits.silence):
                text = await request.read()
        except TimeoutError as error:
            raise Refusal("nothing was sent; try again", 408) from error
        run = self._runs.start(entry, read_order(text, entry.size))
        return web.json_response(self._tell(run), status=201)

    async def _list_runs(self, request):
        return web.json_response(self._runs.describe())

    async def _state(self, request):
        return web.json_response(self._tell(self._run(request)))

    async def _stop(self, request):
        run = self._run(request)
        self._runs.stop(run)
        return web.json_response(self._tell(run))

    def _tell(self, run: Run) -> dict:
        return run.describe() | {"ahead": self._runs.ahead(run)}

    async def _result(self, request):
        run, kind = self._run(request), request.match_info["kind"]
        video = run.entry.video
        if not run.ended:
            raise Refusal("no result yet; the run has not ended", 404)
        if not run.rows(most=1) or (kind == "webm" and not run.movie.exists()):
            raise Refusal("no result; " + (run.message or "no frame was tracked"), 404)
        name = re.sub(r"[^\w.-]", "_", f"{video.name}_tracked.{kind}", flags=re.ASCII)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if kind == "webm":
            return web.FileResponse(run.movie, headers=headers)
        types = {"csv": "text/csv", "json": "application/json"}
        text = await asyncio.to_thread(_text, run, kind)  # of a long run it takes a second
        return web.Response(text=text, content_type=types[kind], headers=headers)

    async def _watch(self, request):
        """Tells all rows from the one that is asked for on, then those that come."""
        run = self._run(request)
        start = request.query.get("from", "0")
        given, seen = int(start) if re.fullmatch(r"\d{1,9}", start) else 0, -1
        socket = web.WebSocketResponse(max_msg_size=_ORDER, heartbeat=20, compress=False)
        await socket.prepare(request)
        said = asyncio.ensure_future(socket.receive())  # the end, or what nobody asked for
        with run.watched() as event:
            said.add_done_callback(lambda _: event.set())
            try:
                while not said.done():
                    event.clear()
                    told = self._tell(run)
                    rows = run.rows(given, _ROWS)
                    given += len(rows)
                    picture = run.last_picture() if given >= told["frames"] else None
                    new = picture is not None and picture[0] > seen
                    told |= {"rows": [_tree(row) for row in rows], "picture": new}
                    await socket.send_json(told)
                    if picture is not None and new:
                        seen = picture[0]
                        await socket.send_bytes(picture[1])
                    if given < told["frames"]:
                        continue
                    if told["state"] in ENDED:
                        break
                    await event.wait()
                else:
                    await _answer(socket, said)
            except ConnectionError:
                pass  # the page was left
            finally:
                said.cancel()
        await socket.close()
        return socket


async def _answer(socket, said) -> None:
    """What a page gets that says something where it shall listen."""
    kinds = web.WSMsgType.TEXT, web.WSMsgType.BINARY
    if said.result().type in kinds:
        error = "nothing is taken here; POST /videos/{id}/runs starts a run"
        await socket.send_json({"error": error})


def _text(run: Run, kind: str) -> str:
    if kind == "csv":
        return table.columns(run.rows(), FIELDS)
    video = run.entry.video
    frames = [_tree(row) for row in run.rows()]
    return json.dumps({"video": video.name, "fps": video.fps, "frames": frames})


def _tree(row: Row) -> dict:
    return {name: getattr(row, name) for name in FIELDS}


async def _asset(text, kind, request):
    return web.Response(text=text, content_type=kind)
