"""What the server takes and keeps, and for how long it waits."""

import dataclasses

from siamjax.errors import UserError

NEW = "(each start of the server gives new ids)"  # why something may be gone


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds of one server.

    Attributes:
        upload: bytes of a video that is sent.
        disk: bytes of all videos that were sent and all results.
        pixels: of a frame of a video file; larger ones are refused before they are decoded.
        frames: of a video; a run over one that announced fewer ends there.
        targets: of a run, and of a camera.
        videos: that are on offer.
        uploads: at a time.
        waiting: runs that wait for a place.
        pictures: bytes of memory for pictures of frames, of all videos together.
        cameras: of pages, at a time.
        picture: bytes of one frame of a camera.
        silence: s in which a connection has to send its request, an upload to continue, and a
            camera to send its next frame.
        unwatched: s without a page after which a run that waits is given up, and one that holds a
            place which another waits for is stopped.
    """

    upload: int = 512 << 20
    disk: int = 4 << 30
    pixels: int = 16_000_000
    frames: int = 100_000
    targets: int = 16
    videos: int = 64
    uploads: int = 128
    waiting: int = 64
    pictures: int = 256 << 20
    cameras: int = 4
    picture: int = 1 << 20
    silence: float = 10.0
    unwatched: float = 60.0


class Refusal(UserError):
    """What a request is answered instead, with the HTTP status for it."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class Disk:
    """Counts the bytes that the server keeps."""

    def __init__(self, most: int):
        self._most, self._used = most, 0

    def take(self, size: int) -> None:
        """Counts further bytes.

        Raises:
            Refusal: there would be too many; none was counted.
        """
        if self._used + size > self._most:
            raise Refusal(
                f"{self._most >> 20} MiB of videos and results are kept at most; start the server "
                "again, or with a larger --max_disk",
                507,
            )
        self._used += size

    def add(self, size: int) -> None:
        """Counts bytes that are there already, of a result; negative: they are gone."""
        self._used += size
