"""A video with an end: a file, or what an address gives."""

import logging
from collections.abc import Callable, Generator

from siamjax.errors import UserError
from siamjax.media.decoder import Decoder
from siamjax.media.selection import Grab, Selection
from siamjax.media.source import Video

_log = logging.getLogger(__name__)


class VideoFile(Video):
    """A video with an end, turned as its metadata say.

    The end of the data is the end. The number of frames that a container announces is an estimate,
    in most from the duration of sound and picture; where it is more than a second off, that is
    logged as a warning.

    Args:
        name: for default output names.
        shown: what messages call it.
        connect: opens it.
        selection: the frames that are wanted.
        again: whether a break is worth another try: of what comes over a network.

    Raises:
        UserError: not a video, or one without a readable frame.
    """

    def __init__(
        self,
        name: str,
        shown: str,
        connect: Callable[[], Decoder],
        selection: Selection,
        again: bool = False,
    ):
        self._shown, self._connect, self._again = shown, connect, again
        decoder = connect()
        self._rate, self._announced = decoder.fps, decoder.announced
        self.stored = decoder.size
        if next(decoder.frames(), None) is None:
            raise UserError(f"{shown}: a video without a readable frame; encode it again")
        super().__init__(name, selection, self._rate, self._announced)

    def _grabs(self) -> Generator[Grab, None, None]:
        count = 0
        for _ in range(2 if self._again else 1):
            # Every frame is decoded, none is sought: seeking is as exact as the container's index.
            for number, (seconds, fetch) in enumerate(self._connect().frames()):
                if number == count:
                    yield Grab(number, seconds, fetch)
                    count += 1
            if self._announced is None or count > self._announced - self._rate:
                break
        if self._announced is not None and abs(self._announced - count) > self._rate:
            _log.warning(
                "%s: announces about %d frames, %d could be decoded; all of these are used",
                self._shown,
                self._announced,
                count,
            )
