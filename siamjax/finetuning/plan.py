"""What a fine-tuning does: kept in a file, so that the same command resumes it as it began."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from siamjax.config import difference
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.wording import first

FILE = "plan.json"
# a resumed run may differ; fields of the config are compared by name
_MEASURED = ("minutes", "config", "frames", "tracking", "speed", "steps", "finished")
# fields that leave what is trained as it is
_FREE = ("data.workers", "data.prefetch", "train.log_every", "train.images_every", "train.mirror")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is trained and evaluated.

    Attributes:
        folder: of the videos and their labels.
        checkpoint: what is trained on.
        backbone: whether the backbone is trained, too.
        minutes: bound of the whole command.
        seed: of the split and the training.
        trained: names of the videos that are trained on.
        left_out: names of the others; empty where there is one video.
        labels: hash of each video's boxes by its name.
        frames: tracked at most of each target that is left out; 0: not measured yet.
        tracking: seconds that this took.
        steps: of the training; 0: not planned yet.
        speed: pairs per second of the training; 0: not measured yet.
        finished: whether the result is there.
        config: the experiment with its overrides, as JSON has it; empty: an older version's run.
    """

    folder: str
    checkpoint: str
    backbone: bool
    minutes: float
    seed: int
    trained: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    frames: int = 0
    tracking: float = 0.0
    steps: int = 0
    speed: float = 0.0
    finished: bool = False
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def write(self, out: Path) -> None:
        """Keeps it in the folder of the run."""
        write_whole(out / FILE, json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def read(out: Path) -> Plan | None:
    """The plan of a run; None where nothing began.

    Raises:
        UserError: the file is damaged.
    """
    path = out / FILE
    if not path.is_file():
        return None
    try:
        fields = json.loads(path.read_text())
        lists = {name: tuple(fields[name]) for name in ("trained", "left_out")}
        return Plan(**fields | lists)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise UserError(f"{path}: not a plan of siamjax finetune; remove {out}") from None


def check_same(old: Plan, new: Plan, out: Path) -> None:
    """Refuses another run's folder.

    Raises:
        UserError: names what differs.
    """
    for field in dataclasses.fields(Plan):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if field.name not in _MEASURED and was != now:
            before, this = _short(was), _short(now)
            if isinstance(was, Mapping):  # labels: names of videos, and digests
                names = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
                before, this = "others", f"changed of {first(names)}"
            raise UserError(
                f"{out}: began with {field.name} {before}, this is {this}; give another --out, or"
                " remove it"
            )
    if old.config:
        was, now = (ml_collections.ConfigDict(dict(each.config)) for each in (old, new))
        changed = [line for line in difference(was, now) if line.partition(":")[0] not in _FREE]
        if changed:
            raise UserError(
                f"{out}: the run there has another config ({'; '.join(changed)}); give another"
                " --out, or remove it"
            )


def _short(value: object, most: int = 60) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}..."


def split(names: Sequence[str], share: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Videos to train on, and those left out: the share, rounded up, at least one, never all.

    With one video nothing is left out.
    """
    names = sorted(names)
    count = min(len(names) - 1, max(1, math.ceil(share * len(names))))
    order = np.random.default_rng(seed).permutation(len(names))
    left_out = {names[i] for i in order[:count]}
    trained = tuple(name for name in names if name not in left_out)
    return trained, tuple(sorted(left_out))
