"""Where the numbers of a run go: JSON lines, TensorBoard, a progress bar."""

import contextlib
import importlib.util
import json
import math
import os
import queue
import shlex
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tqdm import tqdm

from siamjax import installation
from siamjax.data.tfrecord import frame_record
from siamjax.files import Appending, write_whole

_LONGEST = 60.0  # s for which a step that runs is waited for at the end
MEANS = ("loss", "cls_loss", "loc_loss", "grad_norm", "positives")


class Window:
    """Running means of the steps since the last logged line; part of a checkpoint, so that a
    resumed run's lines equal an uninterrupted run's."""

    def __init__(self, state: Any = None):
        """Args: state: of `state`; anything else is an empty window."""
        self._sums, self._number = dict.fromkeys(MEANS, 0.0), 0
        with contextlib.suppress(TypeError, KeyError, ValueError, OverflowError):
            sums, number = state["sums"], int(state["number"])
            self._sums, self._number = {name: float(sums[name]) for name in MEANS}, number

    def add(self, metrics: dict[str, float]) -> None:
        """Adds one step; a skipped step is left out of the means."""
        if metrics["skipped_in_row"] == 0:
            for name in MEANS:
                self._sums[name] += metrics[name]
            self._number += 1

    def take(self) -> dict[str, float | None]:
        """The means, None where every step was skipped; the window is empty afterwards."""
        means = {name: self._sums[name] / self._number if self._number else None for name in MEANS}
        self.__init__()
        return means

    def state(self) -> dict[str, Any]:
        """JSON values from which the window can be built again; a copy, since a checkpoint is
        written while training continues."""
        return {"sums": dict(self._sums), "number": self._number}


class JsonLines(Appending):
    """`metrics.jsonl`: one object per line, each with the field `step`.

    Attributes:
        lines: of the file, in order; a checkpoint holds them, so that they outlive damage to it.
    """

    def __init__(
        self, path: Path, step: int, scores: bool = True, known: Sequence[str] | None = None
    ):
        """Opens the file; what does not belong to the run up to `step` is removed first.

        Args:
            path: the file.
            step: lines of later steps, a line cut off by a crash and what is not JSON go.
            scores: whether the validation scores of this very step stay.
            known: the lines up to `step`, whatever the file holds; None: those of the file.

        Raises:
            UserError: the file can't be written.
        """
        if known is None:
            text = path.read_text(errors="replace") if path.exists() else ""
            known = [line for line in text.splitlines() if is_line(line, step)]
        if not scores:
            known = [x for x in known if json.loads(x)["step"] < step or "scores" not in x]
        self.lines = list(known)
        write_whole(path, "".join(line + "\n" for line in known))
        super().__init__(path)

    def write(self, values: dict[str, Any]) -> None:
        """Appends one line; what is not finite becomes null.

        Raises:
            UserError: no space left.
        """
        line = line_of(values)
        self.append(line.encode() + b"\n")
        self.lines.append(line)


def line_of(values: dict[str, Any]) -> str:
    """A line of `metrics.jsonl`; what is not finite becomes null."""
    return json.dumps(finite(values), allow_nan=False)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; what is no object with a step is left out, a missing file is
    empty."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if is_line(line)]


def outcome(workdir: Path) -> dict[str, Any]:
    """The newest line of metrics.jsonl with a loss, empty where there is none, and how many
    validations failed."""
    lines = read_lines(workdir / "metrics.jsonl")
    last: dict[str, Any] = next((line for line in reversed(lines) if "loss" in line), {})
    return last | {"validation_errors": sum("validation_error" in line for line in lines)}


