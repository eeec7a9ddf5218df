"""`siamjax eval`: trackers on a benchmark, or existing result files, to scores and a report."""

import argparse
import dataclasses
from pathlib import Path

from siamjax import api, constants
from siamjax.commands.benchmark_flags import add_benchmark, load_benchmark
from siamjax.commands.flags import add_checkpoint, add_set, check_least, refuse_constants, words
from siamjax.datasets import result_folders
from siamjax.datasets.forms.base import LENGTHS
from siamjax.datasets.registry import Benchmark
from siamjax.errors import UserError
from siamjax.evaluation import finished, report, runner, scoring, submission, trackers
from siamjax.evaluation.style import MEDIA
from siamjax.measures import conventions

DESCRIPTION = "Runs trackers on a benchmark, or scores existing result files, and writes a report."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, which run_eval.py shares."""
    add = parser.add_argument
    add_benchmark(parser, "OTB100, VOT2018 or synthetic")
    add_checkpoint(parser, "the bundled one if there is neither --baselines nor --results")
    add("--name", default="siamjax", help="name of that tracker in tables and folders")
    add("--baselines", help="other trackers, comma-separated: static,template_matching,mil")
    add("--results", help="score the result files in this folder instead of running trackers")
    add("--length", default="pad", choices=LENGTHS, help="result files of another length")
    add(
        "--convention",
        default="",
        help="figures by a toolkit's rules: pysot, pytracking, got10k, otb, lasot",
    )
    add("--out", help="folder for results and report; default runs/eval/<dataset>")
    add("--protocol", help="another protocol: ope, supervised, longterm, multistart")
    add("--measures", choices=["vot-toolkit"], help="VOT figures by vot-toolkit 0.7's rules")
    add("--repetitions", type=int, default=1, help="runs per sequence (VOT: 15 if random)")
    add("--realtime", type=float, metavar="FPS", help="frames come at this rate and can be missed")
    add_set(parser)
    add("--tracker", action="append", default=[], help=argparse.SUPPRESS)
    add("--batch", type=int, default=0, help="sequences in lockstep on the device (one-pass)")
    add("--workers", type=int, default=0, help="processes that track; 0: this one")
    add("--style", choices=MEDIA, default="screen", help="figures for a page or for a paper")
    add("--submission", action="store_true", help="write the archive for the benchmark's server")
    add("--clip", help="a .webm video to embed in the report")


def run(args: argparse.Namespace) -> None:
    """Evaluates as the flags say and prints the table.

    Raises:
        UserError: what the user has to change.
    """
    check_least(args, repetitions=1, workers=0, batch=0)
    if args.realtime is not None and args.realtime <= 0:
        raise UserError(f"--realtime={args.realtime:g}: give frames per second above 0")
    refuse_constants(args.tracker)
    chosen = constants.parse(args.set)
    benchmark = load_benchmark(args, images=args.results is None)
    if not (args.checkpoint or args.baselines or args.results):
        args.checkpoint = api.default_checkpoint()
    if args.protocol is not None:
        benchmark = runner.with_protocol(benchmark, args.protocol)
    if args.measures is not None:
        benchmark = runner.with_toolkit_measures(benchmark)
    out = Path(args.out or f"runs/eval/{benchmark.name}")
    if args.results is not None:
        scores, found = _score_existing(args, benchmark)  # `found` keeps what archives held
        results = found.folders
    else:
        scores, results = trackers.run_trackers(
            benchmark,
            out,
            args.checkpoint,
            words(args.baselines),
            args.name,
            repetitions=args.repetitions,
            realtime=args.realtime,
            workers=args.workers,
            batch=args.batch,
            constants=chosen,
        )
    finished.record(out, _plan(args), Path(args.results or out / "results"))
    written = report.write(out, scores, benchmark, results, args.clip, args.style)
    print(report.terminal(scores))
    print(f"report: {written}")
    if args.submission:
        for tracker, folder in results.items():
            print(f"submission: {submission.write(benchmark, tracker, folder, out)}")


def _plan(args: argparse.Namespace) -> finished.Plan:
    """What is scored, for `siamjax report`."""
    names = (field.name for field in dataclasses.fields(finished.Plan))
    given = {name: getattr(args, name) for name in names}
    return finished.Plan(**given | {"sequences": args.sequences and tuple(words(args.sequences))})


def _score_existing(args: argparse.Namespace, benchmark: Benchmark) -> tuple:
    if args.checkpoint or args.baselines:
        raise UserError("--results scores existing files: leave out --checkpoint and --baselines")
    conventions.get(args.convention)
    found = result_folders.find(args.results, benchmark.dataset, benchmark.sequences)
    scores = scoring.score(
        benchmark, found.trackers, length=args.length, convention=args.convention
    )
    scores.without = [*found.without]
    return scores, found
