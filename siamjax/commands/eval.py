"""`siamjax eval`: trackers on a benchmark, or existing result files, to scores and a report."""

import argparse
import dataclasses
import difflib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from siamjax.errors import UserError
from siamjax.files import write_whole

_DESCRIPTION = "Runs trackers on a benchmark, or scores existing result files, and writes a report."


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "eval", help="score trackers, or result files, on a benchmark", description=_DESCRIPTION
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, which run_eval.py shares."""
    add = parser.add_argument
    add("--dataset", required=True, help="benchmark, for example OTB100, VOT2018 or synthetic")
    add("--data_root", help="folder of the benchmark; default $SIAMJAX_DATA, then ./data")
    add(
        "--checkpoint",
        help="training folder, checkpoint or .npz of the tracker to evaluate; default: without "
        "--baselines and --results the one that comes along",
    )
    add("--name", default="siamjax", help="name of that tracker in tables and folders")
    add("--baselines", default="", help="other trackers, by comma: static,template_matching,mil")
    add("--results", help="score the result files in this folder instead of running trackers")
    add("--out", help="folder for results and report; default runs/eval/<dataset>")
    add("--sequences", help="only these, by comma")
    add("--limit", type=int, help="only the first so many sequences")
    add("--protocol", help="another protocol: ope, supervised, longterm, multistart")
    add("--measures", choices=["vot-toolkit"], help="VOT figures by vot-toolkit 0.7's rules")
    add("--repetitions", type=int, default=1, help="runs per sequence (VOT: 15 if random)")
    add("--realtime", type=float, metavar="FPS", help="frames come at this rate and can be missed")
    add("--tracker", help="other constants of the tracker: penalty_k=0.1,lr=0.3")
    add("--batch", type=int, default=0, help="sequences in lockstep on the device (one-pass)")
    add("--workers", type=int, default=0, help="processes that track; 0: this one")
    add("--submission", action="store_true", help="write the archive for the benchmark's server")
    add("--clip", help="a .webm video to embed in the report")


def run(args: argparse.Namespace) -> int | None:
    """Evaluates as the flags say and prints the table.

    Raises:
        UserError: what the user has to change.
    """
    from siamjax import api
    from siamjax.datasets import registry

    _check_numbers(args)
    wanted = None if args.sequences is None else args.sequences.split(",")
    benchmark = registry.load(
        args.dataset, args.data_root, wanted, args.limit, images=args.results is None
    )
    if not (args.checkpoint or args.baselines or args.results):
        args.checkpoint = api.default_checkpoint()
    if args.protocol is not None:
        from siamjax.evaluation.runner import with_protocol

        benchmark = with_protocol(benchmark, args.protocol)
    if args.measures is not None:
        from siamjax.evaluation.runner import with_toolkit_measures

        benchmark = with_toolkit_measures(benchmark)
    out = Path(args.out or f"runs/eval/{benchmark.name}")
    if args.results is not None:
        scores, results = _score_existing(args, benchmark)
    else:
        scores, results = run_trackers(
            benchmark,
            out,
            args.checkpoint,
            [name for name in args.baselines.split(",") if name],
            args.name,
            repetitions=args.repetitions,
            realtime=args.realtime,
            workers=args.workers,
            batch=args.batch,
            constants=parse_constants(args.tracker),
        )
    _report(benchmark, scores, results, out, args.clip)
    if args.submission:
        from siamjax.evaluation import submission

        for tracker, folder in results.items():
            print(f"submission: {submission.write(benchmark, tracker, folder, out)}")
    return None


def _check_numbers(args) -> None:
    for flag, least in (("limit", 1), ("repetitions", 1), ("workers", 0), ("batch", 0)):
        value = getattr(args, flag)
        if value is not None and value < least:
            raise UserError(f"--{flag}={value}: give at least {least}")
    if args.realtime is not None and args.realtime <= 0:
        raise UserError(f"--realtime={args.realtime:g}: give frames per second above 0")


def _score_existing(args, benchmark):
    from siamjax.datasets.results import Store
    from siamjax.evaluation import scoring

    if args.checkpoint or args.baselines:
        raise UserError("--results scores existing files: leave out --checkpoint and --baselines")
    folder = Path(args.results).resolve()
    names = Store(folder, benchmark.dataset).trackers(benchmark.sequences)
    results = {folder.name: folder} if names == ["."] else {name: folder / name for name in names}
    return scoring.score(benchmark, results), results


def parse_constants(text: str | None) -> dict[str, float]:
    """`penalty_k=0.1,lr=0.3` -> names and numbers.

    Raises:
        UserError: a name that is no number of the tracker (the nearest is named), or no number.
    """
    if not text:
        return {}
    known = ("penalty_k", "window_influence", "lr", "lost_window_influence")
    known += ("confidence_low", "confidence_high", "instance", "lost_instance")
    constants = {}
    for pair in text.split(","):
        name, _, value = pair.partition("=")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise UserError(f"--tracker: no constant '{name}'; did you mean {near}?")
        try:
            constants[name] = float(value)
        except ValueError:
            raise UserError(f"--tracker: give {name} as {name}=NUMBER") from None
    return constants


def run_trackers(
    benchmark,
    out,
    checkpoint=None,
    baselines=(),
    name: str = "siamjax",
    repetitions: int = 1,
    realtime: float | None = None,
    workers: int = 0,
    batch: int = 0,
    constants: dict[str, float] | None = None,
):
    """Runs a checkpoint's tracker and baselines on a benchmark; what is done is skipped.

    Args:
        benchmark: from `siamjax.datasets.registry.load`.
        out: folder; gets results/ and times/.
        checkpoint: training folder, checkpoint or .npz; None: baselines alone.
        baselines: names that `siamjax.evaluation.baselines.make` knows.
        name: what the checkpoint's tracker is called.
        repetitions, workers: see `siamjax.evaluation.runner.evaluate`.
        realtime: frames per second of the camera, for the real-time variant of the protocol; the
            trackers' names then end in "@<rate>fps".
        batch: sequences that the checkpoint's tracker follows in lockstep on the device; 0: one
            after the other on the host.
        constants: fields of the config's section `tracker` to replace.

    Returns:
        The scores, and the folder of each tracker's result files by its name.

    Raises:
        UserError: an unknown baseline, no such checkpoint, results of another checkpoint in `out`.
    """
    from siamjax.evaluation import baselines as known
    from siamjax.evaluation import runner

    out = Path(out)
    trackers: dict[str, Callable] = {}
    if checkpoint is not None:
        changes = tuple(sorted((constants or {}).items()))
        made = FromCheckpoint(str(checkpoint), realtime, changes)
        trackers[name] = made
    for baseline in baselines:
        known.make(baseline)  # an unknown name is said before anything runs
        if baseline in trackers:
            raise UserError(f"--name={name}: a baseline is called so; choose another name")
        trackers[baseline] = Baseline(baseline, realtime)
    if not trackers:
        raise UserError(
            "nothing to evaluate: give --checkpoint=FILE, --baselines=static,template_matching,mil"
            " or --results=DIR"
        )
    if realtime is not None:
        trackers = {f"{key}@{realtime:g}fps": make for key, make in trackers.items()}
    if checkpoint is not None:
        name = next(iter(trackers))
        _claim(out, name, f"{checkpoint_identity(checkpoint)} {changes}")
        if batch:
            from siamjax.evaluation import batched

            if realtime is not None:
                raise UserError("--realtime measures single frames: leave out --batch")
            batched.run(benchmark, name, *made.load(), out, batch)
    scores = runner.evaluate(benchmark, trackers, out, repetitions=repetitions, workers=workers)
    return scores, {tracker: out / "results" / tracker for tracker in trackers}


@dataclasses.dataclass(frozen=True)
class FromCheckpoint:
    """Makes a checkpoint's tracker, started as the published results were (see protocols)."""

    path: str
    realtime: float | None = None
    constants: tuple[tuple[str, float], ...] = ()

    def load(self) -> tuple:
        """Config, with the constants replaced, and variables."""
        from siamjax import api

        config, variables = api.load_variables(self.path)
        with config.unlocked():
            for name, value in self.constants:
                config.tracker[name] = type(config.tracker[name])(value)
        return config, variables

    def __call__(self):
        from siamjax.evaluation.protocols import FromHalfPixel
        from siamjax.tracking.session import Tracker

        return _paced(FromHalfPixel(Tracker(*self.load())), self.realtime)


