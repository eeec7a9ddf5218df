"""Functions for arrays of the host (NumPy) and of a device (JAX) alike."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

AnyArray: TypeAlias = Any
"""`np.ndarray` or `jax.Array`, for annotations of modules that do not load JAX."""

Values: TypeAlias = np.ndarray | Sequence
"""What `np.asarray` takes: an array or (nested) sequences of numbers."""


def namespace(array: AnyArray):
    """The module of an array's functions: `jax.numpy` for JAX, `numpy` for all else."""
    return array.__array_namespace__() if hasattr(array, "__array_namespace__") else np
