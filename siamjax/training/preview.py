"""Pictures of what the network answers while it trains: score maps over search crops."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from siamjax.geometry import boxes
from siamjax.training.step import images
from siamjax.viz import draw_boxes, draw_heatmap

PAIRS = 4  # shown at a time


def make_preview(config, model) -> Callable[[dict, dict], dict[str, UInt8[np.ndarray, "h w 3"]]]:
    """Builds `preview(variables, batch) -> {name: picture}`.

    The pictures, (H, W, 3) uint8 RGB, show the first pairs of the batch below each other: `scores`,
    the search crop with the probability of an object at each cell (the best anchor's) and the
    target's box; `targets`, the share of the anchors of each cell that are labelled positive.

    Args:
        config: the experiment.
        model: its network, without a device axis.
    """

    @jax.jit
    def scores(variables, batch):
        cls, _ = model.apply(variables, *images(batch))
        cls = cls.reshape(*cls.shape[:3], 2, -1)
        return jnp.max(jax.nn.softmax(cls, axis=3)[..., 1, :], axis=-1)

    def preview(variables, batch):
        few = {name: value[:PAIRS] for name, value in batch.items()}
        found = np.asarray(scores(variables, few))
        positive = (few["label"] == 1).mean(1)
        cells, stride = found.shape[-1], config.anchors.stride
        corner, side = config.crops.search // 2 - (cells // 2 + 0.5) * stride, cells * stride
        rows = {"scores": [], "targets": []}
        for i, crop in enumerate(few["search"]):
            used = (few["label"][i] == 1).any()
            box = [boxes.cxcywh_to_xywh(few["box"][i])] if used else []
            for name, heat in (("scores", found[i]), ("targets", positive[i])):
                picture = draw_heatmap(crop, heat, (corner, corner, side, side), opacity=0.8)
                rows[name].append(draw_boxes(picture, box, ["target"] * len(box)))
        return {name: np.concatenate(p)[..., ::-1] for name, p in rows.items()}

    return preview
