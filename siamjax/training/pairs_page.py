"""An HTML page of training pairs: what the network sees, and what it is asked for."""

import base64
import dataclasses
import html

import cv2
import ml_collections
import numpy as np

from siamjax.data import augment, crops
from siamjax.data.loader import Examples, make_sampler
from siamjax.viz.pairs import draw_pair, position_map

SHIFTS = (0, 16, 32, 64)  # px, of the published study of the shift augmentation
POSITIONS = 2000  # pairs behind each map of positions


OWN, NEAR, ALIKE, SAME, OTHER = (
    "the target itself",
    "another target of its video",
    "its category in another video of its set",
    "another video of its set",
    "another set",
)


def negatives(config: ml_collections.ConfigDict, positions: range) -> dict[str, int]:
    """How many negative pairs show what in their search crop.

    Args:
        config: an experiment.
        positions: of the pairs.

    Raises:
        UserError: as `siamjax.data.loader.make_sampler`.
    """
    sampler = make_sampler(config)
    counts = dict.fromkeys((OWN, NEAR, ALIKE, SAME, OTHER), 0)
    for position in positions:
        pair = sampler.pair(position, sampler.generator(position))
        if not pair.negative:
            continue
        z, x = (sampler.sources[i].index for i in (pair.source, pair.search_source))
        template, search = z.locate(pair.template), x.locate(pair.search)
        if z.folder != x.folder:
            counts[OTHER] += 1
        elif template == search:
            counts[OWN] += 1
        elif template[0] == search[0]:
            counts[NEAR] += 1
        else:
            categories = z.category[template[1]], x.category[search[1]]
            counts[ALIKE if categories[0] == categories[1] >= 0 else SAME] += 1
    return counts


def page(config: ml_collections.ConfigDict, positions: range) -> str:
    """The page: sources, pairs with labels, and where targets lie for several shifts.

    Args:
        config: an experiment.
        positions: of the pairs shown.

    Raises:
        UserError: as `siamjax.data.loader.make_sampler`.
    """
    examples = Examples(config)
    rows = "".join(
        f"<tr><td>{html.escape(s.name)}<td>{s.entries}<td>{s.frame_range}<td>{s.index.videos}"
        f"<td>{s.index.tracks}<td>{s.index.crops}"
        for s in examples.sampler.sources
    )
    figures = "".join(_pair(examples, position) for position in positions)
    shifts = sorted({*map(float, SHIFTS), config.data.search.shift})
    maps = "".join(_map(config, examples, shift) for shift in shifts)
    kinds = "".join(
        f"<tr><td>{kind}<td>{count}" for kind, count in negatives(config, range(POSITIONS)).items()
    )
    return f"""<!doctype html>
<meta charset="utf-8"><title>Training pairs of {html.escape(config.name)}</title>
<style>
body {{ font: 14px sans-serif; margin: 2em; background: #fff; color: #222 }}
figure {{ display: inline-block; margin: 0 1em 1em 0; vertical-align: top }}
figcaption {{ max-width: 637px; font-size: 12px }}
td, th {{ padding: 0 1em 0 0; text-align: right }} td:first-child {{ text-align: left }}
</style>
<h1>Training pairs of {html.escape(config.name)}</h1>
<table><tr><th>source<th>entries per round<th>frame range<th>videos<th>tracks<th>crops{rows}</table>
<p>Template; search with the object (yellow) and positive anchors (green); centres of positive
(green) and negative (red) anchors. The captions say where the crops come from.</p>
{figures}
<h2>What the negative ones of {POSITIONS} pairs show</h2>
<table>{kinds}</table>
<h2>Where the targets lie in the search crop</h2>
<p>The positive ones of {POSITIONS} pairs, for several settings of data.search.shift; the
experiment's is {config.data.search.shift:g} px.</p>
{maps}
"""


def _pair(examples, position):
    example, sources = examples[position], examples.sampler.sources
    pair, label, values = example.pair, example.label, vars(example)
    template, search = (
        np.uint8(np.clip(np.rint(np.float32(values[name]) - values[f"{name}_noise"]), 0, 255))
        for name in ("template", "search")
    )
    kind = "negative" if pair.negative else "positive"
    kind += (", grey" if pair.grey else "") + (", mirrored" if pair.flip else "")
    return _figure(
        draw_pair(template, search, label, example.box, examples.grid),
        f"{position}: {kind}; {(label == 1).sum()} positive, {(label == 0).sum()} negative anchors;"
        f" {_name(sources[pair.source], pair.template)} /"
        f" {_name(sources[pair.search_source], pair.search)}",
    )


def _name(source, crop):
    video, track, frame = source.index.key(crop)
    return f"{source.name} {video}, track {track}, frame {frame}"


def _map(config, examples, shift):
    rule = dataclasses.replace(augment.Augmentation(**config.data.search), shift=shift)
    c, sampler, centres = config.crops, examples.sampler, []
    for position in range(POSITIONS):
        rng = sampler.generator(position)
        pair = sampler.pair(position, rng)
        if not pair.negative:
            w, h = sampler.sources[pair.search_source].index.size[pair.search]
            box = crops.target_in_crop(float(w), float(h), c.stored, c.exemplar, c.context)
            centres.append(augment.move_box(augment.draw(rng, rule), box, c.search, c.stored)[:2])
    picture = position_map(np.array(centres).reshape(-1, 2), c.search)
    return _figure(picture, f"shift {shift:g} px")


def _figure(picture, caption):
    data = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
    height, width = picture.shape[:2]
    image = f'<img width="{width}" height="{height}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"
