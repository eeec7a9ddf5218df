"""The tracker's compiled steps, kept on disk. A search goes to the device in one transfer."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, UInt8

from siamjax.compile_cache import Kept
from siamjax.tracking import decode, tracker

_ROOMS = ("geometry", "models", "tracking")  # whose source the steps are made from
_NUMBERS = 16  # bytes


def pack(
    crop: UInt8[np.ndarray, "side side 3"],
    target: Float32[np.ndarray, "2"],
    penalty_k: float,
    influence: float,
) -> UInt8[np.ndarray, " bytes"]:
    """A search crop, and behind it the numbers that `decode.best_candidate` takes, as bytes."""
    numbers = np.array([*target, penalty_k, influence], np.float32)
    return np.concatenate([crop.reshape(-1), numbers.view(np.uint8)])


def _unpack(values):
    """Crop and numbers of `pack`; leading axes stay."""
    side = math.isqrt((values.shape[-1] - _NUMBERS) // 3)
    crop = values[..., :-_NUMBERS].reshape(*values.shape[:-1], side, side, 3)
    numbers = values[..., -_NUMBERS:].reshape(*values.shape[:-1], 4, 4)
    return crop, jax.lax.bitcast_convert_type(numbers, jnp.float32)


def _answer(model, config, variables, kernels, packed):
    """`tracker.answer` to a search as of `pack`: the packed candidate, and the response."""
    crop, numbers = _unpack(packed)
    candidate, response = tracker.answer(
        model, config, variables, kernels, crop, numbers[:2], numbers[2], numbers[3]
    )
    return decode.pack(candidate), response


def _answer_together(model, config, variables, kernels, packed):
    """The same for searches (B, bytes) of targets with kernels of their own, a list."""
    together = jax.tree.map(lambda *each: jnp.concatenate(each), *kernels)
    crops, numbers = _unpack(packed)
    cls, loc = model.apply(variables, together, crops, method="respond")
    grid = decode.grid(config.anchors, config.map_size(crops.shape[1]))

    def best(cls, loc, numbers):
        return decode.best_candidate(grid, cls, loc, numbers[:2], numbers[2], numbers[3])

    candidates, response = jax.vmap(best)(cls, loc, numbers)
    return jax.vmap(decode.pack)(candidates), response


# (model, variables, crop) -> kernels; (model, variables, kernels, crop) -> cls, loc
encode = Kept(tracker.encode, 1, _ROOMS, "the tracker")
respond = Kept(tracker.respond, 1, _ROOMS, "the tracker")
# (model, config, variables, kernels, packed) -> candidate (8,), response; of several (B, 8)
answer = Kept(_answer, 2, _ROOMS, "the tracker")
answer_together = Kept(_answer_together, 2, _ROOMS, "the tracker for several targets")
