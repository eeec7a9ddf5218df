"""The `siamjax` command: a table of subcommands, each a module with `DESCRIPTION`, `EXAMPLES`,
`add_arguments(parser)` and `run(args)`."""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Collection, Sequence

from siamjax import devices, installation, opencv, processes
from siamjax.arguments import Parser
from siamjax.errors import UserError, importing, run_main
from siamjax.version import __version__

# name -> module, one-line help
COMMANDS = {
    "convert": (
        "siamjax.commands.convert",
        "weights of PySOT, torchvision and others in, and back out",
    ),
    "curve": ("siamjax.commands.curve", "track with every kept checkpoint of a run"),
    "demo": ("siamjax.commands.demo", "render, train, track, evaluate: the whole path in minutes"),
    "eval": ("siamjax.commands.eval", "score trackers, or result files, on a benchmark"),
    "export": ("siamjax.commands.export", "one file that tracks without siamjax"),
    "finetune": ("siamjax.commands.finetune", "a network learns from your own labelled videos"),
    "inspect": ("siamjax.commands.inspect", "look at a network, at training pairs, at shards"),
    "labels": ("siamjax.commands.labels", "look at labels of videos, and convert them"),
    "prepare": ("siamjax.commands.prepare", "training sets from data sets or your own videos"),
    "render": ("siamjax.commands.render", "a clip of the synthetic world, as a video or as frames"),
    "report": ("siamjax.commands.report", "finished evaluations on one page, with figures"),
    "search": ("siamjax.commands.search", "find the tracker's constants on a validation set"),
    "serve": ("siamjax.commands.serve", "track in the browser"),
    "study": ("siamjax.commands.study", "the paper's experiments at small scale"),
    "track": ("siamjax.commands.track", "follow boxes through a video"),
    "train": ("siamjax.commands.train", "train a network, or resume its training"),
}
_EPILOG = """\
first steps:
  siamjax demo                                   everything once, on rendered videos
  siamjax track video.mp4 --box=150,80,60,45     follow something (x,y,width,height in px)
  siamjax eval --dataset=synthetic               score the bundled checkpoint
  siamjax COMMAND --help                         what a command takes, with examples

Tab completes commands and flags once the shell has run
  eval "$(register-python-argcomplete siamjax)"  of the package argcomplete
Bad input ends with one line and exit code 2.
"""


def build_parser(commands: Collection[str] = COMMANDS, prog: str = "") -> Parser:
    """The parser with the name of every subcommand.

    Args:
        commands: those that get their flags, too; their modules are imported.
        prog: what runs the one in `commands`, where that is a script.

    Raises:
        UserError: a package that siamjax needs is not installed.
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="siamjax",
        description="SiamRPN++ visual tracking in JAX and Flax.",
        epilog=_EPILOG,
        formatter_class=form,
    )
    parser.add_argument("--version", action="version", version=f"siamjax {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        own = prog if prog and name in commands else f"siamjax {name}"
        subparser = subparsers.add_parser(name, prog=own, help=text, formatter_class=form)
        if name in commands:
            with _packages(prog):
                command = importlib.import_module(module)
            subparser.description = command.DESCRIPTION
            examples = "".join(f"  {line}\n" for line in getattr(command, "EXAMPLES", ()))
            subparser.epilog = f"examples:\n{examples}" if examples else None
            subparser.set_defaults(run=command.run, overrides=(), parser=subparser)
            command.add_arguments(subparser)
    return parser


def _packages(prog: str) -> contextlib.AbstractContextManager:
    """For a block that imports packages which siamjax always needs."""
    return importing(installation.environment(prog), sys.executable)


@opencv.explained()
def dispatch(argv: Sequence[str] | None = None, prog: str = "") -> int | None:
    """Parses the arguments and runs the subcommand.

    Commands that take a config get `--config.section.field=value` arguments as
    `args.overrides`.

    Args:
        argv: arguments; None: the process's.
        prog: as `build_parser` takes it.

    Raises:
        UserError: no command, what it found wrong, an argument that it does not take, a device that
            is not there, or a package that is not installed.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        lines = "".join(f"\n  {name:9} {text}" for name, (_, text) in COMMANDS.items())
        raise UserError(f"give a command; siamjax COMMAND --help says what it takes{lines}")
    parser = build_parser({_chosen(argv)}, prog)
    args, rest = parser.parse_known_args(argv)
    overrides = [argument for argument in rest if argument.startswith("--config.")]
    unknown = [argument for argument in rest if not argument.startswith("--config.")]
    if unknown or (overrides and not hasattr(args, "config")):
        raise args.parser.unknown((unknown or overrides)[0])
    args.overrides = overrides
    with _packages(prog):
        devices.choose(getattr(args, "device", None))
        if hasattr(args, "device") and not getattr(args, "distributed", ""):
            devices.check(args.device)
        return args.run(args)


def _chosen(words: Sequence[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def script(command: str, prog: str) -> None:
    """Runs a command as a script of a clone, for example `python run_train.py`."""
    processes.plain_log()
    run_main(lambda: dispatch([command, *sys.argv[1:]], prog))


def main() -> None:
    """The console script; leaves with the exit codes of `siamjax.errors.run_main`."""
    processes.plain_log()
    run_main(_complete if "_ARGCOMPLETE" in os.environ else dispatch)


def _complete() -> None:
    """Answers the shell that asks for completions, and ends the process."""
    with importing(f"completion needs it: {installation.extra('completion')}"):
        import argcomplete

    words = os.environ.get("COMP_LINE", "").split()[1:]
    argcomplete.autocomplete(build_parser({_chosen(words)} & COMMANDS.keys()))
