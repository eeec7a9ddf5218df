"""Training from start to end, and from wherever it stopped."""

import json
import os
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

from siamjax import compile_cache, models
from siamjax.config import difference, from_json, to_json
from siamjax.data import loader as loader_lib
from siamjax.errors import UserError
from siamjax.training import (
    checkpoint,
    metrics,
    optimizer,
    parallel,
    preview,
    schedule,
    state,
    step,
)

# Fields that may change between a run and its continuation: they leave the result as it is.
_FREE = (
    "name",
    "data.workers",
    "data.prefetch",
    "data.max_bad_fraction",
    "train.max_skipped",
    "train.checkpoint_every",
    "train.keep",
    "train.keep_best",
    "train.evaluate",
    "train.log_every",
    "train.images_every",
    "tracker.penalty_k",
    "tracker.window_influence",
    "tracker.lr",
    "tracker.long_term",
    "tracker.lost_instance",
    "tracker.lost_window_influence",
    "tracker.confidence_low",
    "tracker.confidence_high",
)

Validate = Callable[[ml_collections.ConfigDict, dict, int, int], dict[str, float]]


def train(config, workdir, validate: Validate | None = None) -> dict[str, Any]:
    """Trains a network, or goes on training it where the checkpoints in `workdir` end.

    Writes `config.json`, `metrics.jsonl`, `checkpoints/` and `tensorboard/`. A continued run makes
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
    total = per_epoch * config.train.epochs
    # Whatever refuses the run comes before the first file is written.
    if _begun(workdir):
        _compare(workdir, config)
    else:
        loader_lib.make_sampler(config)
    run = _Run(config, workdir, per_epoch, total)
    _prepare(workdir, config)

    saved = checkpoint.Checkpoints(workdir, config.train.keep, config.train.keep_best)
    try:
        run.restore(saved)
        if run.done == total:
            print(f"{workdir}: finished already at step {total}", file=sys.stderr)
            return run.last_line() | {"finished": True}
        with _Termination() as termination:
            return run.go(host_batch, validate, termination)
    finally:
        saved.close()


class _Run:
    """One run: what `train` holds while it goes on."""

    def __init__(self, config, workdir: Path, per_epoch: int, total: int):
        self.config, self.workdir = config, workdir
        self.per_epoch, self.total = per_epoch, total
        self.lead = jax.process_index() == 0
        self.rates = schedule.from_config(config)
        self.model = models.build(config)
        variables = initial_variables(config, self.model)
        self.labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
        transform = optimizer.make(config.train, self.labels)
        self.state = state.create(variables, transform, config.train.ema > 0)
        self.window = metrics.Window()
        self.done = 0
        self._preview: Callable | None = None
        self._programs: dict[str, Callable] = {}

    def restore(self, saved: checkpoint.Checkpoints) -> None:
        """Takes the state from the newest checkpoint, if there is one, and goes to the devices."""
        self.saved = saved
        restored = saved.restore(self.state)
        if restored is not None:
            self.state, extra = restored
            self.done = extra["step"]
            self.window = metrics.Window(extra["window"])
            if self.done < self.total and self.lead:
                where = f"step {self.done} of {self.total}"
                print(f"{self.workdir}: goes on from {where}", file=sys.stderr)
        self.state = parallel.replicate(self.state)

    def program(self, number: int) -> Callable:
        """The compiled step for step `number` (0-based)."""
        phase = optimizer.phase_of(self.config.train, number // self.per_epoch)
        if phase.name not in self._programs:
            axis = parallel.AXIS if self.config.train.sync_bn else None
            model = self.model.clone(bn_axis_name=axis)
            one = step.make_step(
                self.config, model, self.labels, phase, self.per_epoch, parallel.AXIS
            )
            self._programs = {phase.name: parallel.compile_step(one)}
        return self._programs[phase.name]

    def go(self, host_batch: int, validate: Validate | None, termination) -> dict[str, Any]:
        """The order of things matters: the step is dispatched first; while the device works, the
        host makes the next batch, starts its copy to the device, and reads the metrics of the step
        before."""
        config = self.config
        batches = loader_lib.make_loader(
            config,
            start_step=self.done,
            batch_size=host_batch,
            host=jax.process_index(),
            hosts=jax.process_count(),
            workers=config.data.workers,
        )
        self.lines = (
            metrics.JsonLines(self.workdir / "metrics.jsonl", self.done) if self.lead else None
        )
        self.board = (
            metrics.TensorBoard(self.workdir / "tensorboard", self.done) if self.lead else None
        )
        self.bar = metrics.Progress(self.total, self.done, config.train.batch_size, self.lead)
        self.batches = batches
        in_flight = None
        try:
            on_host = next(batches)
            batch = parallel.put(on_host)
            while self.done < self.total:
                run_step = self.program(self.done)
                self.state, results = run_step(self.state, batch)
                self.done += 1
                shown = on_host if self._images_due(self.done) else None
                if self.done < self.total:
                    begin = time.monotonic()
                    on_host = next(batches)
                    batch = parallel.put(on_host)
                    if parallel.ready(results):
                        self.bar.idle(time.monotonic() - begin)
                if in_flight is not None:
                    self._record(*in_flight)
                in_flight = (self.done, results)
                if shown is not None:
                    self._show(shown)
                epoch_ends = self.done % self.per_epoch == 0
                every = config.train.checkpoint_every
                stop = termination.asked(self.done)
                if epoch_ends or stop or (every and self.done % every == 0):
                    self._record(*in_flight)
                    in_flight = None
                    self._save(validate if epoch_ends else None)
                if stop and self.done < self.total:
                    if self.lead:
                        where = f"step {self.done} of {self.total}"
                        note = f"stopped by SIGTERM at {where}; the same command goes on"
                        print(note, file=sys.stderr)
                    return self.last_line() | {"finished": False}
            return self.last_line() | {"finished": True}
        finally:
            batches.close()
            self.bar.close()
            if self.lead:
                self.lines.close()
                self.board.close()

    def _record(self, number: int, results) -> None:
        """Reads the metrics of step `number` (1-based), which waits for it; logs when a line is
        due."""
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
        line = {
            "step": number,
            "epoch": epoch,
            **self.window.take(),
            "lr": lr,
            "lr_backbone": lr * train.backbone_lr if self._backbone_trains(epoch) else 0.0,
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

    def _images_due(self, number: int) -> bool:
        every = self.config.train.images_every
        return self.lead and bool(every) and number % every == 0

    def _show(self, batch) -> None:
        if self._preview is None:
            self._preview = preview.make_preview(self.config, self.model)
        now = {"params": self.state.params, "batch_stats": self.state.batch_stats}
        self.board.images(self.done, self._preview(state.to_host(now), batch))

    def _backbone_trains(self, epoch: int) -> bool:
        phase = optimizer.phase_of(self.config.train, epoch)
        return optimizer.BACKBONE in phase.groups

    def _save(self, validate: Validate | None) -> None:
        score = None
        if validate is not None and self.lead:
            epoch = self.done // self.per_epoch - 1
            scores = validate(self.config, self.variables(), epoch, self.done)
            if scores:
                score = float(np.mean(list(scores.values())))
                self.lines.write({"step": self.done, "epoch": epoch, "scores": scores})
                shown = {f"validation/{name}": value for name, value in scores.items()}
                self.board.scalars(self.done, shown)
        score = parallel.from_first_host(score)
        self.saved.save(self.state, self.config, {"window": self.window.state()}, score)

    def variables(self) -> dict[str, Any]:
        """A host copy of the weights to track with: the moving averages where they are kept."""
        chosen = self.state.ema or {
            "params": self.state.params,
            "batch_stats": self.state.batch_stats,
        }
        return state.to_host(chosen)

    def last_line(self) -> dict[str, Any]:
        """The newest line of metrics.jsonl with a loss; empty where there is none."""
        path = self.workdir / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        for line in reversed(lines):
            values = json.loads(line)
            if "loss" in values:
                return values
        return {}


class _Termination:
    """Remembers that SIGTERM came; several hosts agree on the step at which they stop."""

    def __init__(self):
        self._asked = False
        self._previous: Any = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
            self._previous = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, *_):
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _remember(self, *_):
        self._asked = True

    def asked(self, number: int) -> bool:
        """Whether to stop after step `number`."""
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            return multihost_utils.reached_preemption_sync_point(number)
        return self._asked


def initial_variables(config, model) -> dict[str, Any]:
    """The variables a run starts from: drawn from the seed, then overwritten by those of
    `train.init_from`.

    Args:
        config: the experiment.
        model: its network.

    Raises:
        UserError: `init_from` is neither a weights file nor a run's folder, or does not fit the
            network.
    """
    size = {"exemplar": config.crops.exemplar, "search": config.crops.search}
    variables = models.init_variables(model, config.seed, **size)
    source = config.train.init_from
    if not source:
        return variables
    if Path(source).is_dir():
        _, given, _ = checkpoint.load_variables(source)
    elif Path(source).is_file():
        from siamjax.models import weights

        _, given = weights.load(source)
    else:
        raise UserError(f"--config.train.init_from={source}: no such file or folder")
    return _overwrite(variables, given, source)


def _overwrite(variables, given, source):
    """`variables` with every array that `given` has; a part (backbone, neck, head) is given whole
    or not at all."""
    result = {}
    for collection, parts in variables.items():
        result[collection] = dict(parts)
        for part, tree in given.get(collection, {}).items():
            want, have = _shapes(parts.get(part, {})), _shapes(tree)
            for name in sorted(want.keys() | have.keys()):
                if want.get(name) != have.get(name):
                    raise UserError(
                        f"--config.train.init_from={source}: {collection}/{part}/{name} is "
                        f"{have.get(name, 'absent')} there, {want.get(name, 'absent')} in the "
                        "network; give weights of the same architecture"
                    )
            result[collection][part] = jax.tree.map(np.asarray, tree)
    return result


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.shape(leaf)
        for path, leaf in leaves
    }


def _begun(workdir: Path) -> bool:
    """Whether a run in this folder has saved a checkpoint."""
    saved = checkpoint.saved_steps(workdir / "checkpoints")
    return bool(saved) and (workdir / "config.json").exists()


def _prepare(workdir: Path, config) -> None:
    """Makes the run's folder and its config.json."""
    path = workdir / "config.json"
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if jax.process_index() == 0:
            temporary = path.with_name("config.json.tmp")
            temporary.write_text(to_json(config))
            os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: can't be written ({error.strerror or error}); give another one"
        ) from error


def _compare(workdir: Path, config) -> None:
    """Refuses a config that would change a run under way."""
    old = from_json((workdir / "config.json").read_text())
    changed = [line for line in difference(old, config) if line.split(":")[0] not in _FREE]
    if changed:
        raise UserError(
            f"--workdir={workdir}: the run there has another config ({'; '.join(changed)}); "
            "give the config it began with, or another --workdir"
        )
