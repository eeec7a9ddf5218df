"""The tracker in a browser (`siamjax serve`): choose a video, draw boxes, watch, correct, save.

Meant for one person, or some who trust each other. No path ever comes from a request: videos, runs
and cameras have random names, which are their addresses until the server ends.

    GET  /                           the page
    GET  /limits                     what the server takes, the fields of `Limits`
    GET  /formats                    formats of labels, {name: what it is}
    GET  /videos                     [{id, name, width, height, fps, count}]
    POST /videos                     a video file as the body, its URL-encoded name in X-Name
    GET  /videos/{id}/first.jpg      the first frame; pictures have `pictures.SIDE` px at most
    GET  /videos/{id}/frames/N.jpg   frame N; where that takes long 202 and {read: frames read so
                                     far}: ask again
    POST /videos/{id}/runs           an order in, as `orders.read_order` takes it; a run out, whose
                                     `id` the addresses below take
    GET  /runs                       all runs: {id, video, name, state, message, first, last,
                                     frames, count, fps, seconds_left, starts, names, heatmap}; of
                                     one also `ahead`, the runs that end before it begins
    GET  /runs/{id}                  the page, showing this run
    GET  /runs/{id}/state            the run; its `state` is waiting, running, done, stopped, failed
    GET  /runs/{id}/watch?from=N     WebSocket: the run with `rows` from number N on, as they come,
                                     each with the fields of `siamjax.media.tracks.Row`; where
                                     `picture` is true, a JPEG follows, of frame `at`. It is closed
                                     when the run has ended
    POST /runs/{id}/stop             ends it at the next frame; what it has is kept
    POST /runs/{id}/names            {names: [...]}: what its targets are called in labels
    GET  /runs/{id}/result.webm      the annotated video when it has ended; with a format's name
                                     instead of webm, its labels
    POST /cameras                    a camera begins: {id}
    POST /cameras/{id}?given=[...]   a JPEG as the body, and boxes in it, as `orders.read_given`
                                     takes them; {targets: [{target, x, y, w, h, score, lost}], ms}
    POST /cameras/{id}/end           it ends

Errors are {"error": one line} with a status of 400 or more.
"""

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from aiohttp import web

from siamjax import api
from siamjax.integrations.serving import results
from siamjax.integrations.serving.access import Access
from siamjax.integrations.serving.cameras import Cameras, Followed
from siamjax.integrations.serving.limits import Disk, Limits, Refusal
from siamjax.integrations.serving.orders import read_names, read_order
from siamjax.integrations.serving.reels import Reels
from siamjax.integrations.serving.run import ENDED, Run
from siamjax.integrations.serving.runs import Runs
from siamjax.integrations.serving.scratch import Scratch
from siamjax.integrations.serving.videos import Videos

_ORDER = 64 << 10  # bytes of a request that is no video
_ROWS = 1000  # in one message
_ASSETS = {
    "serve.css": "text/css",
    "serve.js": "text/javascript",
    "serve_camera.js": "text/javascript",
    "serve_view.js": "text/javascript",
}
_CACHED = {"Cache-Control": "private, max-age=86400"}


