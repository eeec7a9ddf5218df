"""Single frames of the videos as pictures: what a page shows when a person looks through a video.

Frames are decoded in order, from the first one on, as a run decodes them: the number of a frame is
the same in both. Pictures are kept in memory up to a bound, so that going back is quick.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import time
from collections.abc import Generator
from typing import Any

from siamjax.integrations.serving.limits import Limits, Refusal
from siamjax.integrations.serving.pictures import jpeg
from siamjax.integrations.serving.videos import Entry
from siamjax.media.folder import Images

_OPEN = 4  # videos that stay open between requests
_SLICE = 0.4  # s of decoding for one request


class Reels:
    """The pictures by video and number."""

    def __init__(self, limits: Limits):
        self._limits, self._bytes = limits, 0
        self._pictures: collections.OrderedDict[tuple[str, int], bytes] = collections.OrderedDict()
        self._opened: collections.OrderedDict[str, Reel] = collections.OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._threads = concurrent.futures.ThreadPoolExecutor(2, "frame")

    async def get(self, entry: Entry, number: int) -> bytes | int:
        """The JPEG of a frame; where it takes longer, the number of frames read so far: ask again.

        Raises:
            Refusal: there is no such frame.
            UserError: an image that cannot be read.
        """
        lock = self._locks.setdefault(entry.key, asyncio.Lock())
        async with lock:
            if (found := self._pictures.get((entry.key, number))) is not None:
                self._pictures.move_to_end((entry.key, number))
                return found
            reel = self._opened.pop(entry.key, None)
            if reel is None or reel.read > number:
                reel = Reel(entry)
            self._opened[entry.key] = reel  # the newest
            loop = asyncio.get_running_loop()
            for at, picture in await loop.run_in_executor(self._threads, reel.advance, number):
                self._keep((entry.key, at), picture)
            self._close_oldest()
            if (found := self._pictures.get((entry.key, number))) is not None:
                return found
            if reel.ended:
                del self._opened[entry.key]
                raise Refusal(f"frame {number}: the video ends after frame {reel.read - 1}", 404)
            return reel.read

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()

    def _keep(self, place: tuple[str, int], picture: bytes) -> None:
        self._bytes += len(picture) - len(self._pictures.pop(place, b""))
        self._pictures[place] = picture
        while self._bytes > self._limits.pictures and len(self._pictures) > 1:
            self._bytes -= len(self._pictures.popitem(last=False)[1])

    def _close_oldest(self) -> None:
        while len(self._opened) > _OPEN:
            key = next(iter(self._opened))
            if self._locks[key].locked():
                break  # it is read just now
            del self._opened[key]


class Reel:
    """A video that is decoded frame by frame.

    Attributes:
        read: number of the next frame.
        ended: whether there is none.
    """

    def __init__(self, entry: Entry):
        self.read, self.ended = 0, False
        self._video = entry.video
        self._frames: Generator[tuple[int, Any], None, None] = self._video.numbered()

    def advance(self, number: int) -> list[tuple[int, bytes]]:
        """Pictures of the frames up to this one, those that a moment is enough for.

        A frame that cannot be decoded has the picture of the one before.
        """
        if isinstance(self._video, Images):  # they are read by number
            return self._single(self._video, number)
        found: list[tuple[int, bytes]] = []
        end = time.monotonic() + _SLICE
        while self.read <= number and time.monotonic() < end:
            grabbed = next(self._frames, None)
            if grabbed is None:
                self.ended = True
                break
            at, frame = grabbed
            picture = jpeg(frame)
            found += [(skipped, picture) for skipped in range(self.read, at)]
            found.append((at, picture))
            self.read = at + 1
        return found

    def _single(self, images: Images, number: int) -> list[tuple[int, bytes]]:
        with contextlib.suppress(IndexError):
            return [(number, jpeg(images[number]))]
        self.read, self.ended = len(images), True
        return []
