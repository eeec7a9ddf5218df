"""Search of the tracker's three constants on a validation set: many settings in one pass.

All settings follow the target through a sequence side by side. A frame is read once, and settings
that look at the same window of it share its crop and the network's answer to it; only the choice of
the candidate and the motion are their own.

Windows are whole pixels, and few settings agree to the pixel. So all settings are first compared
with windows snapped to a coarse grid of places and sizes, which moves scores by about a hundredth,
and then the best few of them without; the best of these is the result. An exact search leaves the
first round out. Without snapping, every setting's track is that of
`siamjax.tracking.session.Tracker` up to float rounding in the network.

The score is the success AUC of one-pass runs, whatever the benchmark's own protocol.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
from collections.abc import Sequence as AbstractSequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from siamjax.datasets.registry import Benchmark
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.measures import ope

NAMES = ("penalty_k", "window_influence", "lr")
SNAP = 1 / 32  # of the side, about a cell of the score map: grid of snapped places and sizes
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


class Lockstep:
    """One network, many settings of its tracker.

    Args:
        config, variables: as checkpoints hold them; the three constants of `config.tracker` are
            replaced by the settings.
        snap: search in windows that lie on a grid of steps of `SNAP`, which more settings share.
        device: of the network, a `jax.Device`; None: JAX's first.

    Attributes:
        looked, answered: search windows asked for and crops that went through the network so far;
            their ratio is what sharing saves.
    """

    def __init__(self, config, variables, snap: bool = False, device=None):
        import jax

        from siamjax import models
        from siamjax.models import folding
        from siamjax.tracking.config import TrackerConfig
        from siamjax.tracking.tracker import Network

        self.constants = TrackerConfig.of(config)
        model, folded = folding.fold(models.build(config), variables)
        self._network = Network(model)
        device = device or jax.devices()[0]
        self._one_by_one = device.platform == "cpu"  # what a crop needs stays in the cache
        self._variables = jax.device_put(folded, device)
        self._snap = snap
        self.looked = self.answered = 0

    def track(self, sequence: Sequence, settings: np.ndarray) -> np.ndarray:
        """(K, N, 4) boxes left, top, width, height of all settings (K, 3) over a sequence.

        The first box is the start that the published results were made with, half a pixel off the
        true one (see `siamjax.evaluation.protocols`).

        Raises:
            UserError: the network's output is not finite.
        """
        from siamjax.geometry import crops
        from siamjax.tracking import tracker

        frame = sequence.frames[0]
        start = sequence.boxes[0] + np.array([0.5, 0.5, 0.0, 0.0])
        motion = tracker.begin(start)
        average = crops.colour_mean(frame)
        side = tracker.template_side(self.constants, motion)
        crop = crops.subwindow(frame, motion.centre, self.constants.exemplar, side, average)
        kernels = _compiled().template(self._network, self._variables, crop)
        motions = [motion] * len(settings)
        base = self.constants.settings()
        numbers = [
            base._replace(penalty_k=k, window_influence=w, lr=r)
            for k, w, r in settings.astype(float)
        ]
        boxes = np.empty((len(settings), len(sequence), 4))
        boxes[:, 0] = start
        for i in range(1, len(sequence)):
            frame = sequence.frames[i]
            size = np.array([frame.shape[1], frame.shape[0]])
            for lost in (False, True):
                chosen = [
                    k
                    for k, m in enumerate(motions)
                    if bool(self.constants.long_term and m.lost) == lost
                ]
                if not chosen:
                    continue
                found, windows = self._look(
                    frame, average, kernels, [motions[k] for k in chosen], settings[chosen], lost
                )
                for k, candidate, window in zip(chosen, found, windows, strict=True):
                    motion = motions[k]._replace(centre=window.centre)
                    motions[k], boxes[k, i] = tracker.advance(
                        self.constants, numbers[k], motion, candidate, window.scale, size
                    )
        return boxes

    def _window(self, motion, instance: int) -> "_Window":
        """Where a target is searched; snapped to few places and sizes if this search does so."""
        from siamjax.tracking import tracker

        side, scale = tracker.search_window(self.constants, motion, instance)
        centre = motion.centre
        if self._snap:
            side = round(np.exp(np.rint(np.log(side) / SNAP) * SNAP))
            scale = instance / side
            step = max(1, round(side * SNAP))
            centre = np.rint(centre / step) * step
        return _Window(centre, side, scale)

    def _look(self, frame, average, kernels, motions, settings, lost):
        """The candidate of each setting in a frame, and the window it was found in."""
        from siamjax.geometry import crops
        from siamjax.tracking.decode import Candidate

        constants = self.constants
        instance = constants.lost_instance if lost else constants.instance
        windows = [self._window(motion, instance) for motion in motions]
        places: dict[tuple[int, int, int], int] = {}
        index: list[int] = []
        patches: list[np.ndarray] = []
        for window in windows:
            x, y = (int(v) for v in crops.window_origin(window.centre, window.side))
            place = places.setdefault((x, y, window.side), len(places))
            if place == len(patches):
                patches.append(
                    crops.subwindow(frame, window.centre, instance, window.side, average)
                )
            index.append(place)
        self.looked += len(motions)
        self.answered += len(patches)
        cls, loc = self._answers(kernels, patches)
        sizes = np.stack([m.size * w.scale for m, w in zip(motions, windows, strict=True)])
        influence = settings[:, 1]
        if lost:
            influence = np.full(len(motions), constants.lost_window_influence)
        count = _rounded_up(len(motions))
        rows = np.minimum(np.arange(count), len(motions) - 1)  # repeats the last
        values = _compiled().choose(
            constants.structure(),
            instance,
            cls,
            loc,
            np.array(index)[rows],
            sizes.astype(np.float32)[rows],
            settings[rows, 0].astype(np.float32),
            influence[rows].astype(np.float32),
        )
        table = np.asarray(values, np.float64)[: len(motions)]
        if not np.isfinite(table).all():
            raise UserError("the network's output is not finite: the weights are damaged")
        found = [Candidate(row[:2], row[2:4], row[4], row[5], 0, 0.0) for row in table]
        return found, windows

    def _answers(self, kernels, patches: list[np.ndarray]):
        """The answers to crops, (P, S, S, 2 A) and (P, S, S, 4 A), P a rounded-up count."""
        # a few sizes of batches, so that few programs are compiled
        padded = _rounded_up(len(patches))
        compiled = _compiled()
        if self._one_by_one:
            each = [compiled.answer(self._network, self._variables, kernels, p) for p in patches]
            return compiled.stack(each + each[-1:] * (padded - len(patches)))
        block = np.stack(patches + patches[-1:] * (padded - len(patches)))
        return compiled.answers(self._network, self._variables, kernels, block)


class _Window(NamedTuple):
    """A search window: centre in frame px, side in whole px, factor from frame to crop px."""

    centre: np.ndarray
    side: int
    scale: float


class _Compiled(NamedTuple):
    """The jitted steps, shared by all searches of a process."""

    template: Any
    answer: Any
    answers: Any
    stack: Any
    choose: Any


@functools.cache
def _compiled() -> _Compiled:
    import jax
    import jax.numpy as jnp

    from siamjax.tracking import decode

    def template(network, variables, crop):
        return network.template(variables, crop)

    def answer(network, variables, kernels, crop):
        return network.respond(variables, kernels, crop)

    def answers(network, variables, kernels, block):
        """(U, S, S, 2 A) and (U, S, S, 4 A) of search crops (U, side, side, 3)."""
        return jax.vmap(network.respond, in_axes=(None, None, 0))(variables, kernels, block)

    def choose(constants, instance, cls, loc, index, sizes, penalty_k, influence):
        """(K, 6) offset, size, score and penalty of each setting's candidate."""
        grid = decode.grid(constants.anchors, constants.map_size(instance))

        def one(place, size, k, w):
            best, _ = decode.best_candidate(grid, cls[place], loc[place], size, k, w)
            return jnp.stack([*best.offset, *best.size, best.score, best.penalty])

        return jax.vmap(one)(index, sizes, penalty_k, influence)

    def stack(each):
        return jax.tree.map(lambda *parts: jnp.stack(parts), *each)

    return _Compiled(
        jax.jit(template, static_argnums=0),
        jax.jit(answer, static_argnums=0),
        jax.jit(answers, static_argnums=0),
        jax.jit(stack),
        jax.jit(choose, static_argnums=(0, 1)),
    )


