"""A MobileNetV2 tracker on a few real videos and many pasted clips.

Command: siamjax convert mobilenetv2 mobilenetv2_imagenet.npz runs/mobilenetv2.npz
             --config=configs/bundled.py
         python run_train.py --config=configs/bundled.py --workdir=runs/bundled
             --config.data.workers=15
Hardware: one GPU with sixteen cores beside it; on two CPU cores it takes hours.
Cost: 409,600 pairs in 4 min 40 s on an H100.
Expected: success AUC 0.68 on seven targets of OTB2015 (Couple, Crossing, David, Football1, both of
Jogging, Man) on crops half a pixel off, 0.69 after 25,600 pairs on mended ones; docs/bundled.md.
"""

import ml_collections

from configs import base


def get_config():
    c = base.get_config()
    c.name = "bundled"

    c.model.backbone = "mobilenetv2"
    # layers 6 and 7 would cost more than all the others together
    c.model.levels = (3, 5)
    c.model.adjust_channels = (96,)

    c.targets.positives = 32
    c.targets.total = 256
    c.targets.negatives = 64

    # All five sets are small: each weighs by what it teaches, and clips pasted from the objects of
    # COCO's images keep the network from learning the few videos by heart.
    c.data.sources = ml_collections.ConfigDict()
    c.data.sources.got10k = base.source("data/got10k", 60, 400)
    c.data.sources.vid = base.source("data/vid", 60, 120)
    c.data.sources.youtubebb = base.source("data/youtubebb", 3, 120)
    c.data.sources.coco = base.source("data/coco", 1, 400)
    c.data.sources.det = base.source("data/det", 1, 65)
    c.data.sources.composite = base.source("data/composite", 3, 900)
    c.data.sources.synthetic = base.source("data/synthetic", 6, 100)

    # the size must be seen, not assumed
    c.data.search.scale = 0.3
    # nor must the light: between a clip's frames, and in an image that is its own pair, it hardly
    # changes
    c.data.template.exposure = 0.7
    c.data.search.exposure = 0.7
    c.data.grey = 0.1
    c.data.negative = 0.3
    c.data.pairs_per_epoch = 12_800
    c.data.workers = 1

    c.train.epochs = 32
    c.train.batch_size = 64
    c.train.weight_decay = 5e-4  # the paper's
    c.train.warmup_epochs = 1
    c.train.warmup_start = 0.005
    c.train.warmup_end = 0.06
    c.train.lr_start = 0.06
    c.train.lr_end = 0.0012
    c.train.unfreeze_epoch = 5
    c.train.unfreeze_layers = ("layer3", "layer4", "layer5")
    c.train.backbone_lr = 0.2
    # the ImageNet weights come with their normalisations folded in: a batch's statistics would
    # undo that
    c.train.freeze_backbone_bn = True
    c.train.ema = 0.998
    c.train.keep = 32  # for the learning curve
    c.train.init_from = "runs/mobilenetv2.npz"
    return c
