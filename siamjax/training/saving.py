"""Which checkpoints of a run there are: writing them, scoring them, removing the others."""

import contextlib
import errno
import json
import logging
import math
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from orbax import checkpoint as ocp

from siamjax import checksums, opencv
from siamjax.config import to_json
from siamjax.errors import UserError, refused
from siamjax.files import write_whole
from siamjax.training import checkpoint, parallel
from siamjax.training.resources import Resources
from siamjax.training.state import TrainState, to_host

_PACKAGES = "siamjax jax jaxlib flax optax orbax-checkpoint numpy"
UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of what is not whole; removed by orbax
_NO_NUMBER = (ArithmeticError, RecursionError, TypeError, ValueError)
_SCORE = "score.json"  # beside the items of a checkpoint
_FIXES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space or raise the quota",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EROFS: "make the file system writable",
    errno.EACCES: "allow writing there",
    errno.EPERM: "allow writing there",
}


class Checkpoints:
    """The checkpoints of one run.

    They are written in the background while training continues; `close` waits for it.

    Args:
        workdir: the run's folder.
        keep: newest checkpoints kept.
        keep_best: checkpoints with the best validation score kept besides.

    Raises:
        UserError: the folder can't be written.
    """

    def __init__(self, workdir, keep: int, keep_best: int):
        self._folder = Path(workdir).absolute() / "checkpoints"
        self._keep, self._keep_best = max(keep, 1), max(keep_best, 0)
        self._lead = jax.process_index() == 0
        self._held: set[int] = set()
        self._removing = threading.Lock()
        # Nothing is removed by orbax: scores come after their checkpoint is saved.
        options = ocp.CheckpointManagerOptions(max_to_keep=None, cleanup_tmp_directories=True)
        self._loud = _quiet()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(self._folder, options=options)
        except OSError as error:
            raise refused(self._folder, error, "--workdir") from error

    def steps(self) -> list[int]:
        """Steps of the finished checkpoints, oldest first."""
        return checkpoint.saved_steps(self._folder)

    def space(self, state: TrainState, mirrored: bool = False) -> str:
        """How much of the disk the checkpoints will take at most, in words.

        Args:
            state: of the network and optimiser that are saved.
            mirrored: one more may stay while it is copied.
        """
        each = sum(x.nbytes for x in jax.tree.leaves(checkpoint.items_of(state)))
        most = self._keep + self._keep_best + 2 + mirrored  # being written, not yet removed
        free = shutil.disk_usage(self._folder).free
        there = sum(p.stat().st_size for p in self._folder.rglob("*") if p.is_file())
        text = (
            f"{self._folder}: up to {most} checkpoints of {_size(each)}, {_size(most * each)};"
            f" {_size(free)} are free"
        )
        return text + (": too little" if most * each > free + there else "")

    def save(self, state: TrainState, config, extra: dict[str, Any], data: dict) -> None:
        """Saves the state under its step, unless that step is saved already.

        Args:
            state: the state; copied before this returns.
            config: the resolved config.
            extra: further JSON values, given back by `restore`.
            data: JSON values that say which data the run trains on.

        Raises:
            UserError: this checkpoint, or the one before it, can't be written (disk full).
        """
        host = to_host(state)
        step = int(host.step)
        items = checkpoint.items_of(host)
        meta = {
            "step": step,
            "position": step * config.train.batch_size,
            "config": json.loads(to_json(config)),
            "versions": _versions(),
            "crc32c": {name: checkpoint.checksum(item) for name, item in items.items()},
            "data": data,
            "extra": extra,
        }
        meta["crc32c"]["meta"] = checksums.of_values(meta)
        self.wait()
        with self._disk_errors():
            if step in self.steps():
                return
            saves = {name: ocp.args.StandardSave(item) for name, item in items.items()}
            args = ocp.args.Composite(**saves, meta=ocp.args.JsonSave(meta))
            self._manager.save(step, args=args, force=True)

    def wait(self) -> None:
        """Returns when the save in progress is done, and what is neither among the newest nor among
        the best is removed.

        Raises:
            UserError: it could not be written.
        """
        with self._disk_errors():
            self._manager.wait_until_finished()
            self._remove_others()

    def is_scored(self, step: int) -> bool:
        """Whether `score` was called for the checkpoint of a step."""
        return bool(_scored(self._folder / str(step)))

    def line(self, step: int) -> dict[str, Any] | None:
        """What `score` was given besides; None: nothing."""
        return _scored(self._folder / str(step)).get("line")

    def score(self, step: int, score: float | None, line: dict[str, Any] | None = None) -> None:
        """Notes the validation score of a checkpoint, and removes those that are neither among the
        newest nor among the best.

        Args:
            step: of a checkpoint that was given to `save`.
            score: larger is better; None or not finite: none, it is not kept as one of the best.
            line: JSON values kept with it.

        Raises:
            UserError: the checkpoint, or its score, can't be written.
        """
        self.wait()
        if self._lead:
            finite = None if score is None or not math.isfinite(score) else float(score)
            record = {"score": finite, "line": line}
            record["crc32c"] = checksums.of_values(record)
            write_whole(self._folder / str(step) / _SCORE, json.dumps(record))
            self._remove_others()

    def restore(self, template: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """The newest state that can be read, and the `meta` it was saved with; the template and an
        empty dict where there is no checkpoint.

        Newer checkpoints that can't be read are named on stderr and moved to `<workdir>/corrupt`,
        so that the run can write them anew. Of several hosts the first decides which is taken.

        Args:
            template: a state of the same network and optimiser.

        Raises:
            UserError: there are checkpoints and none of them can be read, or not by every host.
        """
        found: list = []

        def choose():
            newest = checkpoint.newest_readable(self._folder, self.steps(), with_training=True)
            if newest is None:
                return None, []
            items, step, broken = newest
            found.append(items)
            return step, broken

        step, broken = parallel.from_lead(choose)
        if step is None:
            return template, {}
        parallel.on_all(lambda: found or found.append(self._read(step)))
        ((variables, training, meta),) = found
        state = checkpoint.assemble(template, variables, training)
        for bad in broken if self._lead else ():
            self._set_aside(self._folder / str(bad))
        if broken:
            self._manager.reload()
        return state, meta

    @contextlib.contextmanager
    def holding(self, step: int) -> Iterator[bool]:
        """Keeps a checkpoint from being removed in the block; says whether it is there."""
        with self._removing:
            self._held.add(step)
            there = step in self.steps()
        try:
            yield there
        finally:
            self._held.discard(step)

    def close(self) -> None:
        """Waits for the save in progress.

        Raises:
            UserError: it could not be written.
        """
        with Resources() as resources:
            resources.push(self._loud)
            resources.closing(self._manager)
            self.wait()

    def _read(self, step):
        """What the lead has chosen, on another host."""
        path = self._folder / str(step)
        try:
            return checkpoint.read(path, True)
        except Exception as error:
            raise UserError(
                f"{path}: the first host reads this checkpoint, another does not"
                f" ({checkpoint.reason(error)}); --workdir must be one that all hosts share"
            ) from error

    def _set_aside(self, path: Path) -> None:
        target = self._folder.parent / "corrupt" / path.name
        target.parent.mkdir(exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        path.rename(target)
        print(f"moved {path} to {target}", file=sys.stderr)

    def _remove_others(self) -> None:
        """Removes what is neither among the newest nor among the best of the finished."""
        if not self._lead:
            return
        with self._removing:
            steps = self.steps()
            scores = {step: _score(self._folder / str(step)) for step in steps}
            scored = [step for step in steps if scores[step] is not None]
            best = sorted(scored, key=lambda step: (scores[step], step))[::-1][: self._keep_best]
            for step in {*steps[: -self._keep]} - {*best} - self._held:
                # under a name that counts as unfinished: a kill in the middle leaves no half
                going = self._folder / f"{step}{UNFINISHED}-removed"
                (self._folder / str(step)).rename(going)
                shutil.rmtree(going)

    @contextlib.contextmanager
    def _disk_errors(self):
        """Reports what the operating system refused as a UserError; other errors pass."""
        try:
            yield
        except Exception as error:
            code = _errno(error)
            if code is None:
                raise
            for left in self._folder.glob(f"*{UNFINISHED}*") if self._lead else ():
                shutil.rmtree(left, ignore_errors=True)
            good = self.steps()
            last = f"step {good[-1]} is safe" if good else "there is none yet"
            said = checkpoint.reason(error)
            # TensorStore names the file at such length that the cause may be cut off
            why = "" if os.strerror(code) in said else f", {os.strerror(code)}"
            raise UserError(
                f"{self._folder}: the checkpoint could not be written ({said}){why};"
                f" {_FIXES.get(code, 'look after the disk')} and give the same command again;"
                f" the last good checkpoint: {last}"
            ) from error


def _quiet() -> contextlib.ExitStack:
    """Orbax's threads print and log the traceback of what `wait_until_finished` raises anyway, and
    where a write failed, TensorStore's that of every other one under way, whose event loop is
    closed by then; until the stack is closed they don't."""

    def hook(arguments):
        if not type(arguments.thread).__module__.startswith("orbax"):
            before(arguments)

    def ignored(found):
        if str(found.exc_value) != "Event loop is closed":
            raised(found)

    def wanted(record):
        return not (record.exc_info and "orbax" in record.pathname)

    before, raised, log = threading.excepthook, sys.unraisablehook, logging.getLogger("absl")
    threading.excepthook, sys.unraisablehook = hook, ignored
    log.addFilter(wanted)
    stack = contextlib.ExitStack()
    stack.callback(setattr, threading, "excepthook", before)
    stack.callback(setattr, sys, "unraisablehook", raised)
    stack.callback(log.removeFilter, wanted)
    return stack


def _scored(path: Path) -> dict[str, Any]:
    """What `score` wrote beside a checkpoint; empty where it did not, or where that is damaged.
    `metrics/metrics` is where 0.1 and 0.2 had it, without a checksum."""
    for name in (_SCORE, "metrics/metrics"):
        with contextlib.suppress(OSError, AttributeError, *_NO_NUMBER):
            record = json.loads((path / name).read_text())
            if checksums.unseal(record, "crc32c", record) and "score" in record:
                return record
    return {}


def _score(path: Path) -> float | None:
    """The validation score of a checkpoint."""
    with contextlib.suppress(KeyError, *_NO_NUMBER):
        return float(_scored(path)["score"])
    return None


def _errno(error: BaseException | None) -> int | None:
    """The operating system's code behind an exception; TensorStore raises ValueError and appends it
    to the message."""
    if error is None:
        return None
    if isinstance(error, OSError):
        return error.errno or 0
    found = re.search(r"os_error_code='(\d+)", str(error))
    return int(found[1]) if found else _errno(error.__cause__ or error.__context__)


def _size(count: int | float) -> str:
    """Bytes in words."""
    units = iter(("bytes", "KB", "MB", "GB"))
    unit = next(units)
    while count >= 1000 and unit != "GB":
        count, unit = count / 1000, next(units)
    return f"{count:.3g} {unit}"


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in (*_PACKAGES.split(), *opencv.WHEELS):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
