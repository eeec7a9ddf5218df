"""Runs a tracker that `siamjax export` wrote; a file of its own that needs jax and numpy.

jax reads exported programs with the small package flatbuffers: pip install jax numpy flatbuffers.

tracker = ExportedTracker("tracker.zip")
tracker.init(frame, (x, y, w, h))  # frame: (H, W, 3) uint8, BGR, any size
box, score = tracker.update(next_frame)

What is wrong with an archive, a box or a frame is said in one line, an `ArchiveError`. An archive
is a program: its checksums find damage, not malice.
"""

import datetime
import hashlib
import json
import math
import zipfile
import zlib

import jax
import jax.export
import numpy as np

FORMAT = "siamjax archive 2"
HEAD = "archive.json"
MEMBERS = ("init", "update", "weights", "config.json")
LIFETIME = datetime.timedelta(days=183)  # for which newer versions of jax promise to read it
_EXPANSION, _SLACK = 16, 64 << 20  # most bytes of all members: so many times the file, and these
_MOST_HEAD = 4 << 20
_BROKEN = (  # much as in `siamjax.npz`, where it says why; this file runs without it
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError),
    *(NotImplementedError, RuntimeError, OverflowError, zlib.error, zipfile.BadZipFile),
)
_AGAIN = "export it again with `siamjax export`"


class ArchiveError(ValueError):
    """No whole archive, one that has expired, or a box or frame that cannot be tracked."""


