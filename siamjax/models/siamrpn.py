"""SiamRPN++: one backbone sees both crops, a head correlates them (arXiv 1812.11703)."""

import importlib
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from siamjax.errors import UserError, nearest
from siamjax.geometry.anchors import Anchors
from siamjax.models.adjust import TEMPLATE_SIDE, Neck, centre_crop
from siamjax.models.conv import Numerics
from siamjax.models.formulations import FORMULATIONS
from siamjax.models.resnet import STRIDES
from siamjax.models.rpn import BRANCHES, Head

# name -> module, class, its fixed fields; LEVELS of the module is {name: index} of the levels
BACKBONES = {
    "resnet18": ("siamjax.models.resnet", "ResNet", {"depth": 18}),
    "resnet34": ("siamjax.models.resnet", "ResNet", {"depth": 34}),
    "resnet50": ("siamjax.models.resnet", "ResNet", {"depth": 50}),
    "mobilenetv2": ("siamjax.models.mobilenetv2", "MobileNetV2", {}),
    "mobilenetv3": ("siamjax.models.mobilenetv3", "MobileNetV3", {}),
    "alexnet": ("siamjax.models.alexnet", "AlexNet", {}),
}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16, "float16": jnp.float16}


class SiamRPN(nn.Module):
    """The tracker's network. Images are (B, H, W, 3) BGR, raw 0..255, any dtype; maps are float32.

    z is the template crop (127 px), x the search crop (255 px in training). cls channels are
    class * A + anchor (class 0 background, 1 object), loc channels k * A + anchor for k = dx, dy,
    dw, dh. Variables: `params` with the children backbone, neck (unless `adjust_channels` is empty)
    and head, and `batch_stats` of the batch normalisations.

    Attributes:
        backbone: a name of `BACKBONES`.
        width: factor on the backbone's channels.
        blocks: residual blocks of layer1..layer4 (ResNet only); empty: the backbone's own.
        levels: backbone levels with a head each, by index or name ("layer3").
        adjust_channels: of the 1x1 adjust layers, per level; one value: for all; empty: no layers.
        correlation: the head's: "depthwise" (SiamRPN++), "upchannel" (SiamRPN) or "cross" (one map
            of all channels, then the depthwise head's 1x1 layers).
        weighted: learned softmax fusion of the levels; False: plain mean.
        dtype: of the computation, a name of `DTYPES`; float16 trains with loss scaling.
        early_dtype: the same of the first layers, whose rounding the rest magnifies: conv1, layer1
            and layer2 of a ResNet, the first layer of others.
        anchors_per_cell: A.
        bn_axis_name: device axis that batch statistics are averaged over; None: per device.
        folded: variables come from `siamjax.models.folding.fold` (inference only).
        stride: px per cell of the deepest level: 8; 16 and 32 for comparison (ResNet only).
        dilated: whether stages that keep their resolution dilate (ResNet only).
        template_cells: side of the template features that are kept of the adjusted ones.
        formulation: of convolutions and pooling: "platform", whatever is fastest where the program
            runs, "products", the same with 1x1 convolutions as products on accelerators too, or
            "plain", XLA's convolutions everywhere.

    Raises:
        UserError: a field's value that makes no network, or an image of the wrong shape.
    """

    backbone: str = "resnet50"
    width: float = 1.0
    blocks: Sequence[int] = ()
    levels: Sequence[int | str] = (2, 3, 4)
    adjust_channels: Sequence[int] = (256,)
    correlation: str = "depthwise"
    weighted: bool = True
    dtype: str = "float32"
    early_dtype: str = "float32"
    stride: int = 8
    dilated: bool = True
    template_cells: int = TEMPLATE_SIDE
    anchors_per_cell: int = 5
    bn_axis_name: str | None = None
    folded: bool = False
    formulation: str = "platform"

    def setup(self):
        """Checks the fields and makes the layers.

        Raises:
            UserError: a field's value that makes no network.
        """
        choices = {
            "formulation": FORMULATIONS,
            "dtype": DTYPES,
            "early_dtype": DTYPES,
            "correlation": BRANCHES,
            "stride": STRIDES,
        }
        for field, known in choices.items():
            _check_choice(field, getattr(self, field), known)
        numerics = Numerics(
            DTYPES[self.dtype],
            self.bn_axis_name,
            self.folded,
            self.formulation,
            DTYPES[self.early_dtype],
        )
        levels = self.level_indices()
        module, name, fixed = BACKBONES[self.backbone]
        backbone = getattr(importlib.import_module(module), name)
        fixed = fixed | self._changes(backbone)
        self.backbone_module = backbone(
            width=self.width, levels=levels, numerics=numerics, name="backbone", **fixed
        )
        channels = self.backbone_module.channels()
        if self.adjust_channels:
            channels = tuple(self.adjust_channels)
            if len(channels) not in (1, len(levels)):
                raise UserError(
                    f"model.adjust_channels={channels}: give one value, or one per level "
                    f"({len(levels)})"
                )
            channels *= len(levels) // len(channels)
            self.neck = Neck(levels, channels, numerics)
        self.rpn_head = Head(
            kind=self.correlation,
            anchors_per_cell=self.anchors_per_cell,
            levels=levels,
            channels=channels,
            weighted=self.weighted,
            numerics=numerics,
            name="head",
        )

    @nn.nowrap
    def _changes(self, backbone) -> dict:
        """The backbone's fields that differ from its own.

        Raises:
            UserError: a field that it does not have.
        """
        if self.blocks and len(self.blocks) != 4:
            raise UserError(
                f"model.blocks={tuple(self.blocks)}: give layer1..layer4's four, of a ResNet"
            )
        given = {"blocks": tuple(self.blocks), "stride": self.stride, "dilated": self.dilated}
        usual = {"blocks": (), "stride": 8, "dilated": True}
        changes = {name: value for name, value in given.items() if value != usual[name]}
        for name, value in changes.items():
            if name not in backbone.__dataclass_fields__:
                raise UserError(f"model.{name}={value}: {self.backbone} has none, a ResNet has")
        return changes

    @nn.nowrap
    def level_indices(self) -> tuple[int, ...]:
        """The levels by index.

        Raises:
            UserError: a level that the backbone does not have.
        """
        _check_choice("backbone", self.backbone, BACKBONES)
        known = importlib.import_module(BACKBONES[self.backbone][0]).LEVELS
        names = {**known, **{index: index for index in known.values()}}
        unknown = [repr(level) for level in self.levels if level not in names]
        given = f"model.levels={tuple(self.levels)}"
        if unknown or not self.levels:
            raise UserError(
                f"{given}: {(unknown or ['no level'])[0]} given, {self.backbone} has "
                + ", ".join(f"{index} ({name})" for name, index in known.items())
            )
        indices = tuple(names[level] for level in self.levels)
        if list(indices) != sorted(set(indices)):
            raise UserError(f"{given}: give each level once, in rising order")
        return indices

    def __call__(self, z, x, train: bool = False, train_backbone: Sequence[str] = ()):
        """-> cls (B, S, S, 2A), loc (B, S, S, 4A).

        train: the batch normalisations of neck and head use the batch's statistics, in the backbone
        those of the parts named in `train_backbone` ("layer2", ...); "batch_stats" must be mutable.
        """
        if z.ndim == x.ndim == 4 and (z.shape[1] > x.shape[1] or z.shape[2] > x.shape[2]):
            raise UserError(
                f"the template {z.shape[1:3]} is larger than the search crop {x.shape[1:3]}; "
                "the order is (z, x)"
            )
        zf = self.template(z, train, train_backbone)
        xf = self.search(x, train, train_backbone)
        return self.head(zf, xf, train)

    def features(self, image, train_parts: Sequence[str] = ()):
        """The backbone's levels of an image (B, H, W, 3): tuple of (B, h, w, C).

        Raises:
            UserError: an image of the wrong shape or type.
        """
        _check_images(image)
        levels = self.backbone_module(jnp.asarray(image), train_parts)
        return tuple(levels.values())

    def template(self, z, train: bool = False, train_backbone: Sequence[str] = ()):
        """Template crops (B, 127, 127, 3) -> tuple over levels of adjusted (B, 7, 7, C).

        Raises:
            UserError: an image of the wrong shape or type.
        """
        features = self._backbone_levels(z, train, train_backbone)
        if not self.adjust_channels:
            return features
        side = min(features[0].shape[1:3])
        if side < self.template_cells:
            raise UserError(
                f"the template crop {z.shape[1:3]} is too small: it gives {side} cells, "
                f"{self.template_cells} are needed"
            )
        kept = self.template_cells
        return tuple(centre_crop(level, kept) for level in self.neck(features, train))

    def search(self, x, train: bool = False, train_backbone: Sequence[str] = ()):
        """Search crops (B, 255, 255, 3) -> tuple over levels of adjusted (B, 31, 31, C).

        Raises:
            UserError: an image of the wrong shape or type.
        """
        features = self._backbone_levels(x, train, train_backbone)
        return self.neck(features, train) if self.adjust_channels else features

    def _backbone_levels(self, image, train, train_backbone):
        if train and self.folded:
            raise UserError("a network with folded batch normalisations does not train")
        return self.features(image, train_backbone if train else ())

    def kernels(self, zf, train: bool = False):
        """The head's template side: correlation kernels, a pytree, once per target."""
        return self.rpn_head.kernels(zf, train)

    def maps(self, kernels, xf, train: bool = False):
        """The levels' own maps before fusion: tuple of (cls, loc)."""
        return self.rpn_head.maps(kernels, xf, train)

    def correlate(self, kernels, xf, train: bool = False):
        """The head's search side: kernels of `kernels`, features of `search` -> cls, loc.

        Raises:
            UserError: kernels larger than the features.
        """
        kernel, cells = kernels[0]["cls"].shape[1:3], xf[0].shape[1:3]
        # The search side loses two cells in the head's 3x3 convolution.
        if kernel[0] > cells[0] - 2 or kernel[1] > cells[1] - 2:
            raise UserError(
                f"template kernels {kernel} are larger than the search features {cells}"
            )
        return self.rpn_head.correlate(kernels, xf, train)

    def head(self, zf, xf, train: bool = False):
        """Features of both crops -> cls (B, S, S, 2A), loc (B, S, S, 4A)."""
        return self.correlate(self.kernels(zf, train), xf, train)

    def encode(self, z):
        """Template crops (B, 127, 127, 3) -> correlation kernels, once per target.

        Raises:
            UserError: an image of the wrong shape or type.
        """
        return self.kernels(self.template(z))

    def respond(self, kernels, x):
        """Kernels of `encode`, search crops (B, side, side, 3) -> cls, loc as of the whole network.

        Raises:
            UserError: an image of the wrong shape or type, kernels larger than its features.
        """
        return self.correlate(kernels, self.search(x))


