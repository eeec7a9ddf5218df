"""Renders the synthetic world and stores the context crops of all its tracks as a training set.

    python -m data_prep synthetic --out=data/synthetic --videos=300

The shards are the same, byte for byte, for any number of workers. A folder that this version
finished with the same arguments is left alone; an interrupted run starts anew.
"""

import contextlib
import multiprocessing
import pkgutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data_prep import parts
from siamjax import synthetic as world
from siamjax.arguments import Parser
from siamjax.data import index, jpeg, shards
from siamjax.data.crops import context_crop, mean_colour
from siamjax.errors import UserError, run_main
from siamjax.geometry.boxes import xywh_to_xyxy
from siamjax.processes import begin_worker
from siamjax.synthetic import SyntheticVideo

NAME = "synthetic"
VISIBLE = 0.5  # crops of targets with a smaller visible fraction are left out
QUALITY = 95  # of the JPEGs
# flag: default, None: required; lowest value; help
FLAGS = {
    "videos": (None, 1, "number of clips"),
    "seed": (0, 0, "seed of the first clip (default: 0)"),
    "length": (60, 1, "frames per clip (default: 60)"),
    "every": (1, 1, "take each n-th frame (default: 1)"),
    "categories": (0, 0, "categories with an appearance of their own (default: 0, none)"),
    "workers": (2, 0, "processes (default: 2)"),
}
# modules that decide what the crops are
WORLD = [module.name for module in pkgutil.iter_modules(world.__path__, "siamjax.synthetic.")]
CODE = ("data_prep.synthetic", "siamjax.geometry.boxes", *WORLD)


def build(
    out: str | Path,
    videos: int,
    seed: int = 0,
    length: int = 60,
    every: int = 1,
    workers: int = 2,
    categories: int = 0,
    progress: bool = True,
) -> None:
    """Writes a training set of `videos` clips of the train split.

    Args:
        out: folder of the data set.
        videos: number of clips, >= 1; they have the seeds seed, seed + 1, ...
        seed: of the first clip, >= 0.
        length: frames of a clip, >= 1.
        every: take each n-th frame, >= 1.
        workers: processes that render; 0: in this process.
        categories: see `siamjax.synthetic.SyntheticVideo`.
        progress: show a progress bar on stderr.

    Raises:
        UserError: an argument is out of range, the folder can't be written, or it holds a data set
            that was made with other arguments or by another version.
    """
    numbers = {"videos": videos, "seed": seed, "length": length, "every": every}
    if categories:
        numbers["categories"] = categories
    for name, value in {**numbers, "workers": workers}.items():
        parts.check_number(name, value, FLAGS[name][1])
    out = Path(out)
    made_with = {"source": NAME, "synthetic": numbers, "code_hash": parts.code_hash(CODE)}
    if (out / index.MANIFEST).exists():
        manifest = index.read_manifest(out)
        if {key: manifest.get(key) for key in made_with} != made_with:
            raise UserError(
                f"{out}: was made with other arguments or by another version; remove it or choose"
                " another --out"
            )
        return
    jobs = [(number, length, every, categories) for number in range(seed, seed + videos)]
    with shards.ShardWriter(out, NAME, jpeg_quality=QUALITY) as writer:
        # spawned, not forked: the caller may have started JAX's threads
        spawn = multiprocessing.get_context("spawn")
        pool = spawn.Pool(workers, _start) if workers else None
        with pool or contextlib.nullcontext():
            clips = pool.imap(_crops_of, jobs) if pool else map(_crops_of, jobs)
            bar = tqdm(clips, str(out), videos, unit="video", disable=not progress)
            for name, crops in bar:
                for crop in crops:
                    writer.add_encoded(name, *crop)
        writer.close(**made_with)


def _start():
    begin_worker()
    cv2.setNumThreads(1)


def _crops_of(job):
    """A clip's name and its crops as (track, frame, JPEG, size); `job` is (seed, length, every,
    categories)."""
    seed, length, every, categories = job
    video = SyntheticVideo(seed, length=length, split="train", categories=categories)
    crops = []
    for i in range(0, length, every):
        seen = np.flatnonzero(video.visible[:, i] > VISIBLE)
        if not len(seen):
            continue
        frame = video.frames[i]
        border = mean_colour(frame)
        for target in seen:
            box = video.boxes[target, i]
            crop = context_crop(frame, xywh_to_xyxy(box), border=border, edges=True)
            data = jpeg.encode(crop, QUALITY)
            crops.append((f"{target:02d}", i, data, tuple(box[2:])))
    return f"train{seed:06d}", crops


def main(argv: Sequence[str] | None = None, prog: str = "python -m data_prep") -> None:
    """The command; arguments as those of the sources' `data_prep.command.main`."""
    parser = Parser(prog=f"{prog} {NAME}", description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="folder of the data set")
    for name, (default, _, text) in FLAGS.items():
        required = default is None
        parser.add_argument(f"--{name}", type=int, default=default, required=required, help=text)
    build(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    run_main(main)
