"""The study of the shift augmentation: how far a padded network learns that targets sit in the
middle (SiamRPN++, section 3.2 and figure 2).

The same network is trained several times, with search crops shifted by up to so many px. Then
held-out targets are placed uniformly over the search crop. A network without bias answers equally
often everywhere; one that never saw a shifted target answers in the middle, wherever the target is.
"""

import argparse
import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from siamjax import models
from siamjax.data import augment
from siamjax.data.crops import context_crop, target_in_crop
from siamjax.datasets.registry import Benchmark
from siamjax.errors import UserError
from siamjax.evaluation import runner
from siamjax.evaluation.canvas import save_png
from siamjax.files import write_whole
from siamjax.geometry.boxes import xywh_to_xyxy
from siamjax.synthetic import SyntheticVideo
from siamjax.tracking.session import Tracker
from siamjax.training import checkpoint, loop

CONFIG = "shift_study"
MIDDLE, BORDER = 32.0, 64.0  # px from the middle of the search crop, the larger of x and y


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


def plan(config: ml_collections.ConfigDict, args: argparse.Namespace) -> list[int]:
    """The shifts of `--shifts`, px.

    Raises:
        UserError: not whole px, given twice, or without room in the stored crops.
    """
    try:
        shifts = [int(word) for word in args.shifts.split(",")]
    except ValueError:
        raise UserError(
            f"--shifts={args.shifts}: give whole px, comma-separated, as 0,32,64"
        ) from None
    if len(set(shifts)) < len(shifts):
        raise UserError(f"--shifts={args.shifts}: give each shift once")
    room = (config.crops.stored - config.crops.search) // 2
    for shift in shifts:
        if not 0 <= shift <= room:
            raise UserError(
                f"--shifts: {shift} is not within 0..{room} px, the room that crops of "
                f"{config.crops.stored} px leave around {config.crops.search} px"
            )
    return shifts


def run(
    config: ml_collections.ConfigDict,
    workdir: str | Path,
    shifts: Sequence[int],
    benchmark: Benchmark,
) -> dict[str, Any]:
    """Trains with every shift, answers the placed targets, tracks the held-out clips.

    What is done is skipped, so a second call resumes where the first one stopped. Writes to
    `workdir`: `shift<N>/` (the training run, its answers and result files), `shift_study.json`,
    `table.md`, `heatmaps.png`.

    Args:
        config: the experiment; `data.search.shift` is replaced.
        shifts: px, as `plan` gives them.
        benchmark: clips for the success AUC; as many clips give the placed targets.

    Returns:
        What shift_study.json holds; {"finished": False} when SIGTERM ended a training.

    Raises:
        UserError: a folder with another study, and whatever training raises.
    """
    workdir = Path(workdir)
    placements = Placements(clips=len(benchmark.sequences))
    rows, answers = [], []
    for shift in shifts:
        folder = workdir / f"shift{shift}"
        shifted = config.copy_and_resolve_references()
        with shifted.unlocked():
            shifted.data.search.shift = float(shift)
            shifted.name = f"{config.name}_shift{shift}"
        if not loop.train(shifted, folder)["finished"]:
            return {"finished": False}
        trained, variables, _ = checkpoint.load_variables(folder)
        answer = _answers(trained, variables, placements, folder / "answers.npz")
        make = functools.partial(Tracker, trained, variables)
        scores = runner.evaluate(benchmark, {"siamjax": make}, folder / "tracking")
        auc = float(scores.trackers["siamjax"]["success_auc"])
        rows.append({"shift": shift, "success_auc": auc, **summary(answer, config.anchors.stride)})
        answers.append(answer)
    result = {
        "finished": True,
        "config": config.name,
        "pairs": config.train.epochs * config.data.pairs_per_epoch,
        "clips": [benchmark.title, len(benchmark.sequences)],
        "placements": dataclasses.asdict(placements) | {"used": len(answers[0]["offset"])},
        "shifts": rows,
    }
    write_whole(workdir / "shift_study.json", json.dumps(result, indent=1) + "\n")
    write_whole(workdir / "table.md", table(rows))
    _draw(workdir / "heatmaps.png", shifts, answers, config.anchors.stride, placements.reach)
    return result


