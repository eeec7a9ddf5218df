"""The narrow network of `siamjax study`: ResNet-18's blocks, a sixteenth as wide, a short schedule.

Command: siamjax study layers --workdir=runs/studies
Hardware: any machine; two CPU cores are enough.
Cost: 4,000 pairs, 500 steps.
Expected: what docs/studies.md and its pages say.
"""

import ml_collections

from configs import base


def get_config():
    c = base.get_config()
    c.name = "studies"

    c.model.backbone = "resnet18"
    c.model.width = 0.0625
    c.model.blocks = (1, 1, 1, 1)
    c.model.adjust_channels = (16,)

    # small fast objects: the window holds the tracker back less than the published constants do
    c.tracker.window_influence = 0.2

    c.data.sources = ml_collections.ConfigDict()
    c.data.sources.synthetic = base.source("runs/studies/shards", frame_range=20)
    c.data.pairs_per_epoch = 800
    c.data.workers = 1

    # a short training sees few distractors: more negatives from every pair, and more negative pairs
    c.data.negative = 0.35
    c.targets.total = 256
    c.targets.negatives = 64

    # and does better with many steps of few pairs, at a rate that stays high
    c.train.epochs = 5
    c.train.batch_size = 8
    c.train.warmup_epochs = 1
    c.train.warmup_start = 0.01
    c.train.warmup_end = 0.04
    c.train.lr_start = 0.04
    c.train.lr_end = 0.004
    # random initialisation, so the whole backbone learns from the first step at the full rate
    c.train.backbone_lr = 1.0
    c.train.unfreeze_epoch = 0
    c.train.unfreeze_layers = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    c.train.log_every = 25
    c.train.keep = 1
    return c
