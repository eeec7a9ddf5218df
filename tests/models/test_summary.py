"""Multiply-adds of modules, counted by hand."""

import pytest

from siamjax.errors import UserError
from siamjax.models import SiamRPN, import_torch, summary


def test_multiply_adds():
    model = SiamRPN(backbone="alexnet", levels=(5,), adjust_channels=(), anchors_per_cell=5)
    rows = {row.name: row for row in summary.rows(model, 127, 287)}
    layer, branch = rows["backbone/layer1"], rows["head/level5/cls"]
    taps = 96 * 3 * 11**2
    assert (layer.template, layer.search) == (59**2 * taps, 139**2 * taps)
    # template: 6 cells, a 3x3 convolution; search: that on 26 cells, the correlation of 24 cells
    # with 4x4 kernels, two 1x1 convolutions
    full = 256 * 256
    assert branch.template == 4**2 * 9 * full
    assert branch.search == 24**2 * 9 * full + 21**2 * (16 * 256 + full + 256 * 10)


def test_fusion_weights_are_parameters_without_work(small):
    rows = {row.name: row for row in summary.rows(small("resnet18"), 127, 255)}
    assert rows["head/fusion"] == summary.Row("head/fusion", None, None, 4, 0, 0)


def test_a_backbone_that_pysot_lacks(small, monkeypatch):
    """Its parameters are counted; what needs PySOT's names says that there are none."""
    model = small("resnet18")
    counted = summary.totals(model)
    assert counted.pop("tensors") > 0
    monkeypatch.delitem(import_torch._BACKBONES, "resnet")
    assert summary.totals(model) == counted
    with pytest.raises(UserError, match="PySOT has no backbone resnet18"):
        import_torch.from_pysot(model, {}, "x.pth")
