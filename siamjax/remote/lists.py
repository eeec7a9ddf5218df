"""The list of a run's copy at an address: which files belong to it, with sizes and checksums.

There are two, written alternately, so that a kill in the middle of one leaves the other; the whole
one with the larger count is the one that holds.
"""

import dataclasses
import hashlib
import json
import re

from siamjax.errors import UserError
from siamjax.remote.fetch import Wanted, check_name
from siamjax.remote.places import Missing, Place

NAMES = ("mirror.0.json", "mirror.1.json")
_FORMAT = "siamjax mirror 1"
_STEP = re.compile(r"checkpoints/(\d+)/.")


@dataclasses.dataclass(frozen=True)
class List:
    """What lies at an address.

    Attributes:
        count: of the lists written so far.
        files: size in bytes and SHA-256 of each file.
    """

    count: int = 0
    files: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)

    def steps(self) -> list[int]:
        """Steps of the checkpoints, oldest first."""
        return sorted({step for name in self.files if (step := step_of(name)) is not None})

    def wanted(self, step: int) -> list[Wanted]:
        """The files of a checkpoint, for a folder of checkpoints."""
        return [
            Wanted(name.partition("/")[2], size, digest, source=name)
            for name, (size, digest) in self.files.items()
            if step_of(name) == step
        ]


def step_of(name: str) -> int | None:
    """The step of the checkpoint to which a file belongs; None: to none."""
    found = _STEP.match(name)
    return int(found[1]) if found else None


def read(place: Place) -> List | None:
    """The list that holds; None where none lies there.

    Raises:
        UserError: it cannot be read, or is damaged.
    """
    texts = []
    for name in NAMES:
        try:
            texts.append(place.read(name))
        except Missing:
            continue
    found = [each for text in texts if (each := _decoded(place, text)) is not None]
    if texts and not found:
        raise UserError(f"{place.shown}: its {NAMES[0]} is damaged; remove it, or use a copy")
    return max(found, key=lambda each: each.count, default=None)


def write(place: Place, new: List) -> None:
    """Writes a list in place of the older of the two.

    Raises:
        UserError: it cannot be written.
    """
    text = json.dumps({"format": _FORMAT, "count": new.count, "files": new.files}, indent=0)
    digest = hashlib.sha256(text.encode()).hexdigest()
    place.write(NAMES[new.count % 2], f"{digest}\n{text}\n".encode())


def _decoded(place: Place, text: bytes) -> List | None:
    digest, _, body = text.partition(b"\n")
    if hashlib.sha256(body.removesuffix(b"\n")).hexdigest().encode() != digest:
        return None
    try:
        fields = json.loads(body)
        files = {str(n): (int(size), str(x)) for n, (size, x) in fields["files"].items()}
        count, form = int(fields["count"]), fields["format"]
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    if form != _FORMAT:
        raise UserError(f"{place.shown}: a list of another version ({str(form)[:40]!r})")
    for name in files:
        check_name(place, name)
    return List(count, files)
