"""Learning rates per epoch."""

import json

import numpy as np
import pytest

from configs import base
from siamjax.training import schedule


def test_warm_up_and_decay_by_hand():
    table = schedule.learning_rates(5, 2, 0.1, 0.4, 1.0, 0.01)
    np.testing.assert_allclose(table, [0.1, 0.2, 1.0, 0.1, 0.01])
    np.testing.assert_allclose(schedule.learning_rates(2, 0, 1, 1, 0.3, 0.1), [0.3, 0.1])
    np.testing.assert_allclose(schedule.learning_rates(1, 5, 0.1, 0.2, 1, 1), [0.1])


@pytest.mark.reference
def test_published_resnet50(reference):
    tables = json.loads((reference / "conformance" / "lr_tables.json").read_text())
    expected = tables["siamrpn_r50_l234_dwxcorr_8gpu"]
    config = base.get_config()
    np.testing.assert_allclose(schedule.from_config(config), expected["head_group"], atol=1e-9)
    assert config.train.backbone_lr == expected["backbone_factor"]


@pytest.mark.reference
def test_published_alexnet(reference):
    tables = json.loads((reference / "conformance" / "lr_tables.json").read_text())
    table = tables["siamrpn_alex_dwxcorr_16gpu"]
    printed = schedule.learning_rates(50, 5, 0.005, 0.01, 0.01, 0.0005)
    np.testing.assert_allclose(printed, table["printed"], atol=1e-9)
    # The published code scaled the table by base_lr / first value after the warm-up.
    factor = table["base_lr"] / 0.01
    effective = schedule.learning_rates(
        50, 5, 0.005 * factor, 0.01 * factor, 0.01 * factor, 0.0005 * factor
    )
    np.testing.assert_allclose(effective, table["head_group"], atol=1e-9)
