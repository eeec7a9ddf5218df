"""`siamjax finetune`: a network learns from a few videos of one's own."""

import argparse
import math
from pathlib import Path

from data_prep.folder import Folder
from data_prep.parts import Options
from data_prep.preparation import Preparation
from siamjax import api
from siamjax.commands.flags import add_checkpoint, add_device, check_least
from siamjax.errors import UserError

DESCRIPTION = """\
Trains neck and head of a network on your own labelled videos, and tells whether
that helped: some videos are left out and tracked before and after. The labels
may be in any format that siamjax labels reads. The same command resumes.

Fields of the experiment configs/finetune.py are changed by
--config.section.field=value.
"""
_FLOOR = "; two CPU cores need some 3 for the least training, and it says what would do"
EXAMPLES = (
    "siamjax finetune my_videos --minutes=5",
    "siamjax finetune my_videos --checkpoint=runs/demo --backbone --out=runs/mine_quick",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("folder", help="videos or folders of frames, and their labels beside them or inside")
    add(
        "--minutes",
        type=float,
        default=10.0,
        help="bound of the whole (default: %(default)g)" + _FLOOR,
    )
    add_checkpoint(parser)
    add("--backbone", action="store_true", help="train layers of the backbone, too")
    add("--seed", type=int, default=0, help="of the split and the training")
    add("--config", default="finetune", help="experiment, a file or a name (default: %(default)s)")
    add("--out", default="runs/finetune", help="folder (default: %(default)s)")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Trains, and prints what it gave.

    Raises:
        UserError: what the user has to change.
    """
    from siamjax.finetuning import plan, table  # JAX
    from siamjax.finetuning.run import AFTER, BEFORE, Finetuning

    if not 0 < args.minutes < math.inf:
        raise UserError(f"--minutes={args.minutes:g}: must be above 0")
    check_least(args, seed=0)
    folder, out = Path(args.folder), Path(args.out)
    if not folder.exists():
        hint = f"siamjax render --seed=1 --out={folder}/one makes a video to try"
        raise UserError(f"{folder}: no such folder; give that of your labelled videos ({hint})")
    checkpoint = api.training_folder(args.checkpoint or api.default_checkpoint()).resolve()
    new = plan.Plan(str(folder.resolve()), str(checkpoint), args.backbone, args.minutes, args.seed)

    def prepare(names, place, crops):
        options = Options(crop=crops.stored, exemplar=crops.exemplar, context=crops.context)
        Preparation(Folder(folder, names), place, options).prepare()

    tuning = Finetuning(folder, out, new, args.config, args.overrides)
    scores = tuning.run(prepare)
    if scores is None:
        print("one video: none was left out, so what the training gives on others is not known")
    else:
        print("\n".join(table.lines(scores, BEFORE, AFTER)))
        table.write(out, scores, BEFORE, AFTER)
        print(f"{out / 'finetune.json'}, {out / 'evaluation' / 'report.html'}")
    if tuning.map_left_out:
        why = "the map of presence was of the old weights"
        fit = f"siamjax study presence --workdir=DIR --tracker={out} --data=folder=FOLDER"
        print(f"lost goes by the score: {why}; {fit} fits one on other videos")
    print(f"siamjax track VIDEO --box=X,Y,W,H --checkpoint={out}")