def is_line(line: str, last: int | None = None) -> bool:
    """Whether a line of `metrics.jsonl` is an object with a step, `last` at most if given."""
    try:
        return json.loads(line)["step"] <= (math.inf if last is None else last)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def finite(value):
    """JSON values without NaN and infinities, which become None."""
    if isinstance(value, dict):
        return {name: finite(x) for name, x in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def viewer(workdir: Path) -> str:
    """How the curves of a run are looked at, in words."""
    there = importlib.util.find_spec("tensorboard") is not None
    install = "" if there else f"{installation.package('tensorboard')}; "
    return f"curves: {install}tensorboard --logdir={shlex.quote(str(workdir))}"


class TensorBoard(Appending):
    """TensorBoard events without TensorFlow, and without a thread whose errors nobody sees."""

    def __init__(self, folder: Path, step: int):
        """Begins a file of events.

        Args:
            folder: where the event files go.
            step: points of later steps in earlier files are hidden.

        Raises:
            UserError: the file can't be written.
        """
        host, process = socket.gethostname(), os.getpid()
        super().__init__(folder / f"events.out.tfevents.{time.time():.0f}.{host}.{process}")
        version = "brain.Event:2"
        self._event(file_version=version)
        self._event(file_version=version, step=step + 1)
        start = SessionLog(status=SessionLog.START)
        self._event(step=step + 1, session_log=start)

    def scalars(self, step: int, values: dict[str, float | int | None]) -> None:
        """Adds points; None is left out.

        Raises:
            UserError: no space left.
        """
        for name, value in values.items():
            if value is not None:
                self._event(step=step, summary=summary.scalar(name, value))

    def images(self, step: int, images: dict[str, Any]) -> None:
        """Adds images, name -> (H, W, 3) uint8 RGB.

        Raises:
            UserError: no space left.
        """
        for name, pixels in images.items():
            self._event(step=step, summary=summary.image(name, pixels, dataformats="HWC"))

    def _event(self, **fields):
        event = Event(wall_time=time.time(), **fields)
        self.append(frame_record(event.SerializeToString()))


class DeviceTime:
    """For how long steps ran on the device: a thread waits for the end of each."""

    def __init__(self):
        self._steps: queue.SimpleQueue = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._from = self._ended = self._busy = 0.0
        self._running: list[float] = []  # when each step that has not ended was dispatched
        self._waiting = threading.Thread(target=self._wait, name="device time", daemon=True)
        self._waiting.start()

    def dispatched(self, begin: float, wait: Callable[[], object]) -> None:
        """A step was given to the device.

        Args:
            begin: when, by `time.monotonic`.
            wait: returns when the step is done.
        """
        with self._lock:
            self._running.append(begin)
        self._steps.put(wait)

    def ended(self, now: float) -> None:
        """The oldest running step is done."""
        with self._lock:
            self._busy += self._since(self._running.pop(0), now)
            self._ended = now

    def busy(self, now: float) -> float:
        """Seconds in which a step ran since the last call of `restart`."""
        with self._lock:
            return self._busy + (self._since(self._running[0], now) if self._running else 0.0)

    def restart(self, now: float) -> None:
        """Begins a new stretch of measurement."""
        with self._lock:
            self._from, self._busy = now, 0.0

    def close(self) -> None:
        """Ends the thread, after the steps that run: a thread that waits for a device when Python
        ends makes the process abort."""
        self._steps.put(None)
        self._waiting.join(_LONGEST)

    def _since(self, begin, now):
        """The part of a step that lies in the stretch; steps run one after the other."""
        return max(0.0, now - max(begin, self._ended, self._from))

    def _wait(self):
        while (wait := self._steps.get()) is not None:
            with contextlib.suppress(Exception):  # the loop meets it where it reads the metrics
                wait()
            self.ended(time.monotonic())


class Progress:
    """The progress bar: steps, loss, pairs/s, share of the time the device was busy, time left.

    Args:
        total: steps of the whole run.
        start: steps done by earlier runs.
        batch_size: pairs per step.
        show: whether to print it.
    """

    def __init__(self, total: int, start: int, batch_size: int, show: bool = True):
        self._bar = tqdm(
            total=total,
            initial=start,
            desc="train",
            unit="step",
            disable=not show,
            dynamic_ncols=True,
            mininterval=1.0,
        )
        self._batch_size = batch_size
        self._start: float | None = None
        self._steps = 0
        self.device = DeviceTime()

    def step(self, loss: float) -> None:
        """One step is done. The first one starts the clock: its compilation is not counted."""
        self._bar.update()
        if self._start is None:
            self.restart()
            return
        self._steps += 1
        speed = self.speed()
        if speed["pairs_per_s"]:
            self._bar.set_postfix_str(
                f"loss {loss:.3f}, {speed['pairs_per_s']:.1f} pairs/s, "
                f"device {100 * speed['device_busy']:.0f} %",
                refresh=False,
            )

    def speed(self) -> dict[str, float | None]:
        """pairs_per_s and device_busy (0..1) since the last call of `restart`; None before the
        first step."""
        now = time.monotonic()
        elapsed = now - self._start if self._start is not None else 0.0
        if not elapsed or not self._steps:
            return {"pairs_per_s": None, "device_busy": None}
        return {
            "pairs_per_s": self._steps * self._batch_size / elapsed,
            "device_busy": min(1.0, self.device.busy(now) / elapsed),
        }

    def restart(self) -> None:
        """Begins a new stretch of measurement."""
        self._start, self._steps = time.monotonic(), 0
        self.device.restart(self._start)

    def close(self) -> None:
        """Ends the bar."""
        self.device.close()
        self._bar.close()
