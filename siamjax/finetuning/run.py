"""The steps of a fine-tuning, each of which a resumed one skips when it is done."""

import dataclasses
import itertools
import json
import math
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ml_collections

from siamjax import api, files, locks
from siamjax.config import load_config, to_json
from siamjax.data import index
from siamjax.datasets import folder as own_videos
from siamjax.datasets import registry
from siamjax.datasets.registry import Benchmark
from siamjax.errors import UserError
from siamjax.evaluation import report, scoring, trackers
from siamjax.evaluation.scoring import Scores
from siamjax.finetuning import pictures, plan
from siamjax.finetuning.plan import Plan
from siamjax.media import labels
from siamjax.media.labels import check
from siamjax.training import metrics
from siamjax.training.loop import train
from siamjax.wording import counted, first

OF_NETWORK = ("model", "anchors", "crops", "tracker")  # sections taken from the checkpoint
OF_MAP = ("presence", "presence_low", "presence_high")  # but these stay the experiment's
BEFORE, AFTER = "before", "after"
_PROBE_STEPS = 8  # of the training that measures the speed
_PROBE_FRAMES = 20
_SHOWN = 3  # labels that look wrong
_PLANNED = 0.9  # share of the time for training that is planned
_SPARE = 0.1  # share of all time for saving, loading and reporting

Say = Callable[[str], None]
# (names of videos, folder of the shards, section `crops` of the config) -> shards
Prepare = Callable[[Sequence[str], Path, ml_collections.ConfigDict], None]


