"""Batch normalisation with PyTorch's semantics, which the published weights were trained with."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from siamjax.models import backend

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

    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, train: bool = False):
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        var = self.variable("batch_stats", "var", jnp.ones, shape)
        if not train:
            factor = scale * jax.lax.rsqrt(var.value + EPSILON)
            offset = bias - mean.value * factor
            y = x.astype(jnp.float32) * _along(factor, x) + _along(offset, x)
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
    mean, var = (_moments if backend.name() == "cpu" else moments_in_one_pass)(x, axis)
    factor = scale * jax.lax.rsqrt(var + EPSILON)
    y = (x.astype(jnp.float32) - _along(mean, x)) * _along(factor, x) + _along(bias, x)
    return y, mean, var


def _moments(x, axis):
    """Mean and biased variance of each channel, over all devices."""
    x, axes = x.astype(jnp.float32), tuple(range(x.ndim - 1))
    mean = _mean_over_devices(x.mean(axes), axis)
    return mean, _mean_over_devices(jnp.square(x - _along(mean, x)).mean(axes), axis)


def moments_in_one_pass(x, axis=None):
    """`_moments` for devices whose time goes into reading x: its values are counted from the first
    one, so that the difference of mean square and squared mean loses no digits to the mean.

    Args:
        x: (..., C).
        axis: device axis, or None.

    Returns:
        (C,) mean and biased variance, float32, over all devices.
    """
    axes = tuple(range(x.ndim - 1))
    first = x[(0,) * len(axes)].astype(jnp.float32)
    away = x.astype(jnp.float32) - _along(first, x)
    offset, square = away.mean(axes), jnp.square(away).mean(axes)
    var = jnp.maximum(square - jnp.square(offset), 0)
    mean = _mean_over_devices(first + offset, axis)
    return mean, _mean_over_devices(var + jnp.square(first + offset - mean), axis)


def _normalise_forward(x, scale, bias, axis):
    y, mean, var = _normalise(x, scale, bias, axis)
    return (y, mean, var), (x, scale, mean, jax.lax.rsqrt(var + EPSILON))


def _normalise_backward(axis, residuals, gradients):
    x, scale, mean, inverse = residuals
    axes = tuple(range(x.ndim - 1))
    gradient = gradients[0]
    normal = (x.astype(jnp.float32) - _along(mean, x)) * _along(inverse, x)
    sums = jnp.stack([gradient.sum(axes), (gradient * normal).sum(axes)])
    total = sums if axis is None else jax.lax.psum(sums, axis)
    of_mean, of_var = (_along(share, x) for share in total / _count(x, axis))
    x_gradient = _along(scale * inverse, x) * (gradient - of_mean - normal * of_var)
    # those of scale and bias are this device's share, as every parameter's
    return x_gradient.astype(x.dtype), sums[1], sums[0]


_normalise.defvjp(_normalise_forward, _normalise_backward)


def _along(channels, x):
    """(C,) with as many axes as x (..., C)."""
    return jnp.expand_dims(channels, range(x.ndim - 1))


def _mean_over_devices(value, axis):
    """Every device holds as many values, so means of means are exact."""
    return value if axis is None else jax.lax.pmean(value, axis)


def _count(x, axis):
    """Values per channel, over all devices."""
    return x.size // x.shape[-1] * (1 if axis is None else jax.lax.psum(1, axis))
