"""How much the tracker's constants matter: penalty, window, rate; the published models' were
searched."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from siamjax.datasets.registry import Benchmark
from siamjax.datasets.synthetic import Synthetic
from siamjax.errors import UserError, one_of
from siamjax.evaluation import search
from siamjax.evaluation.lockstep import NAMES
from siamjax.evaluation.style import MEDIA
from siamjax.measures.result import Figure
from siamjax.studies.found import Found, save
from siamjax.studies.runs import Run, Setting, Variant, lone
from siamjax.synthetic.video import ZOOM

CONFIG = "studies"
QUESTION = "How much do penalty, window and rate matter, and do their best values carry over?"
SOURCE = "The tracker of section 3; the published constants differ between data sets"
FIGURES = {
    "best": Figure("AUC, best of its own"),
    "carried": Figure("AUC, best of the other set"),
    "configured": Figure("AUC, as configured"),
    "penalty_k": Figure("range over penalty_k"),
    "window_influence": Figure("range over window"),
    "lr": Figure("range over lr"),
}
PUBLISHED = search.Grid(
    penalty_k=tuple(round(0.05 * i, 2) for i in range(1, 10)),
    window_influence=tuple(round(0.05 * i, 2) for i in range(2, 16)),
    lr=(0.35, 0.4, 0.45, 0.5),
)
GRIDS = {"small": search.Grid(), "published": PUBLISHED}


def variants(setting: Setting) -> list[Variant]:
    """One network: the narrow one, or a given checkpoint.

    Raises:
        UserError: an unknown grid, or other than two data sets.
    """
    if setting.flags["grid"] not in GRIDS:
        raise UserError(f"--grid={setting.flags['grid']}: {one_of(setting.flags['grid'], GRIDS)}")
    sets_of(setting)
    return lone(setting)


def sets_of(setting: Setting) -> tuple[Benchmark, ...]:
    """Two data sets: those given, else rendered clips, and such with larger changes of scale.

    Raises:
        UserError: one, or more than two, are given.
    """
    found = list({benchmark.name: benchmark for benchmark in setting.benchmarks}.values())
    if len(found) == 1 and found[0].name == "synthetic":
        found.append(zoomed(len(found[0].sequences)))
    if len(found) != 2:
        names = ",".join(benchmark.name for benchmark in found)
        raise UserError(f"--dataset={names}: constants are carried between two data sets; name two")
    return tuple(found)


def zoomed(clips: int) -> Benchmark:
    """Clips of the rendered test world whose targets change their size more."""
    dataset = Synthetic(
        name="synthetic zoom", total=clips, source="embedded", layout="", test=False, zoom=ZOOM
    )
    names = dataset.on_disk(Path())[:clips]
    return Benchmark(dataset, tuple(dataset.load(Path(), name) for name in names), clips, {})


def measure(run: Run) -> dict[str, dict[str, float]]:
    """What a set's best constants give there and on the other set, and each constant's range."""
    config, variables = run.load()
    grid = GRIDS[run.setting.flags["grid"]]
    surfaces = {}
    for benchmark in sets_of(run.setting):
        found = search.search(
            benchmark,
            config,
            variables,
            _folder(run, benchmark.name, grid),
            grid,
            identity=run.key,
            allow_test=True,  # nothing is chosen here to be used
        )
        surfaces[benchmark.name] = np.array(found["scores"])
    here = [config.tracker[name] for name in NAMES]
    near = tuple(
        int(np.abs(np.subtract(getattr(grid, n), v)).argmin()) for n, v in zip(NAMES, here)
    )
    return figures(surfaces, near)


def figures(
    surfaces: dict[str, np.ndarray], configured: Sequence[int]
) -> dict[str, dict[str, float]]:
    """The rows of two data sets.

    Args:
        surfaces: data set -> (penalties, windows, rates) AUC.
        configured: place in the grid that is nearest to the experiment's constants.
    """
    rows = {}
    best = {name: np.unravel_index(s.argmax(), s.shape) for name, s in surfaces.items()}
    for name, surface in surfaces.items():
        (other,) = surfaces.keys() - {name}
        row = {
            "best": float(surface.max()),
            "carried": float(surface[best[other]]),
            "configured": float(surface[tuple(configured)]),
        }
        for axis, constant in enumerate(NAMES):
            place: list[Any] = list(best[name])
            place[axis] = slice(None)
            row[constant] = float(np.ptp(surface[tuple(place)]))
        rows[name] = row
    return rows


def _folder(run: Run, name: str, grid: search.Grid) -> Path:
    clips = len(run.setting.benchmarks[0].sequences)
    size = int(np.prod(grid.shape))
    return run.folder / "search" / f"{name.replace(' ', '-')}-{clips}-{size}"


def finish(found: Found, runs: list[Run], folder: Path) -> None:
    """Draws the mean surfaces of both data sets, a panel per rate."""
    grid = GRIDS[runs[0].setting.flags["grid"]]
    means = {
        b.name: np.mean([_surface(_folder(run, b.name, grid)) for run in runs], 0)
        for b in sets_of(runs[0].setting)
    }
    save({"surface": functools.partial(_draw, means, grid)}, folder)


def _surface(folder: Path) -> np.ndarray:
    return np.array(json.loads((folder / "search.json").read_text())["scores"])


def _draw(means: dict[str, np.ndarray], grid: search.Grid) -> Canvas:
    medium = MEDIA["paper"]
    figure = Canvas(figsize=(1.0 + 1.5 * len(grid.lr), 1.7 * len(means)), layout="constrained")
    panels = figure.subplots(len(means), len(grid.lr), squeeze=False, sharex=True, sharey=True)
    for row, (name, surface) in zip(panels, means.items()):
        bounds = {"vmin": surface.min(), "vmax": surface.max()}
        for panel, lr, values in zip(row, grid.lr, np.moveaxis(surface, 2, 0)):
            image = panel.imshow(values, origin="lower", aspect="auto", **bounds)
            panel.set_title(f"{name}, lr {lr:g}", fontsize=medium.font)
            for axis, ticks in (
                (panel.xaxis, grid.window_influence),
                (panel.yaxis, grid.penalty_k),
            ):
                step = -(-len(ticks) // 5)
                places = range(0, len(ticks), step)
                axis.set_ticks(list(places), [f"{ticks[i]:g}" for i in places])
        row[0].set_ylabel("penalty_k")
        figure.colorbar(image, ax=row.tolist(), label="success AUC")
    for panel in panels[-1]:
        panel.set_xlabel("window influence")
    return figure
