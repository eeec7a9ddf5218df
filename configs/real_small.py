"""A MobileNetV2 tracker on a few real videos: frozen ImageNet backbone, small heads, hours of CPU.

Command: siamjax convert mobilenetv2 mobilenetv2_imagenet.npz runs/mobilenetv2.npz
             --config=configs/real_small.py
         python run_train.py --config=configs/real_small.py --workdir=runs/real_small
         and then configs/real_small_fine.py
Hardware: one CPU core and a half.
Cost: 86,400 pairs in 100 minutes.
Expected: success AUC 0.55 on seven targets of OTB2015 (Couple, Crossing, David, Football1, both of
Jogging, Man).
"""

import ml_collections

from configs import base


def get_config():
    c = base.get_config()
    c.name = "real_small"

    c.model.backbone = "mobilenetv2"
    # layers 6 and 7 would cost more than all the others together
    c.model.levels = (3, 5)
    c.model.adjust_channels = (64,)
    c.targets.positives = 32
    c.targets.total = 256

    # all five sets are small: each weighs by what it teaches, videos more than single images
    c.data.sources = ml_collections.ConfigDict()
    c.data.sources.got10k = base.source("data/got10k", 60, 400)
    c.data.sources.vid = base.source("data/vid", 60, 120)
    c.data.sources.youtubebb = base.source("data/youtubebb", 3, 120)
    c.data.sources.coco = base.source("data/coco", 1, 500)
    c.data.sources.det = base.source("data/det", 1, 65)
    c.data.sources.synthetic = base.source("data/synthetic", 6, 300)
    c.data.pairs_per_epoch = 9600
    c.data.workers = 1

    c.train.epochs = 9
    c.train.batch_size = 16
    c.train.warmup_epochs = 1
    c.train.warmup_start = 0.005
    c.train.warmup_end = 0.03
    c.train.lr_start = 0.03
    c.train.lr_end = 0.0005
    c.train.unfreeze_layers = ()
    c.train.ema = 0.998
    c.train.keep = 20  # for the learning curve
    c.train.init_from = "runs/mobilenetv2.npz"
    return c
