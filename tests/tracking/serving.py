"""A server of `siamjax serve` in a thread of this process, and a client of it."""

import asyncio
import contextlib
import functools
import threading

import aiohttp
import pytest
from aiohttp import web

from siamjax.integrations.serving import Limits, Server
from siamjax.media import VideoWriter, read_video
from siamjax.tracking import Tracker
from siamjax.tracking.multi import MultiTracker

from ..integrations import serving_client


@pytest.fixture(scope="session")
def session(tiny):
    return Tracker(tiny.config, tiny.variables)


@pytest.fixture(scope="session")
def video(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "moving.webm"
    with VideoWriter(path, 25) as writer:
        for frame in clip.frames:
            writer.write(frame)
    return path


@pytest.fixture(scope="session")
def serve(session):
    """Runs servers on free ports of the loopback address, in a thread; gives their addresses."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start(app):
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    @contextlib.contextmanager
    def running(*videos, targets=None, jobs=2, **limits):
        targets = targets or functools.partial(MultiTracker, session)
        app = Server(targets, videos, jobs=jobs, limits=Limits(**limits)).app
        runner, port = asyncio.run_coroutine_threadsafe(start(app), loop).result(20)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)

    yield running
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def ask(address, work):
    """Runs `work(client)` with an HTTP client of the address."""

    async def run():
        async with aiohttp.ClientSession(address) as client:
            return await work(client)

    return asyncio.run(run())


async def watch(client, run):
    """The rows, the number of pictures that came, and the end."""
    told, pictures = await serving_client.watch(client, run)
    assert all(picture[:2] == b"\xff\xd8" for picture in pictures)
    return [row for each in told for row in each["rows"]], len(pictures), told[-1]


def boxes_of(rows):
    return [[float(row[side]) for side in "xywh"] for row in rows]


def expected(session, video, box):
    tracker = session.sibling()
    frames = list(read_video(video))
    tracker.init(frames[0], box)
    return [box] + [tracker.update(frame).box for frame in frames[1:]]
