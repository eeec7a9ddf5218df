"""`siamjax demo`: the whole path on the embedded synthetic world, from shards to report."""

import argparse
import time
from pathlib import Path

from data_prep import synthetic
from siamjax import media, viz
from siamjax.commands.flags import add_device
from siamjax.commands.rendered import rendered_experiment
from siamjax.datasets import registry
from siamjax.datasets.results import Store
from siamjax.evaluation import report, trackers

DESCRIPTION = """\
Renders training videos, trains a small tracker, evaluates it on held-out clips
beside two baselines, and writes scores, plots, an HTML page and an annotated
video. The same command resumes a demo that was stopped.
"""
BASELINES = ("static", "template_matching")
EXAMPLES = (
    "siamjax demo",
    "siamjax demo --out=runs/small --videos=30 --config.train.epochs=1",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("--out", default="runs/demo", help="folder (default: %(default)s)")
    add("--config", default="demo", help="experiment, a file or a name (default: %(default)s)")
    add("--videos", type=int, default=300, help="training videos (default: %(default)s)")
    add("--workers", type=int, default=2, help="rendering processes (default: %(default)s)")
    add_device(parser)


def run(args: argparse.Namespace) -> int | None:
    """Runs or resumes the demo; finished parts are not done again.

    Returns:
        143 when SIGTERM ended the training, which has saved its checkpoint.

    Raises:
        UserError: what the user has to change.
    """
    from siamjax.training.loop import train  # JAX

    started = time.monotonic()
    out = Path(args.out)
    config = rendered_experiment(args.config, args.overrides, out / "shards")

    _report(started, f"1/4 training videos -> {out / 'shards'}")
    # as long as the held-out clips: the template must fit the target's views at the clip's end too
    synthetic.build(out / "shards", args.videos, length=120, every=8, workers=args.workers)
    _report(started, f"2/4 training -> {out / 'train'}")
    if train(config, out / "train")["stopped"]:
        return 143
    _report(started, f"3/4 tracking held-out clips -> {out / 'results'}")
    benchmark = registry.load("synthetic")
    scores, results = trackers.run_trackers(benchmark, out, out / "train", BASELINES)
    _report(started, f"4/4 video and report -> {out}")
    clip = _annotate(benchmark, results, out / "clip.webm")
    page = report.write(out, scores, benchmark, results, clip)
    print(report.terminal(scores))
    _report(started, f"done: {page}, {clip}, {out / 'scores.json'}")
    return None


def _report(started: float, text: str) -> None:
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"[{minutes:d}:{seconds:02d}] {text}", flush=True)


def _annotate(benchmark, results: dict[str, Path], path: Path, clips: int = 3) -> Path:
    """The first clips with the truth and every tracker's box."""
    names = ["truth", *results]
    with media.VideoWriter(path, fps=25) as writer:
        for sequence in benchmark.sequences[:clips]:
            tracks = [sequence.groundtruth]
            for name, folder in results.items():
                (run,) = Store(folder.parent, benchmark.dataset).read(name, sequence)
                tracks.append(run.regions)
            for frame, *boxes in zip(sequence.frames, *tracks):
                writer.write(viz.draw_boxes(frame, boxes, names))
    return path