class Finetuning:
    """One run in a folder.

    Attributes:
        out: its folder: labels.html, shards/, train/, evaluation/.
        plan: what it does.
        without: names of the videos that cannot be used: less than two boxes, or no frames.
        map_left_out: the checkpoint has a map of presence, which is of its own weights.
    """

    def __init__(
        self,
        folder: Path,
        out: Path,
        new: Plan,
        experiment: str = "finetune",
        overrides: Sequence[str] = (),
    ):
        """Reads the labels and the checkpoint; nothing is written.

        Args:
            folder: the videos and their labels.
            new: with the folder's videos still unknown.
            experiment, overrides: as `siamjax.config.load_config` takes them.

        Raises:
            UserError: nothing to train on; `out` belongs to another run.
        """
        self.started = time.monotonic()
        self.folder, self.out = folder, out
        read = labels.read(folder)
        videos = [video for video in read if video.has_frames and video.boxes > 1]
        self.without = [video.name for video in read if video not in videos]
        if not videos:
            raise UserError(f"{folder}: no video with labels; siamjax labels {folder} looks at it")
        self.videos = videos
        given = load_config(experiment, overrides)
        new = dataclasses.replace(new, config=json.loads(to_json(given)))
        stored, _ = api.load_variables(new.checkpoint)
        self.map_left_out = bool(stored.tracker.get("presence"))
        self.config = _experiment(new, out, given, stored)
        names = [video.name for video in videos]
        trained, left_out = plan.split(names, self.config.finetune.left_out, new.seed)
        digests = {video.name: video.digest() for video in videos}
        new = dataclasses.replace(new, trained=trained, left_out=left_out, labels=digests)
        old = plan.read(out)
        if old is not None:
            plan.check_same(old, new, out)
            minutes = old.minutes if old.finished else new.minutes
            new = dataclasses.replace(old, minutes=minutes, config=new.config)
        elif out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
            raise UserError(f"--out={out}: holds something else; give another --out")
        self.plan = new

    def run(self, prepare: Prepare, say: Say = print) -> Scores | None:
        """Does what is not done yet.

        Args:
            prepare: makes the shards, unless they are there.
            say: takes a line at the beginning of each step.

        Returns:
            Of the trackers `BEFORE` and `AFTER` on the videos left out; None: there are none.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; the same command resumes.
            UserError: what the user has to change.
        """

        def told(step: str, done: bool) -> None:
            say(f"{step}: done before" if done else step)

        with locks.Lock(self.out, fix="wait for it to end, or give another --out"):
            if self.without:
                say(f"left aside, less than two boxes or no frames: {first(self.without)}")
            trained = counted(len(self.plan.trained), "video")
            counts = f"{trained} to train on, {len(self.plan.left_out)} not"
            say(f"1/4 labels: {counts} -> {self.out / 'labels.html'}")
            if self.plan.finished:
                say(f"finished before, with --minutes={self.plan.minutes:g}: its result is shown")
            self._keep()
            faults = {video.name: check.faults(video) for video in self.videos}
            page = pictures.page(self.videos, faults, self.plan.left_out)
            files.write_whole(self.out / "labels.html", page)
            for line in check.to_look_at(list(itertools.chain(*faults.values())), _SHOWN):
                say(f"  {line}")
            prepare(self.plan.trained, self.out / "shards", self.config.crops)
            for reason, count in index.read_manifest(self.out / "shards")["skipped"].items():
                say(f"  skipped, {reason}: {count}")
            benchmark = self._benchmark()
            if not (self.plan.speed or self.plan.steps):
                self._measure()
            if not self.plan.steps:
                self._steps()  # before more time is spent
            if benchmark is not None:
                targets = counted(len(benchmark.sequences), "target")
                told(f"2/4 tracking {targets} before training", self.plan.tracking > 0)
                self._track(benchmark, self.plan.checkpoint, BEFORE)
            if not self.plan.steps:
                self._keep(steps=self._steps())
            steps = counted(self.plan.steps, "step")
            told(f"3/4 training {steps} -> {self.out / 'train'}", self._done())
            if not self._done():
                self._train()
            scores = None
            if benchmark is not None:
                told("4/4 tracking after training", self.plan.finished)
                self._track(benchmark, self.out / "train", AFTER)
                scores = self._score(benchmark)
            self._keep(finished=True)
            return scores

    @property
    def _end_of_training(self) -> float:
        """By `time.monotonic()`."""
        return self.started + 60 * self.plan.minutes * (1 - _SPARE) - self.plan.tracking

    def _keep(self, **changes) -> None:
        self.plan = dataclasses.replace(self.plan, **changes)
        self.plan.write(self.out)

    def _benchmark(self) -> Benchmark | None:
        """The targets of the videos that were left out, as long as there is time for."""
        left_out = (video for video in self.videos if video.name in self.plan.left_out)
        names = [name for video in left_out for name in own_videos.named(video)]
        if not names:
            return None
        benchmark = registry.load("folder", self.folder, names)
        if not self.plan.frames:
            seconds = _seconds_per_frame(benchmark, self.plan.checkpoint)
            share = self.config.finetune.evaluation * 60 * self.plan.minutes / 2
            self._keep(frames=max(2, int(share / seconds / len(names))))
        cut = tuple(s.first(min(self.plan.frames, len(s))) for s in benchmark.sequences)
        return dataclasses.replace(benchmark, sequences=cut)

    def _track(self, benchmark: Benchmark, checkpoint: str | Path, name: str) -> None:
        """Tracks the videos that were left out."""
        begun = time.monotonic()
        chosen = trackers.select(checkpoint, name=name)
        _, failed = trackers.run(benchmark, self.out / "evaluation", chosen)
        if failed:
            raise UserError(f"tracking failed: {failed[0]}")
        taken = time.monotonic() - begun
        if taken > self.plan.tracking:
            self._keep(tracking=taken)

    def _score(self, benchmark: Benchmark) -> Scores:
        place = self.out / "evaluation"
        results = {name: place / "results" / name for name in (BEFORE, AFTER)}
        scores = scoring.score(benchmark, results, place / "times")
        report.write(place, scores, benchmark, results)
        return scores

    def _measure(self) -> None:
        """Trains a few steps for their speed."""
        probe = self.out / "probe"
        shutil.rmtree(probe, ignore_errors=True)
        made = train(self._with_steps(_PROBE_STEPS, epochs=1, log_every=1, mirror=""), probe)
        if made["stopped"]:
            raise KeyboardInterrupt
        speeds = [line.get("pairs_per_s") for line in metrics.read_lines(probe / "metrics.jsonl")]
        shutil.rmtree(probe)
        self._keep(speed=statistics.median(filter(None, speeds)))

    def _steps(self) -> int:
        """As many as the time allows.

        Raises:
            UserError: too few; names the minutes that are enough.
        """
        left = self._end_of_training - time.monotonic()
        settings, parts = self.config.finetune, self.config.train.epochs
        per_step = self.config.train.batch_size / self.plan.speed / _PLANNED
        steps = min(settings.most, max(0, int(left / per_step)))
        steps -= steps % parts
        if steps < settings.least:
            needed = math.ceil(settings.least / parts) * parts * per_step
            raise UserError(
                f"--minutes={self.plan.minutes:g}: there is time for {steps} steps at"
                f" {self.plan.speed:.1f} pairs/s, {settings.least} are needed; the same command"
                f" with --minutes={self._minutes(needed)} resumes this one"
            )
        return steps

    def _minutes(self, training: float) -> int:
        """Whole minutes that are enough for so many seconds of training."""
        fixed, share = time.monotonic() - self.started + training, 1 - _SPARE
        if self.plan.tracking or not self.plan.left_out:
            fixed += self.plan.tracking
        else:
            share -= self.config.finetune.evaluation
        return math.ceil(fixed / 60 / max(share, _SPARE))

    def _with_steps(self, steps: int, **fields) -> ml_collections.ConfigDict:
        config = self.config.copy_and_resolve_references()
        config.train.update(fields)
        config.data.pairs_per_epoch = steps // config.train.epochs * config.train.batch_size
        return config

    def _done(self) -> bool:
        return self.plan.finished or (self.out / "evaluation" / "results" / AFTER).is_dir()

    def _train(self) -> None:
        """Trains until the end of the plan or of the time, whichever comes first; as many steps as
        are worth a measurement in any case.

        Raises:
            KeyboardInterrupt: it was stopped.
        """
        until, least = self._end_of_training, self.config.finetune.least
        config = self._with_steps(self.plan.steps)
        if train(config, self.out / "train", until=until, least=least)["stopped"]:
            raise KeyboardInterrupt


