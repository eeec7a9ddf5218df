"""What a frame of the browser's webcam costs in `siamjax serve`, on the loopback address.

    python benchmarks/serve_camera.py [--frames=200] [--targets=1] [--checkpoint=PATH] [--out=FILE]

A server is started as a process. Frames of a rendered clip, 640x480 px, are sent as JPEGs one after
the other, each when the one before is answered, as the page does. Times are the client's, from the
request to the answer, and the server's own from the JPEG to the boxes. In the same run the same
tracker is asked in this process, before and after, without a server; the answers have to be equal.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import aiohttp
import cv2
import numpy as np
from machine import keep, machine

import siamjax
from siamjax.integrations.serving.cameras import Camera
from siamjax.integrations.serving.limits import Limits
from siamjax.synthetic import SyntheticVideo


def clip(frames: int, targets: int) -> tuple[list[bytes], str]:
    """JPEGs, and the boxes of the first one as the server takes them."""
    video = SyntheticVideo(0, frames, 480, 640, "test")
    pictures = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in video.frames]
    boxes = [video.boxes[k % len(video.boxes), 0].tolist() for k in range(targets)]
    return pictures, json.dumps([{"target": k, "box": box} for k, box in enumerate(boxes)])


async def send(address: str, pictures: list[bytes], given: str) -> tuple[list, list[float]]:
    """Answers, and s of each."""
    answers, times = [], []
    async with aiohttp.ClientSession(address) as client:
        async with client.post("/cameras") as opened:
            camera = f"/cameras/{(await opened.json())['id']}"
        for k, picture in enumerate(pictures):
            begin = time.perf_counter()
            query = {"given": given} if k == 0 else {}
            async with client.post(camera, data=picture, params=query) as answer:
                answers.append(await answer.json())
            times.append(time.perf_counter() - begin)
    return answers, times


def here(targets, pictures: list[bytes], given: str) -> tuple[list, list[float]]:
    """The same without a server."""
    camera, answers, times = Camera(targets), [], []
    for k, picture in enumerate(pictures):
        begin = time.perf_counter()
        answers.append(camera.track(picture, given if k == 0 else "", Limits()))
        times.append(time.perf_counter() - begin)
    return answers, times


def ms(times) -> dict[str, float]:
    """Median and 95 % quantile, ms, without the first frames."""
    values = 1000 * np.array(times[5:])
    return {
        "median": round(float(np.median(values)), 2),
        "95 %": round(np.quantile(values, 0.95), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--checkpoint")
    parser.add_argument("--out", help="JSON file")
    args = parser.parse_args()
    pictures, given = clip(args.frames, args.targets)
    tracker = siamjax.load(args.checkpoint)
    flags = [f"--checkpoint={args.checkpoint}"] if args.checkpoint else []
    command = [sys.executable, "-m", "siamjax", "serve", "--port=0", *flags]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().split()[0].rstrip("/")
        expected, before = here(siamjax.MultiTracker(tracker), pictures, given)
        answers, times = asyncio.run(send(address, pictures, given))
        _, after = here(siamjax.MultiTracker(tracker), pictures, given)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    served, direct = ms(times), ms(np.minimum(before, after))
    results = {
        "load average": os.getloadavg(),
        **machine(),
        "frames": args.frames,
        "targets": args.targets,
        "equal answers": [a["targets"] for a in answers] == [e["targets"] for e in expected],
        "KiB of a frame": round(sum(map(len, pictures)) / len(pictures) / 1024, 1),
        "picture to boxes, ms": served,
        "the server's share, ms": ms([answer["ms"] / 1000 for answer in answers]),
        "without a server, ms": direct,
        "ratio of the medians": round(served["median"] / direct["median"], 3),
        "frames/s": round(1 / float(np.mean(times[5:])), 1),
    }
    print(json.dumps(results, indent=1))
    keep(results, args.out)
    sys.exit(not results["equal answers"])


if __name__ == "__main__":
    main()
