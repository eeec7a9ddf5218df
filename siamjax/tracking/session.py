"""A tracker that holds its state: `init` with a box, then `update` frame by frame."""

import copy
import dataclasses
import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Float32, UInt8

from siamjax import models
from siamjax.errors import UserError
from siamjax.geometry import crops
from siamjax.geometry.boxes import check_box
from siamjax.models import folding
from siamjax.tracking import decode, steps, tracker
from siamjax.tracking.config import TrackerConfig
from siamjax.tracking.frames import as_bgr


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a frame gave.

    Attributes:
        box: x, y, w, h in px of the frame, 0-based.
        score: probability that the box holds the target, 0..1, before penalties.
        second_peak: 0..1, strength of the best candidate elsewhere against the chosen one; near 1
            the target was one of two of the same appearance.
        lost: presence lies below `presence_low` of the tracker's config; without a map of presence,
            the score below `confidence_low`.
        anchor: index of the chosen anchor, a S S + row S + column.
        presence: probability that the box overlaps the target by at least 0.5, from score, second
            peak, change of size and distance moved, of this frame and the ones before; None: the
            weights have no map fitted for it.
    """

    box: tuple[float, float, float, float]
    score: float
    second_peak: float
    lost: bool
    anchor: int
    presence: float | None
    _heatmap: Callable[[], "Heatmap"] = dataclasses.field(repr=False, compare=False)

    @functools.cached_property
    def heatmap(self) -> "Heatmap":
        """The response map; fetched from the device when asked for."""
        return self._heatmap()


@dataclasses.dataclass(frozen=True)
class Heatmap:
    """Scores over the search region.

    Attributes:
        score: 0..1, the best anchor's at each cell.
        penalised: the same with penalty and window.
        extent: x, y, w, h in px of the frame: the area that the cells cover.
    """

    score: Float32[np.ndarray, "s s"]
    penalised: Float32[np.ndarray, "s s"]
    extent: tuple[float, float, float, float]


class Search(NamedTuple):
    """Where one target is searched in a frame, and what the network needs for it.

    Attributes:
        window: of the frame.
        crop: the window's pixels.
        kernels: of the target's template.
        target: (2,) float32, its width and height in the last frame, px of the crop.
        size: width and height of the frame, px.
    """

    window: tracker.Window
    crop: np.ndarray
    kernels: Any
    target: np.ndarray
    size: tuple[int, int]


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

    doubts = True  # whether `init` warns of a box that lies mostly outside the frame

    def __init__(
        self, config, variables, *, rgb: bool = False, fold: bool = True, warm_up: bool = True
    ):
        self.config = config
        self.constants = TrackerConfig.of(config)
        self.half_pixel_start = self.constants.half_pixel_start  # `siamjax.evaluation.protocols`
        self.rgb = rgb
        self._settings, self._structure = self.constants.settings(), self.constants.structure()
        self._model = models.build(config)
        if fold:
            self._model, variables = folding.fold(self._model, variables)
        self._variables = jax.device_put(variables)
        self._programs: dict[tuple, Any] = {}  # by shape of what is searched; siblings share them
        self._state: tracker.State | None = None
        if warm_up:
            self._warm_up()

    def init(self, frame, box) -> None:
        """Starts a target; a second call forgets the first.

        Args:
            frame: (H, W, 3) uint8, see `frames.as_bgr` for what else is taken.
            box: x, y, w, h of the target in px, 0-based.

        Raises:
            UserError: no such frame, or a box that `siamjax.geometry.boxes.check_box` refuses.
        """
        frame = as_bgr(frame, self.rgb)
        box = check_box(box, (frame.shape[1], frame.shape[0]), doubts=self.doubts)
        self._state = start(self._model, self.constants, self._variables, frame, box)

    def update(self, frame) -> Prediction:
        """Finds the target in the next frame.

        Args:
            frame: as in `init`; its size may be another one, the box is in its pixels.

        Raises:
            UserError: `init` was not called, no such frame, weights that give no numbers.
        """
        search = self.search(as_bgr(frame, self.rgb))
        return self.advance(search, *self.answer(search))

    def search(self, frame: UInt8[np.ndarray, "h w 3"]) -> Search:
        """The first half of `update`, on the host: what the network has to answer.

        Args:
            frame: BGR, as of `frames.as_bgr`.

        Raises:
            UserError: `init` was not called.
        """
        state = self._started("update")
        motion = state.motion
        window = tracker.window(self.constants, self._settings, motion, bool(motion.lost))
        crop = crops.subwindow(frame, window.centre, window.instance, window.side, state.average)
        target = (motion.size * window.scale).astype(np.float32)
        return Search(window, crop, state.kernels, target, (frame.shape[1], frame.shape[0]))

    def advance(self, search: Search, values, response: decode.Response, row=()) -> Prediction:
        """The second half of `update`: moves the target to what the network found.

        Args:
            search: of `search`.
            values: the candidate, as `decode.pack` makes it.
            response: all candidates' scores.
            row: index of the target in a response of several.

        Raises:
            UserError: weights that give no numbers.
        """
        constants, window, state = self.constants, search.window, self._started("advance")
        candidate = decode.unpack(np.asarray(values))
        before = state.motion._replace(centre=window.centre)
        motion, box, verdict = tracker.advance(
            constants, self._settings, before, candidate, window.scale, np.array(search.size)
        )
        self._state = state._replace(motion=motion)
        return Prediction(
            box=_four(box),
            score=float(candidate.score),
            second_peak=float(candidate.second_peak),
            lost=bool(verdict.lost),
            anchor=candidate.anchor,
            presence=None if verdict.presence is None else float(verdict.presence),
            _heatmap=functools.partial(_heatmap, constants, window, response, row),
        )

    @property
    def motion(self) -> tracker.Motion | None:
        """Where the target was found last, None before `init`; may be set, to continue elsewhere.

        Raises:
            UserError: set before `init`.
        """
        return None if self._state is None else self._state.motion

    @motion.setter
    def motion(self, motion: tracker.Motion) -> None:
        self._state = self._started("motion")._replace(motion=motion)

    def fingerprint(self) -> str:
        """Eight hexadecimal digits that differ for other weights or constants."""
        code = zlib.crc32(repr(self.constants).encode())
        for leaf in jax.tree.leaves(self._variables):
            code = zlib.crc32(np.asarray(leaf).tobytes(), code)
        return f"{code:08x}"

    def maps(
        self, crop: UInt8[np.ndarray, "side side 3"]
    ) -> tuple[Float32[np.ndarray, "s s cls"], Float32[np.ndarray, "s s loc"]]:
        """The network's own answer to a search crop: cls (S, S, 2 A) and loc (S, S, 4 A).

        Raises:
            UserError: no target yet.
        """
        kernels = self._started("maps").kernels
        cls, loc = steps.respond(self._model, self._variables, kernels, crop)
        return np.asarray(cls), np.asarray(loc)

    def sibling(self) -> "Tracker":
        """A tracker without a target that shares the weights, for another object."""
        sibling = copy.copy(self)
        sibling._state = None
        return sibling

    def _started(self, method) -> tracker.State:
        if self._state is None:
            raise UserError(f"{method} before init: call tracker.init(frame, (x, y, w, h)) first")
        return self._state

    def answer(self, search: Search) -> tuple:
        """The network's answer to a search: the packed candidate (8,), and all scores."""
        return self._run(steps.answer, search.kernels, self._packed(search))

    def answer_together(self, searches: Sequence[Search], size: int) -> tuple:
        """The network's answers to searches of one window size, in one pass.

        Args:
            size: of the batch; the last search is repeated up to it.

        Returns:
            (size, 8) packed candidates, and the responses (size, N).
        """
        searches = [*searches] + [searches[-1]] * (size - len(searches))
        kernels = [search.kernels for search in searches]
        packed = np.stack([self._packed(search) for search in searches])
        return self._run(steps.answer_together, kernels, packed)

    def _packed(self, search: Search):
        influence = search.window.influence
        return steps.pack(search.crop, search.target, self._settings.penalty_k, influence)

    def _run(self, step, kernels, packed):
        """A step; its program is looked up once for each size of window and batch."""
        program = self._programs.get(packed.shape)
        if program is None:
            program = step.program(self._model, self._structure, self._variables, kernels, packed)
            self._programs[packed.shape] = program
        return program(self._variables, kernels, packed)

    def blank_search(self, lost: bool) -> Search:
        """A search as of `search` in a black frame, to compile with."""
        still = tracker.begin(np.array([0.0, 0, 64, 64]))
        window = tracker.window(self.constants, self._settings, still, lost)
        kernels = steps.encode(self._model, self._variables, _blank(self.constants.exemplar))
        return Search(
            window, _blank(window.instance), kernels, still.size.astype(np.float32), (1, 1)
        )

    def _warm_up(self):
        for lost in {False, self.constants.long_term}:
            jax.block_until_ready(self.answer(self.blank_search(lost)))


def start(
    model: models.SiamRPN,
    config: TrackerConfig,
    variables,
    frame: UInt8[np.ndarray, "h w 3"],
    box: Float[np.ndarray, "4"],
) -> tracker.State:
    """`tracker.init` with the host's crop and a state in float64.

    Args:
        model, config, variables, frame, box: as there, NumPy.
    """
    motion = tracker.begin(box, config.exact_windows)
    average = crops.colour_mean(frame)
    centre, side = tracker.template_window(config, motion)
    crop = crops.subwindow(frame, centre, config.exemplar, side, average)
    return tracker.State(motion, average, steps.encode(model, variables, crop))


def _blank(side):
    return np.zeros((side, side, 3), np.uint8)


def _four(values) -> tuple[float, float, float, float]:
    x, y, w, h = (float(v) for v in values)
    return x, y, w, h


def _heatmap(constants, window, response, row) -> Heatmap:
    cells = constants.map_size(window.instance)
    score, penalised = (decode.response_map(np.asarray(values)[row], cells) for values in response)
    side = cells * constants.anchors.stride / window.scale
    corner = window.centre - side / 2
    return Heatmap(score, penalised, _four([*corner, side, side]))
