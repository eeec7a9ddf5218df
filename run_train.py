"""Trains a network: python run_train.py --config=configs/demo.py --workdir=runs/x
[--config.section.field=value]

The same command resumes a run that was stopped. The same as `siamjax train`.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (a clone may be run by any Python)
    sys.stderr.write("error: siamjax needs Python 3.11 or newer: make env PYTHON=python3.11\n")
    sys.exit(2)

from siamjax import cli

if __name__ == "__main__":
    cli.script("train", "run_train.py")
