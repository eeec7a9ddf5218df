"""The study of the shift augmentation: how far a padded network learns that targets sit in the
middle (SiamRPN++, section 3.1 and figure 2).

The same network is trained several times, with search crops shifted by up to so many px. Then
held-out targets are placed uniformly over the search crop. A network without bias answers equally
often everywhere; one that never saw a shifted target answers in the middle, wherever the target is.
"""

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from tqdm import tqdm

from siamjax import models
from siamjax.data.crops import target_in_crop
from siamjax.errors import UserError
from siamjax.evaluation.style import MEDIA
from siamjax.measures.result import Figure
from siamjax.studies import backbone, kept, scores
from siamjax.studies.found import Found, save
from siamjax.studies.labelled import still, stored
from siamjax.studies.runs import Run, Setting, Variant
from siamjax.synthetic import SyntheticVideo

CONFIG = "shift_study"
QUESTION = "Does padding teach that targets sit in the middle, and does shifting them cure it?"
SOURCE = "SiamRPN++, section 3.1, figures 2 and 3"
MIDDLE, BORDER = 32.0, 64.0  # px from the middle of the search crop, the larger of x and y
FIGURES = (
    scores.AUC
    | scores.EAO
    | {
        "border_response": Figure("response at the border / in the middle", digits=2),
        "found_border": Figure(f"found beyond {BORDER:g} px", digits=2),
        "found_middle": Figure(f"found within {MIDDLE:g} px", digits=2),
    }
)
# SiamRPN's AlexNet pads nowhere; a larger search crop gives it as many scores a side
UNPADDED = {"crops.search": 319, "tracker.instance": 319}


@dataclasses.dataclass(frozen=True)
class Placements:
    """Which targets are placed where.

    Attributes:
        clips: videos of the synthetic test world, seeds 0, 1, ...
        frames: of each clip, evenly spaced; those that hide the target are left out.
        repeats: places for each frame.
        reach: px, offsets from the middle are uniform in +-reach, separately in x and y; the score
            map's cells reach as far.
    """

    clips: int = 16
    frames: int = 8
    repeats: int = 8
    reach: float = 96.0


def variants(setting: Setting) -> list[Variant]:
    """The padded network with every shift, the unpadded one with the smallest and the largest.

    Raises:
        UserError: `--shifts` is not whole px, has one twice, or leaves no room in the stored crops.
    """
    config, text = setting.base, setting.flags["shifts"]
    try:
        shifts = [int(word) for word in text.split(",")]
    except ValueError:
        raise UserError(f"--shifts={text}: give whole px, comma-separated, as 0,32,64") from None
    if len(set(shifts)) < len(shifts):
        raise UserError(f"--shifts={text}: give each shift once")
    largest = max(config.crops.search, UNPADDED["crops.search"])
    room = (config.crops.stored - largest) // 2
    for shift in shifts:
        if not 0 <= shift <= room:
            raise UserError(
                f"--shifts: {shift} is not within 0..{room} px, the room that crops of "
                f"{config.crops.stored} px leave around {largest} px"
            )
    ends = {min(shifts), max(shifts)}
    unpadded = backbone.fields_of(setting, "alexnet") | UNPADDED
    padded = [
        Variant(f"{shift} px", {"data.search.shift": float(shift)}, main=shift in ends)
        for shift in shifts
    ]
    chosen = shifts if setting.full else sorted(ends)
    return padded + [
        Variant(f"{shift} px, no padding", unpadded | {"data.search.shift": float(shift)})
        for shift in chosen
    ]


def measure(run: Run) -> dict[str, dict[str, float]]:
    """Success AUC, EAO, and what the answers to placed targets say."""
    return {"": scores.of_run(run) | summary(_of_run(run), run.config.anchors.stride)}


def finish(found: Found, runs: list[Run], folder: Path) -> None:
    """Draws the heat maps of the first seed, a column per variant."""
    first = [run for run in runs if run.seed == runs[0].seed]
    answers = [_of_run(run) for run in first]
    names = [run.variant.name for run in first]
    stride, reach = first[0].config.anchors.stride, Placements().reach
    save({"heatmaps": functools.partial(_draw, names, answers, stride, reach)}, folder)


def _of_run(run: Run) -> dict[str, np.ndarray]:
    """The answers of a trained network to as many clips as its tracker is scored on."""
    placements = Placements(clips=min(16, len(run.setting.benchmarks[0].sequences)))
    key = json.dumps(dataclasses.asdict(placements))
    names = ("response", "offset", "size", "best")
    return kept.arrays(
        run.folder / "measured" / "answers.npz",
        key,
        names,
        lambda: _answers(*run.load(), placements, str(run.folder)),
    )


