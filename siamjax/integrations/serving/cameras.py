"""The cameras of pages: frames that are sent one by one, each answered with the targets in it."""

import asyncio
import concurrent.futures
import io
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from aiohttp import StreamReader, web
from PIL import Image

from siamjax.errors import UserError
from siamjax.integrations.serving.limits import Limits, Refusal
from siamjax.integrations.serving.orders import read_given
from siamjax.media.frames import decode_image
from siamjax.media.labels.sizes import BROKEN
from siamjax.tracking.follow import Targets


class Followed(Targets, Protocol):
    """As `siamjax.tracking.follow.Targets`, of which some may be removed."""

    def remove(self, id: int | str) -> None:
        """Follows a target no longer."""


class Camera:
    """One camera with its targets.

    Attributes:
        key: random, its part of addresses.
        busy: whether a frame of it is tracked.
        heard: time (`time.monotonic`) of its last frame.
    """

    def __init__(self, targets: Followed):
        self.key = secrets.token_urlsafe(12)
        self.busy, self.heard = False, time.monotonic()
        self._targets = targets

    def track(self, data: bytes, given: str, limits: Limits) -> dict[str, Any]:
        """Where the targets are in a frame.

        Args:
            data: a JPEG.
            given: boxes in it, as `orders.read_given` takes them.

        Returns:
            {"targets": [{"target", "x", "y", "w", "h", "score", "lost"}], "ms": of the server}.

        Raises:
            UserError: no such picture, or such boxes; then no target has changed.
        """
        begin = time.monotonic()
        frame = read_picture(data, limits.pixels)
        starts, gone = read_given(given, (frame.shape[1], frame.shape[0]), limits)
        for target in gone & self._targets.targets.keys():
            self._targets.remove(target)
        found = self._targets.update(frame)
        answers = {id: (*map(float, p.box), p.score, bool(p.lost)) for id, p in found.items()}
        for start in starts:
            self._targets.add(frame, start.box, start.target)
            answers[start.target] = (*start.box, 1.0, False)
        names = ("x", "y", "w", "h", "score", "lost")
        told = [{"target": k} | dict(zip(names, answer)) for k, answer in answers.items()]
        return {"targets": told, "ms": round(1000 * (time.monotonic() - begin), 1)}


class Cameras:
    """The cameras by key.

    Args:
        targets: makes what follows targets, for each camera anew.
    """

    def __init__(self, targets: Callable[[], Followed], limits: Limits):
        self._targets, self._limits = targets, limits
        self._cameras: dict[str, Camera] = {}
        self._threads = concurrent.futures.ThreadPoolExecutor(limits.cameras, "camera")

    def begin(self) -> Camera:
        """A new camera.

        Raises:
            Refusal: there are too many.
        """
        if len(self._cameras) >= self._limits.cameras:
            raise Refusal(f"{self._limits.cameras} cameras are followed already; close one", 503)
        camera = Camera(self._targets())
        self._cameras[camera.key] = camera
        return camera

    async def track(self, key: str, given: str, content: StreamReader) -> dict[str, Any]:
        """As `Camera.track`.

        Args:
            content: the JPEG.

        Raises:
            Refusal: no such camera, or its frame before is not done, too large or slow.
        """
        if key not in self._cameras:
            raise Refusal("no such camera; it was silent for too long, begin again", 404)
        camera = self._cameras[key]
        if camera.busy:
            raise Refusal("the frame before is still tracked", 429)
        camera.busy = True
        try:
            data = await self._read(content)
            camera.heard = time.monotonic()
            loop = asyncio.get_running_loop()
            limits = self._limits
            return await loop.run_in_executor(self._threads, camera.track, data, given, limits)
        finally:
            camera.busy, camera.heard = False, time.monotonic()

    def end(self, key: str) -> None:
        """Forgets a camera."""
        self._cameras.pop(key, None)

    async def tidy(self) -> None:
        """Ends cameras that send nothing."""
        most = self._limits.silence
        while True:
            await asyncio.sleep(min(1.0, most / 4))
            now = time.monotonic()
            silent = [c.key for c in self._cameras.values() if not c.busy and now - c.heard > most]
            for key in silent:
                self.end(key)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()

    async def _read(self, content: StreamReader) -> bytes:
        data, most = bytearray(), self._limits.picture
        try:
            async with asyncio.timeout(self._limits.silence):
                while chunk := await content.readany():
                    data += chunk
                    if len(data) > most:
                        raise Refusal(f"a frame of a camera has {most >> 10} KiB at most", 413)
        except TimeoutError as error:
            raise Refusal("the frame stalled; send the next one", 408) from error
        except (ConnectionError, web.RequestPayloadError) as error:
            raise Refusal("the frame broke off; send the next one", 400) from error
        return bytes(data)


def read_picture(data: bytes, pixels: int) -> np.ndarray:
    """A JPEG as a frame, (H, W, 3) uint8 BGR; its size is checked before it is decoded.

    Raises:
        UserError: not that, or more pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            size = image.size
    except BROKEN:
        raise UserError("the frame is not a JPEG; send one") from None
    if size[0] * size[1] > pixels:
        raise UserError(f"the frame has more than {pixels / 1e6:g} megapixels; make it smaller")
    frame = decode_image(data)
    if frame is None:
        raise UserError("the frame is a broken JPEG; send the next one")
    return frame