def _rounded_up(count: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ..."""
    power = 1
    while power < count:
        if power % 2 == 0 and power + power // 2 >= count:
            return power + power // 2
        power *= 2
    return power


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

    Each sequence's scores go to a file of their own, so an interrupted search goes on. At the end
    `search.json` holds all scores, `best.txt` the best setting as arguments, `heatmap.png` the
    score over the grid.

    Args:
        identity: tells checkpoints apart, so that scores of two are never mixed.
        allow_test: search on a test benchmark all the same; its scores then say nothing about
            other videos.
        exact: no snapped windows: slower, and all scores are those of single runs.

    Returns:
        What search.json holds.

    Raises:
        UserError: a test benchmark, another grid or checkpoint in `out`, an `out` that cannot be
            written.
    """
    if benchmark.dataset.test and not allow_test:
        raise UserError(
            f"--dataset={benchmark.name} is a test benchmark: constants found on it do not carry"
            " over; search on GOT-10k-val, synthetic or folder, or say --allow_test"
        )
    grid = grid or Grid()
    settings = grid.settings()
    out = Path(out)
    lockstep = functools.cache(lambda snap: Lockstep(config, variables, snap))

    def scored(chosen: np.ndarray, snap: bool, folder: str) -> np.ndarray:
        key = hashlib.sha256(f"{identity} {snap} {settings[chosen].tolist()}".encode()).hexdigest()
        name = f"{len(chosen)} settings{', windows snapped' if snap else ''}"
        with tqdm(desc=name, total=total, unit="frame", disable=not progress) as bar:
            rows = []
            for sequence in benchmark.sequences:
                path = out / folder / f"{sequence.name}.json"
                values = _read(path, key)
                if values is None:
                    values = _scores(sequence, lockstep(snap).track(sequence, settings[chosen]))
                    write_whole(path, json.dumps({"key": key, "success_auc": values}) + "\n")
                rows.append(values)
                bar.update(len(sequence))
        return np.mean(rows, 0)

    total = sum(map(len, benchmark.sequences))
    finalists = np.arange(len(settings))
    mean = final = scored(finalists, not exact, "sequences")
    if not exact:
        finalists = np.sort(np.argsort(-mean, kind="stable")[:FINALISTS])
        # other sequences may have other finalists
        name = hashlib.sha256(str(finalists).encode()).hexdigest()[:8]
        final = scored(finalists, False, f"finalists/{name}")
    best = int(np.argmax(final))
    found: dict[str, Any] = {
        "dataset": benchmark.title,
        "sequences": [len(benchmark.sequences), benchmark.total],
        "measure": "success_auc",
        "best": {**_named(settings[finalists[best]]), "score": final[best]},
        "grid": {name: list(getattr(grid, name)) for name in NAMES},
        "exact": exact,
        "scores": mean.reshape(grid.shape).tolist(),
        "finalists": [
            {**_named(settings[k]), "score": score}
            for k, score in zip(finalists, final, strict=True)
            if not exact
        ],
    }
    write_whole(out / "search.json", json.dumps(found, indent=1) + "\n")
    write_whole(out / "best.txt", arguments(found["best"]))
    _heat_map(out / "heatmap.png", grid, mean.reshape(grid.shape), benchmark)
    return found


def _named(setting: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, setting.tolist(), strict=True))