def _experiment(
    new: Plan, out: Path, config: ml_collections.ConfigDict, stored: ml_collections.ConfigDict
) -> ml_collections.ConfigDict:
    """The experiment of the training, on the checkpoint's network, whose config is `stored`.

    Raises:
        UserError: it has no section `finetune`.
    """
    if "finetune" not in config:
        raise UserError("--config: an experiment like configs/finetune.py is needed")
    with config.unlocked():
        map_of_base = {name: config.tracker[name] for name in OF_MAP}
        for section in OF_NETWORK:
            config[section] = stored[section].copy_and_resolve_references()
        config.tracker.update(map_of_base)
        own = {"path": str(out.resolve() / "shards"), "frame_range": 100, "videos": 0}
        config.data.sources.own = ml_collections.ConfigDict(own)
    config.seed = new.seed
    config.train.init_from = new.checkpoint
    if new.backbone:
        config.train.unfreeze_layers = tuple(stored.train.unfreeze_layers)
    return config


def _seconds_per_frame(benchmark: Benchmark, checkpoint: str) -> float:
    """Of tracking, without compilation."""
    tracker = api.load(checkpoint)
    sequence = benchmark.sequences[0]
    count = min(len(sequence), _PROBE_FRAMES)
    tracker.init(sequence.frames[0], sequence.boxes[0])
    tracker.update(sequence.frames[min(1, count - 1)])
    begun = time.monotonic()
    for i in range(count):
        tracker.update(sequence.frames[i])
    return (time.monotonic() - begun) / count