def placed_targets(config, placements: Placements) -> Iterator[tuple[np.ndarray, ...]]:
    """Held-out targets, placed uniformly in search crops; the same at every call.

    Yields, frame by frame:
        template: (exemplar, exemplar, 3) uint8, the target in its clip's first frame.
        search: (repeats, search, search, 3) uint8, the frame with the target at several places.
        offset: (repeats, 2) px from the middle of the search crop to the target's centre.
        size: (2,) width and height of the target in the search crop, px.
    """
    crops = config.crops
    rng = np.random.default_rng(0)
    for seed in range(placements.clips):
        video = SyntheticVideo(seed, split="test")
        template = still(stored(video.frames[0], video.boxes[0, 0], crops), crops.exemplar)
        for i in np.linspace(1, len(video.frames) - 1, placements.frames).astype(int):
            # Drawn for hidden targets too: the places do not depend on visibility.
            shifts = rng.uniform(-placements.reach, placements.reach, (placements.repeats, 2))
            if video.visible[0, i] < 0.5:
                continue
            image = stored(video.frames[i], video.boxes[0, i], crops)
            width, height = video.boxes[0, i, 2:]
            size = target_in_crop(width, height, crops.stored, crops.exemplar, crops.context)[2:]
            search = np.stack([still(image, crops.search, shift) for shift in shifts])
            yield template, search, -shifts, size


def _answers(config, variables, placements, title: str) -> dict[str, np.ndarray]:
    """The network's answers to the placed targets.

    Returns:
        response: (S, S) float32, the mean over all places of each cell's probability of an object.
        offset, size: (N, 2), as in `placed_targets`.
        best: (N, 2) px from the middle of the search crop to the cell with the highest probability.
    """

    def probabilities(model, template, search):
        features = model.template(template[None])
        features = jax.tree.map(lambda x: jnp.repeat(x, len(search), 0), features)
        cls, _ = model.head(features, model.search(search))
        cls = cls.reshape(*cls.shape[:3], 2, -1)
        return jnp.max(jax.nn.softmax(cls, axis=3)[..., 1, :], axis=-1)

    answer = jax.jit(functools.partial(models.build(config).apply, variables, method=probabilities))
    targets = placed_targets(config, placements)
    count = placements.clips * placements.frames
    parts = [
        (np.asarray(answer(template, search)), offset, np.broadcast_to(size, offset.shape))
        for template, search, offset, size in tqdm(targets, title, count, unit="frame")
    ]
    maps, offset, size = map(np.concatenate, zip(*parts))
    side = maps.shape[-1]
    row, column = np.unravel_index(maps.reshape(len(maps), -1).argmax(1), (side, side))
    return {
        "response": np.asarray(maps.mean(0, np.float64), np.float32),
        "offset": offset,
        "size": size,
        "best": (np.stack([column, row], 1) - side // 2) * config.anchors.stride,
    }


def found(answer) -> np.ndarray:
    """(N,) bool: the cell with the highest probability lies on the target."""
    return (np.abs(answer["best"] - answer["offset"]) <= answer["size"] / 2).all(1)


def summary(answer, stride: int) -> dict[str, float]:
    """What a network's answers say about its bias.

    Args:
        answer: response, offset, size, best; see `run`.
        stride: px between cells.

    Returns:
        border_response: mean response of the cells more than `BORDER` px from the middle, divided
            by that of the cells within `MIDDLE` px; 1 without bias.
        found_middle, found_border: share of the targets within `MIDDLE` px and of those beyond
            `BORDER` px on which the highest score lies.
    """
    response = answer["response"]
    cells = np.abs(np.arange(len(response)) - len(response) // 2) * stride
    cells = np.maximum(cells[:, None], cells)
    border, middle = response[cells > BORDER].mean(), response[cells <= MIDDLE].mean()
    distance = np.abs(answer["offset"]).max(1)
    hit = found(answer)
    return {
        "border_response": float(border / middle),
        "found_middle": float(hit[distance <= MIDDLE].mean()),
        "found_border": float(hit[distance > BORDER].mean()),
    }


def _draw(names, answers, stride, reach) -> Canvas:
    """Above the mean response, below the share of targets found, over the search crop."""
    medium = MEDIA["paper"]
    # the layout forgets the last digits beside the colour bars
    layout = ConstrainedLayoutEngine(rect=(0, 0, 0.98, 1))
    figure = Canvas(figsize=(0.7 + 1.15 * len(names), 2.9), layout=layout)
    panels = figure.subplots(2, len(names), squeeze=False, sharex=True, sharey=True)
    highest = max(float(answer["response"].max()) for answer in answers)
    half = len(answers[0]["response"]) * stride / 2
    edges = np.linspace(-reach, reach, 9)
    for column, name, answer in zip(panels.T, names, answers):
        mean = column[0].imshow(
            answer["response"], vmin=0, vmax=highest, extent=(-half, half, half, -half)
        )
        column[0].set_title(name, fontsize=medium.font)
        places = answer["offset"][:, ::-1]
        counts = np.histogramdd(places, bins=(edges, edges))[0]
        hits = np.histogramdd(places, bins=(edges, edges), weights=found(answer))[0]
        share = column[1].imshow(
            hits / np.maximum(counts, 1), vmin=0, vmax=1, extent=(-reach, reach, reach, -reach)
        )
    panels[0, 0].set_ylabel("mean response")
    panels[1, 0].set_ylabel("targets found")
    figure.supxlabel("px from the middle of the search crop", fontsize=medium.font)
    for image, row in zip((mean, share), panels):
        figure.colorbar(image, ax=row.tolist())
    return figure
