"""SiamRPN++ on MobileNetV2 of width 1.4: the fast tracker, a seventh of ResNet-50's arithmetic.

Command: python run_train.py --config=configs/mobilenetv2.py --workdir=runs/mobilenetv2
Hardware: 4 GPUs of 16 GB or more, 56 pairs each.
Cost: 12 million pairs (20 epochs of 600,000), 53,571 steps.
Expected: VOT2018 EAO .410 is the published model's.
"""

from configs import base


def get_config():
    c = base.get_config()
    c.name = "siamrpn_mobilev2_l234"
    c.model.backbone = "mobilenetv2"
    c.model.width = 1.4
    c.model.levels = (3, 5, 7)
    c.model.weighted = False

    c.tracker.penalty_k = 0.04
    c.tracker.window_influence = 0.4
    c.tracker.lr = 0.5

    c.train.unfreeze_layers = ("layer3", "layer4", "layer5", "layer6", "layer7")
    return c
