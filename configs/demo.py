"""A tracker on the synthetic world: the whole path in minutes on two CPU cores.

As in the paper the backbone has learned before, here that of the bundled network, and stays as it
is; neck and head start from nothing.

Command: make demo (or siamjax demo --out=runs/demo)
Hardware: any machine; two CPU cores are enough.
Cost: 8,000 pairs, 500 steps; six minutes on two cores.
Expected: success AUC of at least 0.60 on the 16 held-out synthetic clips.
"""

import ml_collections

from configs import base, bundled


def get_config():
    c = base.get_config()
    c.name = "demo"

    c.model = bundled.get_config().model

    # small fast objects: the window holds the tracker back less than the published constants do
    c.tracker.window_influence = 0.2

    c.data.sources = ml_collections.ConfigDict()
    c.data.sources.synthetic = base.source("runs/demo/shards", frame_range=20)
    c.data.pairs_per_epoch = 1_600
    c.data.workers = 1

    # a short training sees few distractors: more negatives from every pair, and more negative pairs
    c.data.negative = 0.35
    c.targets.positives = 32
    c.targets.total = 256
    c.targets.negatives = 64

    c.train.epochs = 5
    c.train.batch_size = 16
    c.train.weight_decay = 5e-4  # the paper's
    c.train.warmup_epochs = 1
    c.train.warmup_start = 0.01
    c.train.warmup_end = 0.04
    c.train.lr_start = 0.04
    c.train.lr_end = 0.002
    c.train.ema = 0.99
    c.train.init_from = "bundled"
    c.train.init_parts = ("backbone",)
    c.train.unfreeze_epoch = 0
    c.train.unfreeze_layers = ()
    c.train.log_every = 25
    return c
