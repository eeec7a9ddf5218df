"""`siamjax train`: trains a network, or resumes its training; run_train.py is the same."""

import argparse
from pathlib import Path

from siamjax import devices
from siamjax.commands.flags import add_device
from siamjax.config import load_config
from siamjax.errors import UserError
from siamjax.evaluation import validation
from siamjax.finetuning import plan

DESCRIPTION = """\
Trains a network, or resumes a run that was stopped: the same command again.
Fields of the experiment are changed by --config.section.field=value.
On several hosts give each process --distributed.

Ctrl-C and SIGTERM save a checkpoint first; a second Ctrl-C ends at once.

exit codes: 0 finished, 2 bad input (one line says what to change), 3 another
host of the run has ended, 130 Ctrl-C, 143 SIGTERM
"""
EXAMPLES = (
    "siamjax train --config=demo --workdir=runs/x",
    "siamjax train --config=configs/resnet50.py --workdir=runs/y --config.train.batch_size=64",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags, which run_train.py shares."""
    add = parser.add_argument
    add("--config", required=True, help="experiment: a file or a bundled one's name (demo)")
    add("--workdir", required=True, help="folder of checkpoints and metrics")
    add("--distributed", default="", help="auto, or HOST:PORT,PROCESSES,INDEX; empty: one process")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Trains as the flags and `args.overrides` say.

    Returns:
        The exit code.

    Raises:
        UserError: what the user has to change.
    """
    config = load_config(args.config, args.overrides)
    check_workdir(Path(args.workdir))

    # starts JAX: after the arguments are known to be good
    from siamjax.training import loop, parallel

    parallel.initialise(args.distributed)
    devices.check(args.device)
    validate = validation.make(config, args.workdir) if config.train.evaluate else None
    final = loop.train(config, args.workdir, validate)
    if not final["finished"]:
        return 143
    failed = final.pop("validation_errors")
    numbers = {name: x for name, x in final.items() if type(x) in (int, float)}
    print(", ".join(f"{name} {x:.4g}" for name, x in numbers.items()))
    if failed:
        print(f"{failed} validation(s) failed; {args.workdir}/metrics.jsonl says why")
    return 0


def check_workdir(workdir: Path) -> None:
    """Refuses the folder of a command that has its training in a folder `train` of it.

    Raises:
        UserError: it is such a folder.
    """
    if (workdir / plan.FILE).is_file() or (workdir / "train" / "checkpoints").is_dir():
        raise UserError(
            f"--workdir={workdir}: a run of siamjax finetune or demo, whose training is in"
            f" {workdir / 'train'}; give another --workdir"
        )
