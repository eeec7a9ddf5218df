"""Findings of the paper, repeated at small scale, and what trackers are judged by: the table of
studies.

A study's module has `plan(config, args)`, which reads its own flags and refuses bad ones, and
`run(config, workdir, plan, benchmark)`, which writes `table.md` and returns its results with
"finished", False when SIGTERM ended a training. `CONFIG` names its bundled experiment. A study with
`TRAINS = False` renders and trains nothing and gets None for config and benchmark.
"""

# name -> module, one-line help, the study's own flags with default (False: a flag without a value)
# and help; a flag of two studies has one default
STUDIES = {
    "shift": (
        "siamjax.studies.shift",
        "how far networks that saw targets shifted by so many px expect theirs in the middle",
        {"--shifts": ("0,16,32,64", "px, comma-separated")},
    ),
    "robustness": (
        "siamjax.studies.robustness",
        "how often a tracker loses its targets, and whether another one loses fewer",
        {
            "--data": ("", "folders of labelled clips, comma-separated: [BENCHMARK=]FOLDER"),
            "--tracker": ("bundled", "[NAME=]SPEC as siamjax eval takes it"),
            "--against": ("", "another one to compare it with"),
            "--full": (False, "all views of each clip, not four"),
            "--batch": (0, "clips in lockstep on the device; 0: --workers processes"),
        },
    ),
    "presence": (
        "siamjax.studies.presence",
        "fits a checkpoint's map of presence: how likely a box holds the target",
        {
            "--data": ("", "clips to fit on, as for robustness"),
            "--test": ("", "other clips, judged once"),
            "--tracker": ("bundled", "the checkpoint"),
        },
    ),
}
