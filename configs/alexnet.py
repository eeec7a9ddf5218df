"""SiamRPN on AlexNet with the depthwise head: no adjust layers, one level.

Command: python run_train.py --config=configs/alexnet.py --workdir=runs/alexnet
Up-channel head (SiamRPN): --config.model.correlation=upchannel
Hardware: 16 GPUs of 11 GB or more, 128 pairs each.
Cost: 30 million pairs (50 epochs of 600,000), 14,648 steps.
Expected: VOT2018 EAO .352 is the published model's.
"""

from configs import base


def get_config():
    c = base.get_config()
    c.name = "siamrpn_alex"
    c.model.backbone = "alexnet"
    c.model.levels = (5,)
    c.model.adjust_channels = ()
    c.model.weighted = False

    c.tracker.instance = 287
    c.tracker.base_size = 0
    c.tracker.penalty_k = 0.16
    c.tracker.window_influence = 0.4
    c.tracker.lr = 0.3

    c.data.negative = 0.05
    c.train.epochs = 50
    c.train.batch_size = 2048
    # half of what the published schedule prints, which is what its optimiser applied
    c.train.warmup_start = 0.0025
    c.train.warmup_end = 0.005
    c.train.lr_start = 0.005
    c.train.lr_end = 0.00025
    c.train.backbone_lr = 1.0
    c.train.unfreeze_layers = ("layer4", "layer5")
    return c
