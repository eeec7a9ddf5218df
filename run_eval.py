"""Evaluates a tracker on a benchmark: `python run_eval.py --dataset=OTB100 --data_root=DIR
--checkpoint=FILE`.

`--dataset=synthetic` needs no data; `--results=DIR` scores existing result files. The same as
`siamjax eval`.
"""

from siamjax.arguments import Parser
from siamjax.commands import eval as command
from siamjax.errors import run_main


def main() -> int | None:
    parser = Parser(description=__doc__)
    command.add_arguments(parser)
    return command.run(parser.parse_args())


if __name__ == "__main__":
    run_main(main)
