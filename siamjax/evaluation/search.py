"""Search of the tracker's three constants on a validation set.

All settings are first compared with snapped windows (`siamjax.evaluation.lockstep`), which moves
scores by about a hundredth, and then the best few of them without; the best of these is the result.
An exact search leaves the first round out.

The score is the success AUC of one-pass runs, whatever the benchmark's own protocol.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from siamjax import compile_cache
from siamjax.datasets.dataset import Dataset
from siamjax.datasets.registry import Benchmark
from siamjax.errors import UserError
from siamjax.evaluation.canvas import save_png
from siamjax.evaluation.lockstep import NAMES, Lockstep
from siamjax.files import write_whole
from siamjax.locks import Lock
from siamjax.measures import ope

FINALISTS = 6  # settings that are compared again without snapping


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values to combine; 60 settings by default."""

    penalty_k: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.3)
    window_influence: tuple[float, ...] = (0.3, 0.4, 0.45, 0.5)
    lr: tuple[float, ...] = (0.25, 0.35, 0.45)

    def settings(self) -> np.ndarray:
        """(K, 3) penalty_k, window_influence, lr of every combination, the last fastest."""
        return np.array(list(itertools.product(*(getattr(self, name) for name in NAMES))))

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many values of penalty_k, window influence and lr."""
        return len(self.penalty_k), len(self.window_influence), len(self.lr)


def check_dataset(dataset: Dataset, allow_test: bool) -> None:
    """Refuses a test benchmark.

    Raises:
        UserError: it is one, and not allowed.
    """
    if dataset.test and not allow_test:
        raise UserError(
            f"--dataset={dataset.name} is a test benchmark: constants found on it do not carry"
            " over; search on GOT-10k-val, synthetic or folder, or say --allow_test"
        )


def search(
    benchmark: Benchmark,
    config,
    variables,
    out: str | Path,
    grid: Grid | None = None,
    identity: str = "",
    allow_test: bool = False,
    exact: bool = False,
    progress: bool = True,
) -> dict:
    """Scores every setting of a grid and writes what was found.

    Each sequence's scores go to a file of their own, so an interrupted search resumes. At the end
    `search.json` holds all scores, `best.txt` the best setting as arguments, `heatmap.png` the
    score over the grid.

    Args:
        identity: differs between checkpoints, so that scores of two are never mixed.
        allow_test: search on a test benchmark all the same; its scores then say nothing about
            other videos.
        exact: no snapped windows: slower, and all scores are those of single runs.

    Returns:
        What search.json holds.

    Raises:
        UserError: a test benchmark, another grid or checkpoint in `out`, another process that
            searches there, nowhere to write.
    """
    check_dataset(benchmark.dataset, allow_test)
    compile_cache.enable()
    grid, out = grid or Grid(), Path(out)
    with Lock(out, fix="wait for it to end, or choose another --out"):
        return _search(benchmark, config, variables, out, grid, identity, exact, progress)


def _search(benchmark, config, variables, out: Path, grid: Grid, identity, exact, progress) -> dict:
    settings = grid.settings()
    compare = functools.partial(_mean_scores, benchmark, config, variables, identity, progress)
    mean = compare(settings, not exact, out / "sequences")
    finalists, final = np.arange(len(settings)), mean
    if not exact:
        finalists = np.sort(np.argsort(-mean, kind="stable")[:FINALISTS])
        # other sequences may have other finalists
        name = hashlib.sha256(str(finalists).encode()).hexdigest()[:8]
        final = compare(settings[finalists], False, out / "finalists" / name)
    rows = [
        {**dict(zip(NAMES, setting)), "score": score}
        for setting, score in zip(settings[finalists].tolist(), final.tolist(), strict=True)
    ]
    found: dict[str, Any] = {
        "dataset": benchmark.title,
        "sequences": [len(benchmark.sequences), benchmark.total],
        "measure": "success_auc",
        "best": rows[int(np.argmax(final))],
        "grid": {name: list(getattr(grid, name)) for name in NAMES},
        "exact": exact,
        "scores": mean.reshape(grid.shape).tolist(),
        "finalists": [] if exact else rows,
    }
    _write(out, grid, benchmark, found)
    return found


def _write(out: Path, grid: Grid, benchmark: Benchmark, found: dict) -> None:
    write_whole(out / "search.json", json.dumps(found, indent=1) + "\n")
    write_whole(out / "best.txt", arguments(found["best"]))
    _heat_map(out / "heatmap.png", grid, np.array(found["scores"]), benchmark)


def _mean_scores(
    benchmark, config, variables, identity, progress, settings, snap, folder
) -> np.ndarray:
    """(K,) mean scores of settings over a benchmark; what stands in the folder is not run again."""
    key = hashlib.sha256(f"{identity} {snap} {settings.tolist()}".encode()).hexdigest()
    lockstep = functools.cache(lambda: Lockstep(config, variables, snap))
    name = f"{len(settings)} settings{', windows snapped' if snap else ''}"
    total = sum(map(len, benchmark.sequences))
    rows = []
    with tqdm(desc=name, total=total, unit="frame", disable=not progress) as bar:
        for sequence in benchmark.sequences:
            path = folder / f"{sequence.name}.json"
            values = _read(path, key)
            if values is None:
                curves = (
                    ope.of_run(sequence, track) for track in lockstep().track(sequence, settings)
                )
                values = [ope.summary(curve)["success_auc"] for curve in curves]
                write_whole(path, json.dumps({"key": key, "success_auc": values}) + "\n")
            rows.append(values)
            bar.update(len(sequence))
    return np.mean(rows, 0)


def arguments(best: dict) -> str:
    """The setting as arguments: of run_train.py's config, and of run_eval.py."""
    config = " ".join(f"--config.tracker.{name}={best[name]:g}" for name in NAMES)
    chosen = ",".join(f"{name}={best[name]:g}" for name in NAMES)
    return f"{config}\n--set={chosen}\n"


