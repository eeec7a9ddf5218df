"""The tracker as pure functions on pytrees: `init` and `update`, with the crop on the device.

Both may be jitted, scanned and vmapped (see `rollout`). A frame takes three steps, which
`session.Tracker` and `siamjax.evaluation.lockstep` share, with the crop on the host: `window`
(where to search), `answer` (network and decoding) and `advance` (the new state). Given NumPy
arrays, `window` and `advance` compute in float64, as the published tracker does.
"""

import functools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Shaped, UInt8

from siamjax.errors import UserError
from siamjax.geometry.arrays import namespace
from siamjax.geometry.boxes import cxcywh_to_xywh, xywh_to_cxcywh, xywh_to_pixel_centre
from siamjax.geometry.crops import LARGEST_SIDE, context_size, window_origin
from siamjax.geometry.device_crops import device_colour_mean, device_subwindow
from siamjax.models import SiamRPN
from siamjax.tracking import decode, longterm, presence
from siamjax.tracking.config import Settings, TrackerConfig

_SMALLEST = 10  # px, least width and height that a box may shrink to

Frame = UInt8[np.ndarray | Array, "h w 3"]
Crop = UInt8[np.ndarray | Array, "side side 3"]
Box = Float[np.ndarray | Array, "4"]
FrameSize = Int[np.ndarray | Array, "2"] | None


class Motion(NamedTuple):
    """Where the target is; NumPy float64 on the host, float32 on the device."""

    centre: Any  # (2,) px
    size: Any  # (2,) width and height, px
    lost: Any  # () bool: the next frame is searched in the large region (long-term only)
    evidence: Any  # () running logit of presence; `presence.START` where no map was fitted


class State(NamedTuple):
    """Everything that `update` needs besides weights and constants."""

    motion: Motion
    average: Any  # (3,) uint8 mean colour of the first frame
    kernels: Any  # the template's correlation kernels


class Window(NamedTuple):
    """Where and how a frame is searched."""

    centre: Any  # (2,) px of the frame
    side: Any  # () whole px of the frame
    scale: Any  # () factor from px of the frame to px of the search crop
    instance: int  # px, side of the search crop
    influence: Any  # () share of the cosine window in the final score, 0..1


class Step(NamedTuple):
    """What one frame gave."""

    box: Any  # (4,) x, y, w, h, px
    score: Any  # () 0..1
    second_peak: Any  # () 0..1, see `decode.best_candidate`
    anchor: Any  # () int32, index of the chosen anchor
    presence: Any = None  # () probability that the box holds the target; None: no map was fitted


class Verdict(NamedTuple):
    """Whether a box holds the target."""

    presence: Any  # () probability of it, 0..1; None: no map was fitted
    lost: Any  # () bool: presence, or without a map of it the score, is below its lower limit


def init(
    model: SiamRPN,
    config: TrackerConfig,
    variables,
    frame: Frame,
    box: Box,
    frame_size: FrameSize = None,
) -> State:
    """Starts a target.

    Args:
        model, config: static under `jax.jit`.
        variables: of the model.
        frame: BGR.
        box: x, y, w, h, px, 0-based.
        frame_size: width and height of the valid upper left part of a frame that is padded with
            zeros; None: all of it.
    """
    motion = begin(jnp.asarray(box, jnp.float32), config.exact_windows)
    average = device_colour_mean(frame, frame_size)
    centre, side = template_window(config, motion)
    crop = device_subwindow(frame, centre, config.exemplar, side, average, frame_size)
    return State(motion, average, encode(model, variables, crop))


def update(
    model: SiamRPN,
    config: TrackerConfig,
    variables,
    settings: Settings,
    state: State,
    frame: Frame,
    frame_size: FrameSize = None,
) -> tuple[State, Step]:
    """Follows the target into the next frame.

    Args:
        settings: the constants that are numbers, `config.settings()` or arrays in its form.
        state: of `init` or the last `update`.
        model, config, variables, frame, frame_size: as in `init`.
    """
    motion, average, kernels = state
    if frame_size is None:
        frame_size = jnp.array([frame.shape[1], frame.shape[0]], jnp.int32)

    def search(lost):
        place = window(config, settings, motion, lost)
        crop = device_subwindow(
            frame, place.centre, place.instance, place.side, average, frame_size
        )
        target, penalty_k = motion.size * place.scale, settings.penalty_k
        found, _ = answer(
            model, config, variables, kernels, crop, target, penalty_k, place.influence
        )
        return found, place.scale, place.centre

    if config.long_term:
        branches = functools.partial(search, True), functools.partial(search, False)
        candidate, scale, centre = jax.lax.cond(motion.lost, *branches)
    else:
        candidate, scale, centre = search(False)
    motion = motion._replace(centre=centre)
    motion, box, verdict = advance(config, settings, motion, candidate, scale, frame_size)
    peak, presence = candidate.second_peak, verdict.presence
    step = Step(box, candidate.score, peak, candidate.anchor, presence)
    return state._replace(motion=motion), step


def begin(box: Box, exact: bool = False) -> Motion:
    """The motion of a target whose box (x, y, w, h, px) is given; NumPy in, NumPy out.

    Args:
        exact: `exact_windows` of the config: the centre is that of the box, x + w / 2, not that of
            the pixels it covers.
    """
    box = xywh_to_cxcywh(box) if exact else xywh_to_pixel_centre(box)
    xp = namespace(box)
    evidence = xp.full((), presence.START, box.dtype)
    return Motion(box[:2], box[2:], xp.bool_(False), evidence)


