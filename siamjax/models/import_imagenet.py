"""ImageNet classifiers as backbones: torchvision's or timm's ResNets, TensorFlow's MobileNetV2."""

import re

import numpy as np

from siamjax.errors import UserError
from siamjax.models.import_torch import backbone_from_pysot, refuse
from siamjax.models.mobilenetv2 import LAYERS
from siamjax.models.norm import EPSILON
from siamjax.models.siamrpn import SiamRPN

# torchvision's, of RGB in 0..1
MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


def backbone_from_torchvision(model: SiamRPN, tensors: dict, path) -> dict:
    """A ResNet-18, 34 or 50 of torchvision or timm, which sees normalised RGB.

    Each 1x1 projection of layers 2 to 4 becomes the centre tap of a 3x3 one. conv1 takes raw BGR:
    its kernel absorbs the scale and bn1's running mean the offset, exactly, because conv1 is
    unpadded. What stays different from the ImageNet network: dilations, paddings, the phase of
    layer2's stride.

    Args:
        model: a `SiamRPN` on a ResNet of that depth.
        tensors: {torchvision's name: array}; the classifier is left out.
        path: of the file, for messages.

    Returns:
        The backbone's part of the variables.

    Raises:
        UserError: tensors that are missing, unknown or wrongly shaped; the backbone is no ResNet.
    """
    if not model.backbone.startswith("resnet"):
        raise UserError(f"{path}: a ResNet does not fit --config.model.backbone={model.backbone}")
    tensors = {name.removeprefix("module."): np.asarray(array) for name, array in tensors.items()}
    refuse(path, "missing", sorted({"conv1.weight", "bn1.running_mean"} - tensors.keys()))
    for name, array in tensors.items():
        projection = re.fullmatch(r"layer[234]\.0\.downsample\.0\.weight", name)
        if projection and array.shape[2:] == (1, 1):
            tensors[name] = np.pad(array, ((0, 0), (0, 0), (1, 1), (1, 1)))
    mean, std = MEAN[:, None, None], STD[:, None, None]
    kernel = tensors["conv1.weight"].astype(np.float64)
    offset = (kernel * (mean / std)).sum((1, 2, 3))
    tensors["conv1.weight"] = (kernel / (255 * std))[:, ::-1]
    tensors["bn1.running_mean"] = tensors["bn1.running_mean"] + offset
    return backbone_from_pysot(model, tensors, path)


def backbone_from_mobilenetv2(model: SiamRPN, arrays: dict, path) -> dict:
    """A MobileNetV2 of width 1.0 with folded batch normalisations, which sees RGB (x - 128) / 128.

    conv0 takes raw BGR: its kernel absorbs the scale, its bias the offset. The first block, which
    has no expansion there, gets the identity. Biases become shifts of normalisations that do
    nothing else, so these must stay frozen: batch statistics would change the function.

    That network pads every layer as TensorFlow's SAME, this one not its stride-2 layers: cells near
    the border differ, and the sampling phase agrees on images of even side only.

    Args:
        model: a `SiamRPN` on MobileNetV2 of width 1.0.
        arrays: conv0.{w,b}, block0..block16.{expand,dw,project}.{w,b} in PyTorch's layout (out, in,
            rows, columns); the last convolution and the classifier are left out.
        path: of the file, for messages.

    Returns:
        The backbone's part of the variables.

    Raises:
        UserError: arrays that are missing or wrongly shaped; the backbone is another.
    """
    if model.backbone != "mobilenetv2" or model.width != 1.0:
        raise UserError(
            f"{path}: fits --config.model.backbone=mobilenetv2 --config.model.width=1.0 alone"
        )
    blocks = [f"layer{i}.{j}" for i, layer in enumerate(LAYERS, 1) for j in range(layer[2])]
    sources = {("layer0.0", "layer0.1"): "conv0"}
    for i, block in enumerate(blocks):
        for conv, name in ((0, "expand"), (3, "dw"), (6, "project")):
            sources[f"{block}.conv.{conv}", f"{block}.conv.{conv + 1}"] = f"block{i}.{name}"

    needed = {f"{name}.{kind}" for name in sources.values() for kind in "wb"}
    refuse(path, "missing", sorted(needed - {"block0.expand.w", "block0.expand.b"} - arrays.keys()))
    arrays = {name: np.asarray(arrays[name], np.float64) for name in needed & arrays.keys()}
    channels = arrays["block0.dw.w"].shape[0]
    arrays["block0.expand.w"] = np.eye(channels)[:, :, None, None]
    arrays["block0.expand.b"] = np.zeros(channels)
    kernel = arrays["conv0.w"]
    arrays["conv0.b"] = arrays["conv0.b"] - kernel.sum((1, 2, 3))
    arrays["conv0.w"] = kernel[:, ::-1] / 128

    tensors = {}
    for (conv, bn), name in sources.items():
        bias = arrays[f"{name}.b"]
        tensors[f"{conv}.weight"] = arrays[f"{name}.w"]
        tensors[f"{bn}.weight"] = np.full(bias.shape, np.sqrt(1 + EPSILON))
        tensors[f"{bn}.bias"] = bias
        tensors[f"{bn}.running_mean"] = np.zeros(bias.shape)
        tensors[f"{bn}.running_var"] = np.ones(bias.shape)
    return backbone_from_pysot(model, tensors, path)