def build(config) -> SiamRPN:
    """The network of an experiment's config (`config.model`, `config.anchors`); hashable.

    Raises:
        UserError: a stride of the network that is not that of the anchors.
    """
    stride = config.model.get("stride", 8)
    if stride not in (8, config.anchors.stride):
        raise UserError(
            f"model.stride={stride}: the anchors have anchors.stride={config.anchors.stride}; set"
            " both, and tracker.base_size to 0"
        )
    fields = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config.model.items()
    }
    return SiamRPN(**fields, anchors_per_cell=Anchors(**config.anchors).per_cell)


def _check_choice(field, value, known):
    if value not in known:
        names = list(map(str, known))
        hint = f"did you mean {nearest(str(value), names)}?"
        raise UserError(f"model.{field}={value!r}: choose from {', '.join(names)}; {hint}")


def _check_images(images):
    shape = images.shape
    if len(shape) != 4 or shape[-1] != 3:
        hint = "convert it"
        if len(shape) == 4 and shape[1] == 3:
            hint = "this looks like NCHW: transpose to NHWC"
        elif len(shape) == 3 and shape[-1] == 3:
            hint = "add a batch axis"
        elif len(shape) in (2, 3) or shape[-1] == 1:
            hint = "this looks grey: repeat the channel three times"
        raise UserError(f"images must be (batch, height, width, 3) BGR, got {shape}; {hint}")
    if images.dtype != jnp.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(f"images must be uint8 or float with values 0..255, got {images.dtype}")
