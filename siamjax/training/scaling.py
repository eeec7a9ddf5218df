"""Loss scaling: the gradients of float16 layers lie where float16 has digits.

The loss is multiplied before it is differentiated, the gradients divided afterwards
(Micikevicius et al., "Mixed precision training", arXiv 1710.03740, section 3.2). The factor is the
largest that makes no gradient overflow: it is halved by a step whose gradients are not finite,
which is skipped, and doubled after `INTERVAL` good ones in a row. It is a power of two, so that it
rounds nothing.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool

# PyTorch's torch.amp.GradScaler has the same three
FIRST, FACTOR, INTERVAL = 2.0**16, 2.0, 2000
LARGEST = 2.0**24

Scaling = dict[str, Array]


def start(model) -> Scaling:
    """The state before the first step: `scale`, float32, and `good`, int32, steps since it last
    changed; empty where no layer is float16.

    Args:
        model: the config's section.
    """
    if "float16" not in (model.get("dtype"), model.get("early_dtype")):
        return {}
    return {"scale": jnp.float32(FIRST), "good": jnp.int32(0)}


def after(scaling: Scaling, finite: Bool[Array, ""]) -> Scaling:
    """The state after a step.

    Args:
        finite: whether its gradients were.
    """
    if not scaling:
        return scaling
    scale, good = scaling["scale"], jnp.where(finite, scaling["good"] + 1, 0)
    grows = good == INTERVAL
    scale = jnp.where(finite, jnp.where(grows, scale * FACTOR, scale), scale / FACTOR)
    return {"scale": jnp.clip(scale, 1.0, LARGEST), "good": jnp.where(grows, 0, good)}
