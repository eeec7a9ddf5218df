"""Findings of the paper, repeated at small scale: the table of studies.

A study's module has `plan(config, args)`, which reads its own flags and refuses bad ones, and
`run(config, workdir, plan, benchmark)`, which writes `table.md` and returns its results with
"finished", False when SIGTERM ended a training. `CONFIG` names its bundled experiment.
"""

# name -> module, one-line help, the study's own flags with default and help
STUDIES = {
    "shift": (
        "siamjax.studies.shift",
        "how far networks that saw targets shifted by so many px expect theirs in the middle",
        {"--shifts": ("0,16,32,64", "px, comma-separated")},
    ),
}