def arguments(best: dict) -> str:
    """The setting as arguments: of run_train.py's config, and of run_eval.py."""
    config = " ".join(f"--config.tracker.{name}={best[name]:g}" for name in NAMES)
    tracker = ",".join(f"{name}={best[name]:g}" for name in NAMES)
    return f"{config}\n--tracker={tracker}\n"


def _scores(sequence: Sequence, boxes: np.ndarray) -> list[float]:
    shift = np.array([sequence.base, sequence.base, 0, 0], np.float64)
    truth = sequence.boxes + shift
    return [
        ope.summary(ope.curves(truth, track + shift, sequence.absent))["success_auc"]
        for track in boxes
    ]


def _read(path: Path, key: str) -> list[float] | None:
    if not path.is_file():
        return None
    saved = json.loads(path.read_text())
    if saved["key"] != key:
        raise UserError(
            f"{path.parents[1]}: holds a search with another grid or checkpoint;"
            " choose another --out or delete it"
        )
    return saved["success_auc"]


def _heat_map(path: Path, grid: Grid, scores: np.ndarray, benchmark: Benchmark) -> None:
    """One panel per lr: success AUC over penalty_k and window_influence."""
    from matplotlib.figure import Figure

    from siamjax.evaluation.plots import save_png

    figure = Figure(figsize=(1.5 + 2.6 * len(grid.lr), 3.4), layout="constrained")
    panels = figure.subplots(1, len(grid.lr), squeeze=False)[0]
    for panel, lr, values in zip(panels, grid.lr, np.moveaxis(scores, 2, 0), strict=True):
        image: Any = panel.imshow(values, vmin=scores.min(), vmax=scores.max(), origin="lower")
        panel.set_xticks(range(len(grid.window_influence)), map(_short, grid.window_influence))
        panel.set_yticks(range(len(grid.penalty_k)), map(_short, grid.penalty_k))
        panel.set(title=f"lr {lr:g}", xlabel="window influence", ylabel="penalty_k")
        for (row, column), value in np.ndenumerate(values):
            panel.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=6, color="w")
    figure.colorbar(image, ax=panels.tolist(), label="success AUC")
    figure.suptitle(f"{benchmark.title}: {benchmark.count}", fontsize=10)
    save_png(figure, path)


def _short(value: float) -> str:
    return f"{value:g}"


def parse_values(flag: str, text: str) -> tuple[float, ...]:
    """Numbers by comma, for the grid.

    Raises:
        UserError: not numbers, or none.
    """
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UserError(f"--{flag}={text}: give numbers by comma, for example 0.05,0.1") from None


def main(arguments: AbstractSequence[str] | None = None) -> None:
    """`python -m siamjax.evaluation.search`; the command itself lives in the room of commands."""
    import importlib

    importlib.import_module("siamjax.commands.search").main(arguments)


if __name__ == "__main__":
    main()
