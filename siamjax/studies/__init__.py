"""The experiments of the paper, one command each, and what trackers are judged by: the table of
studies.

A study that trains is a module as `siamjax.studies.driver` describes it: its `variants` are trained
from several seeds and measured. One that trains nothing has `plan(args)`, which reads its flags and
refuses bad ones, and `run(workdir, plan)`, which writes `table.md`.
"""

from typing import Any

_CHECKPOINT = ("", "a trained tracker to ask instead: folder, .npz file, or bundled")

# name -> module, one-line help, the study's own flags with default and help; a flag of two studies
# has one default
STUDIES: dict[str, tuple[str, str, dict[str, tuple[Any, str]]]] = {
    "shift": (
        "siamjax.studies.shift",
        "how far networks that saw targets shifted by so many px expect theirs in the middle",
        {"--shifts": ("0,16,32,64", "px, comma-separated")},
    ),
    "layers": ("siamjax.studies.layers", "what layers 3, 4, 5 and their sums give", {}),
    "correlation": ("siamjax.studies.correlation", "cross, up-channel or depthwise", {}),
    "channels": (
        "siamjax.studies.channels",
        "whether a channel of the response stands for a category",
        {
            "--checkpoint": _CHECKPOINT,
            "--labels": ("", "labels with categories, as siamjax labels reads them; else rendered"),
        },
    ),
    "backbone": ("siamjax.studies.backbone", "what depth gives, and training it", {}),
    "stride": ("siamjax.studies.stride", "stride 8, 16, 32, dilation, template cells", {}),
    "constants": (
        "siamjax.studies.constants",
        "how much penalty, window and rate matter, and whether they carry over",
        {
            "--checkpoint": _CHECKPOINT,
            "--grid": ("small", "small (60 settings) or published (504)"),
        },
    ),
    "robustness": (
        "siamjax.studies.robustness",
        "how often a tracker loses its targets, and whether another one loses fewer",
        {
            "--tracker": ("bundled", "[NAME=]SPEC as siamjax eval takes it"),
            "--against": ("", "another one to compare it with"),
            "--batch": (0, "clips in lockstep on the device; 0: --workers processes"),
        },
    ),
    "presence": (
        "siamjax.studies.presence",
        "fits a checkpoint's map of presence: how likely a box holds the target",
        {
            "--test": ("", "other clips, judged once"),
            "--held": (0.0, "share of held frames in the videos it is for; 0: that of the clips"),
            "--tracker": ("bundled", "the checkpoint"),
        },
    ),
    "returns": (
        "siamjax.studies.returns",
        "whether the long-term mode finds targets that leave and come back",
        {"--tracker": ("bundled", "the checkpoint")},
    ),
}
