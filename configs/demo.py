"""A tracker on the synthetic world: the whole path in minutes on two CPU cores.

The experiment of the studies with a backbone that has learned before, as the paper's has: that of
the bundled network, which does not train here. Neck and head start from random weights.

Command: make demo (or siamjax demo --out=runs/demo)
Hardware: any machine; two CPU cores are enough.
Cost: 12,800 pairs, 800 steps; eight minutes on two cores.
Expected: success AUC 0.67 on the 16 held-out synthetic clips.
"""

from configs import bundled, studies


def get_config():
    c = studies.get_config()
    c.name = "demo"

    c.model = bundled.get_config().model

    c.data.sources.synthetic.path = "runs/demo/shards"
    c.data.pairs_per_epoch = 1_600
    c.targets.positives = 32

    c.train.epochs = 8
    c.train.batch_size = 16
    c.train.weight_decay = 5e-4  # the paper's
    c.train.lr_end = 0.002
    c.train.ema = 0.99
    c.train.keep = 3
    c.train.init_from = "bundled"
    c.train.init_parts = ("backbone",)
    c.train.unfreeze_layers = ()
    return c
