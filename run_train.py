"""Trains a network: python run_train.py --config=configs/demo.py --workdir=runs/x
[--config.section.field=value]

The same command resumes a run that was stopped. The same as `siamjax train`.
"""

from siamjax.arguments import Parser
from siamjax.commands import train as command
from siamjax.errors import run_main


def main() -> int:
    parser = Parser(description="Trains a network, or resumes its training.")
    command.add_arguments(parser)
    args, args.overrides = parser.parse_known_args()
    return command.run(args)


if __name__ == "__main__":
    run_main(main)