def template_window(config: TrackerConfig, motion: Motion):
    """Centre and side of the template's window, the side in whole px."""
    side = _whole(context_size(motion.size[0], motion.size[1], config.context))
    return _placed(config, motion.centre, side), side


def window(config: TrackerConfig, settings: Settings, motion: Motion, lost: bool) -> Window:
    """Where the next frame is searched.

    Args:
        lost: `motion.lost`, a Python bool (static); a short-term tracker ignores it.
    """
    lost = lost and config.long_term
    instance = config.lost_instance if lost else config.instance
    influence = settings.lost_window_influence if lost else settings.window_influence
    side = context_size(motion.size[0], motion.size[1], config.context)
    whole = _whole(side * (instance / config.exemplar))
    scale = instance / whole if config.exact_windows else config.exemplar / side
    return Window(_placed(config, motion.centre, whole), whole, scale, instance, influence)


def _placed(config: TrackerConfig, centre, side):
    """The centre from which a window is cut: with `exact_windows` that of the nearest window of
    whole pixels, which is then its true one."""
    if not config.exact_windows:
        return centre
    return window_origin(centre + 0.5, side) + side / 2


def encode(model: SiamRPN, variables, crop: Crop):
    """Template crop of the config's `exemplar` px -> correlation kernels of one target."""
    return model.apply(variables, crop[None], method="encode")


def respond(
    model: SiamRPN, variables, kernels, crop: Crop
) -> tuple[Float32[Array, "s s cls"], Float32[Array, "s s loc"]]:
    """One target's kernels and search crop -> the network's maps cls and loc."""
    maps = model.apply(variables, kernels, crop[None], method="respond")
    return jax.tree.map(operator.itemgetter(0), maps)


def answer(
    model: SiamRPN,
    config: TrackerConfig,
    variables,
    kernels,
    crop: Crop,
    target_size: Float[np.ndarray | Array, "2"],
    penalty_k,
    influence,
) -> tuple[decode.Candidate, decode.Response]:
    """Network and decoding of one search crop.

    Args:
        target_size, penalty_k, influence: as `decode.best_candidate` takes them.

    Raises:
        UserError: the network's map has another size than the config says.
    """
    cls, loc = respond(model, variables, kernels, crop)
    side = config.map_size(crop.shape[0])
    if cls.shape[0] != side:
        raise UserError(
            f"tracker.base_size={config.base_size}, anchors.stride={config.anchors.stride}: these"
            f" say a map of {side} x {side} cells on {crop.shape[0]} px, the network gives"
            f" {cls.shape[0]}"
        )
    grid = decode.grid(config.anchors, side)
    return decode.best_candidate(grid, cls, loc, target_size, penalty_k, influence)


def advance(
    config: TrackerConfig,
    settings: Settings,
    motion: Motion,
    candidate: decode.Candidate,
    scale,
    frame_size: Shaped[np.ndarray | Array, "2"],
) -> tuple[Motion, Box, Verdict]:
    """Moves the target to the chosen candidate: the centre at once, the size smoothly.

    Args:
        candidate: of `decode.best_candidate`, NumPy or JAX as `motion` is.
        scale: of the `Window` that the candidate was found in.
        frame_size: width and height of the frame, px.

    Returns:
        The new motion, the box x, y, w, h to report, and whether it holds the target.
    """
    xp = namespace(motion.centre)
    limit = frame_size.astype(motion.centre.dtype)
    rate = candidate.penalty * candidate.score * settings.lr
    moved = Motion(
        centre=motion.centre + candidate.offset / scale,
        size=motion.size * (1 - rate) + candidate.size / scale * rate,
        lost=motion.lost,
        evidence=judge(config, motion, candidate, scale),
    )
    held = presence.probability(moved.evidence) if config.presence else None
    trust, low, high = candidate.score, settings.confidence_low, settings.confidence_high
    if held is not None:
        trust, low, high = held, settings.presence_low, settings.presence_high
    if config.long_term:
        moved = longterm.switch(xp, motion, moved, trust, low, high)
    inside = xp.clip(moved.centre, 0, limit)
    allowed = xp.maximum(_SMALLEST, xp.minimum(moved.size, limit))
    box = cxcywh_to_xywh(xp.concatenate([inside, allowed]))
    moved = moved if config.long_term else moved._replace(centre=inside, size=allowed)
    return moved, box, Verdict(held, trust < low)


def judge(config: TrackerConfig, motion: Motion, candidate: decode.Candidate, scale):
    """The motion's evidence after a candidate, see `presence.remember`; where no map was fitted, it
    stays.

    Args:
        motion, candidate, scale: as `advance` takes them.
    """
    if not config.presence:
        return motion.evidence
    signs = presence.signs(candidate, motion.size * scale, motion.lost)
    return presence.remember(motion.evidence, presence.logit(config.presence, signs))


def _whole(value):
    """Rounded half to even, as Python's round(), within the sides that a window may have."""
    xp = namespace(value)
    whole = xp.clip(xp.rint(value), 1, LARGEST_SIDE)
    return int(whole) if xp is np else whole.astype(jnp.int32)
