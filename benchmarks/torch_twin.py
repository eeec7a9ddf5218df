"""The same network in eager PyTorch, for timing and for a second opinion; needs torch.

It reads a PySOT state dict (`siamjax.models.import_torch.to_pysot`) and calls the
same layers on the same shapes; batch normalisations are layers, as in an eager module in eval mode.
"""

import numpy as np
import torch
import torch.nn.functional as F


class Twin:
    """Dilated ResNet with bottlenecks, adjust layers and depthwise heads on levels 2, 3 and 4."""

    def __init__(self, tensors):
        self.tensors = {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}

    def conv_bn(self, x, conv, bn, relu=True, **where):
        t = self.tensors
        x = F.conv2d(x, t[f"{conv}.weight"], **where)
        statistics = (t[f"{bn}.running_mean"], t[f"{bn}.running_var"])
        x = F.batch_norm(x, *statistics, t[f"{bn}.weight"], t[f"{bn}.bias"])
        return F.relu(x, inplace=True) if relu else x

    def bottleneck(self, x, name, stride, padding, dilation):
        where = {"stride": stride, "padding": padding, "dilation": dilation}
        y = self.conv_bn(x, f"{name}.conv1", f"{name}.bn1")
        y = self.conv_bn(y, f"{name}.conv2", f"{name}.bn2", **where)
        y = self.conv_bn(y, f"{name}.conv3", f"{name}.bn3", relu=False)
        shortcut = f"{name}.downsample"
        if f"{shortcut}.0.weight" in self.tensors:
            if self.tensors[f"{shortcut}.0.weight"].shape[-1] == 1:
                where = {}
            x = self.conv_bn(x, f"{shortcut}.0", f"{shortcut}.1", relu=False, **where)
        return F.relu(x + y, inplace=True)

    def backbone(self, x):
        """(B, 3, H, W) -> levels 2, 3, 4."""
        x = self.conv_bn(x, "backbone.conv1", "backbone.bn1", stride=2)
        x = F.max_pool2d(x, 3, 2, 1)
        levels = []
        names = {name.rpartition(".conv1.weight")[0] for name in self.tensors}
        for layer, stride, dilation in ((1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 1, 4)):
            for i in range(sum(name.startswith(f"backbone.layer{layer}.") for name in names)):
                d = max(dilation // 2, 1) if i == 0 else dilation
                s = stride if i == 0 else 1
                padding = d if dilation > 1 else 2 - s
                x = self.bottleneck(x, f"backbone.layer{layer}.{i}", s, padding, d)
            levels.append(x)
        return levels[1:]

    def neck(self, levels):
        names = [f"neck.downsample{i}.downsample" for i in (2, 3, 4)]
        return [
            self.conv_bn(x, f"{name}.0", f"{name}.1", relu=False) for name, x in zip(names, levels)
        ]

    def template(self, z):
        return [x[:, :, 4:11, 4:11] for x in self.neck(self.backbone(z))]

    def search(self, x):
        return self.neck(self.backbone(x))

    def kernels(self, template):
        """Per branch and level, the template side of the head."""
        return {
            (branch, level): self.conv_bn(z, f"{name}.0", f"{name}.1")
            for branch in ("cls", "loc")
            for level, z in zip((2, 3, 4), template)
            for name in [f"rpn_head.rpn{level}.{branch}.conv_kernel"]
        }

    def correlate(self, kernels, search):
        """Fused (cls, loc)."""
        fused = []
        for branch in ("cls", "loc"):
            maps = []
            for level, x in zip((2, 3, 4), search):
                name = f"rpn_head.rpn{level}.{branch}"
                x = self.conv_bn(x, f"{name}.conv_search.0", f"{name}.conv_search.1")
                kernel = kernels[branch, level]
                batch, channels = x.shape[:2]
                x = F.conv2d(
                    x.reshape(1, batch * channels, *x.shape[2:]),
                    kernel.reshape(batch * channels, 1, *kernel.shape[2:]),
                    groups=batch * channels,
                )
                x = x.reshape(batch, channels, *x.shape[2:])
                x = self.conv_bn(x, f"{name}.head.0", f"{name}.head.1")
                out = f"{name}.head.3"
                maps.append(F.conv2d(x, self.tensors[f"{out}.weight"], self.tensors[f"{out}.bias"]))
            share = torch.softmax(self.tensors[f"rpn_head.{branch}_weight"], 0)
            fused.append(sum(share[i] * maps[i] for i in range(3)))
        return fused


class Mobile(Twin):
    """MobileNetV2 in the dilated form; neck and heads as the ResNet's, fused by plain mean."""

    # of layer1..layer7: blocks, stride, dilation
    STAGES = ((1, 1, 1), (2, 2, 1), (3, 2, 1), (4, 1, 2), (3, 1, 2), (3, 1, 4), (1, 1, 4))

    def __init__(self, tensors):
        equal = np.zeros(3, np.float32)
        super().__init__({"rpn_head.cls_weight": equal, "rpn_head.loc_weight": equal} | tensors)

    def block(self, x, name, stride, padding, dilation):
        t = self.tensors
        y = F.relu6(self.conv_bn(x, f"{name}.0", f"{name}.1", relu=False), inplace=True)
        groups = t[f"{name}.3.weight"].shape[0]
        where = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        y = F.relu6(self.conv_bn(y, f"{name}.3", f"{name}.4", relu=False, **where), inplace=True)
        y = self.conv_bn(y, f"{name}.6", f"{name}.7", relu=False)
        return x + y if stride == 1 and x.shape == y.shape else y

    def backbone(self, x):
        x = self.conv_bn(x, "backbone.layer0.0", "backbone.layer0.1", relu=False, stride=2)
        x = F.relu6(x, inplace=True)
        levels, before = [], 1
        for layer, (blocks, stride, dilation) in enumerate(self.STAGES, 1):
            for i in range(blocks):
                first = i == 0 and dilation != before
                d = max(dilation // 2, 1) if first else dilation
                s = stride if i == 0 else 1
                x = self.block(x, f"backbone.layer{layer}.{i}.conv", s, d if d > 1 else 2 - s, d)
            before = dilation
            levels.append(x)
        return [levels[i] for i in (2, 4, 6)]