def placed_targets(config, placements: Placements) -> Iterator[tuple[np.ndarray, ...]]:
    """Held-out targets, placed uniformly in search crops; the same at every call.

    Yields, frame by frame:
        template: (exemplar, exemplar, 3) uint8, the target in its clip's first frame.
        search: (repeats, search, search, 3) uint8, the frame with the target at several places.
        offset: (repeats, 2) px from the middle of the search crop to the target's centre.
        size: (2,) width and height of the target in the search crop, px.
    """
    sizes = config.crops.stored, config.crops.exemplar, config.crops.context
    rng = np.random.default_rng(0)

    def crop(video, i):
        box = xywh_to_xyxy(video.boxes[0, i])
        return context_crop(video.frames[i], box, *sizes, edges=True)

    def cut(image, side, shift):
        still = augment.Draw((1.0, 1.0), tuple(shift), np.zeros(3, np.float32), None, False)
        return augment.patch(still, image, side)

    for seed in range(placements.clips):
        video = SyntheticVideo(seed, split="test")
        template = cut(crop(video, 0), config.crops.exemplar, (0.0, 0.0))
        for i in np.linspace(1, len(video.frames) - 1, placements.frames).astype(int):
            # Drawn for hidden targets too: the places do not depend on visibility.
            shifts = rng.uniform(-placements.reach, placements.reach, (placements.repeats, 2))
            if video.visible[0, i] < 0.5:
                continue
            image = crop(video, i)
            width, height = video.boxes[0, i, 2:]
            size = target_in_crop(width, height, *sizes)[2:]
            search = np.stack([cut(image, config.crops.search, shift) for shift in shifts])
            yield template, search, -shifts, size


def _answers(config, variables, placements, path: Path) -> dict[str, np.ndarray]:
    """The network's answers to the placed targets, from `path` where they are already.

    Returns:
        response: (S, S) float32, the mean over all places of each cell's probability of an object.
        offset, size: (N, 2), as in `placed_targets`.
        best: (N, 2) px from the middle of the search crop to the cell with the highest probability.
    """
    key = json.dumps(dataclasses.asdict(placements))
    if path.is_file():
        with np.load(path) as saved:
            if str(saved["key"]) == key:
                return {name: saved[name] for name in saved.files if name != "key"}

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
        for template, search, offset, size in tqdm(targets, str(path.parent), count, unit="frame")
    ]
    maps, offset, size = map(np.concatenate, zip(*parts))
    side = maps.shape[-1]
    row, column = np.unravel_index(maps.reshape(len(maps), -1).argmax(1), (side, side))
    answers = {
        "response": np.asarray(maps.mean(0, np.float64), np.float32),
        "offset": offset,
        "size": size,
        "best": (np.stack([column, row], 1) - side // 2) * config.anchors.stride,
    }
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, key=np.array(key), **answers))
    return answers


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


def table(rows) -> str:
    """The rows of shift_study.json as a Markdown table."""
    head = (
        "| shift in training (px) | success AUC | response at the border / in the middle "
        f"| found within {MIDDLE:g} px | found beyond {BORDER:g} px |\n|---:|---:|---:|---:|---:|\n"
    )
    line = (
        "| {shift} | {success_auc:.3f} | {border_response:.2f} | {found_middle:.0%} "
        "| {found_border:.0%} |\n"
    )
    return head + "".join(line.format(**row) for row in rows)


def _draw(path: Path, shifts, answers, stride, reach) -> None:
    """Above the mean response, below the share of targets found, over the search crop."""
    figure = Figure(figsize=(1.2 + 2.3 * len(shifts), 5.0), layout="constrained")
    panels = figure.subplots(2, len(shifts), squeeze=False, sharex=True, sharey=True)
    highest = max(float(answer["response"].max()) for answer in answers)
    half = len(answers[0]["response"]) * stride / 2
    edges = np.linspace(-reach, reach, 9)
    for column, shift, answer in zip(panels.T, shifts, answers):
        mean = column[0].imshow(
            answer["response"], vmin=0, vmax=highest, extent=(-half, half, half, -half)
        )
        column[0].set_title(f"shift {shift} px")
        places = answer["offset"][:, ::-1]
        counts = np.histogramdd(places, bins=(edges, edges))[0]
        hits = np.histogramdd(places, bins=(edges, edges), weights=found(answer))[0]
        share = column[1].imshow(
            hits / np.maximum(counts, 1), vmin=0, vmax=1, extent=(-reach, reach, reach, -reach)
        )
    panels[0, 0].set_ylabel("mean response\n\npx from the middle")
    panels[1, 0].set_ylabel("targets found\n\npx from the middle")
    figure.colorbar(mean, ax=panels[0].tolist())
    figure.colorbar(share, ax=panels[1].tolist())
    save_png(figure, path, dpi=100)
