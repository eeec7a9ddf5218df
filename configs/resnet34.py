"""SiamRPN++ on ResNet-34, the middle of the paper's comparison of backbones.

Command: python run_train.py --config=configs/resnet34.py --workdir=runs/resnet34
Hardware: 4 GPUs of 16 GB or more, 56 pairs each.
Cost: 12 million pairs; a third of ResNet-50's multiply-adds (siamjax inspect configs/resnet34.py).
Expected: between ResNet-18 and ResNet-50, as in figure 5 of the paper; no weights are published.
"""

from configs import base


def get_config():
    c = base.get_config()
    c.name = "siamrpn_r34_l234"
    c.model.backbone = "resnet34"
    return c
