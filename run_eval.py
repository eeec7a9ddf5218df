"""Evaluates a tracker on a benchmark: `python run_eval.py --dataset=OTB100 --data_root=DIR
--checkpoint=FILE`.

`--dataset=synthetic` needs no data; `--results=DIR` scores existing result files. The same as
`siamjax eval`.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (a clone may be run by any Python)
    sys.stderr.write("error: siamjax needs Python 3.11 or newer: make env PYTHON=python3.11\n")
    sys.exit(2)

from siamjax import cli

if __name__ == "__main__":
    cli.script("eval", "run_eval.py")
