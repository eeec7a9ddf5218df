"""A server of `siamjax serve` in this process with targets that move as told, and its client."""

import asyncio
import json
import threading
from types import SimpleNamespace

import aiohttp
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from siamjax.integrations import serving
from siamjax.media import VideoWriter
from siamjax.tracking.tracker import Motion

BOX = [10.0, 10.0, 20.0, 16.0]
ENDED = ("done", "stopped", "failed")


class Still:
    """Makes targets that move `step` px to the right; they wait before frame `held` for the gate.

    Attributes:
        tracked: number of frames with targets that were asked for, of all runs.
        waits: set when frame `held` is there.
    """

    def __init__(self, held=None, broken=None, step=0):
        self.held, self.gate, self.broken, self.step = held, threading.Event(), broken, step
        self.tracked, self.waits = 0, threading.Event()

    def __call__(self):
        return Standing(self)


class Standing:
    """As `MultiTracker`."""

    def __init__(self, still):
        self.still, self.targets, self.frame = still, {}, -1

    def add(self, frame, box, name=None):
        x, y, w, h = box
        motion = Motion(np.array([x + w / 2, y + h / 2]), np.array([w, h], float), False, 2.0)
        self.targets[name] = SimpleNamespace(motion=motion)
        return name

    def update(self, frame):
        self.frame += 1
        if self.frame == self.still.held:
            self.still.waits.set()
            assert self.still.gate.wait(20)
        if self.frame == self.still.broken:
            raise RuntimeError("a fault of the tracker")
        self.still.tracked += bool(self.targets)
        for target in self.targets.values():
            centre = target.motion.centre + [self.still.step, 0]
            target.motion = target.motion._replace(centre=centre)
        return {name: self.found(target.motion) for name, target in self.targets.items()}

    def found(self, motion):
        box = (*(motion.centre - motion.size / 2), *motion.size)
        return SimpleNamespace(box=box, score=0.5, second_peak=0.25, lost=False, presence=None)

    def remove(self, name):
        del self.targets[name]


def greys(path, frames, width, height):
    """A video whose frame k is all of grey 240 k / frames; its path."""
    with VideoWriter(path, 25) as writer:
        for k in range(frames):
            writer.write(np.full((height, width, 3), 240 * k // frames, np.uint8))
    return path


@pytest.fixture(scope="session")
def movie(tmp_path_factory):
    """12 frames of 64x48 px."""
    return greys(tmp_path_factory.mktemp("movie") / "grey.webm", 12, 64, 48)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def asked(temporary):
    """What `work(client)` of a server gives; the server leaves nothing behind."""

    def run(work, *videos, tracker=None, jobs=2, host="127.0.0.1", **limits):
        tracker = tracker or Still()

        async def body():
            options = {"jobs": jobs, "host": host, "limits": serving.Limits(**limits)}
            server = serving.Server(tracker, [str(v) for v in videos], **options)
            async with TestClient(TestServer(server.app)) as client:
                client.access = server.access
                try:
                    return await work(client)
                finally:
                    tracker.gate.set()  # no thread is left waiting

        result = asyncio.run(body())
        assert not list(temporary.iterdir())
        return result

    return run


async def tree(request):
    """Status and JSON of an answer."""
    answer = await request
    return answer.status, await answer.json()


async def begin(client, order=None, key=None):
    """Starts a run over a video, the first one; its address."""
    key = key or (await tree(client.get("/videos")))[1][0]["id"]
    status, run = await tree(client.post(f"/videos/{key}/runs", json=order or {"box": BOX}))
    assert status == 201, run
    return f"/runs/{run['id']}"


async def watch(client, run, start=0, enough=lambda told: False):
    """What a page is told until the end, or until it is enough; and its pictures."""
    told, pictures = [], []
    async with client.ws_connect(f"{run}/watch?from={start}") as socket:
        async for message in socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                pictures.append(message.data)
                continue
            told.append(json.loads(message.data))
            if enough(told[-1]):
                break
    return told, pictures


async def until(client, run, good):
    """The run, when it is so."""
    for _ in range(500):
        _, state = await tree(client.get(f"{run}/state"))
        if good(state):
            return state
        await asyncio.sleep(0.02)
    raise AssertionError(state)


def ended(state):
    return state["state"] in ENDED


def send(client, data, name="clip.avi", **headers):
    return tree(client.post("/videos", data=data, headers={"X-Name": name, **headers}))
