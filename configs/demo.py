"""A narrow tracker on the synthetic world: the whole path in minutes on two CPU cores.

Command: make demo (or siamjax demo --out=runs/demo)
Hardware: any machine; two CPU cores are enough.
Cost: 16,000 pairs, 1,000 steps; eight minutes on two cores.
Expected: success AUC 0.45 to 0.65 on the 16 held-out synthetic clips, by rounding alone.
"""

import ml_collections

from configs import base


def get_config():
    c = base.get_config()
    c.name = "demo"

    c.model.backbone = "resnet18"
    c.model.width = 0.125
    c.model.blocks = (1, 1, 1, 1)
    c.model.adjust_channels = (32,)

    # small fast objects: the window holds the tracker back less than the published constants do
    c.tracker.window_influence = 0.2

    c.data.sources = ml_collections.ConfigDict()
    c.data.sources.synthetic = base.source("runs/demo/shards", frame_range=20)
    c.data.pairs_per_epoch = 1_600
    c.data.workers = 1

    # a short training sees few distractors: more negatives from every pair, and more negative pairs
    c.data.negative = 0.35
    c.targets.total = 256
    c.targets.negatives = 64

    c.train.epochs = 10
    c.train.batch_size = 16
    c.train.warmup_epochs = 1
    c.train.warmup_start = 0.005
    c.train.warmup_end = 0.04
    c.train.lr_start = 0.04
    c.train.lr_end = 0.001
    # random initialisation, so the whole backbone learns from the first step at the full rate
    c.train.backbone_lr = 1.0
    c.train.unfreeze_epoch = 0
    c.train.unfreeze_layers = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    c.train.log_every = 25
    return c
