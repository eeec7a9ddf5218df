"""Many settings of a tracker in one pass over a sequence.

A frame is read once, and settings that search the same window of it share its crop and the
network's answer; only the choice of the candidate and the motion are their own. Windows are whole
pixels, and few settings agree to the pixel: snapped windows, on a coarse grid of places and sizes,
are shared by more of them.
"""

import dataclasses
import functools

import jax
import numpy as np

from siamjax import models
from siamjax.datasets.sequence import Sequence
from siamjax.evaluation.protocols import start_box
from siamjax.geometry import crops
from siamjax.geometry.boxes import check_box
from siamjax.models import folding
from siamjax.tracking import TrackerConfig, decode, session, steps, tracker

NAMES = ("penalty_k", "window_influence", "lr")  # of the numbers that make a setting
SNAP = 1 / 32  # of the side, about a cell of the score map: grid of snapped places and sizes


class Lockstep:
    """One network, many settings of its tracker.

    Args:
        config, variables: as checkpoints hold them; the three constants of `config.tracker` are
            replaced by the settings.
        snap: search in windows that lie on a grid of steps of `SNAP`, which more settings share.
            Without, every setting's track is that of `siamjax.tracking.session.Tracker` up to float
            rounding in the network.
        device: of the network, a `jax.Device`; None: JAX's first.

    Attributes:
        windows_asked, windows_answered: search windows of all settings, and crops that went through
            the network so far; their ratio is what sharing saves.
    """

    def __init__(self, config, variables, snap: bool = False, device=None):
        self.constants = TrackerConfig.of(config)
        if not self.constants.long_term:  # presence moves no box then
            self.constants = dataclasses.replace(self.constants, presence=())
        self._model, folded = folding.fold(models.build(config), variables)
        device = device or jax.devices()[0]
        self._one_by_one = device.platform == "cpu"  # what a crop needs stays in the cache
        self._variables = jax.device_put(folded, device)
        self._snap = snap
        self.windows_asked = self.windows_answered = 0

    def track(self, sequence: Sequence, settings: np.ndarray) -> np.ndarray:
        """(K, N, 4) boxes left, top, width, height of all settings (K, 3) over a sequence.

        The first box is the start that the published results were made with, half a pixel off the
        true one (see `siamjax.evaluation.protocols`).

        Raises:
            UserError: a first box that is refused, or the network's output is not finite.
        """
        constants = self.constants
        frame, name = sequence.frames[0], f"{sequence.name}: box"
        start = check_box(start_box(constants, sequence.boxes[0]), frame.shape[1::-1], name)
        state = session.start(self._model, constants, self._variables, frame, start)
        base = constants.settings()
        numbers = [base._replace(**dict(zip(NAMES, row))) for row in settings.tolist()]
        motions = [state.motion] * len(numbers)
        boxes = np.empty((len(numbers), len(sequence), 4))
        boxes[:, 0] = start
        for i in range(1, len(sequence)):
            frame = sequence.frames[i]
            size = np.array([frame.shape[1], frame.shape[0]])
            windows = [self._window(*pair) for pair in zip(numbers, motions)]
            for instance in sorted({window.instance for window in windows}):
                chosen = [k for k, window in enumerate(windows) if window.instance == instance]
                searches = [(numbers[k], motions[k], windows[k]) for k in chosen]
                for k, candidate in zip(chosen, self._candidates(state, frame, searches)):
                    motion = motions[k]._replace(centre=windows[k].centre)
                    motions[k], boxes[k, i], _ = tracker.advance(
                        constants, numbers[k], motion, candidate, windows[k].scale, size
                    )
        return boxes

    def _window(self, settings, motion) -> tracker.Window:
        """Where a target is searched; on few places and in few sizes if this search snaps."""
        window = tracker.window(self.constants, settings, motion, bool(motion.lost))
        if not self._snap:
            return window
        side = round(np.exp(np.rint(np.log(window.side) / SNAP) * SNAP))
        step = max(1, round(side * SNAP))
        centre = np.rint(window.centre / step) * step
        return window._replace(centre=centre, side=side, scale=window.instance / side)

    def _candidates(self, state, frame, searches) -> list[decode.Candidate]:
        """The candidates of settings, motions and windows; all search crops have one size."""
        windows = [window for _, _, window in searches]
        keys = np.array([(*crops.window_origin(w.centre, w.side), w.side) for w in windows])
        _, firsts, places = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        patches = [
            crops.subwindow(frame, w.centre, w.instance, w.side, state.average)
            for w in (windows[first] for first in firsts)
        ]
        self.windows_asked += len(windows)
        self.windows_answered += len(patches)
        count = _rounded_up(len(windows))
        rows = np.minimum(np.arange(count), len(windows) - 1)  # repeats the last
        table = [(*(m.size * w.scale), n.penalty_k, w.influence) for n, m, w in searches]
        values = _choose(
            self.constants.structure(),
            windows[0].instance,
            *self._maps(state.kernels, patches),
            places.reshape(-1)[rows],
            np.array(table, np.float32)[rows],
        )
        return [decode.unpack(row) for row in np.asarray(values)[: len(windows)]]

    def _maps(self, kernels, patches: list[np.ndarray]):
        """The network's maps of crops, (P, S, S, 2 A) and (P, S, S, 4 A), P a rounded-up count."""
        # a few sizes of batches, so that few programs are compiled
        repeated = patches[-1:] * (_rounded_up(len(patches)) - len(patches))
        if not self._one_by_one:
            return _respond(self._model, self._variables, kernels, np.stack(patches + repeated))
        maps = [steps.respond(self._model, self._variables, kernels, patch) for patch in patches]
        return tuple(np.stack(parts) for parts in zip(*maps, *maps[-1:] * len(repeated)))


@functools.partial(jax.jit, static_argnums=0)
def _respond(model, variables, kernels, patches):
    return jax.vmap(functools.partial(tracker.respond, model, variables, kernels))(patches)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _choose(config, instance, cls, loc, places, table):
    """(K, 8) packed candidates: of the maps at (K,) places; the table (K, 4) holds the target's
    width and height in px of the crop, the strength of the penalty and the share of the window."""
    grid = decode.grid(config.anchors, config.map_size(instance))

    def one(place, row):
        best, _ = decode.best_candidate(grid, cls[place], loc[place], row[:2], row[2], row[3])
        return decode.pack(best)

    return jax.vmap(one)(places, table)


def _rounded_up(count: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ..."""
    power = 1 << (count - 1).bit_length()
    between = power * 3 // 4
    return between if count <= between and power > 2 else power
