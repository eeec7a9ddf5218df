"""A tracker on the synthetic world: the whole path in minutes on two CPU cores.

The experiment of the studies, from the bundled network on: its neck and head learn the synthetic
world, its backbone does not train.

Command: make demo (or siamjax demo --out=runs/demo)
Hardware: any machine; two CPU cores are enough.
Cost: 4,800 pairs, 300 steps; 2 min 10 s to 6 min 40 s on two cores, rendering included.
Expected: success AUC 0.63 to 0.73 on the 16 held-out synthetic clips (on each of two
machines five seeds on two cores, two seeds on one); the bundled network itself has 0.62 there.
"""

from configs import bundled, studies


def get_config():
    c = studies.get_config()
    c.name = "demo"

    c.model = bundled.get_config().model

    c.data.sources.synthetic.path = "runs/demo/shards"
    c.data.pairs_per_epoch = 1_600
    c.targets.positives = 32

    c.train.epochs = 3
    c.train.batch_size = 16
    c.train.weight_decay = 5e-4  # the paper's
    c.train.warmup_end = 0.02
    c.train.lr_start = 0.02
    c.train.lr_end = 0.002
    c.train.ema = 0.99
    c.train.keep = 3
    c.train.init_from = "bundled"
    c.train.unfreeze_layers = ()
    return c
