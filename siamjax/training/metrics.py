"""Where the numbers of a run go: JSON lines, TensorBoard, a progress bar."""

import json
import time
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter
from tqdm import tqdm

from siamjax.files import write_whole

MEANS = ("loss", "cls_loss", "loc_loss", "grad_norm", "positives")


class Window:
    """Running means of the steps since the last logged line; part of a checkpoint, so that a
    resumed run's lines equal an uninterrupted run's."""

    def __init__(self, state: dict[str, Any] | None = None):
        self._sums = dict(state["sums"]) if state else dict.fromkeys(MEANS, 0.0)
        self._number = state["number"] if state else 0

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


class JsonLines:
    """`metrics.jsonl`: one object per line, each with the field `step`.

    Args:
        path: the file.
        step: lines of later steps, and a line cut off by a crash, are removed first.

    Raises:
        UserError: the file can't be written.
    """

    def __init__(self, path: Path, step: int):
        lines = path.read_text().splitlines() if path.exists() else []
        write_whole(path, "".join(line + "\n" for line in lines if _is_up_to(line, step)))
        self._file = path.open("a", buffering=1)

    def write(self, values: dict[str, Any]) -> None:
        """Appends one line."""
        self._file.write(json.dumps(values) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _is_up_to(line: str, step: int) -> bool:
    try:
        return json.loads(line)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False


class TensorBoard(SummaryWriter):
    """TensorBoard events without TensorFlow.

    Args:
        folder: where the event files go.
        step: points of later steps in earlier files are hidden.
    """

    def __init__(self, folder: Path, step: int):
        super().__init__(str(folder), purge_step=step + 1, flush_secs=30)

    def scalars(self, step: int, values: dict[str, float | int | None]) -> None:
        """Adds points; None is left out."""
        for name, value in values.items():
            if value is not None:
                self.add_scalar(name, value, step)

    def images(self, step: int, images: dict[str, Any]) -> None:
        """Adds images, name -> (H, W, 3) uint8 RGB."""
        for name, pixels in images.items():
            self.add_image(name, pixels, step, dataformats="HWC")


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
        self._idle = 0.0

    def idle(self, seconds: float) -> None:
        """Time that the device waited for a batch."""
        self._idle += seconds

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
        elapsed = time.monotonic() - self._start if self._start is not None else 0.0
        if not elapsed or not self._steps:
            return {"pairs_per_s": None, "device_busy": None}
        return {
            "pairs_per_s": self._steps * self._batch_size / elapsed,
            "device_busy": max(0.0, 1 - self._idle / elapsed),
        }

    def restart(self) -> None:
        """Begins a new stretch of measurement."""
        self._start, self._steps, self._idle = time.monotonic(), 0, 0.0

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()
