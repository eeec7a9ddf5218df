"""The network: backbones, adjust layers, correlation heads, and their weights."""

from siamjax.models.initialise import init_variables
from siamjax.models.siamrpn import SiamRPN, build

__all__ = ["SiamRPN", "build", "init_variables"]
