"""`siamjax eval`: trackers on a benchmark, or existing result files, to scores and a report."""

import argparse
import dataclasses
import sys
from pathlib import Path

from siamjax import api, constants
from siamjax.commands.benchmark_flags import add_benchmark, load_benchmark
from siamjax.commands.flags import add_checkpoint, add_device, add_set, check_least, words
from siamjax.commands.tracker_flags import add_trackers
from siamjax.datasets import result_folders
from siamjax.datasets.forms.base import LENGTHS
from siamjax.datasets.registry import Benchmark
from siamjax.datasets.results import Store
from siamjax.errors import UserError
from siamjax.evaluation import finished, report, runner, scoring, specs, submission, trackers
from siamjax.evaluation.style import MEDIA
from siamjax.measures import conventions, table

DESCRIPTION = "Runs trackers on a benchmark, or scores existing result files, and writes a report."
EXAMPLES = (
    "siamjax eval --dataset=synthetic --tracker=bundled --baselines=static,template_matching",
    "siamjax eval --dataset=OTB100 --data_root=data --checkpoint=runs/demo",
)
_BASELINES = "built-in trackers, comma-separated: static,template_matching,mil; alone: only these"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, which run_eval.py shares."""
    add = parser.add_argument
    add_benchmark(parser, "OTB100, VOT2018 or synthetic")
    add_trackers(parser)
    add_checkpoint(parser, "the bundled one where nothing else is to be run or scored")
    add("--name", default="siamjax", help="name of the tracker of --checkpoint")
    add("--baselines", help=_BASELINES)
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
    add("--batch", type=int, default=0, help="sequences in lockstep on each device (one-pass)")
    add("--workers", type=int, default=0, help="processes that track; 0: this one")
    add("--style", choices=MEDIA, default="screen", help="figures for a page or for a paper")
    add("--shard", metavar="I/N", help="run part I of N (from 0); others fill the folder too")
    add("--submission", action="store_true", help="write the archive for the benchmark's server")
    add("--clip", help="a .webm video to embed in the report")
    add_device(parser)


def run(args: argparse.Namespace) -> int | None:
    """Evaluates as the flags say and prints the table; 1 when a tracker failed on a sequence.

    Raises:
        UserError: what the user has to change.
    """
    check_least(args, repetitions=1, workers=0, batch=0)
    if args.realtime is not None and args.realtime <= 0:
        raise UserError(f"--realtime={args.realtime:g}: give frames per second above 0")
    shard = _shard(args)
    chosen = _named_trackers(args)
    benchmark = load_benchmark(args, images=args.results is None)
    if args.protocol is not None:
        benchmark = runner.with_protocol(benchmark, args.protocol)
    if args.measures is not None:
        benchmark = runner.with_toolkit_measures(benchmark)
    if args.submission:
        submission.check(benchmark)
    runner.check_repetitions(benchmark, args.repetitions)
    rules = conventions.get(args.convention, benchmark.name)
    table.check_rules(benchmark.dataset.measures, rules)
    out = Path(args.out or f"runs/eval/{benchmark.name}")
    if args.results is not None:
        scores, found = _score_existing(args, benchmark)  # `found` keeps what archives held
        _report(args, benchmark, out, scores, found.folders)
        return None
    results, failed = trackers.run(
        benchmark,
        out,
        chosen or trackers.select(api.default_checkpoint(), (), args.name, args.set),
        repetitions=args.repetitions,
        realtime=args.realtime,
        workers=args.workers,
        batch=args.batch,
        shard=shard,
    )
    if shard.count > 1:
        print(f"part {args.shard} is run; when all are, the same without --shard scores")
    elif results := _with_results(benchmark, results, failed):
        scores = scoring.score(
            benchmark, results, out / "times", length=args.length, convention=args.convention
        )
        _report(args, benchmark, out, scores, results)
    elif (out / "report.html").is_file():
        print(f"{out / 'report.html'}: of an earlier call; this one has no result", file=sys.stderr)
    return _explain(out, failed)


def _named_trackers(args: argparse.Namespace) -> list[specs.Spec]:
    """The trackers that the flags name: the checkpoint's, then the others; `args.set` is read."""
    baselines = words(args.baselines)
    others = bool(args.tracker or baselines)
    if args.results and (args.checkpoint or others or args.set):
        raise UserError(
            "--results scores existing files: leave out --tracker, --checkpoint, --baselines, --set"
        )
    args.set = constants.parse(args.set)
    if not (args.checkpoint or others):
        return []
    return trackers.select(args.checkpoint, args.tracker, args.name, args.set, baselines)


