"""Batch normalisation with PyTorch's semantics, which the published weights were trained with."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from siamjax.models.formulations import along, moments
from siamjax.models.initialise import parameter

EPSILON = 1e-5
MOMENTUM = 0.1  # share of the batch in the new running statistics


class BatchNorm(nn.Module):
    """Normalises each channel over batch, rows and columns; statistics and arithmetic are float32.

    Training uses the batch's mean and biased variance and moves the running statistics (collection
    "batch_stats": mean, var) by `MOMENTUM` towards the mean and the *unbiased* variance. Called
    twice in one step (template, then search) it moves them twice, in that order.

    Attributes:
        dtype: of the output.
        axis_name: device axis over which batch statistics are averaged; None: each device its own.
    """

    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, train: bool = False):
        shape = (x.shape[-1],)
        scale = parameter(self, "scale", nn.initializers.ones, shape)
        bias = parameter(self, "bias", nn.initializers.zeros, shape)
        x, scale, bias = (jnp.asarray(array) for array in (x, scale, bias))
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        var = self.variable("batch_stats", "var", jnp.ones, shape)
        if not train:
            factor = scale * jax.lax.rsqrt(var.value + EPSILON)
            offset = bias - mean.value * factor
            y = x.astype(jnp.float32) * along(factor, x) + along(offset, x)
            return y.astype(self.dtype)

        axis = None if self.is_initializing() else self.axis_name
        y, batch_mean, batch_var = _normalise(x, scale, bias, axis)
        if not self.is_initializing():
            count = _count(x, axis)
            unbiased = batch_var * (count / (count - 1))
            mean.value = (1 - MOMENTUM) * mean.value + MOMENTUM * batch_mean
            var.value = (1 - MOMENTUM) * var.value + MOMENTUM * unbiased
        return y.astype(self.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _normalise(x, scale, bias, axis):
    """By the batch's statistics: -> normalised x, mean, biased variance.

    The gradient (of the first result alone) is written out: two sums per channel in one pass and
    one exchange between devices, where the automatic one makes several of each. What it keeps is x
    as it came, which may be half as large as its float32.
    """
    mean, var = moments(x, axis)
    factor = scale * jax.lax.rsqrt(var + EPSILON)
    y = (x.astype(jnp.float32) - along(mean, x)) * along(factor, x) + along(bias, x)
    return y, mean, var


def _normalise_forward(x, scale, bias, axis):
    y, mean, var = _normalise(x, scale, bias, axis)
    return (y, mean, var), (x, scale, mean, jax.lax.rsqrt(var + EPSILON))


def _normalise_backward(axis, residuals, gradients):
    x, scale, mean, inverse = residuals
    axes = tuple(range(x.ndim - 1))
    gradient = gradients[0]
    normal = (x.astype(jnp.float32) - along(mean, x)) * along(inverse, x)
    sums = jnp.stack([gradient.sum(axes), (gradient * normal).sum(axes)])
    total = sums if axis is None else jax.lax.psum(sums, axis)
    of_mean, of_var = (along(share, x) for share in total / _count(x, axis))
    x_gradient = along(scale * inverse, x) * (gradient - of_mean - normal * of_var)
    # those of scale and bias are this device's share, as every parameter's
    return x_gradient.astype(x.dtype), sums[1], sums[0]


_normalise.defvjp(_normalise_forward, _normalise_backward)


def _count(x, axis):
    """Values per channel, over all devices."""
    return x.size // x.shape[-1] * (1 if axis is None else jax.lax.psum(1, axis))
