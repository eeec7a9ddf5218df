"""A tracker that holds its state: `init` with a box, then `update` frame by frame."""

import copy
import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from siamjax.errors import UserError
from siamjax.geometry import crops
from siamjax.tracking import decode, tracker
from siamjax.tracking.config import TrackerConfig
from siamjax.tracking.frames import as_bgr, checked_box
from siamjax.tracking.tracker import Network


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a frame gave.

    Attributes:
        box: x, y, w, h in px of the frame, 0-based.
        score: probability that the box holds the target, 0..1, before penalties.
        second_peak: 0..1, strength of the best candidate elsewhere against the chosen one; near 1
            the target was one of two that look alike.
        lost: the score lies below `confidence_low` of the tracker's config.
        anchor: index of the chosen anchor, a S S + row S + column.
    """

    box: tuple[float, float, float, float]
    score: float
    second_peak: float
    lost: bool
    anchor: int
    _heatmap: Callable[[], "Heatmap"] = dataclasses.field(repr=False, compare=False)

    @functools.cached_property
    def heatmap(self) -> "Heatmap":
        """The response map; fetched from the device when asked for."""
        return self._heatmap()


@dataclasses.dataclass(frozen=True)
class Heatmap:
    """Scores over the search region.

    Attributes:
        score: (S, S) float32 in 0..1, the best anchor's at each cell.
        penalised: (S, S) float32, the same with penalty and window.
        extent: x, y, w, h in px of the frame: the area that the cells cover.
    """

    score: np.ndarray
    penalised: np.ndarray
    extent: tuple[float, float, float, float]


class Tracker:
    """Follows one target with the published tracker's exact host crop and float64 state.

    Everything is compiled at construction, so that `init` and `update` are fast from the first
    frame on; trackers of equal networks in one process share the compiled steps. Per frame, one
    crop goes to the device as uint8 and eight numbers come back.

    Args:
        config: an experiment's config (see configs/base.py); its sections model, anchors, crops and
            tracker are read.
        variables: {"params", "batch_stats"} of that model.
        rgb: frames come as RGB instead of BGR.
        fold: fold batch normalisations into the convolutions: the same function, less work.
        warm_up: compile now; False: at the first `init` and `update`.

    Raises:
        UserError: variables that do not fit the config's model.
    """

    half_pixel_start = True  # benchmarks start it there, see `siamjax.evaluation.protocols`

    def __init__(
        self, config, variables, *, rgb: bool = False, fold: bool = True, warm_up: bool = True
    ):
        from siamjax import models
        from siamjax.models import folding

        self.config = config
        self.constants = TrackerConfig.of(config)
        self.rgb = rgb
        self._structure = self.constants.structure()
        model = models.build(config)
        if fold:
            model, variables = folding.fold(model, variables)
        self._network = Network(model)
        self._variables = jax.device_put(variables)
        self._motion: tracker.Motion | None = None
        if warm_up:
            self._warm_up()

    def init(self, frame: np.ndarray, box) -> None:
        """Starts a target; a second call forgets the first.

        Args:
            frame: (H, W, 3) uint8, see `frames.as_bgr` for what else is taken.
            box: x, y, w, h of the target in px, 0-based.

        Raises:
            UserError: no such frame, or a box without size or outside the frame.
        """
        frame = as_bgr(frame, self.rgb)
        height, width = frame.shape[:2]
        motion = tracker.begin(checked_box(box, width, height))
        average = crops.colour_mean(frame)
        side = tracker.template_side(self.constants, motion)
        crop = crops.subwindow(frame, motion.centre, self.constants.exemplar, side, average)
        self._kernels = _template(self._network, self._variables, crop)
        self._average, self._size, self._motion = average, (width, height), motion

    def update(self, frame: np.ndarray) -> Prediction:
        """Finds the target in the next frame.

        Args:
            frame: as in `init`, of the same size.

        Raises:
            UserError: `init` was not called, a frame of another size, weights that give no numbers.
        """
        if self._motion is None:
            raise UserError("update before init: call tracker.init(frame, (x, y, w, h)) first")
        frame = as_bgr(frame, self.rgb)
        size = (frame.shape[1], frame.shape[0])
        if size != self._size:
            first = "{}x{}".format(*self._size)
            raise UserError(
                f"a frame of {size[0]}x{size[1]} px in a video of {first} px: "
                "all frames need the same size; call init to start another video"
            )
        motion, constants = self._motion, self.constants
        lost = bool(constants.long_term and motion.lost)
        instance = constants.lost_instance if lost else constants.instance
        side, scale = tracker.search_window(constants, motion, instance)
        crop = crops.subwindow(frame, motion.centre, instance, side, self._average)
        values, response = self._respond(lost, crop, motion.size * scale)
        candidate = _unpack(np.asarray(values))
        if not np.isfinite(np.concatenate([candidate.offset, candidate.size])).all():
            raise UserError("the network's output is not finite: the weights are damaged")
        self._motion, box = tracker.advance(
            constants, constants.settings(), motion, candidate, scale, np.array(size)
        )
        area = _cells_area(constants, motion.centre, instance, scale)
        return Prediction(
            box=_four(box),
            score=float(candidate.score),
            second_peak=float(candidate.second_peak),
            lost=bool(candidate.score < constants.confidence_low),
            anchor=candidate.anchor,
            _heatmap=functools.partial(_heatmap, response, constants.map_size(instance), area),
        )

    @property
    def motion(self) -> tracker.Motion | None:
        """Where the target was found last, None before `init`; set it to go on from elsewhere.

        Raises:
            UserError: set before `init`.
        """
        return self._motion

    @motion.setter
    def motion(self, motion: tracker.Motion) -> None:
        if self._motion is None:
            raise UserError("no target: call tracker.init(frame, (x, y, w, h)) first")
        self._motion = motion

    def maps(self, crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The raw answer to a search crop (side, side, 3): cls (S, S, 2 A) and loc (S, S, 4 A).

        Raises:
            UserError: no target yet.
        """
        if self._motion is None:
            raise UserError("no target: call tracker.init(frame, (x, y, w, h)) first")
        cls, loc = _maps(self._network, self._variables, self._kernels, crop)
        return np.asarray(cls), np.asarray(loc)

    def another(self) -> "Tracker":
        """A tracker with the same weights and no target, for another object; costs no memory."""
        twin = copy.copy(self)
        twin._motion = None
        return twin

    def _respond(self, lost, crop, target_size):
        constants = self.constants
        return _respond(
            self._network,
            self._structure,
            constants.lost_instance if lost else constants.instance,
            self._variables,
            self._kernels,
            crop,
            np.asarray(target_size, np.float32),
            constants.penalty_k,
            constants.lost_window_influence if lost else constants.window_influence,
        )

    def _warm_up(self):
        exemplar = self.constants.exemplar
        blank = np.zeros((exemplar, exemplar, 3), np.uint8)
        self._kernels = _template(self._network, self._variables, blank)
        for lost in (False, True) if self.constants.long_term else (False,):
            side = self.constants.lost_instance if lost else self.constants.instance
            crop = np.zeros((side, side, 3), np.uint8)
            jax.block_until_ready(self._respond(lost, crop, (64.0, 64.0)))


