"""Region proposal heads on template and search features, their fusion (SiamRPN++, section 3)."""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from siamjax.errors import UserError
from siamjax.models.conv import Conv, ConvBN, Numerics
from siamjax.models.xcorr import (
    cross_correlation,
    depthwise_correlation,
    upchannel_correlation,
)


class DepthwiseBranch(nn.Module):
    """Classification or regression of one level: correlation per channel, then 1x1 layers.

    Attributes:
        outputs: channels of the map, 2A for cls and 4A for loc.
        channels: C of the features.
    """

    outputs: int
    channels: int
    numerics: Numerics

    similarity = staticmethod(depthwise_correlation)

    def setup(self):
        shared = {"features": self.channels, "activation": nn.relu, "numerics": self.numerics}
        self.kernel = ConvBN(size=3, **shared)
        self.search = ConvBN(size=3, **shared)
        self.hidden = ConvBN(size=1, **shared)
        # float32: small, and the logits are
        self.out = Conv(self.outputs, bias=True, numerics=self.numerics.exact())

    def kernels(self, template, train: bool = False):
        """(B, 7, 7, C) template features -> (B, 5, 5, C) correlation kernels."""
        return self.kernel(template, train)

    def correlate(self, kernels, search, train: bool = False):
        """(B, 5, 5, C) kernels, (B, 31, 31, C) search features -> (B, 25, 25, outputs)."""
        return self.out(self.hidden(self.responses(kernels, search, train), train))

    def responses(self, kernels, search, train: bool = False):
        """The similarity before the 1x1 layers, (B, 25, 25, C); of a cross branch one map."""
        correlate = functools.partial(self.similarity, operations=self.numerics.operations)
        return jax.vmap(correlate)(self.search(search, train), kernels)


class CrossBranch(DepthwiseBranch):
    """The same with a correlation over all channels: one map (S, S, 1) before the 1x1 layers."""

    similarity = staticmethod(cross_correlation)


class UpChannelBranch(nn.Module):
    """The branch of SiamRPN: the template side makes one full kernel per output channel.

    The regression branch, `loc`, has a further 1x1 convolution on the map.
    """

    outputs: int
    channels: int
    numerics: Numerics

    def setup(self):
        shared = {"size": 3, "bias": True, "numerics": self.numerics}
        self.kernel = Conv(self.channels * self.outputs, **shared)
        self.search = Conv(self.channels, **shared)
        if self.name == "loc":
            # float32 as the other branch's
            self.out = Conv(self.outputs, bias=True, numerics=self.numerics.exact())

    def kernels(self, template, train: bool = False):
        """(B, 6, 6, C) template features -> (B, 4, 4, outputs * C) correlation kernels."""
        return self.kernel(template)

    def correlate(self, kernels, search, train: bool = False):
        """Kernels, (B, H, W, C) search features -> (B, S, S, outputs)."""
        correlate = functools.partial(upchannel_correlation, operations=self.numerics.operations)
        response = jax.vmap(correlate)(self.search(search), kernels)
        return self.out(response) if self.name == "loc" else response


BRANCHES = {"depthwise": DepthwiseBranch, "upchannel": UpChannelBranch, "cross": CrossBranch}


class RPN(nn.Module):
    """Both branches of one level: children `cls` and `loc`.

    Attributes:
        kind: a name of `BRANCHES`.
        anchors_per_cell: A.
        channels: C of the features.
    """

    kind: str
    anchors_per_cell: int
    channels: int
    numerics: Numerics = Numerics()

    def setup(self):
        branch = BRANCHES[self.kind]
        self.cls = branch(2 * self.anchors_per_cell, self.channels, self.numerics)
        self.loc = branch(4 * self.anchors_per_cell, self.channels, self.numerics)

    def kernels(self, template, train: bool = False):
        """Template features of this level -> {"cls": kernels, "loc": kernels}."""
        cls, loc = self.cls.kernels(template, train), self.loc.kernels(template, train)
        return {"cls": cls, "loc": loc}

    def correlate(self, kernels, search, train: bool = False):
        """-> cls (B, S, S, 2A), loc (B, S, S, 4A), float32."""
        cls = self.cls.correlate(kernels["cls"], search, train)
        loc = self.loc.correlate(kernels["loc"], search, train)
        return cls.astype(jnp.float32), loc.astype(jnp.float32)


class Head(nn.Module):
    """One RPN per level, children `level2`, `level3`, ..., and the fusion of their maps.

    Attributes:
        channels: C per level.
        weighted: fuse with the softmax of one learned scalar per level, one set (`cls_weight`,
            `loc_weight`) for each branch; False: plain mean. A single level is not fused.
    """

    kind: str
    anchors_per_cell: int
    levels: Sequence[int]
    channels: Sequence[int]
    weighted: bool
    numerics: Numerics = Numerics()

    def setup(self):
        self.rpns = [
            RPN(self.kind, self.anchors_per_cell, channels, self.numerics, name=f"level{level}")
            for level, channels in zip(self.levels, self.channels, strict=True)
        ]
        if self.weighted and len(self.levels) > 1:
            shape = (len(self.levels),)
            self.cls_weight = self.param("cls_weight", nn.initializers.ones, shape)
            self.loc_weight = self.param("loc_weight", nn.initializers.ones, shape)

    def kernels(self, template, train: bool = False):
        """Tuple over the levels of template features -> tuple of {"cls", "loc"} kernels."""
        return tuple(rpn.kernels(z, train) for rpn, z in zip(self.rpns, template, strict=True))

    def maps(self, kernels, search, train: bool = False):
        """Tuple over the levels of (cls, loc), before fusion."""
        return tuple(
            rpn.correlate(k, x, train) for rpn, k, x in zip(self.rpns, kernels, search, strict=True)
        )

    def correlate(self, kernels, search, train: bool = False):
        """-> the fused cls (B, S, S, 2A) and loc (B, S, S, 4A), float32.

        Raises:
            UserError: levels whose maps differ in size.
        """
        cls, loc = zip(*self.maps(kernels, search, train))
        sides = {level.shape[1:3] for level in cls}
        if len(sides) > 1:
            raise UserError(
                f"model.levels={tuple(self.levels)}: their score maps have the sides "
                f"{sorted(side[0] for side in sides)}; only levels of one stride can be fused"
            )
        if len(self.levels) == 1:
            return cls[0], loc[0]
        if not self.weighted:
            return sum(cls) / len(cls), sum(loc) / len(loc)
        return _fuse(self.cls_weight, cls), _fuse(self.loc_weight, loc)


def _fuse(weight, maps):
    return sum(share * level for share, level in zip(jax.nn.softmax(weight), maps))
