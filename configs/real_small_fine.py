"""real_small goes on with the last two layers of its backbone.

Command: python run_train.py --config=configs/real_small_fine.py --workdir=runs/real_small_fine
Hardware: two CPU cores.
"""

from configs import real_small


def get_config():
    c = real_small.get_config()
    c.name = "real_small_fine"
    c.seed = 1  # other pairs than before

    # the size must be seen, not assumed: the first stage's boxes were too large on unseen videos
    c.data.search.scale = 0.3
    c.data.grey = 0.2
    c.data.pairs_per_epoch = 4800

    c.train.epochs = 12
    c.train.warmup_start = 0.001
    c.train.warmup_end = 0.01
    c.train.lr_start = 0.01
    c.train.backbone_lr = 0.2
    c.train.unfreeze_epoch = 0
    c.train.unfreeze_layers = ("layer4", "layer5")
    # the ImageNet weights come with their normalisations folded in: statistics of a batch would
    # undo that
    c.train.freeze_bn = True
    c.train.init_from = "runs/real_small"
    return c
