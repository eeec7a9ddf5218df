"""A network that trains in seconds."""

import pytest

MICRO = """
import ml_collections
from configs import base

def get_config():
    c = base.get_config()
    c.name = "micro"
    c.model.backbone = "resnet18"
    c.model.width = 0.05
    c.model.blocks = (1, 1, 1, 1)
    c.model.levels = (2,)
    c.model.adjust_channels = (4,)
    c.data.sources = ml_collections.ConfigDict({"synthetic": base.source("elsewhere", 20)})
    c.data.pairs_per_epoch = 4
    c.data.workers = 0
    c.train.epochs = 1
    c.train.batch_size = 2
    c.train.unfreeze_layers = ("layer2",)
    return c
"""


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "micro.py"
    path.write_text(MICRO)
    return path
