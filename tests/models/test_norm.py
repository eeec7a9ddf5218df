"""Batch normalisation against the definition, running statistics included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.models import formulations
from siamjax.models.formulations import moments_in_one_pass
from siamjax.models.norm import BatchNorm


@pytest.fixture(params=["cpu", "default"], autouse=True)
def platform(request, monkeypatch):
    """Each platform's formulation."""
    chosen = formulations.TABLE["moments"][request.param]
    monkeypatch.setitem(formulations.TABLE, "moments", {"default": chosen})


def setup(**fields):
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (4, 3, 2, 5)).astype(np.float32)
    norm = BatchNorm(**fields)
    variables = {
        "params": {"scale": jnp.arange(1.0, 6), "bias": jnp.arange(5.0)},
        "batch_stats": {"mean": jnp.full(5, 2.0), "var": jnp.full(5, 3.0)},
    }
    return norm, variables, x


def test_running_statistics_in_inference():
    norm, variables, x = setup()
    wanted = (x - 2) / np.sqrt(3 + 1e-5) * np.arange(1, 6) + np.arange(5)
    np.testing.assert_allclose(norm.apply(variables, x), wanted, rtol=2e-6, atol=2e-6)


def test_training_uses_biased_and_keeps_unbiased_variance():
    norm, variables, x = setup()
    y, changed = norm.apply(variables, x, True, mutable=["batch_stats"])
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    wanted = (x - mean) / np.sqrt(var + 1e-5) * np.arange(1, 6) + np.arange(5)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)
    stats = changed["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.9 * 2 + 0.1 * mean, rtol=1e-6)
    np.testing.assert_allclose(stats["var"], 0.9 * 3 + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-6)


def test_synchronised_statistics_equal_one_big_batch():
    norm, variables, x = setup()
    whole, wanted = norm.apply(variables, x, True, mutable=["batch_stats"])
    synchronised, _, _ = setup(axis_name="device")
    parts, stats = jax.vmap(
        lambda part: synchronised.apply(variables, part, True, mutable=["batch_stats"]),
        axis_name="device",
    )(x.reshape(2, 2, *x.shape[1:]))
    np.testing.assert_allclose(parts.reshape(x.shape), whole, rtol=1e-5, atol=1e-5)
    for name in ("mean", "var"):
        for device in range(2):
            np.testing.assert_allclose(
                stats["batch_stats"][name][device], wanted["batch_stats"][name], rtol=1e-5
            )


def test_one_pass_loses_no_digits_to_a_large_mean():
    x = np.random.default_rng(0).normal(1e4, 1, (50, 40, 3)).astype(np.float32)
    mean, var = moments_in_one_pass(jnp.asarray(x))
    np.testing.assert_allclose(mean, x.mean((0, 1), np.float64), rtol=1e-6)
    np.testing.assert_allclose(var, x.var((0, 1), np.float64), rtol=1e-4)


def test_float32_inside_bfloat16():
    norm, variables, x = setup(dtype=jnp.bfloat16)
    y, changed = norm.apply(variables, jnp.bfloat16(x), True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(changed)} == {jnp.dtype("float32")}


def automatic(x, scale, bias):
    """The definition, for JAX to differentiate."""
    mean = x.mean((0, 1, 2), keepdims=True)
    var = jnp.square(x - mean).mean((0, 1, 2), keepdims=True)
    return (x - mean) / jnp.sqrt(var + 1e-5) * scale[None, None, None] + bias[None, None, None]


WEIGHTS = np.random.default_rng(1).normal(size=(4, 3, 2, 5)).astype(np.float32)


def gradients(function, x, params, weights=WEIGHTS):
    """Of a function with a different slope at each value, by its input, scale and bias."""

    def total(x, params):
        return jnp.sum(function(x, params) * weights)

    return jax.grad(total, (0, 1))(jnp.asarray(x), params)


def assert_near(found, wanted):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, wanted)


def normalise(norm, variables):
    """The module as a function of input and parameters."""

    def apply(x, params):
        variables_ = {**variables, "params": params}
        return norm.apply(variables_, x, True, mutable=["batch_stats"])[0]

    return apply


@pytest.mark.parametrize("spread", [1, 1e-3])  # the second: variances below epsilon
def test_gradient_is_that_of_the_definition(spread):
    norm, variables, x = setup()
    x *= spread
    found = gradients(normalise(norm, variables), x, variables["params"])
    assert_near(found, gradients(lambda x, p: automatic(x, **p), x, variables["params"]))


def test_gradient_over_devices_is_that_of_one_big_batch():
    norm, variables, x = setup(axis_name="device")
    params = variables["params"]

    def of_device(part, weights):
        return gradients(normalise(norm, variables), part, params, weights)

    def parts(array):
        return jnp.asarray(array.reshape(2, 2, *array.shape[1:]))

    by_input, by_params = jax.vmap(of_device, axis_name="device")(parts(x), parts(WEIGHTS))
    # a parameter's gradient is the sum of the devices' shares
    found = by_input.reshape(x.shape), jax.tree.map(lambda share: share.sum(0), by_params)
    assert_near(found, gradients(lambda x, p: automatic(x, **p), x, params))