def read(path) -> tuple[dict, dict[str, bytes]]:
    """The head of an archive and its members, whose lengths and checksums are those in the head.

    Raises:
        ArchiveError: not an archive, damaged, of another version.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            length = file.seek(0, 2)
            infos = {info.filename: info for info in archive.infolist()}
            sizes = [info.file_size for info in infos.values()]
            packed = sum(info.compress_size for info in infos.values())
            if packed > length or sum(sizes) > _EXPANSION * length + _SLACK:
                raise ArchiveError(f"{path}: its members claim more than the file can hold")
            if HEAD not in infos:
                raise ArchiveError(f"{path}: no {HEAD} in it; {_AGAIN}")
            if infos[HEAD].file_size > _MOST_HEAD:
                raise ArchiveError(f"{path}: its {HEAD} is too long")
            head = json.loads(archive.read(HEAD))
            if head["format"] != FORMAT:
                raise ArchiveError(f"{path}: of another version of siamjax; {_AGAIN}")
            members = {name: archive.read(name) for name in MEMBERS}
            for name, content in members.items():
                said = head["members"][name]
                found = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                if said != found:
                    raise ArchiveError(f"{path}: {name} is damaged; copy the file again")
            return head, members
    except ArchiveError:
        raise
    except FileNotFoundError:
        raise ArchiveError(f"{path}: no such file") from None
    except _BROKEN as error:
        fault = f"not a whole archive ({type(error).__name__})"
        raise ArchiveError(f"{path}: {fault}; copy it again, or {_AGAIN}") from error


def check_age(path, head: dict, today: datetime.date | None = None) -> datetime.date:
    """Whether this jax promises to read the programs: the day from which on a newer one need not.

    Raises:
        ArchiveError: it does not; says what to do.
    """
    try:
        made, known = datetime.date.fromisoformat(head["exported"]), str(head["jax"])[:40]
        version = int(head["calling_convention"])
    except _BROKEN as error:
        raise ArchiveError(f"{path}: its {HEAD} has no date and version of jax") from error
    low = jax.export.minimum_supported_calling_convention_version
    high = jax.export.maximum_supported_calling_convention_version
    old = (today or datetime.date.today()) - made > LIFETIME and known != jax.__version__
    if old or not low <= version <= high:
        raise ArchiveError(
            f"{path}: expired: exported on {made} with jax {known}, and jax {jax.__version__} need"
            f" not read it after six months; {_AGAIN}, or pip install jax=={known}"
        )
    return made + LIFETIME


def arrays(path, head: dict, members: dict[str, bytes]) -> tuple:
    """Weights, a list of float32 arrays, and settings (S,) float32.

    Raises:
        ArchiveError: they are not as the head says.
    """
    try:
        found, place = [], 0
        for _, shape in head["weights"]:
            count = math.prod(shape)
            if min(shape, default=0) < 0:
                raise ValueError("a side below 0")
            values = np.frombuffer(members["weights"], "<f4", count, place)
            found.append(values.reshape(shape))
            place += 4 * count
        settings = np.array([float(value) for _, value in head["settings"]], np.float32)
        whole = place == len(members["weights"]) and np.isfinite(settings).all()
        if not whole or not all(np.isfinite(array).all() for array in found):
            raise ValueError("left-over bytes, or numbers that are not finite")
    except _BROKEN as error:
        raise ArchiveError(f"{path}: its weights or settings are damaged; {_AGAIN}") from error
    return found, settings


def programs(path, members: dict[str, bytes], weights: list, settings):
    """Both steps, for the weights and settings of `arrays`.

    Raises:
        ArchiveError: they are no programs for them.
    """
    wanted = [(array.shape, array.dtype) for array in weights]
    found = []
    for name in ("init", "update"):
        try:
            step = jax.export.deserialize(bytearray(members[name]))
        except Exception as error:  # of flatbuffers, of jax
            raise ArchiveError(f"{path}: {name} is no program of this jax; {_AGAIN}") from error
        inputs = [(aval.shape, aval.dtype) for aval in step.in_avals]
        more = [(settings.shape, settings.dtype)] if name == "update" else []
        if inputs[: len(wanted) + len(more)] != wanted + more:
            raise ArchiveError(f"{path}: {name} is a program for other weights; {_AGAIN}")
        found.append(step)
    return found


def check_frame(frame) -> None:
    """Raises an `ArchiveError` unless it is a frame: (H, W, 3) uint8."""
    shape, dtype = getattr(frame, "shape", None), getattr(frame, "dtype", type(frame).__name__)
    if shape is None or len(shape) != 3 or shape[2] != 3 or not min(shape) or dtype != np.uint8:
        raise ArchiveError(f"a frame has to be (height, width, 3) uint8, not {shape} {dtype}")


def check_box(box):
    """x, y, w, h as (4,) float32.

    Raises:
        ArchiveError: not four finite numbers, or without area.
    """
    try:
        values = np.asarray(box, np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, np.float32)
    if values.shape != (4,) or not np.isfinite(values).all() or not (values[2:] > 0).all():
        raise ArchiveError(f"a box has to be x, y, width, height, the last two above 0, not {box}")
    return values


class ExportedTracker:
    """One target; compiles for a frame size when it first sees it.

    After an update, `presence` is the probability that the box holds the target, 0..1; None where
    the weights have no map for it.
    """

    presence = None

    def __init__(self, path):
        """Loads a whole archive.

        Raises:
            ArchiveError: it is none, or this jax does not read it.
        """
        head, members = read(path)
        check_age(path, head)
        weights, self._settings = arrays(path, head, members)
        steps = programs(path, members, weights, self._settings)
        self._init, self._update = (jax.jit(step.call) for step in steps)
        self._weights = [jax.device_put(array) for array in weights]
        self._state = None

    def init(self, frame, box):
        """Starts a target whose box is x, y, w, h in px.

        Raises:
            ArchiveError: not such a frame or box.
        """
        check_frame(frame)
        self._state = self._init(self._weights, frame, check_box(box))

    def update(self, frame):
        """x, y, w, h in the next frame, and the score in 0..1.

        Raises:
            ArchiveError: not such a frame, or no target yet.
        """
        check_frame(frame)
        if self._state is None:
            raise ArchiveError("no target: call init with the first frame and a box")
        found = self._update(self._weights, self._settings, self._state, frame)
        self._state, box, score, *more = found
        self.presence = float(more[0]) if more else None
        return tuple(np.asarray(box).tolist()), float(score)
