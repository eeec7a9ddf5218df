"""`siamjax serve` under load: many people, connections that say nothing, hostile uploads.

    python benchmarks/serve_load.py [--seconds=120] [--clients=50] [--out=FILE]

A server with two places is started on the loopback address. Each client starts a run over a short
video, watches its pictures to the end, reads the boxes and begins anew; a process of its own loads
the page (`/`, its script, the lists of videos and runs, the first frame) for each client every two
seconds and takes the time of each request. Meanwhile 300 connections are kept half open, opened
again when the server closes them, and 100 hostile uploads are sent. Memory is the server's resident
memory, read every half second. Exit code 1 where one of the bounds does not hold.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import aiohttp
import av
import cv2
import numpy as np
from machine import keep, machine

from siamjax.media import VideoWriter

FRAMES, BOX = 16, [60, 60, 40, 40]
HALF_OPEN, UPLOADS, EVERY = 300, 100, 2.0
GROWTH, P50, P95 = 64 << 20, 0.1, 0.5  # bytes, s, s
SETTLED = 30.0  # s from which memory has to be flat


def clip(path):
    """A textured square that moves over a textured ground."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(0, 128, (15, 20, 3), dtype=np.uint8), (320, 240))
    patch = cv2.resize(rng.integers(128, 256, (5, 5, 3), dtype=np.uint8), (40, 40))
    with VideoWriter(path, 25) as writer:
        for k in range(FRAMES):
            frame = ground.copy()
            frame[60 + k : 100 + k, 60 + 2 * k : 100 + 2 * k] = patch
            writer.write(frame)


def mjpeg(path, side, said):
    """An AVI of one black JPEG of side x side px whose container says another size."""
    picture = cv2.imencode(".jpg", np.zeros((side, side), np.uint8))[1].tobytes()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width = stream.height = said
        stream.pix_fmt = "yuvj420p"
        packet = av.Packet(picture)
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        packet.time_base, packet.is_keyframe = Fraction(1, 25), True
        container.mux(packet)
    return path.read_bytes()


class Load:
    """What the clients do, and what happened.

    Attributes:
        done: events by name.
        wrong: what should not have happened.
    """

    def __init__(self, address, key, until):
        self.address, self.key, self.until = address, key, until
        self.done, self.wrong = Counter(), Counter()

    def over(self):
        return time.monotonic() > self.until

    async def person(self, client):
        """Runs and watches, again and again."""
        while not self.over():
            with self._counted("run"):
                order = {"json": {"box": BOX}}
                async with client.post(f"/videos/{self.key}/runs", **order) as answer:
                    run = (await answer.json())["id"]
                rows = []
                async with client.ws_connect(f"/runs/{run}/watch") as socket:
                    async for message in socket:
                        if message.type == aiohttp.WSMsgType.TEXT:
                            told = json.loads(message.data)
                            rows += told["rows"]
                        else:
                            self.done["pictures"] += 1
                        if self.over():
                            return
                if told["state"] != "done" or [r["frame"] for r in rows] != [*range(FRAMES)]:
                    self.wrong[f"a run ended as {told['state']}, {len(rows)} rows"] += 1
                async with client.get(f"/runs/{run}/result.csv") as answer:
                    if len((await answer.text()).splitlines()) != FRAMES + 1:
                        self.wrong["a table is not complete"] += 1
            await asyncio.sleep(random.random())

    async def half_open(self, number):
        """A connection that never sends a whole request."""
        host, port = self.address.removeprefix("http://").split(":")
        upload = f"POST /videos HTTP/1.1\r\nHost: {host}:{port}\r\nX-Name: a.mp4\r\n"
        heads = ["", f"GET / HTTP/1.1\r\nHost: {host}", upload + "Content-Length: 1000\r\n\r\nx"]
        while not self.over():
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(heads[number % 3].encode())
                while not self.over():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.5):
                            if not await reader.read(1 << 16):
                                self.done["half-open connections closed by the server"] += 1
                                break
                writer.close()
            await asyncio.sleep(0.2)

    async def upload(self, client, number, kinds):
        """A hostile upload, at its time."""
        await asyncio.sleep((self.until - time.monotonic()) * number / (UPLOADS + 5))
        name, make = kinds[number % len(kinds)]
        data, headers = make()
        try:
            headers = {"X-Name": "hostile.avi", **headers}
            async with client.post("/videos", data=data, headers=headers) as answer:
                if answer.status < 400:
                    self.wrong[f"taken: {name}"] += 1
                self.done[f"uploads refused with {answer.status}"] += 1
        except (aiohttp.ClientError, OSError):
            self.done["uploads at which the server hung up"] += 1

    @contextlib.contextmanager
    def _counted(self, name):
        try:
            yield
            self.done[name + "s"] += 1
        except (aiohttp.ClientError, OSError, KeyError) as error:
            self.wrong[f"{name}: {type(error).__name__} {error}"] += 1


