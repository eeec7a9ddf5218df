"""Findings of the paper, repeated at small scale: the table of studies.

A study's module has `plan(config, args)`, which reads its own flags and refuses bad ones, and
`run(config, workdir, plan, benchmark)`, which writes `table.md` and returns its results with
"finished", False when SIGTERM ended a training.
"""

from typing import NamedTuple


class Study(NamedTuple):
    """A study of `siamjax study`.

    Attributes:
        module: where it is.
        text: one-line help.
        config: its bundled experiment.
        flags: its own flags, each with default and help.
    """

    module: str
    text: str
    config: str
    flags: dict[str, tuple[str, str]]


STUDIES = {
    "shift": Study(
        "siamjax.studies.shift",
        "how far each of several shifts of the search crop lets a network expect its target in "
        "the middle",
        "shift_study",
        {"--shifts": ("0,16,32,64", "px, comma-separated")},
    ),
}
