"""The `siamjax` command: a table of subcommands, each a module with `DESCRIPTION`,
`add_arguments(parser)` and `run(args)`."""

import argparse
import importlib
import sys
from collections.abc import Collection, Sequence

from siamjax import opencv
from siamjax.arguments import Parser
from siamjax.errors import UserError, run_main
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
    "study": ("siamjax.commands.study", "the paper's shift study at small scale"),
    "track": ("siamjax.commands.track", "follow boxes through a video"),
    "train": ("siamjax.commands.train", "train a network, or resume its training"),
}
_EPILOG = """\
first steps:
  siamjax demo                                   everything once, on rendered videos
  siamjax track video.mp4 --box=150,80,60,45     follow something (x,y,width,height in px)
  siamjax eval --dataset=synthetic               score the bundled checkpoint
  siamjax COMMAND --help                         what a command takes

Bad input ends with one line and exit code 2.
"""


def build_parser(commands: Collection[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser with the name of every subcommand.

    Args:
        commands: those that get their flags, too; their modules are imported.
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
        subparser = subparsers.add_parser(name, help=text, formatter_class=form)
        if name in commands:
            command = importlib.import_module(module)
            subparser.description = command.DESCRIPTION
            subparser.set_defaults(run=command.run, overrides=())
            command.add_arguments(subparser)
    return parser


@opencv.explained()
def dispatch(argv: Sequence[str] | None = None) -> int | None:
    """Parses the arguments and runs the subcommand.

    Commands that take a config get `--config.section.field=value` arguments as
    `args.overrides`.

    Raises:
        UserError: what the command found wrong, or an argument that it does not take.
    """
    argv = sys.argv[1:] if argv is None else argv
    chosen = next((word for word in argv if not word.startswith("-")), "")
    parser = build_parser({chosen})
    args, rest = parser.parse_known_args(argv)
    overrides = [argument for argument in rest if argument.startswith("--config.")]
    unknown = [argument for argument in rest if not argument.startswith("--config.")]
    if unknown or (overrides and not hasattr(args, "config")):
        raise UserError(f"unknown argument {(unknown or overrides)[0]}; see siamjax --help")
    args.overrides = overrides
    return args.run(args)


def main() -> None:
    """The console script; leaves with the exit codes of `siamjax.errors.run_main`."""
    run_main(dispatch)


if __name__ == "__main__":
    main()
