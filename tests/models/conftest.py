"""Small networks of every family, with random statistics so that nothing is the identity."""

import jax
import numpy as np
import pytest

from siamjax.models import SiamRPN, init_variables

SMALL = {
    "resnet50": dict(backbone="resnet50", width=0.0625, blocks=(1, 1, 2, 1), adjust_channels=(8,)),
    "resnet18": dict(backbone="resnet18", width=0.125, blocks=(1, 1, 1, 2), adjust_channels=(8,)),
    "mobilenetv2": dict(backbone="mobilenetv2", width=0.25, levels=(3, 5), weighted=False),
    "mobilenetv3": dict(backbone="mobilenetv3", width=0.25, levels=(3, 6), adjust_channels=(8,)),
    "alexnet": dict(backbone="alexnet", width=0.125, levels=(5,), adjust_channels=()),
}
SMALL["resnet18"]["levels"] = (3, 4)
SMALL["mobilenetv2"]["adjust_channels"] = (8,)


def _small(name, **changes):
    """A narrow network of the family."""
    return SiamRPN(**{**SMALL[name], **changes})


def _random_variables(model, seed=0):
    """Initial variables with random normalisations, biases and fusion weights."""
    rng = np.random.default_rng(seed)

    def change(path, leaf):
        name = path[-1].key
        if name == "kernel":
            return leaf
        value = 0.2 * rng.standard_normal(leaf.shape)
        positive = name in ("scale", "var", "cls_weight", "loc_weight")
        return (np.exp(value) if positive else value).astype(np.float32)

    return jax.tree_util.tree_map_with_path(change, init_variables(model, seed))


def _crops(batch=1, seed=0, search=255):
    """Template and search crops, raw 0..255."""
    rng = np.random.default_rng(seed)
    sides = (127, search)
    return tuple(rng.uniform(0, 255, (batch, n, n, 3)).astype(np.float32) for n in sides)


@pytest.fixture(params=SMALL)
def family(request):
    return request.param


@pytest.fixture
def small():
    return _small


@pytest.fixture(scope="session")
def small_network():
    """`small` for fixtures that live longer than a test."""
    return _small


@pytest.fixture
def random_variables():
    return _random_variables


@pytest.fixture
def crops():
    return _crops


@pytest.fixture(autouse=True)
def strict():
    """Nothing is promoted, neither types nor ranks."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
