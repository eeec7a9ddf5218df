"""The synthetic world: textured, deforming objects over moving scenes, fully determined by a seed.

Every quantity that changes with time is a sum of sines drawn from the seed, so any frame is made
without the frames before it, and the boxes are exact: they enclose the contour that is painted.
Coordinates are continuous: pixel i covers i..i+1, as in the data sets' boxes (0-based `xywh`).
"""

from siamjax.synthetic.plan import NoPlan
from siamjax.synthetic.video import SPLITS, SyntheticVideo

__all__ = ["SPLITS", "NoPlan", "SyntheticVideo"]
