"""Batch normalisation with PyTorch's semantics, which the published weights were trained with."""

import flax.linen as nn
import jax
import jax.numpy as jnp

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
        x = x.astype(jnp.float32)
        if not train:
            factor = scale * jax.lax.rsqrt(var.value + EPSILON)
            return (x * factor + (bias - mean.value * factor)).astype(self.dtype)

        axes = tuple(range(x.ndim - 1))
        count = x.size // x.shape[-1]
        batch_mean = x.mean(axes)
        if self.axis_name is None or self.is_initializing():
            batch_var = jnp.square(x - batch_mean).mean(axes)
        else:
            # Every device holds as many values, so means of means are exact.
            batch_mean = jax.lax.pmean(batch_mean, self.axis_name)
            batch_var = jax.lax.pmean(jnp.square(x - batch_mean).mean(axes), self.axis_name)
            count *= jax.lax.psum(1, self.axis_name)
        if not self.is_initializing():
            unbiased = batch_var * (count / (count - 1))
            mean.value = (1 - MOMENTUM) * mean.value + MOMENTUM * batch_mean
            var.value = (1 - MOMENTUM) * var.value + MOMENTUM * unbiased
        factor = scale * jax.lax.rsqrt(batch_var + EPSILON)
        return ((x - batch_mean) * factor + bias).astype(self.dtype)
