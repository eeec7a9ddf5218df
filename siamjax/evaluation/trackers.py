"""The trackers of an evaluation: made from checkpoints and baselines, run, and never mixed up."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siamjax import api
from siamjax.datasets.registry import Benchmark
from siamjax.errors import UserError
from siamjax.evaluation import baselines as known
from siamjax.evaluation import protocols, runner
from siamjax.evaluation.scoring import Scores
from siamjax.files import write_whole


def run_trackers(
    benchmark: Benchmark,
    out: str | Path,
    checkpoint: str | Path | None = None,
    baselines: Sequence[str] = (),
    name: str = "siamjax",
    repetitions: int = 1,
    realtime: float | None = None,
    workers: int = 0,
    batch: int = 0,
    constants: Mapping[str, float] | None = None,
) -> tuple[Scores, dict[str, Path]]:
    """Runs a checkpoint's tracker and baselines on a benchmark; what is done is skipped.

    Args:
        out: folder; gets results/ and times/.
        checkpoint: training folder, checkpoint or .npz; None: baselines alone.
        baselines: names that `siamjax.evaluation.baselines.make` takes.
        name: of the checkpoint's tracker.
        repetitions, workers: see `siamjax.evaluation.runner.evaluate`.
        realtime: frames per second of the camera, for the real-time variant of the protocol; the
            trackers' names then end in "@<rate>fps".
        batch: sequences that the checkpoint's tracker follows in lockstep on the device; 0: one
            after the other on the host.
        constants: fields of the config's section `tracker` to replace.

    Returns:
        The scores, and the folder of each tracker's result files by its name.

    Raises:
        UserError: an unknown baseline, no such checkpoint, results of another checkpoint in `out`.
    """
    out, constants = Path(out), dict(sorted((constants or {}).items()))
    trackers: dict[str, runner.Factory] = {}
    if checkpoint is not None:
        checkpoint = str(checkpoint)
        trackers[name] = functools.partial(from_checkpoint, checkpoint, constants)
    trackers |= _baselines(baselines, trackers)
    if realtime is not None:
        trackers = {
            f"{key}@{realtime:g}fps": functools.partial(_in_real_time, make, realtime)
            for key, make in trackers.items()
        }
    if checkpoint is not None:
        name = next(iter(trackers))
        claim(out, name, f"{checkpoint_identity(checkpoint)} {tuple(constants.items())}")
        if batch:
            if realtime is not None:
                raise UserError("--realtime measures single frames: leave out --batch")
            from siamjax.evaluation import batched

            batched.run(benchmark, name, *api.load_variables(checkpoint, constants), out, batch)
    scores = runner.evaluate(benchmark, trackers, out, repetitions=repetitions, workers=workers)
    return scores, {tracker: out / "results" / tracker for tracker in trackers}


def _baselines(names: Sequence[str], others: Mapping[str, Any]) -> dict[str, runner.Factory]:
    for name in names:
        known.make(name)  # an unknown name is refused before anything runs
        if name in others:
            raise UserError(f"--name={name}: a baseline is called so; choose another name")
    if not names and not others:
        raise UserError(
            "nothing to evaluate: give --checkpoint=FILE, --baselines=static,template_matching,mil"
            " or --results=DIR"
        )
    return {name: functools.partial(known.make, name) for name in names}


def _in_real_time(make: runner.Factory, fps: float) -> protocols.RealTime:
    return protocols.RealTime(make(), fps)


def from_checkpoint(path: str, constants: Mapping[str, float]) -> protocols.Tracker:
    """A checkpoint's tracker.

    Raises:
        UserError: as `siamjax.load`.
    """
    return api.load(path, constants=constants)


def checkpoint_identity(path: str | Path) -> str:
    """What tells one checkpoint from another: the digest of a file, or of a folder's file names and
    sizes.

    Raises:
        UserError: no such file or folder.
    """
    path = api.training_folder(path)
    if not path.exists():
        raise UserError(f"--checkpoint={path}: no such file or folder")
    digest = hashlib.sha256()
    for file in (path, path / "config.json"):
        if file.is_file():
            digest.update(file.read_bytes())
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    for file in filter(Path.is_file, sorted(folder.rglob("*"))):
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode())
    return digest.hexdigest()


def claim(out: Path, name: str, identity: str) -> None:
    """Records whose results a folder holds, so that those of two checkpoints are never mixed under
    one name.

    Raises:
        UserError: it holds those of another checkpoint.
    """
    path = out / "results" / f"{name}.json"
    if path.is_file() and json.loads(path.read_text())["checkpoint"] != identity:
        raise UserError(
            f"{path.with_suffix('')}: holds results of another checkpoint;"
            " choose another --out or --name, or delete it"
        )
    write_whole(path, json.dumps({"checkpoint": identity}) + "\n")
