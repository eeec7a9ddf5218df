"""Training from start to end, and from wherever it stopped."""

import functools
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from siamjax import compile_cache, locks, models
from siamjax.config import to_json
from siamjax.data import loader as loader_lib
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.processes import say
from siamjax.training import (
    checkpoint,
    hosts,
    initial,
    metrics,
    mining,
    mirroring,
    optimizer,
    parallel,
    preview,
    resume,
    saving,
    scaling,
    schedule,
    state,
    stopping,
)
from siamjax.training.resources import Resources
from siamjax.training.step import make_step

Validate = Callable[[ml_collections.ConfigDict, dict, int, int], dict[str, float]]


def train(
    config, workdir, validate: Validate | None = None, until: float = math.inf, least: int = 0
) -> dict[str, Any]:
    """Trains a network, or resumes training where the checkpoints in `workdir` end.

    Writes `config.json`, `metrics.jsonl`, `checkpoints/` and `tensorboard/`. A resumed run makes
    the same numbers as one that was never interrupted: the state holds everything, the data are
    drawn from seed and step. SIGTERM and Ctrl-C make it save a checkpoint after the step in
    progress and return; a second Ctrl-C ends the process at once.

    Args:
        config: the experiment (`configs/base.py`).
        workdir: the run's folder; made if missing. One process trains in it at a time.
        validate: (config, variables, epoch, step) -> {name: score}, called at each epoch's end,
            after its checkpoint is saved; larger is better. The mean of the scores decides which
            checkpoints are kept as the best. An empty dict: not evaluated. What it raises is
            counted, and training continues. Called by the first host alone.
        until: `time.monotonic()` after which it stops as by SIGTERM; for one host.
        least: steps that it makes also when `until` is over.

    Returns:
        The last line of metrics: means of loss, cls_loss, loc_loss, grad_norm since the line before
        it, lr, epoch, step; `finished`, False when SIGTERM or `until` ended it early; `stopped`,
        whether SIGTERM came, were it after the last step; `done`, all steps made; and
        `validation_errors`, how many validations raised.

    Raises:
        KeyboardInterrupt: Ctrl-C, after a checkpoint was saved, were it that of the last step.
        UserError: a folder that can't be written or that another process trains in, a config other
            than the one the run began with, no training data, a batch that can't be split over the
            devices, too many steps with a non-finite loss in a row, a full disk.
    """
    workdir = Path(workdir).absolute()
    compile_cache.enable()
    host_batch = parallel.host_batch_size(config.train.batch_size, config.train.accumulate)
    per_epoch = _steps_per_epoch(config)
    # Whatever refuses the run comes before the first file is written.
    loader_lib.make_sampler(config)
    data = resume.identity(config)
    resume.check(workdir, config, data)
    run = _Run(config, workdir, per_epoch, data, until, least)
    with hosts.Hosts(workdir), Resources() as resources:
        parallel.from_lead(lambda: run.own(resources))
        run.stop = stopping.Stop(resources)
        resume.check(workdir, config, data)  # what another process wrote before we had the lock
        saved = resources.closing(
            saving.Checkpoints(workdir, config.train.keep, config.train.keep_best)
        )
        if run.lead:
            write_whole(workdir / "config.json", to_json(config))
        run.restore(saved, resources)
        finished = run.start(resources, host_batch, validate)
    if run.stop.signal == signal.SIGINT:
        raise KeyboardInterrupt
    ended = {"finished": finished, "stopped": run.stop.signal is not None, "done": run.done}
    return metrics.outcome(workdir) | ended


def _steps_per_epoch(config) -> int:
    steps = config.data.pairs_per_epoch // config.train.batch_size
    if steps < 1 or config.train.epochs < 1:
        raise UserError(
            f"--config.data.pairs_per_epoch={config.data.pairs_per_epoch} makes no step of "
            f"--config.train.batch_size={config.train.batch_size} pairs"
        )
    return steps


