"""SiamRPN++ on ResNet-50 for long-term tracking: it searches a larger region when lost.

Command: python run_train.py --config=configs/resnet50_lt.py --workdir=runs/resnet50_lt
Hardware: 8 GPUs of 24 GB or more, 28 pairs each.
Cost: 12 million pairs (20 epochs of 600,000), 53,571 steps; tracking while lost sees 831 px crops,
    ten times the pixels.
Expected: VOT2018-LT F .629 is the published model's; one re-test of it reported .608.
"""

from configs import base


def get_config():
    c = base.get_config()
    c.name = "siamrpn_r50_l234_lt"
    c.model.adjust_channels = (128, 256, 512)

    c.tracker.window_influence = 0.28
    c.tracker.lr = 0.22
    c.tracker.long_term = True
    return c
