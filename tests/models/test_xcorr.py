"""The correlations against plain loops and against the grouped convolution."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.models import xcorr
from siamjax.models.formulations import FORMULATIONS, TABLE


def pair(seed=0, search=(9, 8), kernel=(4, 3), channels=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*search, channels)), rng.standard_normal((*kernel, channels))


def by_loops(search, kernel):
    height, width, _ = kernel.shape
    rows, columns = search.shape[0] - height + 1, search.shape[1] - width + 1
    return np.array(
        [
            [np.sum(search[i : i + height, j : j + width] * kernel, (0, 1)) for j in range(columns)]
            for i in range(rows)
        ]
    )


@pytest.fixture(params=["cpu", "default", "plain"])
def correlate(request):
    """The correlation in each formulation."""
    operations = FORMULATIONS["plain"]
    if request.param != "plain":
        operations = operations._replace(correlation=TABLE["correlation"][request.param])
    return functools.partial(xcorr.depthwise_correlation, operations=operations)


def test_values(correlate):
    search, kernel = pair()
    wanted = by_loops(search, kernel)
    search, kernel = jnp.float32(search), jnp.float32(kernel)
    for function in (correlate, xcorr.depthwise_correlation, xcorr.correlate_by_grouped_conv):
        np.testing.assert_allclose(function(search, kernel), wanted, atol=1e-5)


def test_gradients_equal_the_oracles(correlate):
    search, kernel = (jnp.float32(array) for array in pair(1))
    result, pull = jax.vjp(correlate, search, kernel)
    _, pull_oracle = jax.vjp(xcorr.correlate_by_grouped_conv, search, kernel)
    gradient = jnp.float32(np.random.default_rng(2).standard_normal(result.shape))
    for ours, wanted in zip(pull(gradient), pull_oracle(gradient)):
        np.testing.assert_allclose(ours, wanted, atol=1e-5)


def test_each_target_of_a_batch_has_its_own_kernel():
    pairs = [pair(seed) for seed in range(3)]
    search, kernels = (jnp.float32(np.stack(arrays)) for arrays in zip(*pairs))

    batched = jax.vmap(xcorr.depthwise_correlation)

    def loss(search, kernels):
        return jnp.sum(batched(search, kernels) ** 2)

    result = batched(search, kernels)
    for i, (one_search, one_kernel) in enumerate(pairs):
        np.testing.assert_allclose(result[i], by_loops(one_search, one_kernel), atol=1e-5)
    whole = jax.grad(loss, (0, 1))(search, kernels)
    for i in range(3):
        single = jax.grad(loss, (0, 1))(search[i : i + 1], kernels[i : i + 1])
        for ours, wanted in zip(whole, single):
            np.testing.assert_allclose(ours[i], wanted[0], rtol=1e-5, atol=1e-5)


def test_upchannel():
    search, _ = pair(3)
    kernel = np.random.default_rng(4).standard_normal((4, 3, 2 * 5))
    wanted = np.stack(
        [by_loops(search, kernel[..., 5 * d : 5 * d + 5]).sum(-1) for d in range(2)], -1
    )
    search, kernel = jnp.float32(search), jnp.float32(kernel)
    plain = functools.partial(xcorr.upchannel_correlation, operations=FORMULATIONS["plain"])
    results, pulls = zip(
        *(jax.vjp(f, search, kernel) for f in (xcorr.upchannel_correlation, plain))
    )
    for result in results:
        np.testing.assert_allclose(result, wanted, atol=1e-5)
    gradient = jnp.float32(np.random.default_rng(7).standard_normal(wanted.shape))
    for ours, oracle in zip(*(pull(gradient) for pull in pulls)):
        np.testing.assert_allclose(ours, oracle, atol=1e-5)


def test_cross():
    """One map: the sum over the channels of plain loops; so do its gradients."""
    search, kernel = pair(5)
    wanted = by_loops(search, kernel).sum(-1, keepdims=True)
    search, kernel = jnp.float32(search), jnp.float32(kernel)
    result, pull = jax.vjp(xcorr.cross_correlation, search, kernel)
    np.testing.assert_allclose(result, wanted, atol=1e-5)
    oracle, pull_oracle = jax.vjp(xcorr.upchannel_correlation, search, kernel)
    np.testing.assert_allclose(oracle, wanted, atol=1e-5)
    gradient = jnp.float32(np.random.default_rng(6).standard_normal(result.shape))
    for ours, wanted in zip(pull(gradient), pull_oracle(gradient)):
        np.testing.assert_allclose(ours, wanted, atol=1e-5)
