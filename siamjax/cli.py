"""The `siamjax` command: one subcommand per module of `siamjax.commands`."""

import argparse
import importlib
import pkgutil
from collections.abc import Sequence

import siamjax.commands
from siamjax.errors import UserError, run_main
from siamjax.version import __version__

_EPILOG = """\
first steps:
  siamjax demo                                   everything once, on rendered videos
  siamjax track video.mp4 --box=150,80,60,45     follow something (x,y,width,height in px)
  siamjax eval --dataset=synthetic               score the checkpoint that comes along
  siamjax COMMAND --help                         what a command takes

Bad input ends with one line and exit code 2.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser with every subcommand; importing a command's module must stay cheap."""
    parser = argparse.ArgumentParser(
        prog="siamjax",
        description="SiamRPN++ visual tracking in JAX and Flax.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"siamjax {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in sorted(pkgutil.iter_modules(siamjax.commands.__path__), key=lambda m: m.name):
        command = importlib.import_module(f"siamjax.commands.{module.name}")
        command.add_parser(subparsers).set_defaults(run=command.run, overrides=())
    return parser


def dispatch(argv: Sequence[str] | None = None) -> int | None:
    """Parses the arguments and runs the subcommand.

    Commands that take a config get `--config.section.field=value` arguments as
    `args.overrides`.

    Raises:
        UserError: what the command found wrong, or an argument that no command knows.
    """
    args, rest = build_parser().parse_known_args(argv)
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
