"""Many sequences in lockstep on the device: the result files of a one-pass run, sooner."""

import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from siamjax import models
from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import REGION, START, Run, Store, write_times
from siamjax.errors import UserError
from siamjax.evaluation.protocols import published_start
from siamjax.evaluation.runner import times_path
from siamjax.models import folding
from siamjax.tracking import TrackerConfig
from siamjax.tracking.rollout import Clip, track_clips

PROTOCOLS = ("ope", "longterm")


def run(
    benchmark: Benchmark,
    name: str,
    config,
    variables,
    out: Path,
    batch: int,
    progress: bool = True,
) -> None:
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
    store = Store(out / "results", benchmark.dataset)
    missing = [s for s in benchmark.sequences if not store.done(name, s)]
    if not missing:
        return
    model, folded = folding.fold(models.build(config), variables)
    clips = [Clip(s.frames, published_start(s.boxes[0])) for s in missing]
    tracks = track_clips(model, TrackerConfig.of(config), folded, clips, batch=batch)
    total = sum(map(len, missing))
    before = time.perf_counter()
    unfinished: list[tuple] = []
    with tqdm(total=total, desc=f"{name} x{batch}", unit="frame", disable=not progress) as bar:
        for index, track in tracks:
            unfinished.append((missing[index], track))
            if len(unfinished) == batch:
                before = _write(store, name, out, unfinished, before, bar)
        _write(store, name, out, unfinished, before, bar)


def _write(store: Store, name: str, out: Path, finished: list[tuple], before: float, bar) -> float:
    """Writes the runs of a batch and empties the list; the time from which the next one counts."""
    now = time.perf_counter()
    frames = sum(len(sequence) for sequence, _ in finished)
    for sequence, track in finished:
        count = len(sequence)
        codes = np.full(count, REGION, np.int8)
        regions, scores = track.boxes.copy(), track.scores.copy()
        scores[0] = np.nan
        if store.dataset.protocol == "longterm":
            codes[0], regions[0] = START, np.nan
        seconds = np.full(count, (now - before) / frames)
        run = Run(regions, codes, scores, seconds, np.zeros(count))
        write_times(times_path(out / "times", name, sequence), run)
        store.write(name, sequence, run)
        bar.update(count)
    finished.clear()
    return now
