"""The tracker as pure functions on pytrees: `init` and `update`, with the device crop inside.

Both may be jitted, scanned and vmapped (see `rollout`). `session.Tracker` is the same state machine
around the host's crop: the parts that it shares take NumPy arrays as well, and then compute in
float64 as the published tracker does.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from siamjax.geometry.boxes import cxcywh_to_xywh, xywh_to_pixel_centre
from siamjax.geometry.crops import context_size
from siamjax.geometry.device_crops import device_colour_mean, device_subwindow
from siamjax.tracking import decode, longterm
from siamjax.tracking.config import Settings, TrackerConfig

_SMALLEST = 10  # px, least width and height that a box may shrink to


@dataclasses.dataclass(frozen=True)
class Network:
    """The two halves of the network for one target; equal networks share their compiled steps.

    Attributes:
        model: a `siamjax.models.SiamRPN`.
    """

    model: Any

    def template(self, variables, crop):
        """(127, 127, 3) uint8 template crop -> correlation kernels."""
        return self.model.apply(variables, crop[None], method=_template)

    def respond(self, variables, kernels, crop):
        """Search crop (side, side, 3) uint8 -> cls (S, S, 2 A), loc (S, S, 4 A)."""
        cls, loc = self.model.apply(variables, kernels, crop[None], method=_respond)
        return cls[0], loc[0]


class Motion(NamedTuple):
    """Where the target is; NumPy float64 on the host, float32 on the device."""

    centre: Any  # (2,) px
    size: Any  # (2,) width and height, px
    lost: Any  # () bool: the next frame is searched in the large region (long-term only)


class State(NamedTuple):
    """Everything that `update` needs besides weights and constants."""

    motion: Motion
    average: jax.Array  # (3,) uint8 mean colour of the first frame
    kernels: Any  # the template's correlation kernels


class Step(NamedTuple):
    """What one frame gave."""

    box: jax.Array  # (4,) x, y, w, h, px
    score: jax.Array  # () 0..1
    second_peak: jax.Array  # () 0..1, see `decode.best_candidate`
    anchor: jax.Array  # () int32, index of the chosen anchor


def init(network: Network, config: TrackerConfig, variables, frame, box, frame_size=None) -> State:
    """Starts a target.

    Args:
        network, config: static under `jax.jit`.
        variables: of the network's model.
        frame: (H, W, 3) uint8, BGR.
        box: (4,) x, y, w, h, px, 0-based.
        frame_size: (2,) int32 width and height of the valid upper left part of a frame that is
            padded with zeros; None: all of it.
    """
    motion = begin(jnp.asarray(box, jnp.float32))
    average = device_colour_mean(frame, frame_size)
    side = template_side(config, motion)
    crop = device_subwindow(frame, motion.centre, config.exemplar, side, average, frame_size)
    return State(motion, average, network.template(variables, crop))


def update(
    network: Network,
    config: TrackerConfig,
    variables,
    settings: Settings,
    state: State,
    frame,
    frame_size=None,
) -> tuple[State, Step]:
    """Follows the target into the next frame.

    Args:
        settings: the constants that are numbers, `config.settings()` or arrays in its form.
        state: of `init` or the last `update`.
        network, config, variables, frame, frame_size: as in `init`.
    """
    if frame_size is None:
        frame_size = jnp.array([frame.shape[1], frame.shape[0]], jnp.int32)

    def look(instance, influence):
        side, scale = search_window(config, state.motion, instance)
        crop = device_subwindow(
            frame, state.motion.centre, instance, side, state.average, frame_size
        )
        candidate, _ = respond(
            network,
            config,
            instance,
            variables,
            state.kernels,
            crop,
            state.motion.size * scale,
            settings.penalty_k,
            influence,
        )
        return candidate, scale

    if config.long_term:
        candidate, scale = jax.lax.cond(
            state.motion.lost,
            lambda: look(config.lost_instance, settings.lost_window_influence),
            lambda: look(config.instance, settings.window_influence),
        )
    else:
        candidate, scale = look(config.instance, settings.window_influence)
    motion, box = advance(config, settings, state.motion, candidate, scale, frame_size)
    step = Step(box, candidate.score, candidate.second_peak, candidate.anchor)
    return state._replace(motion=motion), step


def respond(
    network, config, instance, variables, kernels, crop, target_size, penalty_k, influence
) -> tuple[decode.Candidate, decode.Response]:
    """Network and decoding of one search crop; the last arguments are `decode.best_candidate`'s."""
    cls, loc = network.respond(variables, kernels, crop)
    grid = decode.grid(config.anchors, config.map_size(instance))
    return decode.best_candidate(grid, cls, loc, target_size, penalty_k, influence)


def begin(box) -> Motion:
    """The state of a target whose box (x, y, w, h) is given; NumPy in, NumPy out."""
    box = xywh_to_pixel_centre(box)
    return Motion(box[:2], box[2:], np.bool_(False) if _is_host(box) else jnp.bool_(False))


def template_side(config: TrackerConfig, motion: Motion):
    """Side of the template's window, whole px."""
    return _whole(context_size(motion.size[0], motion.size[1], config.context))


def search_window(config: TrackerConfig, motion: Motion, instance: int):
    """Side of the search window in whole px, and the factor from frame px to search crop px."""
    side = context_size(motion.size[0], motion.size[1], config.context)
    return _whole(side * (instance / config.exemplar)), config.exemplar / side


def advance(
    config: TrackerConfig, settings: Settings, motion: Motion, candidate, scale, frame_size
):
    """Moves the target to the chosen candidate: the centre at once, the size smoothly.

    Args:
        candidate: of `decode.best_candidate`, NumPy or JAX as `motion` is.
        scale: factor from frame px to search crop px.
        frame_size: (2,) width and height of the frame, px.

    Returns:
        The new `Motion`, and the box (4,) x, y, w, h to report.
    """
    xp = np if _is_host(motion.centre) else jnp
    rate = candidate.penalty * candidate.score * settings.lr
    centre = motion.centre + candidate.offset / scale
    size = motion.size * (1 - rate) + candidate.size / scale * rate
    lost = motion.lost
    if config.long_term:
        centre, size = longterm.accept(
            xp, motion[:2], (centre, size), candidate.score, settings.confidence_low
        )
        lost = longterm.next_lost(
            xp, lost, candidate.score, settings.confidence_low, settings.confidence_high
        )
    inside = xp.clip(centre, 0, frame_size)
    allowed = xp.maximum(_SMALLEST, xp.minimum(size, frame_size))
    box = cxcywh_to_xywh(xp.concatenate([inside, allowed]))
    if not config.long_term:
        centre, size = inside, allowed
    return Motion(centre, size, lost), box


def _template(model, crop):
    return model.kernels(model.template(crop))


def _respond(model, kernels, crop):
    return model.correlate(kernels, model.search(crop))


def _whole(value):
    """Rounded half to even, as Python's round()."""
    return int(np.rint(value)) if _is_host(value) else jnp.rint(value).astype(jnp.int32)


def _is_host(value):
    return isinstance(value, np.ndarray | np.generic | float)