class _Run:
    """One run: the state, the programs, and where batches come from and numbers go."""

    stop: stopping.Stop

    def __init__(self, config, workdir: Path, per_epoch: int, data: dict[str, str], until, least):
        self.config, self.workdir, self.data = config, workdir, data
        self.until, self.least = until, least
        self.per_epoch, self.total = per_epoch, per_epoch * config.train.epochs
        self.lead = jax.process_index() == 0
        self.rates = schedule.learning_rates(config.train)
        self.model = models.build(config)
        self.mirror = mirroring.of(config, workdir, data)
        filled = self.mirror is not None and self.mirror.fills
        resumed = filled or bool(checkpoint.saved_steps(workdir / "checkpoints"))
        variables = initial.initial_variables(config, self.model, given=not resumed)
        self.labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
        transform, scale = optimizer.make(config.train, self.labels), scaling.start(config.model)
        self.state = state.create(variables, transform, config.train.ema > 0, scale)
        self._in_flight: tuple[int, dict] | None = None  # number and metrics of a step
        self._preview = preview.make_preview(config, self.model)
        self._phase: optimizer.Phase | None = None
        self._miner: mining.Miner | None = None

    def own(self, resources: Resources) -> None:
        """Takes the lock of the run's folder, and fills the folder from the mirror if it is
        empty."""
        fix = "wait for it to end, or give another --workdir"
        self.lock = resources.closing(locks.Lock(self.workdir, fix=fix))
        if self.mirror is not None:
            self.mirror.fill()

    def restore(self, saved: saving.Checkpoints, resources: Resources) -> None:
        """Takes the state from the newest checkpoint, if there is one, and puts it on the
        devices; from then on the mirror copies what is new."""
        self.saved = saved
        restored, meta = saved.restore(self.state)
        self.state = parallel.replicate(restored)
        self.done: int = meta.get("step", 0)
        extra = meta.get("extra") or {}
        self.window = metrics.Window(extra.get("window"))
        self.known: list[str] | None = extra.get("lines")  # absent before 0.3
        if self.known is not None and (line := saved.line(self.done)):
            self.known.append(metrics.line_of(line))
        if self.lead and self.mirror is not None:
            self.mirror.start(saved)
            resources.closing(self.mirror)
        if self.config.data.get("mined", 0.0):
            self._miner = mining.Miner(self.config, extra.get("mining"))

    def open_lines(self, scores: bool = True) -> metrics.JsonLines:
        """The metrics up to the step that is done, as the checkpoint has them."""
        return metrics.JsonLines(self.workdir / "metrics.jsonl", self.done, scores, self.known)

    def start(self, resources: Resources, host_batch: int, validate: Validate | None) -> bool:
        """Opens what the training reads from and writes to, and trains; as `train`."""
        if self.done == self.total:
            say(f"{self.workdir}: finished already at step {self.total}")
            if self.lead:
                self.open_lines().close()
            return True
        self._tell(self.saved.space(self.state, self.mirror is not None))
        begins = initial.begins(self.config.train, self.done, self.total)
        self._tell(f"{self.workdir}: {begins}; {metrics.viewer(self.workdir)}")
        folder, done, closing = self.workdir, self.done, resources.closing
        ends_epoch = done > 0 and done % self.per_epoch == 0
        unscored = validate is not None and ends_epoch and not self.saved.is_scored(done)
        if self.lead:
            self.lines = closing(self.open_lines(not unscored))
            self.board = closing(metrics.TensorBoard(folder / "tensorboard", done))
        batch_size = self.config.train.batch_size
        self.bar = closing(metrics.Progress(self.total, done, batch_size, self.lead))
        self._open_loader = lambda: closing(self._make_loader(host_batch))
        self.batches = self._open_loader()
        if unscored:  # the run was killed while it validated
            self._validate(validate)
        return self.train(validate)

    def train(self, validate: Validate | None) -> bool:
        """The remaining steps; False when SIGTERM or Ctrl-C ended them early.

        The order matters: the step is dispatched first; while the device works, the host makes the
        next batch, starts its copy to the device, and reads the metrics of the step before.
        """
        train = self.config.train
        on_host = next(self.batches)
        batch = parallel.put(on_host)
        while self.done < self.total:
            before, step = self._phase, self._compiled_step()
            begin = time.monotonic()
            self.state, results = step(self.state, batch)
            if self._phase != before:
                begin = time.monotonic()  # it was compiled first
            self.bar.device.dispatched(begin, functools.partial(jax.block_until_ready, results))
            self.done += 1
            shown = on_host if self.lead and self._due(train.images_every) else None
            mines = self._miner is not None and self._due(self.per_epoch)
            if mines:
                self._draw_again(results)
            if self.done < self.total:
                on_host = next(self.batches)
                batch = parallel.put(on_host)
            self._record()
            if not mines:
                self._in_flight = self.done, results
            if shown is not None:
                pictures = self._preview(state.to_host(self.state.live), shown)
                self.board.images(self.done, pictures)
            epoch_ends = self._due(self.per_epoch)
            late = self.done >= self.least and time.monotonic() > self.until
            stop = self.stop.asked(self.done) or late
            if epoch_ends or stop or self._due(train.checkpoint_every):
                self._record()
                self._save()
            if epoch_ends and validate is not None:
                self._validate(validate)
                stop = stop or self.stop.came  # meanwhile
            if stop and self.done < self.total:
                reason = "the end of its time" if late else self.stop.name
                again = "" if late else "; the same command resumes it"
                self._tell(f"stopped by {reason} at step {self.done} of {self.total}{again}")
                return False
        return True

    def _make_loader(self, host_batch: int):
        """Batches from the next step on."""
        place = {"host": jax.process_index(), "hosts": jax.process_count(), "start_step": self.done}
        mined = self._miner.sampler.mined if self._miner else ()
        return loader_lib.make_loader(self.config, batch_size=host_batch, mined=mined, **place)

    def _draw_again(self, results) -> None:
        """Ends an epoch in which pairs were mined: waits for its last step, and has the next
        epoch's batches made anew, with the pairs that were found."""
        self._record()
        self._in_flight = self.done, results
        self._record()
        assert self._miner is not None
        self._miner.turn()
        skipped = self.batches.skipped
        self.batches.close()
        if self.done < self.total:
            self.batches = self._open_loader()
            self.batches.skipped = skipped

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
            say(message)

    def _record(self) -> None:
        """Reads the metrics of the step in flight, if there is one, which waits for it; logs when a
        line is due."""
        if self._in_flight is None:
            return
        number, results = self._in_flight  # 1-based
        self._in_flight = None
        if self._miner:
            self._miner.add(number, parallel.array(results["wrong"]).tolist())
        values = parallel.first({name: x for name, x in results.items() if name != "wrong"})
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
            **({"mined": len(self._miner.sampler.mined)} if self._miner else {}),
            **self.bar.speed(),
        }
        self.bar.restart()
        if self.lead:
            shown = {f"train/{name}": value for name, value in line.items() if name != "step"}
            more = {n: x for n, x in values.items() if n.startswith(("fusion/", "loss_scale"))}
            self.lines.write(line | more)
            self.board.scalars(number, shown | more)

    def _save(self) -> None:
        extra: dict[str, Any] = {"window": self.window.state()}
        if self.lead:
            self.lock.check()
            self.lines.sync()
            extra["lines"] = list(self.lines.lines)
        if self._miner:
            extra["mining"] = self._miner.state()
        self.saved.save(self.state, self.config, extra, self.data)

    def _validate(self, validate: Validate) -> None:
        """Scores the state, whose checkpoint is saved; what goes wrong is said and counted."""
        self.saved.wait()
        epoch = self.done // self.per_epoch - 1
        line: dict[str, Any] = {"step": self.done, "epoch": epoch}
        score, scores = None, {}
        if self.lead:
            try:
                variables = state.to_host(self.state.tracked)
                scores = validate(self.config, variables, epoch, self.done)
            except Exception as error:
                said = error if isinstance(error, UserError) else repr(error)
                line["validation_error"] = str(said)
                self._tell(f"validation at step {self.done} failed, training continues: {said}")
            if scores:
                score = float(np.mean(list(scores.values())))
                self.board.scalars(self.done, {f"validation/{n}": x for n, x in scores.items()})
            if scores or "validation_error" in line:
                line["scores"] = scores
                self.lines.write(line)
        self.saved.score(self.done, score, metrics.finite(line) if "scores" in line else None)