class Server:
    """The web application.

    Attributes:
        app: run by aiohttp.
        access: who may ask.
        limits: see below.

    Args:
        targets: makes what follows targets, a `siamjax.MultiTracker`, for each run anew.
        videos: files or folders on offer from the start.
        host: the address that it listens on, see `access`.
        limits: what is taken and kept; None: the default ones.
        jobs: runs at a time; further ones wait.
        checkpoint: name of the weights, for labels that have a place for it.

    Raises:
        UserError: one of the videos cannot be read, or is over the limits.
    """

    def __init__(
        self,
        targets: Callable[[], Followed],
        videos: Sequence[str] = (),
        *,
        host: str = "127.0.0.1",
        limits: Limits | None = None,
        jobs: int = 2,
        checkpoint: str = "",
    ):
        self.limits = limits = limits or Limits()
        self._scratch = Scratch("siamjax-serve-")
        disk = Disk(limits.disk)
        with contextlib.ExitStack() as failed:
            failed.callback(self._scratch.close)
            self._videos = Videos(videos, self._scratch.path, limits, disk)
            self._runs = Runs(targets, self._scratch.path, limits, disk, jobs)
            failed.pop_all()
        self.access = Access(host)
        self.app = web.Application(middlewares=[self.access.guard], client_max_size=_ORDER)
        self.app.on_startup.append(self._begin)
        self.app.on_shutdown.append(self._end)  # pages that watch are told
        self.app.on_cleanup.append(self._clean)
        self._cameras, self._reels = Cameras(targets, limits), Reels(limits)
        self._checkpoint, self._formats = checkpoint, results.formats()
        self.app.add_routes(self._routes())

    def _routes(self) -> list[web.RouteDef]:
        page = _asset("serve.html", "text/html")
        files = [web.get(f"/{name}", _asset(name, kind)) for name, kind in _ASSETS.items()]
        kinds = "|".join(["webm", *self._formats])
        return [
            *files,
            web.get("/", page),
            web.get("/limits", self._show_limits),
            web.get("/formats", self._show_formats),
            web.get("/videos", self._list_videos),
            web.post("/videos", self._upload),
            web.get("/videos/{id}/first.jpg", self._first),
            web.get(r"/videos/{id}/frames/{number:\d{1,9}}.jpg", self._frame),
            web.post("/videos/{id}/runs", self._start),
            web.get("/runs", self._list_runs),
            web.get("/runs/{id}", page),
            web.get("/runs/{id}/state", self._state),
            web.post("/runs/{id}/stop", self._stop),
            web.post("/runs/{id}/names", self._name),
            web.get("/runs/{id}/watch", self._watch),
            web.get(f"/runs/{{id}}/result.{{kind:{kinds}}}", self._result),
            web.post("/cameras", self._begin_camera),
            web.post("/cameras/{id}", self._camera_frame),
            web.post("/cameras/{id}/end", self._end_camera),
        ]

    async def _begin(self, app):
        tidying = self._runs.tidy(), self._cameras.tidy()
        self._tidying = [asyncio.create_task(each) for each in tidying]

    async def _end(self, app):
        for task in self._tidying:
            task.cancel()
        await self._runs.close()

    async def _clean(self, app):
        self._videos.close()
        self._reels.close()
        self._cameras.close()
        self._scratch.close()

    def _run(self, request) -> Run:
        return self._runs.get(request.match_info["id"])

    async def _show_limits(self, request):
        return web.json_response(dataclasses.asdict(self.limits))

    async def _show_formats(self, request):
        return web.json_response(self._formats)

    async def _list_videos(self, request):
        return web.json_response(self._videos.describe())

    async def _upload(self, request):
        name = unquote(request.headers.get("X-Name", ""))
        entry = await self._videos.receive(name, request.content_length, request.content)
        return web.json_response(entry.describe())

    async def _first(self, request):
        entry = self._videos.get(request.match_info["id"])
        return web.Response(body=entry.first, content_type="image/jpeg")

    async def _frame(self, request):
        entry = self._videos.get(request.match_info["id"])
        found = await self._reels.get(entry, int(request.match_info["number"]))
        if isinstance(found, int):
            return web.json_response({"read": found}, status=202)
        return web.Response(body=found, content_type="image/jpeg", headers=_CACHED)

    async def _start(self, request):
        entry = self._videos.get(request.match_info["id"])
        order = read_order(await self._text(request), entry.size, self.limits)
        return web.json_response(self._tell(self._runs.start(entry, order)), status=201)

    async def _name(self, request):
        run = self._run(request)
        names = read_names(await self._text(request), self.limits)
        run.order = run.order._replace(names=names)
        return web.json_response(self._tell(run))

    async def _text(self, request) -> bytes:
        try:
            async with asyncio.timeout(self.limits.silence):
                return await request.read()
        except TimeoutError as error:
            raise Refusal("nothing was sent; try again", 408) from error

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
        if not run.ended:
            raise Refusal("no result yet; the run has not ended", 404)
        if not run.rows(most=1) or (kind == "webm" and not run.movie.exists()):
            raise Refusal("no result; " + (run.message or "no frame was tracked"), 404)
        if kind == "webm":
            headers = _attached(results.file_name(run, ".webm"))
            return web.FileResponse(run.movie, headers=headers)
        # of a long run it takes a second
        found = await asyncio.to_thread(results.result, run, kind, self._checkpoint)
        headers = _attached(found.name)
        return web.Response(body=found.content, content_type=found.kind, headers=headers)

    async def _begin_camera(self, request):
        return web.json_response({"id": self._cameras.begin().key}, status=201)

    async def _camera_frame(self, request):
        given, key = request.query.get("given", ""), request.match_info["id"]
        return web.json_response(await self._cameras.track(key, given, request.content))

    async def _end_camera(self, request):
        self._cameras.end(request.match_info["id"])
        return web.json_response({})

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
                    told, picture = self._tell(run), run.last_picture()
                    rows, count = run.rows(given, _ROWS), run.count
                    given += len(rows)
                    if picture is not None and (picture[0] <= seen or given < count):
                        picture = None  # known, or rows before it are still to come
                    told |= {"rows": [row._asdict() for row in rows]}
                    told |= {"picture": picture is not None, "at": picture and picture[0]}
                    await socket.send_json(told)
                    if picture is not None:
                        seen = picture[0]
                        await socket.send_bytes(picture[1])
                    if given < count:
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


def _asset(name: str, kind: str):
    """Answers a file of the page."""
    text = (api.ASSETS / name).read_text()

    async def answer(request):
        return web.Response(text=text, content_type=kind)

    return answer


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
