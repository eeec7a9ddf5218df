"""Every formulation of a convolution against XLA's own, values and gradients."""

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.models import formulations as conv
from siamjax.models.winograd import winograd_conv2d


def arrays(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize(
    "size, padding, dilation",
    [((9, 8), 1, 1), ((7, 11), 0, 1), ((9, 9), 2, 2), ((13, 10), 4, 4), ((11, 9), 1, 2)],
)
def test_winograd_is_the_convolution(size, padding, dilation):
    x, kernel = arrays(0, (2, *size, 6), (3, 3, 6, 5))
    wanted, pull_wanted = jax.vjp(lambda x, k: conv.lax_conv(x, k, 1, padding, dilation), x, kernel)
    result, pull = jax.vjp(lambda x, k: winograd_conv2d(x, k, padding, dilation), x, kernel)
    np.testing.assert_allclose(result, wanted, atol=2e-5)
    (gradient,) = arrays(1, wanted.shape)
    for ours, theirs in zip(pull(gradient), pull_wanted(gradient)):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_wide_kernels_take_winograd_and_narrow_ones_do_not():
    for channels in (conv.WIDE, conv.WIDE - 1):
        x, kernel = arrays(0, (1, 6, 6, channels), (3, 3, channels, conv.WIDE))
        text = stablehlo(lambda x=x, k=kernel: conv.conv2d(x, k, 1, 1), "cpu")
        assert ("stablehlo.convolution" in text) == (channels < conv.WIDE)


@pytest.mark.parametrize("channels", [(70, 64), (64, 70)])
@pytest.mark.parametrize("stride, padding, size", [(1, 0, 1), (2, 0, 1), (2, 0, 3), (1, 2, 3)])
@pytest.mark.parametrize("formulation", ["platform", "products"])
def test_conv2d(stride, padding, size, channels, formulation):
    conv2d = conv.FORMULATIONS[formulation].conv2d
    x, kernel = arrays(0, (2, 9, 10, channels[0]), (size, size, *channels))
    result, pull = jax.vjp(lambda x, k: conv2d(x, k, stride, padding), x, kernel)
    wanted, pull_wanted = jax.vjp(lambda x, k: conv.lax_conv(x, k, stride, padding), x, kernel)
    np.testing.assert_allclose(result, wanted, atol=2e-4)
    (gradient,) = arrays(1, wanted.shape)
    for ours, theirs in zip(pull(gradient), pull_wanted(gradient)):
        np.testing.assert_allclose(ours, theirs, atol=5e-4)


@pytest.mark.parametrize(
    "stride, padding, dilation", [(1, 1, 1), (2, 0, 1), (2, 1, 1), (1, 4, 4), (3, 1, 2)]
)
@pytest.mark.parametrize("platform", ["cpu", "cuda", "default", None])
def test_depthwise(platform, stride, padding, dilation):
    convolve = conv.TABLE["depthwise"][platform] if platform else conv.depthwise_conv2d
    x, kernel = arrays(0, (2, 11, 12, 7), (3, 3, 1, 7))
    result, pull = jax.vjp(lambda x, k: convolve(x, k, stride, padding, dilation), x, kernel)
    wanted, pull_wanted = jax.vjp(
        lambda x, k: conv.lax_conv(x, k, stride, padding, dilation, groups=7), x, kernel
    )
    np.testing.assert_allclose(result, wanted, atol=1e-5)
    (gradient,) = arrays(1, wanted.shape)
    for ours, theirs in zip(pull(gradient), pull_wanted(gradient)):
        np.testing.assert_allclose(ours, theirs, atol=5e-5)


def test_depthwise_is_plain_unless_asked():
    x, kernel = arrays(0, (2, 11, 12, 7), (3, 3, 1, 7))
    wanted = conv.depthwise_conv2d(x, kernel, stride=1, padding=0, dilation=1)
    np.testing.assert_array_equal(conv.depthwise_conv2d(x, kernel), wanted)
    assert wanted.shape == (2, 9, 10, 7)


@pytest.mark.parametrize("padding", [0, 1])
def test_max_pool(padding):
    (x,) = arrays(0, (2, 12, 11, 3))

    def wanted(x):
        return nn.max_pool(x, (3, 3), (2, 2), ((padding, padding),) * 2)

    np.testing.assert_array_equal(conv.max_pool(x, padding), wanted(x))
    ours, theirs = (
        jax.grad(lambda x, f=f: jnp.sum(f(x) ** 3))(x)
        for f in (lambda x: conv.max_pool(x, padding), wanted)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def stablehlo(function, platform):
    """The program of a function without arguments, lowered here for a platform."""
    return jax.export.export(jax.jit(function), platforms=(platform,))().mlir_module()


def test_tpus_get_xlas_operations():
    x, wide, single = arrays(0, (1, 9, 9, 64), (3, 3, 64, 64), (3, 3, 1, 64))
    assert "stablehlo.convolution" in stablehlo(lambda: conv.conv2d(x, wide, 1, 1), "tpu")
    assert "feature_group_count = 64" in stablehlo(
        lambda: conv.depthwise_conv2d(x, single, 1, 1), "tpu"
    )
    assert "stablehlo.reduce_window" in stablehlo(lambda: conv.max_pool(x), "tpu")


def test_gpus_get_no_grouped_convolution():
    x, single = arrays(0, (1, 9, 9, 64), (3, 3, 1, 64))
    for platform in ("cuda", "rocm"):
        text = stablehlo(lambda: conv.depthwise_conv2d(x, single, 1, 1), platform)
        assert "stablehlo.convolution" not in text