def _read(path: Path, key: str) -> list[float] | None:
    if not path.is_file():
        return None
    try:
        saved = json.loads(path.read_text())
        known, values = saved["key"], [float(value) for value in saved["success_auc"]]
    except (OSError, ArithmeticError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run again") from None
    if known != key:
        raise UserError(
            f"{path.parents[1]}: holds a search with another grid or checkpoint;"
            " choose another --out or delete it"
        )
    return values


def _heat_map(path: Path, grid: Grid, scores: np.ndarray, benchmark: Benchmark) -> None:
    """One panel per lr: success AUC over penalty_k and window_influence."""
    figure = Figure(figsize=(1.5 + 2.6 * len(grid.lr), 3.4), layout="constrained")
    panels = figure.subplots(1, len(grid.lr), squeeze=False)[0]
    for panel, lr, values in zip(panels, grid.lr, np.moveaxis(scores, 2, 0), strict=True):
        image: Any = panel.imshow(values, vmin=scores.min(), vmax=scores.max(), origin="lower")
        for axis, ticks in ((panel.xaxis, grid.window_influence), (panel.yaxis, grid.penalty_k)):
            axis.set_ticks(range(len(ticks)), [f"{value:g}" for value in ticks])
        panel.set(title=f"lr {lr:g}", xlabel="window influence", ylabel="penalty_k")
        for (row, column), value in np.ndenumerate(values):
            panel.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=6, color="w")
    figure.colorbar(image, ax=panels.tolist(), label="success AUC")
    figure.suptitle(f"{benchmark.title}: {benchmark.count}", fontsize=10)
    save_png(figure, path)


def parse_values(flag: str, text: str) -> tuple[float, ...]:
    """Comma-separated numbers, for the grid.

    Raises:
        UserError: not numbers, or none.
    """
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UserError(
            f"--{flag}={text}: give comma-separated numbers, for example 0.05,0.1"
        ) from None