def _shard(args: argparse.Namespace) -> runner.Shard:
    if args.shard is None:
        return runner.WHOLE
    if args.results or args.submission:
        raise UserError("--shard only runs trackers: leave out --results and --submission")
    return runner.Shard.parse(args.shard)


def _with_results(benchmark: Benchmark, results: dict, failed: list[runner.Failed]) -> dict:
    """Without the trackers that failed on every sequence."""
    form = Store("", benchmark.dataset).form
    lost = {name for name, *_ in failed}
    return {
        name: folder
        for name, folder in results.items()
        if name not in lost or form.holds(folder, benchmark.sequences)
    }


def _report(args, benchmark: Benchmark, out: Path, scores: scoring.Scores, results: dict) -> None:
    """Writes the report, prints the table, names what it lacks."""
    finished.record(out, _plan(args), Path(args.results or out / "results"))
    written = report.write(out, scores, benchmark, results, args.clip, args.style)
    print(report.terminal(scores))
    print(f"report: {written}")
    if args.submission:
        for tracker, folder in results.items():
            print(f"submission: {submission.write(benchmark, tracker, folder, out)}")
    _tell_others(args, benchmark, out, results)


def _tell_others(args, benchmark: Benchmark, out: Path, results: dict) -> None:
    """Names the trackers of earlier calls whose results the report leaves out."""
    place, form = out / "results", Store("", benchmark.dataset).form
    shown = {folder.resolve() for folder in results.values()}
    folders = sorted(filter(Path.is_dir, place.iterdir())) if place.is_dir() else []
    others = [folder for folder in folders if folder.resolve() not in shown]
    same = [folder.name for folder in others if form.holds(folder, benchmark.sequences)]
    rest = [folder.name for folder in others if folder.name not in same]
    if same:
        how = "give another --out to keep both reports"
        if args.results is None:
            how = f"siamjax report {out} shows all"
        print(f"not in this report, in {place} from earlier calls: {scoring.some(same)}; {how}")
    if rest:
        print(
            f"not in this report, in {place} without results of these sequences:"
            f" {scoring.some(rest)}; give another --out for another data set or protocol"
        )


def _plan(args: argparse.Namespace) -> finished.Plan:
    """What is scored, for `siamjax report`."""
    names = (field.name for field in dataclasses.fields(finished.Plan))
    given = {name: getattr(args, name) for name in names}
    return finished.Plan(**given | {"sequences": args.sequences and tuple(words(args.sequences))})


def _explain(out: Path, failed: list[runner.Failed], most: int = 5) -> int | None:
    """Names what failed, a few per tracker, on standard error; the exit code."""
    by_tracker: dict[str, list[runner.Failed]] = {}
    for each in failed:
        by_tracker.setdefault(each.tracker, []).append(each)
    for name, those in by_tracker.items():
        for each in those[:most]:
            print(f"failed: {each}", file=sys.stderr)
        more = f"{len(those) - most} more of {name} failed; " if len(those) > most else ""
        print(f"{more}tracebacks: {out / 'failures' / name}", file=sys.stderr)
    return 1 if failed else None


def _score_existing(args: argparse.Namespace, benchmark: Benchmark) -> tuple:
    found = result_folders.find(args.results, benchmark.dataset, benchmark.sequences)
    scores = scoring.score(
        benchmark, found.trackers, length=args.length, convention=args.convention
    )
    scores.without = [*found.without]
    return scores, found
