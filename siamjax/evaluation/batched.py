"""Many sequences in lockstep on the devices: the result files of a one-pass run, sooner."""

import functools
import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import jax
import numpy as np

from siamjax import compile_cache, models
from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import REGION, START, Run
from siamjax.errors import UserError
from siamjax.evaluation import runner
from siamjax.evaluation.attempts import Failure, Job, Outcome, failure
from siamjax.evaluation.protocols import start_box
from siamjax.models import folding
from siamjax.tracking import TrackerConfig
from siamjax.tracking.decode import NOT_FINITE
from siamjax.tracking.rollout import Clip, Track, track_clips

PROTOCOLS = ("ope", "longterm")


def check_protocol(benchmark: Benchmark) -> None:
    """Refuses protocols whose sequences cannot go in lockstep.

    Raises:
        UserError: the protocol starts trackers again.
    """
    if benchmark.protocol not in PROTOCOLS:
        raise UserError(
            f"--batch: the protocol {benchmark.protocol} starts trackers again, so its sequences"
            " cannot run in lockstep; use --workers"
        )


def run(
    benchmark: Benchmark,
    name: str,
    config,
    variables,
    out: Path,
    batch: int,
    shard: runner.Shard = runner.WHOLE,
) -> list[runner.Failed]:
    """Writes the missing result files of a SiamRPN++ tracker, `batch` sequences at a time on each
    of this machine's devices; the runs that failed.

    The tracker computes in float32 on the device here, in float64 on the host elsewhere; boxes
    agree to a fraction of a pixel until a near tie is decided otherwise. A frame's time is the
    wall-clock time over the frames of all devices, reading included: throughput, not latency.

    Args:
        config, variables: of the network, as checkpoints hold them.
        out: folder of the evaluation, as `runner.evaluate` takes it.
        shard: the part to run.

    Raises:
        UserError: as `check_protocol`.
    """
    check_protocol(benchmark)
    runs = functools.partial(_runs, benchmark.protocol, config, variables, batch)
    return runner.write_missing(benchmark, name, runs, out, shard=shard)


def _runs(protocol, config, variables, batch, jobs: list[Job]) -> Iterator[tuple[Job, Outcome]]:
    compile_cache.enable()
    model, folded = folding.fold(models.build(config), variables)
    groups = _groups(jobs, batch)
    devices = jax.local_devices()[: len(groups)]
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()  # the weights of each device at rest
    for device in devices:
        free.put(jax.device_put(folded, device))
    follow = functools.partial(_follow, model, TrackerConfig.of(config), batch, free)
    with ThreadPoolExecutor(len(devices)) as pool:
        try:
            for future in as_completed([pool.submit(follow, group) for group in groups]):
                found, seconds = future.result()
                for job, track in found:
                    if isinstance(track, Failure):
                        yield job, track
                    else:
                        yield job, _run(protocol, track, seconds / len(devices))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _groups(jobs: list[Job], batch: int) -> list[list[Job]]:
    """Sequences of similar frame size and length together, the longest first."""

    def likeness(job: Job) -> tuple:
        try:
            return job[0].size, len(job[0])
        except UserError:  # no first image; it is named when the sequence is tracked
            return (0, 0), len(job[0])

    ordered = sorted(jobs, key=likeness)
    groups = [ordered[first : first + batch] for first in range(0, len(ordered), batch)]
    return sorted(groups, key=lambda group: -len(group[-1][0]))


def _follow(model, config, batch, free, jobs: list[Job]):
    """The tracks of a batch on the next device that is free, and its seconds per frame."""
    variables = free.get()
    before = time.perf_counter()
    try:
        found = _tracks(model, config, batch, variables, jobs)
    finally:
        free.put(variables)
    frames = sum(len(track.scores) for _, track in found if isinstance(track, Track))
    return found, (time.perf_counter() - before) / max(frames, 1)


def _tracks(model, config, batch, variables, jobs) -> list[tuple[Job, Track | Failure]]:
    try:
        clips = [Clip(s.frames, start_box(config, s.boxes[0]), f"{s.name}: box") for s, _ in jobs]
        found = dict(track_clips(model, config, variables, clips, batch=batch))
    except UserError as error:  # which of the clips: each alone
        if len(jobs) == 1:
            return [(jobs[0], failure(error))]
        one = functools.partial(_tracks, model, config, batch, variables)
        return [outcome for job in jobs for outcome in one([job])]
    return [(job, _checked(found[i])) for i, job in enumerate(jobs)]


def _checked(track: Track) -> Track | Failure:
    """The track; a failure where the network's answer was not finite."""
    finite = np.isfinite(track.boxes).all(1) & np.isfinite(track.scores)
    if finite.all():
        return track
    return Failure(NOT_FINITE, int(np.argmin(finite)))


def _run(protocol: str, track: Track, seconds: float) -> Run:
    count = len(track.scores)
    codes = np.full(count, REGION, np.int8)
    regions, scores = track.boxes.copy(), track.scores.copy()
    scores[0] = np.nan
    if protocol == "longterm":
        codes[0], regions[0] = START, np.nan
    return Run(regions, codes, scores, np.full(count, seconds), np.zeros(count))
