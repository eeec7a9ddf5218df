"""A MobileNetV2 tracker on a few real videos: frozen ImageNet backbone, small heads, hours of CPU.

Command: siamjax convert mobilenetv2 mobilenetv2_imagenet.npz runs/mobilenetv2.npz
             --config=configs/real_small.py
         python run_train.py --config=configs/real_small.py --workdir=runs/real_small
Hardware: two CPU cores.
Cost: 12,800 pairs, 800 steps of the heads.
"""

import ml_collections

from configs import base


def get_config():
    c = base.get_config()
    c.name = "real_small"

    c.model.backbone = "mobilenetv2"
    c.model.levels = (3, 5, 7)
    c.model.adjust_channels = (64,)

    # all five sets are small: each weighs by what it teaches, videos more than single images
    c.data.sources = ml_collections.ConfigDict()
    c.data.sources.got10k = base.source("data/got10k", 60, 400)
    c.data.sources.vid = base.source("data/vid", 60, 100)
    c.data.sources.youtubebb = base.source("data/youtubebb", 3, 100)
    c.data.sources.coco = base.source("data/coco", 1, 400)
    c.data.sources.det = base.source("data/det", 1, 65)
    c.data.sources.synthetic = base.source("data/synthetic", 20, 300)
    c.data.pairs_per_epoch = 1600
    c.data.workers = 1

    c.train.epochs = 8
    c.train.batch_size = 16
    c.train.warmup_epochs = 1
    c.train.warmup_start = 0.005
    c.train.warmup_end = 0.02
    c.train.lr_start = 0.02
    c.train.lr_end = 0.001
    # the ImageNet weights come with their normalisations folded in: statistics of a batch would
    # undo that, so the backbone stays as it is
    c.train.unfreeze_epoch = 8
    c.train.unfreeze_layers = ("layer3", "layer4", "layer5", "layer6", "layer7")
    c.train.log_every = 20
    c.train.init_from = "runs/mobilenetv2.npz"
    return c
