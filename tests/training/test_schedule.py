"""Learning rates per epoch."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from configs import base
from siamjax.errors import UserError
from siamjax.training import schedule


def learning_rates(*values):
    names = ("epochs", "warmup_epochs", "warmup_start", "warmup_end", "lr_start", "lr_end")
    return schedule.learning_rates(SimpleNamespace(**dict(zip(names, values, strict=True))))


@pytest.mark.parametrize("wrong", [-1.0, 0.0, float("nan"), float("inf")])
def test_a_rate_has_to_be_positive(wrong):
    """Before: a negative one trained, until "lower the learning rate"."""
    with pytest.raises(UserError, match=r"^--config.train.lr_start=.*: must be above 0"):
        learning_rates(5, 2, 0.1, 0.4, wrong, 0.01)


def test_warm_up_and_decay_by_hand():
    table = learning_rates(5, 2, 0.1, 0.4, 1.0, 0.01)
    np.testing.assert_allclose(table, [0.1, 0.2, 1.0, 0.1, 0.01])
    np.testing.assert_allclose(learning_rates(2, 0, 1, 1, 0.3, 0.1), [0.3, 0.1])
    np.testing.assert_allclose(learning_rates(1, 5, 0.1, 0.2, 1, 1), [0.1])


@pytest.mark.reference
def test_published_resnet50(reference):
    tables = json.loads((reference / "conformance" / "lr_tables.json").read_text())
    expected = tables["siamrpn_r50_l234_dwxcorr_8gpu"]
    config = base.get_config()
    rates = schedule.learning_rates(config.train)
    np.testing.assert_allclose(rates, expected["head_group"], atol=1e-9)
    assert config.train.backbone_lr == expected["backbone_factor"]


@pytest.mark.reference
def test_published_alexnet(reference):
    tables = json.loads((reference / "conformance" / "lr_tables.json").read_text())
    table = tables["siamrpn_alex_dwxcorr_16gpu"]
    printed = learning_rates(50, 5, 0.005, 0.01, 0.01, 0.0005)
    np.testing.assert_allclose(printed, table["printed"], atol=1e-9)
    # The published code scaled the table by base_lr / first value after the warm-up.
    factor = table["base_lr"] / 0.01
    effective = learning_rates(50, 5, 0.005 * factor, 0.01 * factor, 0.01 * factor, 0.0005 * factor)
    np.testing.assert_allclose(effective, table["head_group"], atol=1e-9)