@dataclasses.dataclass(frozen=True)
class Baseline:
    """Makes a tracker of `siamjax.evaluation.baselines`."""

    name: str
    realtime: float | None = None

    def __call__(self):
        from siamjax.evaluation import baselines

        return _paced(baselines.make(self.name), self.realtime)


def _paced(tracker, realtime: float | None):
    from siamjax.evaluation.protocols import RealTime

    return tracker if realtime is None else RealTime(tracker, realtime)


def checkpoint_identity(path: str | Path) -> str:
    """What tells one checkpoint from another: the digest of a file, or of a folder's file names and
    sizes.

    Raises:
        UserError: no such file or folder.
    """
    from siamjax import api

    path = api.training_folder(path)
    digest = hashlib.sha256()
    if path.is_file():
        digest.update(path.read_bytes())
    elif path.is_dir():
        config = path / "config.json"
        if config.is_file():
            digest.update(config.read_bytes())
        folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode())
    else:
        raise UserError(f"--checkpoint={path}: no such file or folder")
    return digest.hexdigest()


def _claim(out: Path, name: str, identity: str) -> None:
    """Remembers whose results a folder holds; results of two checkpoints are never mixed under one
    name."""
    path = out / "results" / f"{name}.json"
    if path.is_file() and json.loads(path.read_text())["checkpoint"] != identity:
        raise UserError(
            f"{path.with_suffix('')}: holds results of another checkpoint;"
            " choose another --out or --name, or delete it"
        )
    write_whole(path, json.dumps({"checkpoint": identity}) + "\n")


def _report(benchmark, scores, results, out, clip) -> None:
    from siamjax.evaluation import report

    written = report.write(out, scores, benchmark, results, clip)
    print(report.terminal(scores))
    if benchmark.left_out and scores.left_out:
        name, reason = next(iter(scores.left_out.items()))
        print(f"not scored: {len(scores.left_out)} sequences; the first, {name}: {reason}")
    print(f"report: {written}")
