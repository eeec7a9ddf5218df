"""COCO's run-length encoded masks, read by pycocotools."""

from siamjax import installation
from siamjax.errors import importing


def box(mask: dict) -> tuple[float, float, float, float] | None:
    """The box around a mask {"size", "counts"}; None: the mask is empty.

    Raises:
        UserError: pycocotools is not installed.
    """
    with importing(f"masks need it: {installation.extra('labels')}"):
        from pycocotools import mask as masks
    if isinstance(mask["counts"], list):
        mask = masks.frPyObjects(mask, *mask["size"])
    x, y, w, h = masks.toBbox(mask).tolist()
    return (x, y, w, h) if w and h else None
