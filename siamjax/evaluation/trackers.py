"""The trackers of an evaluation, run and never mixed up."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from siamjax import api
from siamjax import constants as settable
from siamjax.datasets.registry import Benchmark
from siamjax.errors import UserError
from siamjax.evaluation import claims, protocols, runner, scoring, specs
from siamjax.evaluation.runner import Failed, Shard
from siamjax.evaluation.scoring import Scores
from siamjax.evaluation.specs import Spec
from siamjax.files import remove_partials
from siamjax.locks import Lock


def run_trackers(
    benchmark: Benchmark,
    out: str | Path,
    checkpoint: str | Path | None = None,
    baselines: Sequence[str] = (),
    name: str = "siamjax",
    constants: Mapping[str, float] | None = None,
    **settings: Any,
) -> tuple[Scores, dict[str, Path]]:
    """Runs a checkpoint's tracker and others on a benchmark and scores them; what is done is
    skipped.

    Args:
        out: folder; gets results/ and times/.
        checkpoint: training folder, checkpoint or .npz; None: the others alone.
        baselines: as `--tracker` takes them.
        name: of the checkpoint's tracker.
        constants: of siamjax's trackers, fields of the config's section `tracker` to replace.
        **settings: of `run`.

    Returns:
        The scores, and the folder of each tracker's result files by its name.

    Raises:
        TrackersFailed: at the end, when everything else was run.
        UserError: as `run`.
    """
    chosen = select(checkpoint, baselines, name, constants)
    results, failed = run(benchmark, out, chosen, **settings)
    if failed:
        raise runner.TrackersFailed(failed)
    return scoring.score(benchmark, results, Path(out) / "times"), results


def select(
    checkpoint: str | Path | None,
    others: Sequence[str] = (),
    name: str = "siamjax",
    constants: Mapping[str, float] | None = None,
    baselines: Sequence[str] = (),
) -> list[Spec]:
    """The trackers that flags name, in their order.

    Args:
        checkpoint, name: of siamjax's tracker; None: only others.
        others: as `siamjax.evaluation.specs.parse` takes them.
        constants: for all of siamjax's own among them.
        baselines: more others, of the flag --baselines.

    Raises:
        UserError: as `specs.parse`; two of one name; none; constants without a tracker of
            siamjax's.
    """
    chosen = [] if checkpoint is None else [specs.of_checkpoint(checkpoint, name, constants)]
    given = [("--tracker", text) for text in others]
    given += [("--baselines", text) for text in baselines]
    chosen += [specs.parse(text, constants, flag) for flag, text in given]
    if not chosen:
        raise UserError(
            "nothing to evaluate: give --tracker=SPEC (--tracker=help lists them),"
            " --checkpoint=FILE or --results=DIR"
        )
    names = [spec.name for spec in chosen]
    for each in names:
        runner.check_name(each)
    for i, each in enumerate(names):
        if each in names[:i]:
            flag, text = given[i - len(names)]
            raise UserError(
                f"{flag}={text}: two trackers are called {each}; name this one:"
                f" --tracker=NAME={specs.unnamed(text)}"
            )
    if constants and all(spec.checkpoint is None for spec in chosen):
        raise UserError(
            f"--set {next(iter(constants))}: has no effect on {', '.join(names)}; the constants"
            f" {', '.join(settable.RANGES)} are those of siamjax's tracker"
        )
    return chosen


def run(
    benchmark: Benchmark,
    out: str | Path,
    chosen: Sequence[Spec],
    *,
    repetitions: int = 1,
    realtime: float | None = None,
    workers: int = 0,
    batch: int = 0,
    shard: Shard = runner.WHOLE,
) -> tuple[dict[str, Path], list[Failed]]:
    """Runs trackers on a benchmark; what is done is skipped.

    Args:
        out: folder; gets results/ and times/.
        repetitions, workers: see `siamjax.evaluation.runner.run`.
        realtime: frames per second of the camera, for the real-time variant of the protocol; the
            trackers' names then end in "@<rate>fps".
        batch: sequences that siamjax's trackers follow in lockstep on each device; 0: one after
            the other on the host.
        shard: the part that this call runs, while others run theirs into the same folder.

    Returns:
        The folder of each tracker's result files by its name, and the runs that failed.

    Raises:
        UserError: a tracker that cannot be made, results of another tracker in `out`, another call
            that runs the same part.
    """
    out = Path(out)
    suffix = "" if realtime is None else f"@{realtime:g}fps"
    if batch and realtime is not None:
        raise UserError("--realtime measures single frames: leave out --batch")
    if batch and all(spec.checkpoint is None for spec in chosen):
        raise UserError("--batch: follows siamjax's own trackers, and none is among these")
    failed: list[Failed] = []
    with _alone(out, shard):
        if shard.count == 1:  # else other processes write there
            _tidy(out, [spec.name + suffix for spec in chosen])
        for spec in chosen:
            claims.claim(out, spec.name + suffix, spec.identity, spec.code, shard.count == 1)
        for spec in chosen:
            name, make = spec.name + suffix, spec.make
            if batch and spec.checkpoint is not None:
                from siamjax.evaluation import batched

                config, variables = api.load_variables(spec.checkpoint, spec.constants)
                failed += batched.run(benchmark, name, config, variables, out, batch, shard)
                continue
            if realtime is not None:
                make = functools.partial(_in_real_time, make, realtime)
            failed += runner.run(
                benchmark,
                {name: make},
                out,
                repetitions=repetitions,
                workers=workers,
                shard=shard,
            )
    return {spec.name + suffix: out / "results" / (spec.name + suffix) for spec in chosen}, failed


def _tidy(out: Path, names: Sequence[str]) -> None:
    """Removes what killed processes left."""
    remove_partials(out / "results")
    for name in names:
        for kind in ("results", "checksums", "times", "failures"):
            folder = out / kind / name
            remove_partials(folder, *filter(Path.is_dir, folder.rglob("*")))


def _in_real_time(make: runner.Factory, fps: float) -> protocols.RealTime:
    return protocols.RealTime(make(), fps)


@contextlib.contextmanager
def _alone(out: Path, shard: Shard) -> Iterator[None]:
    """Holds a part of an evaluation; parts of one division go together.

    Raises:
        UserError: another process runs this part, or a part of another division.
    """

    def lock(index: int, count: int) -> Lock:
        name = f".part-{index}-of-{count}.lock"
        return Lock(out, name, "wait for it to end, or choose another --out")

    with lock(shard.index, shard.count):
        for path in out.glob(".part-*-of-*.lock"):
            _, index, _, count = path.stem.split("-")
            if int(count) != shard.count:
                lock(int(index), int(count)).close()
        yield