@functools.partial(jax.jit, static_argnums=0)
def _template(network, variables, crop):
    return network.template(variables, crop)


@functools.partial(jax.jit, static_argnums=0)
def _maps(network, variables, kernels, crop):
    return network.respond(variables, kernels, crop)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _respond(
    network, config, instance, variables, kernels, crop, target_size, penalty_k, influence
):
    candidate, response = tracker.respond(
        network, config, instance, variables, kernels, crop, target_size, penalty_k, influence
    )
    # one array, so that the host waits for one transfer
    values = [*candidate.offset, *candidate.size, candidate.score, candidate.penalty]
    values += [candidate.anchor.astype(jnp.float32), candidate.second_peak]
    return jnp.stack(values), response


def _unpack(values) -> decode.Candidate:
    values = values.astype(np.float64)
    return decode.Candidate(
        values[:2], values[2:4], values[4], values[5], int(values[6]), values[7]
    )


def _four(values) -> tuple[float, float, float, float]:
    x, y, w, h = (float(v) for v in values)
    return x, y, w, h


def _cells_area(constants, centre, instance, scale):
    side = constants.map_size(instance) * constants.anchors.stride / scale
    return (centre[0] - side / 2, centre[1] - side / 2, side, side)


def _heatmap(response, size, area) -> Heatmap:
    score, penalised = (decode.response_map(np.asarray(values), size) for values in response)
    return Heatmap(score, penalised, _four(area))
