"""Many sequences in lockstep on the device: the result files of a one-pass run, sooner."""

import functools
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from siamjax import models
from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import REGION, START, Run
from siamjax.errors import UserError
from siamjax.evaluation import runner
from siamjax.evaluation.protocols import published_start
from siamjax.models import folding
from siamjax.tracking import TrackerConfig
from siamjax.tracking.rollout import Clip, track_clips

PROTOCOLS = ("ope", "longterm")


def run(benchmark: Benchmark, name: str, config, variables, out: Path, batch: int) -> None:
    """Writes the missing result files of a SiamRPN++ tracker, `batch` sequences at a time.

    The tracker computes in float32 on the device here, in float64 on the host elsewhere; boxes
    agree to a fraction of a pixel until a near tie is decided otherwise. A frame's time is the
    batch's wall-clock time over its frames, reading included: throughput, not latency.

    Args:
        config, variables: of the network, as checkpoints hold them.
        out: folder of the evaluation, as `runner.evaluate` takes it.

    Raises:
        UserError: a protocol that starts trackers again, whose sequences cannot go in lockstep.
    """
    if benchmark.protocol not in PROTOCOLS:
        raise UserError(
            f"--batch: the protocol {benchmark.protocol} starts trackers again, so its sequences"
            " cannot run in lockstep; use --workers"
        )
    runs = functools.partial(_runs, benchmark.protocol, config, variables, batch)
    runner.write_missing(benchmark, name, runs, out)


def _runs(protocol, config, variables, batch, jobs) -> Iterator:
    model, folded = folding.fold(models.build(config), variables)
    clips = [Clip(s.frames, published_start(s.boxes[0]), f"{s.name}: box") for s, _ in jobs]
    tracks = track_clips(model, TrackerConfig.of(config), folded, clips, batch=batch)
    before = time.perf_counter()
    while finished := list(itertools.islice(tracks, batch)):
        now = time.perf_counter()
        seconds = (now - before) / sum(len(track.scores) for _, track in finished)
        before = now
        for index, track in finished:
            count = len(track.scores)
            codes = np.full(count, REGION, np.int8)
            regions, scores = track.boxes.copy(), track.scores.copy()
            scores[0] = np.nan
            if protocol == "longterm":
                codes[0], regions[0] = START, np.nan
            run = Run(regions, codes, scores, np.full(count, seconds), np.zeros(count))
            yield *jobs[index], run
