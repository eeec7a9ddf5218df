"""SiamRPN++ on ResNet-18, the smallest of the paper's comparison of backbones.

Command: python run_train.py --config=configs/resnet18.py --workdir=runs/resnet18
Hardware: 2 GPUs of 16 GB or more, 112 pairs each.
Cost: 12 million pairs; see siamjax inspect configs/resnet18.py for the multiply-adds.
Expected: below ResNet-50, as in figure 5 of the paper; no weights are published.
"""

from configs import base


def get_config():
    c = base.get_config()
    c.name = "siamrpn_r18_l234"
    c.model.backbone = "resnet18"
    return c
