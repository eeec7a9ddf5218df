"""Training from start to end, and from wherever it stopped."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from jax.experimental import multihost_utils

from siamjax import compile_cache, models
from siamjax.config import difference, from_json, to_json
from siamjax.data import loader as loader_lib
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.training import checkpoint, metrics, optimizer, parallel, preview, schedule, state
from siamjax.training.initial import initial_variables
from siamjax.training.resources import Resources
from siamjax.training.step import make_step

# Fields that may change between a run and its continuation: they leave the result as it is.
_MAY_CHANGE = """
name data.workers data.prefetch data.max_bad_fraction
train.max_skipped train.checkpoint_every train.keep train.keep_best train.evaluate train.log_every
train.images_every tracker.penalty_k tracker.window_influence tracker.lr tracker.long_term
tracker.lost_instance tracker.lost_window_influence tracker.confidence_low tracker.confidence_high
"""

Validate = Callable[[ml_collections.ConfigDict, dict, int, int], dict[str, float]]


def train(config, workdir, validate: Validate | None = None) -> dict[str, Any]:
    """Trains a network, or resumes training where the checkpoints in `workdir` end.

    Writes `config.json`, `metrics.jsonl`, `checkpoints/` and `tensorboard/`. A resumed run makes
    the same numbers as one that was never interrupted: the state holds everything, the data are
    drawn from seed and step. SIGTERM makes it save a checkpoint after the step in progress and
    return.

    Args:
        config: the experiment (`configs/base.py`).
        workdir: the run's folder; made if missing.
        validate: (config, variables, epoch, step) -> {name: score}, called at each epoch's end;
            larger is better. The mean of the scores decides which checkpoints are kept as the best.
            An empty dict: not evaluated. Called by the first host alone.

    Returns:
        The last line of metrics: means of loss, cls_loss, loc_loss, grad_norm since the line before
        it, lr, epoch, step; and `finished`, False when SIGTERM ended it early.

    Raises:
        UserError: a folder that can't be written, a config other than the one the run began with,
            no training data, a batch that can't be split over the devices, too many steps with a
            non-finite loss in a row, a full disk.
    """
    workdir = Path(workdir).absolute()
    compile_cache.enable()
    host_batch = parallel.host_batch_size(config.train.batch_size, config.train.accumulate)
    per_epoch = config.data.pairs_per_epoch // config.train.batch_size
    if per_epoch < 1 or config.train.epochs < 1:
        raise UserError(
            f"--config.data.pairs_per_epoch={config.data.pairs_per_epoch} makes no step of "
            f"--config.train.batch_size={config.train.batch_size} pairs"
        )
    # Whatever refuses the run comes before the first file is written.
    if checkpoint.saved_steps(workdir / "checkpoints") and (workdir / "config.json").exists():
        _compare(workdir, config)
    else:
        loader_lib.make_sampler(config)
    run = _Run(config, workdir, per_epoch)
    keep, keep_best = config.train.keep, config.train.keep_best
    with Resources() as resources:
        saved = resources.closing(checkpoint.Checkpoints(workdir, keep, keep_best))
        if run.lead:
            write_whole(workdir / "config.json", to_json(config))
        run.restore(saved)
        if run.done == run.total:
            print(f"{workdir}: finished already at step {run.total}", file=sys.stderr)
            finished = True
        else:
            run.open(resources, host_batch)
            finished = run.train(validate)
        return _last_line(workdir) | {"finished": finished}


class _Run:
    """One run: the state, the programs, and where batches come from and numbers go."""

    def __init__(self, config, workdir: Path, per_epoch: int):
        self.config, self.workdir = config, workdir
        self.per_epoch, self.total = per_epoch, per_epoch * config.train.epochs
        self.lead = jax.process_index() == 0
        self.rates = schedule.learning_rates(config.train)
        self.model = models.build(config)
        variables = initial_variables(config, self.model)
        self.labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
        transform = optimizer.make(config.train, self.labels)
        self.state = state.create(variables, transform, config.train.ema > 0)
        self._in_flight: tuple[int, dict] | None = None  # number and metrics of a step
        self._preview = preview.make_preview(config, self.model)
        self._phase: optimizer.Phase | None = None

    def restore(self, saved: checkpoint.Checkpoints) -> None:
        """Takes the state from the newest checkpoint, if there is one, and puts it on the
        devices."""
        self.saved = saved
        restored, extra = saved.restore(self.state)
        self.state = parallel.replicate(restored)
        self.done: int = extra.get("step", 0)
        self.window = metrics.Window(extra.get("window"))

    def open(self, resources: Resources, host_batch: int) -> None:
        """Opens what `train` reads from and writes to."""
        self.termination = _Termination(resources)
        if self.done:
            self._tell(f"{self.workdir}: resumes from step {self.done} of {self.total}")
        folder, done, closing = self.workdir, self.done, resources.closing
        if self.lead:
            self.lines = closing(metrics.JsonLines(folder / "metrics.jsonl", done))
            self.board = closing(metrics.TensorBoard(folder / "tensorboard", done))
        batch_size = self.config.train.batch_size
        self.bar = closing(metrics.Progress(self.total, done, batch_size, self.lead))
        place = {"host": jax.process_index(), "hosts": jax.process_count()}
        self.batches = closing(
            loader_lib.make_loader(self.config, start_step=done, batch_size=host_batch, **place)
        )

    def train(self, validate: Validate | None) -> bool:
        """The remaining steps; False when SIGTERM ended them early.

        The order matters: the step is dispatched first; while the device works, the host makes the
        next batch, starts its copy to the device, and reads the metrics of the step before.
        """
        train = self.config.train
        on_host = next(self.batches)
        batch = parallel.put(on_host)
        while self.done < self.total:
            self.state, results = self._compiled_step()(self.state, batch)
            self.done += 1
            shown = on_host if self.lead and self._due(train.images_every) else None
            if self.done < self.total:
                begin = time.monotonic()
                on_host = next(self.batches)
                batch = parallel.put(on_host)
                if parallel.ready(results):
                    self.bar.idle(time.monotonic() - begin)
            self._record()
            self._in_flight = self.done, results
            if shown is not None:
                pictures = self._preview(state.to_host(self.state.live), shown)
                self.board.images(self.done, pictures)
            epoch_ends = self._due(self.per_epoch)
            stop = self.termination.asked(self.done)
            if epoch_ends or stop or self._due(train.checkpoint_every):
                self._record()
                self._save(validate if epoch_ends else None)
            if stop and self.done < self.total:
                where = f"step {self.done} of {self.total}"
                self._tell(f"stopped by SIGTERM at {where}; the same command resumes it")
                return False
        return True

    def _compiled_step(self) -> Callable:
        """The program of the next step; that of the phase before is let go."""
        config = self.config
        phase = optimizer.phase_of(config.train, self.done // self.per_epoch)
        if phase != self._phase:
            axis = parallel.AXIS
            model = self.model.clone(bn_axis_name=axis if config.train.sync_bn else None)
            step = make_step(config, model, self.labels, phase, self.per_epoch, axis)
            self._phase, self._step = phase, parallel.compile_step(step)
        return self._step

    def _due(self, every: int) -> bool:
        return every > 0 and self.done % every == 0

    def _tell(self, message: str) -> None:
        if self.lead:
            print(message, file=sys.stderr)

    def _record(self) -> None:
        """Reads the metrics of the step in flight, if there is one, which waits for it; logs when a
        line is due."""
        if self._in_flight is None:
            return
        number, results = self._in_flight  # 1-based
        self._in_flight = None
        values = parallel.first(results)
        self.window.add(values)
        self.bar.step(values["loss"])
        train = self.config.train
        if values["skipped_in_row"] >= train.max_skipped:
            raise UserError(
                f"the loss of {train.max_skipped} steps in a row was not finite or above "
                f"{train.max_loss:g}, the last at step {number}: lower the learning rate "
                "(--config.train.lr_start, .warmup_end) or check the data"
            )
        if number % train.log_every and number != self.total:
            return
        epoch = (number - 1) // self.per_epoch
        lr = float(self.rates[epoch])
        backbone_trains = optimizer.BACKBONE in optimizer.phase_of(train, epoch).groups
        line = {
            "step": number,
            "epoch": epoch,
            **self.window.take(),
            "lr": lr,
            "lr_backbone": lr * train.backbone_lr if backbone_trains else 0.0,
            "skipped": int(values["skipped"]),
            "bad_records": self.batches.skipped,
            **self.bar.speed(),
        }
        self.bar.restart()
        if self.lead:
            self.lines.write(line)
            shown = {f"train/{name}": value for name, value in line.items() if name != "step"}
            shown |= {name: x for name, x in values.items() if name.startswith("fusion/")}
            self.board.scalars(number, shown)

    def _save(self, validate: Validate | None) -> None:
        score = None
        if validate is not None and self.lead:
            epoch = self.done // self.per_epoch - 1
            variables = state.to_host(self.state.tracked)
            scores = validate(self.config, variables, epoch, self.done)
            if scores:
                score = float(np.mean(list(scores.values())))
                self.lines.write({"step": self.done, "epoch": epoch, "scores": scores})
                shown = {f"validation/{name}": value for name, value in scores.items()}
                self.board.scalars(self.done, shown)
        score = parallel.from_first_host(score)
        self.saved.save(self.state, self.config, {"window": self.window.state()}, score)


class _Termination:
    """Remembers that SIGTERM came; several hosts agree on the step at which they stop."""

    def __init__(self, resources: Resources):
        self._signals: list[int] = []
        if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
            previous = signal.signal(signal.SIGTERM, lambda *_: self._signals.append(1))
            resources.callback(signal.signal, signal.SIGTERM, previous)

    def asked(self, number: int) -> bool:
        """Whether to stop after step `number`."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(number)
        return bool(self._signals)


def _compare(workdir: Path, config) -> None:
    """Refuses a config that would change a run under way."""
    old = from_json((workdir / "config.json").read_text())
    free = _MAY_CHANGE.split()
    changed = [line for line in difference(old, config) if line.split(":")[0] not in free]
    if changed:
        raise UserError(
            f"--workdir={workdir}: the run there has another config ({'; '.join(changed)}); "
            "give the config it began with, or another --workdir"
        )


def _last_line(workdir: Path) -> dict[str, Any]:
    """The newest line of metrics.jsonl with a loss; empty where there is none."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = (values for values in map(json.loads, reversed(lines)) if "loss" in values)
    return next(found, {})
