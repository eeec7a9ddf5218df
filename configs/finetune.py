"""Neck and head of a trained network learn from a few videos of one's own: `siamjax finetune`.

Command: siamjax finetune mine --minutes=10
Hardware: two CPU cores are enough for the bundled network.
Cost: what --minutes allows; the number of steps is set by the measured speed.
Expected: written at the end, on videos that were left out; a loss is possible, too.

Network, anchors, crops and tracker are those of the checkpoint that is trained on. The fields of
the section `finetune` set how the time is used.
"""

import ml_collections

from configs import base


def get_config():
    c = base.get_config()
    c.name = "finetune"

    c.finetune = ml_collections.ConfigDict()
    c.finetune.left_out = 0.2  # share of the videos that are left out, at least one
    c.finetune.evaluation = 0.3  # most of the time that tracking before and after may take
    c.finetune.least = 20  # steps: fewer are not planned, and these are made when time is over
    c.finetune.most = 4000  # steps

    c.targets.positives = 32
    c.targets.total = 256
    c.targets.negatives = 64

    c.data.sources = ml_collections.ConfigDict()
    c.data.negative = 0.25
    c.data.distractor = 0.5  # other targets of the video are what the tracker must not change to
    c.data.flip = 0.5
    c.data.search.scale = 0.3
    c.data.template.exposure = 0.5
    c.data.search.exposure = 0.5
    c.data.workers = 1

    c.train.epochs = 10  # equal parts of the training, a checkpoint each
    c.train.batch_size = 16
    # a batch of sixteen crops of few videos has no statistics to learn from
    c.train.freeze_bn = True
    c.train.weight_decay = 5e-4
    c.train.warmup_epochs = 1
    c.train.warmup_start = 0.0005
    c.train.warmup_end = 0.002
    c.train.lr_start = 0.002
    c.train.lr_end = 0.0002
    c.train.ema = 0.99
    c.train.unfreeze_epoch = 0
    c.train.unfreeze_layers = ()  # --backbone: those of the checkpoint's own training
    c.train.log_every = 10
    c.train.keep = 2
    return c
