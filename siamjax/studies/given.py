"""What studies that train nothing are given: labelled clips, a checkpoint."""

from pathlib import Path

from siamjax.datasets import registry
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.evaluation.specs import Spec, parse


def targets(flag: str, text: str) -> list[Sequence]:
    """The targets in folders, comma-separated, each with the name of its benchmark where that is
    not OTB: NAME=FOLDER.

    Args:
        flag: for messages.

    Raises:
        UserError: none, no such folder, two of one name.
    """
    found: list[Sequence] = []
    for word in filter(None, text.split(",")):
        name, _, folder = word.rpartition("=")
        if not Path(folder).is_dir():
            raise UserError(f"{flag}={word}: no such folder")
        found += registry.load(name or "OTB100", folder).sequences
    names = [target.name for target in found]
    if not found:
        raise UserError(
            f"{flag}: give folders of labelled clips, comma-separated: /data/OTB100,/data/more;"
            " another benchmark's as NAME=FOLDER"
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{flag}: two clips are called {twice[0]}; leave one out")
    return found


def checkpoint(text: str) -> Spec:
    """The tracker of siamjax that `--tracker` names.

    Raises:
        UserError: no such tracker, or one that is not siamjax's.
    """
    spec = parse(text)
    if spec.checkpoint is None:
        raise UserError(f"--tracker={text}: give a checkpoint of siamjax")
    return spec
