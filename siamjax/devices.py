"""On which kind of device JAX computes: what `--device` and JAX_PLATFORMS say."""

import os
import sys

from siamjax import installation
from siamjax.errors import UserError

DEVICES = ("cpu", "gpu", "tpu")
_VARIABLE = "JAX_PLATFORMS"
_MISSING = {
    "gpu": "nvidia-smi must list it, and JAX needs its CUDA packages: {}",
    "tpu": "JAX needs libtpu: {}",
}
_EXTRA = {"gpu": "cuda", "tpu": "tpu"}


def choose(device: str | None) -> None:
    """Makes JAX compute on a kind of device, in this process and those that it starts.

    Args:
        device: of `DEVICES`; None: what JAX_PLATFORMS says, else what JAX takes by its own rule.
    """
    if device is None:
        return
    # JAX's own order takes GPU and TPU before the CPU, and does not fail where they are absent
    platforms = "cpu" if device == "cpu" else ""
    os.environ[_VARIABLE] = platforms
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_platforms", platforms or None)


def check(device: str | None) -> None:
    """Refuses a device that is not there; starts JAX where it might be.

    Args:
        device: as `choose` took it.

    Raises:
        UserError: JAX has no such device, or JAX_PLATFORMS names one that is not there.
    """
    wanted = os.environ.get(_VARIABLE, "")
    if (device or wanted or "cpu") == "cpu":
        return
    import jax

    try:
        found = jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # AssertionError: nothing is left of the list
        why = str(error).partition(" (set JAX_PLATFORMS")[0] or "no such device here"
        raise UserError(
            f"{_VARIABLE}={wanted}: {' '.join(why.split())}; unset it, or give --device=cpu"
        ) from error
    if device not in (None, found):
        fix = _MISSING[device].format(installation.extra(_EXTRA[device]))
        raise UserError(f"--device={device}: JAX finds none here, only {found}; {fix}")