def hostile(folder):
    """Uploads with sizes that are not what they seem: (name, makes body and headers)."""
    files = {
        "16000x16000 px": mjpeg(folder / "big.avi", 16000, 16000),
        "16000x16000 px, says 160x160": mjpeg(folder / "lies.avi", 16000, 160),
    }
    cut = (folder / "clip.webm").read_bytes()[:700]

    async def endless():
        while True:
            yield bytes(1 << 20)

    async def nothing():
        await asyncio.sleep(60)
        yield b""

    made = [(name, lambda data=data: (data, {})) for name, data in files.items()]
    return [
        *made,
        ("announces an exabyte", lambda: (b"x", {"Content-Length": str(10**18)})),
        ("does not end", lambda: (endless(), {})),
        ("says nothing", lambda: (nothing(), {})),
        ("is empty", lambda: (b"", {})),
        ("is cut", lambda: (cut, {"X-Name": "cut.webm"})),
        ("is noise", lambda: (os.urandom(1 << 20), {"X-Name": "noise.mp4"})),
    ]


async def use(address, key, seconds, clients, folder):
    """All of it."""
    load = Load(address, key, time.monotonic() + seconds)
    kinds = hostile(folder)
    many = aiohttp.TCPConnector(limit=0)
    # who lies about a body's length has to use another connection for the next request
    single = aiohttp.TCPConnector(limit=0, force_close=True)
    async with (
        aiohttp.ClientSession(address, connector=many) as client,
        aiohttp.ClientSession(address, connector=single) as liar,
    ):
        await asyncio.gather(
            *(load.person(client) for _ in range(clients)),
            *(load.half_open(number) for number in range(HALF_OPEN)),
            *(load.upload(liar, number, kinds) for number in range(UPLOADS)),
        )
    return load


def load_pages(address, key, seconds, clients, times):
    """In a process of its own: sends the times of page loads, s, in the end."""
    paths = ("/", "/serve.js", "/videos", "/runs", f"/videos/{key}/first.jpg")

    async def person(client, found, until):
        await asyncio.sleep(random.random() * EVERY)
        while time.monotonic() < until:
            for path in paths:
                begin = time.monotonic()
                async with client.get(path) as answer:
                    await answer.read()
                    assert answer.status == 200, path
                found.append(time.monotonic() - begin)
            await asyncio.sleep(EVERY)

    async def run():
        found = []
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(address, connector=connector) as client:
            until = time.monotonic() + seconds
            await asyncio.gather(*(person(client, found, until) for _ in range(clients)))
        return found

    times.send(asyncio.run(run()))


async def sampled(process, work):
    """The result of `work`, and (s, bytes of resident memory) meanwhile."""
    samples, begin = [], time.monotonic()
    task = asyncio.ensure_future(work)
    while not task.done():
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        samples.append((time.monotonic() - begin, pages * os.sysconf("SC_PAGE_SIZE")))
        await asyncio.wait([task], timeout=0.5)
    return task.result(), samples


def summary(times, samples):
    """Figures of a run."""
    settled = [size for at, size in samples if at >= SETTLED] or [samples[-1][1]]
    return {
        "page requests": len(times),
        "page p50, s": round(float(np.quantile(times, 0.5)), 4),
        "page p95, s": round(float(np.quantile(times, 0.95)), 4),
        "page max, s": round(max(times), 3),
        "memory at 30 s, MiB": settled[0] >> 20,
        "largest after, MiB": max(settled) >> 20,
        "memory every 10 s, MiB": [
            size >> 20 for _, size in samples[:: max(1, len(samples) // 12)]
        ],
        "growth after 30 s, MiB": round((max(settled) - settled[0]) / 2**20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--nice", type=int, default=0, help="of the server; below 0 needs root")
    parser.add_argument("--out", help="JSON file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (temporary := folder / "tmp").mkdir()
        clip(folder / "clip.webm")
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "siamjax",
                "serve",
                str(folder / "clip.webm"),
                "--port=0",
                "--max_upload=64",
            ],
            env=os.environ | {"TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            text=True,
        )
        if args.nice:
            os.setpriority(os.PRIO_PROCESS, server.pid, args.nice)
        try:
            results = measure(server, args, folder)
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(60)
        left = [path.name for path in temporary.iterdir()]
    results |= {"exit code": code, "left in the temporary folder": left}
    results = {"load average": os.getloadavg(), **machine(), **results}
    print(json.dumps(results, indent=1))
    keep(results, args.out)
    good = results["page p50, s"] < P50 and results["page p95, s"] < P95
    good &= results["growth after 30 s, MiB"] <= GROWTH >> 20
    sys.exit(not (good and not left and code == 0 and not results["wrong"]))


def measure(server, args, folder):
    address = server.stdout.readline().split()[0].rstrip("/")
    receive, send = multiprocessing.Pipe(duplex=False)

    async def key():
        async with aiohttp.ClientSession(address) as client, client.get("/videos") as answer:
            return (await answer.json())[0]["id"]

    key = asyncio.run(key())
    pages = address, key, args.seconds, args.clients, send
    prober = multiprocessing.get_context("spawn").Process(target=load_pages, args=pages)
    prober.start()
    work = use(address, key, args.seconds, args.clients, folder)
    load, samples = asyncio.run(sampled(server, work))
    times = receive.recv()
    prober.join()
    setting = {"seconds": args.seconds, "clients": args.clients, "nice": args.nice}
    return setting | summary(times, samples) | {"done": load.done, "wrong": load.wrong}


if __name__ == "__main__":
    main()
