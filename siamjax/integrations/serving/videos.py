"""The videos on offer: those of the command line, and those that are sent."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import secrets
from collections.abc import Sequence
from pathlib import Path, PurePath

from aiohttp import StreamReader, web

from siamjax import media
from siamjax.errors import UserError
from siamjax.files import Appending
from siamjax.integrations.serving.limits import NEW, Disk, Limits, Refusal
from siamjax.integrations.serving.memory import give_back
from siamjax.integrations.serving.pictures import jpeg

SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".m4v", ".mpg", ".mpeg")
_SLOWEST = 16 << 10  # bytes per second of an upload, on average


@dataclasses.dataclass(frozen=True)
class Entry:
    """A video on offer.

    Attributes:
        key: random, its part of addresses.
        video: decoded anew by each run.
        size: width and height of a frame, px.
        first: the first frame as JPEG, see `pictures.jpeg`.
        source: where it lies, on the command line's word; None: it was sent.
    """

    key: str
    video: media.Video
    size: tuple[int, int]
    first: bytes
    source: Path | None = None

    def describe(self) -> dict:
        """For the page."""
        video = {name: getattr(self.video, name) for name in ("name", "fps", "count")}
        return {"id": self.key, "width": self.size[0], "height": self.size[1], **video}


class Videos:
    """The entries by key.

    Args:
        sources: files or folders on offer from the start.
        folder: where those that are sent are put.

    Raises:
        UserError: a source that is no video, or over the limits.
    """

    def __init__(self, sources: Sequence[str], folder: Path, limits: Limits, disk: Disk):
        self._folder, self._limits, self._disk = folder, limits, disk
        self._entries: dict[str, Entry] = {}
        self._under_way = 0
        # decoding and writing keep off the threads of the runs and of the event loop
        self._threads = concurrent.futures.ThreadPoolExecutor(2, "upload")
        for source in sources:
            self._keep(self._open(source))

    def get(self, key: str) -> Entry:
        """The entry of this key.

        Raises:
            Refusal: there is none.
        """
        if key not in self._entries:
            raise Refusal(f"no such video here; GET /videos lists them {NEW}", 404)
        return self._entries[key]

    def describe(self) -> list[dict]:
        """All entries, for the page."""
        return [entry.describe() for entry in self._entries.values()]

    async def receive(self, name: str, announced: int | None, content: StreamReader) -> Entry:
        """Takes a video that is sent; nothing is left of one that is refused.

        Args:
            name: of the file, as its sender calls it.
            announced: its length in bytes, where it is said.
            content: its bytes.

        Raises:
            UserError: no video, or over a limit.
        """
        path = self._place(name, announced)
        shown = PurePath(name).name[:200]
        self._under_way += 1
        size = 0
        try:
            async for chunk in self._chunks(content):
                if size + len(chunk) > self._limits.upload:
                    raise self._too_large(shown)
                self._disk.take(len(chunk))
                size += len(chunk)
                await self._in_thread(_append, path, chunk)
            if not size:
                raise UserError(f"{shown}: an empty file")
            opened = await self._in_thread(self._open, path, PurePath(shown).stem, shown)
            return self._keep(opened)
        except BaseException:
            self._disk.add(-size)
            path.unlink(missing_ok=True)
            raise
        finally:
            self._under_way -= 1
            self._threads.submit(give_back)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()

    def _place(self, name: str, announced: int | None) -> Path:
        """Refuses what can be refused before anything is read; where it is put else."""
        limits, shown = self._limits, PurePath(name).name[:200]
        suffix = PurePath(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise UserError(f"{shown or 'the upload'}: not one of {', '.join(SUFFIXES)}")
        if announced is not None and announced > limits.upload:
            raise self._too_large(shown)
        self._check_room()
        if self._under_way >= limits.uploads:
            raise Refusal(f"{limits.uploads} uploads are under way; try again in a moment", 503)
        return self._folder / f"{secrets.token_urlsafe(12)}{suffix}"

    def _check_room(self) -> None:
        most = self._limits.videos
        if len(self._entries) >= most:
            raise UserError(f"{most} videos are kept at most; start the server again")

    def _keep(self, entry: Entry) -> Entry:
        self._check_room()
        self._entries[entry.key] = entry
        return entry

    def _too_large(self, shown: str) -> Refusal:
        most = self._limits.upload
        size = f"{most >> 20} MiB" if most >> 20 else f"{most} bytes"
        return Refusal(f"{shown}: too large; {size} are taken at most (--max_upload)", 413)

    async def _chunks(self, content: StreamReader):
        clock = asyncio.get_running_loop().time
        begin, size = clock(), 0
        while True:
            try:
                async with asyncio.timeout_at(begin + self._limits.silence + size / _SLOWEST):
                    chunk = await content.readany()
            except TimeoutError as error:
                raise Refusal("the upload stalled; send it again", 408) from error
            except (ConnectionError, web.RequestPayloadError) as error:
                raise Refusal("the upload broke off; send it again", 400) from error
            if not chunk:
                return
            yield chunk
            size += len(chunk)

    def _in_thread(self, function, *arguments):
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, function, *arguments)

    def _open(self, source: str | Path, name: str = "", shown: str = "") -> Entry:
        """Opens a video.

        Args:
            name: its name; empty: the file's.
            shown: what messages call it; empty: the source's path.
        """
        try:
            video = media.read_video(source, max_pixels=self._limits.pixels)
            most = self._limits.frames
            if video.count is not None and video.count > most:
                fix = f"{most} are taken at most (--max_frames)"
                raise UserError(f"{source}: announces {video.count} frames; {fix}")
            first = next(iter(video))
            if first.shape[0] * first.shape[1] > self._limits.pixels:  # of an image
                found = f"{first.shape[1]}x{first.shape[0]} px"
                raise UserError(f"{source}: {found}, over the limit (--max_megapixels)")
        except UserError as error:
            if not shown:
                raise
            raise UserError(f"{shown}: {str(error).removeprefix(f'{source}: ')}") from error
        video.name = name or video.name
        size = first.shape[1], first.shape[0]
        here = None if shown else Path(source)
        return Entry(secrets.token_urlsafe(12), video, size, jpeg(first), here)


def _append(path: Path, chunk: bytes) -> None:
    with contextlib.closing(Appending(path)) as file:
        file.append(chunk)
