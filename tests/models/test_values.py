"""Single numbers that the networks consist of."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax.models import SiamRPN, alexnet, import_imagenet, mobilenetv2, mobilenetv3, resnet
from siamjax.models.conv import Conv, Numerics
from siamjax.models.folding import fold
from siamjax.models.import_torch import pysot_names


@pytest.mark.parametrize(
    "backbone, channels",
    [
        (alexnet.AlexNet(levels=(1, 2, 3, 4, 5)), (96, 256, 384, 384, 256)),
        (alexnet.AlexNet(), (256,)),
        (resnet.ResNet(depth=18), (128, 256, 512)),
        (mobilenetv2.MobileNetV2(), (44, 134, 448)),
        (mobilenetv3.MobileNetV3(), (24, 40, 96)),
        (
            mobilenetv3.MobileNetV3(levels=tuple(range(10))),
            (16, 16, 24, 24, 40, 40, 40, 48, 48, 96),
        ),
        (alexnet.AlexNet(width=0.51, levels=(1, 5)), (48, 130)),  # whole channels, cut off
        (resnet.ResNet(depth=18, levels=(0, 1, 2, 3, 4)), (64, 64, 128, 256, 512)),
        (resnet.ResNet(depth=18, width=0.25, levels=(2, 4)), (32, 128)),
        (resnet.ResNet(depth=50, levels=(0, 1, 2, 3, 4)), (64, 256, 512, 1024, 2048)),
        (
            mobilenetv2.MobileNetV2(width=1.0, levels=tuple(range(8))),
            (32, 16, 24, 32, 64, 96, 160, 320),
        ),
    ],
)
def test_channels(backbone, channels):
    assert backbone.channels() == channels
    image = jax.ShapeDtypeStruct((1, 127, 127, 3), jnp.float32)
    features = jax.eval_shape(backbone.init_with_output, jax.random.key(0), image)[0]
    assert tuple(level.shape[-1] for level in features.values()) == channels


@pytest.mark.parametrize("level, reach", [(2, 19), (3, 59), (4, 171), (5, 267), (6, 427), (7, 491)])
def test_how_far_mobilenetv2_sees(level, reach):
    """By hand, in px: each 3x3 convolution adds 2 * dilation * stride so far. A layer's first block
    has half its dilation where that is a new one."""
    layers = []

    def record(call, args, kwargs, context):
        if isinstance(context.module, Conv):
            layers.append(context.module)
        return call(*args, **kwargs)

    backbone = mobilenetv2.MobileNetV2(width=0.125, levels=(level,))
    image = jax.ShapeDtypeStruct((1, 127, 127, 3), jnp.float32)
    with nn.intercept_methods(record):
        jax.eval_shape(backbone.init, jax.random.key(0), image)
    side = stride = 1
    for layer in layers:
        side += (layer.size - 1) * layer.dilation * stride
        stride *= layer.stride
    assert side == reach


def test_an_inverted_residual_adds_its_input():
    block = mobilenetv2.InvertedResidual(8, 2, stride=1, dilation=1, numerics=Numerics())
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 5, 5, 8)), jnp.float32)
    variables = block.init(jax.random.key(0), x)
    last = variables["params"]["project_bn"]
    last["scale"], last["bias"] = jnp.zeros(8), jnp.arange(8.0)
    np.testing.assert_allclose(block.apply(variables, x), x + jnp.arange(8.0)[None, None, None])


def test_alexnets_last_layer_alone_has_no_relu(small, random_variables, crops):
    model = small("alexnet", levels=(4, 5))
    features = model.apply(random_variables(model), crops()[0], method="features")
    assert [bool((level < 0).any()) for level in features] == [False, True]


@pytest.mark.parametrize("kind, last", [(resnet.BasicBlock, "bn2"), (resnet.Bottleneck, "bn3")])
def test_a_residual_block_adds_its_input(kind, last):
    channels = 8 // kind.expansion
    block = kind(channels, 1, dilation=2, first=False, projection=3, numerics=Numerics())
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 5, 5, 8)), jnp.float32)
    variables = block.init(jax.random.key(0), x)
    assert "shortcut_conv" not in variables["params"]
    last = variables["params"][last]
    last["scale"], last["bias"] = jnp.zeros(8), jnp.arange(8.0)
    wanted = jnp.maximum(x + jnp.arange(8.0)[None, None, None], 0)
    np.testing.assert_allclose(block.apply(variables, x), wanted)


def test_folding_keeps_the_epsilon_of_small_variances():
    """f = scale / sqrt(var + 1e-5): here 3 / sqrt(4e-5)."""
    node = {
        "conv": {"kernel": np.ones((1, 1, 1, 1), np.float32)},
        "bn": {"scale": np.float32([3]), "bias": np.float32([0.5])},
    }
    stats = {"bn": {"mean": np.float32([2]), "var": np.float32([3e-5])}}
    _, folded = fold(SiamRPN(), {"params": {"neck": node}, "batch_stats": {"neck": stats}})
    conv = folded["params"]["neck"]["conv"]
    factor = 3 / np.sqrt(np.float64(np.float32(3e-5)) + 1e-5)
    np.testing.assert_allclose(conv["kernel"], np.full((1, 1, 1, 1), factor), rtol=1e-6)
    np.testing.assert_allclose(conv["bias"], [0.5 - 2 * factor], rtol=1e-6)


def test_a_single_level_has_no_number_in_pysots_names(small):
    names = pysot_names(small("resnet18", levels=(3,)))
    assert "neck.downsample.downsample.0.weight" in names
    assert "rpn_head.cls.head.3.bias" in names
    names = pysot_names(small("resnet18", levels=(3, 4)))
    assert "neck.downsample3.downsample.1.running_var" in names
    assert "rpn_head.rpn2.cls.head.3.bias" in names


def test_imagenets_mean_and_deviation_are_torchvisions():
    assert import_imagenet.MEAN.tolist() == [0.485, 0.456, 0.406]  # of red, green, blue in 0..1
    assert import_imagenet.STD.tolist() == [0.229, 0.224, 0.225]
