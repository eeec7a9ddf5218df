"""Whether a channel of the depthwise response stands for a category (SiamRPN++, section 3.4: 148
for cars, 222 for persons, 226 for faces)."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure as Canvas
from tqdm import tqdm

from siamjax import models
from siamjax.errors import UserError
from siamjax.evaluation.style import MEDIA
from siamjax.files import write_whole
from siamjax.measures import selectivity
from siamjax.measures.result import Figure
from siamjax.studies import kept, labelled
from siamjax.studies.found import Found, save
from siamjax.studies.runs import Run, Setting, Variant, lone

CONFIG = "studies"
QUESTION = "Does a channel of the depthwise response stand for a category?"
SOURCE = "SiamRPN++, section 3.4: channels 148, 222 and 226 answer to cars, persons and faces"
FIGURES = {
    "selectivity": Figure("variance between categories"),
    "chance": Figure("of permuted categories", lower_is_better=True),
    "p": Figure("p", lower_is_better=True),
    "selective": Figure("share of selective channels", digits=2),
    "cosine": Figure("mean absolute cosine of channels", lower_is_better=True),
}
MIDDLE = 5  # cells a side over which a response is taken: those on the target
RANKED = 5  # pictures at either end of a channel's ranking
THUMBNAIL = 64  # px


def variants(setting: Setting) -> list[Variant]:
    """One network: the narrow one, or a given checkpoint.

    Raises:
        UserError: a head of another kind.
    """
    if setting.base.model.correlation != "depthwise":
        raise UserError("--config.model.correlation: the channels are those of a depthwise head")
    return lone(setting)


def measure(run: Run) -> dict[str, dict[str, float]]:
    """Selectivity of the classification branch's channels, a row for each level."""
    answers = _of_run(run)
    numbers = answers["categories"]
    rows = {}
    for level in answers["levels"]:
        found = selectivity.permuted(answers[f"responses{level}"], numbers)
        rows[f"level {level}"] = found | {"cosine": selectivity.cosine(answers[f"gram{level}"])}
    return rows


def respond(config, variables, pairs) -> dict[str, np.ndarray]:
    """What each channel answers to each target, itself the template.

    Returns:
        responses<level>: (N, C) mean over the middle `MIDDLE` x `MIDDLE` cells; gram<level>: (C, C)
        products of the centred maps; categories: (N,) numbers in `names`; pictures: (N, side,
        side, 3) uint8; levels.

    Raises:
        UserError: a head of another kind.
    """
    if config.model.correlation != "depthwise":
        raise UserError(f"--checkpoint: its head is {config.model.correlation}, not depthwise")
    model = models.build(config)

    def maps(model, z, x):
        kernels, features = model.encode(z), model.search(x)
        heads = zip(model.rpn_head.rpns, kernels, features, strict=True)
        return [rpn.cls.responses(kernel["cls"], level) for rpn, kernel, level in heads]

    @jax.jit
    def answer(variables, z, x):
        found = []
        responses: Any = model.apply(variables, z[None], x[None], method=maps)
        for level in responses:
            flat = level[0].astype(jnp.float32).reshape(-1, level.shape[-1])
            first = (level.shape[1] - MIDDLE) // 2
            middle = level[0, first : first + MIDDLE, first : first + MIDDLE]
            centred = flat - flat.mean(0, keepdims=True)
            found.append((middle.mean((0, 1)), centred.T @ centred))
        return found

    levels, names, pictures = model.level_indices(), [], []
    responses: dict[int, list] = {level: [] for level in levels}
    grams: dict[int, Any] = dict.fromkeys(levels, 0.0)
    for pair in tqdm(pairs, "channels", unit="target"):
        names.append(pair.category)
        pictures.append(cv2.resize(pair.template, (THUMBNAIL, THUMBNAIL)))
        for level, (middle, gram) in zip(levels, answer(variables, pair.template, pair.search)):
            responses[level].append(np.asarray(middle, np.float64))
            grams[level] = grams[level] + np.asarray(gram, np.float64)
    known, numbers = np.unique(names, return_inverse=True)
    arrays = {f"responses{level}": np.array(own) for level, own in responses.items()}
    arrays |= {f"gram{level}": np.asarray(gram) for level, gram in grams.items()}
    return arrays | {
        "categories": numbers,
        "names": known,
        "pictures": np.array(pictures),
        "levels": np.array(levels),
    }


def _of_run(run: Run) -> dict[str, np.ndarray]:
    """What `respond` says of a trained network, to rendered targets or the labelled ones."""

    def make() -> dict[str, np.ndarray]:
        config, variables = run.load()
        source, crops = run.setting.flags["labels"], config.crops
        pairs = labelled.labelled(source, crops) if source else labelled.rendered(crops)
        return respond(config, variables, pairs)

    key = run.setting.measured()
    path = run.path_of("channels", key).with_suffix(".npz")
    return kept.arrays(path, json.dumps(key), ("categories", "names", "pictures", "levels"), make)


def finish(found: Found, runs: Sequence[Run], folder: Path) -> None:
    """Draws mean responses of categories, and ranked pictures, of the first run's deepest level."""
    answers = _of_run(runs[0])
    level = answers["levels"][-1]
    responses, numbers = answers[f"responses{level}"], answers["categories"]
    means = selectivity.contrast(responses, numbers)
    save({"responses": functools.partial(_draw, means, answers["names"])}, folder)
    for kind, rows in (("highest", slice(None, RANKED)), ("lowest", slice(-RANKED, None))):
        sheet = []
        for channel in means.argmax(1):
            order = np.argsort(-responses[:, channel], kind="stable")
            sheet.append(np.concatenate(answers["pictures"][order[rows]], 1))
        encoded = cv2.imencode(".png", np.concatenate(sheet))[1]
        write_whole(folder / f"{kind}.png", encoded.tobytes())


def _draw(means: np.ndarray, names: np.ndarray) -> Canvas:
    """Standardised mean response of each category in each channel, channels by category."""
    medium = MEDIA["paper"]
    order = np.lexsort((-means.max(0), means.argmax(0)))
    figure = Canvas(figsize=(medium.width * 1.6, 0.8 + 0.2 * len(names)), layout="constrained")
    panel = figure.subplots()
    largest = np.abs(means).max()
    image = panel.imshow(means[:, order], vmin=-largest, vmax=largest, cmap="RdBu_r", aspect="auto")
    panel.set_yticks(range(len(names)), list(names))
    figure.get_layout_engine().set(w_pad=0.12)  # type: ignore[union-attr, call-arg]
    panel.set_xlabel("channels, by the category that they answer to most")
    figure.colorbar(image, ax=panel, label="standard deviations")
    return figure
