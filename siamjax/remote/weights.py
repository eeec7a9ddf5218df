"""Trained weights by name or address: a weights file, a run's mirror, a copy of its folder."""

import os
import re
from pathlib import Path

from siamjax.checksums import sha256
from siamjax.errors import UserError
from siamjax.remote import cache, lists
from siamjax.remote.fetch import Damaged, Wanted
from siamjax.remote.places import Info, Missing, Place, is_address

# Files of a checkpoint in a run's folder, in that of `siamjax demo`, or in one of checkpoints.
_OF_STEP = re.compile(r"((?:train/)?(?:checkpoints/)?(\d+)/)meta/")
BUNDLED = "bundled"  # the name of the bundled checkpoint
ASSETS = Path(__file__).parents[1] / "assets"
_TRAINING = "/training/"  # of a checkpoint: what only a training needs


def local(path: str | os.PathLike) -> Path:
    """What `siamjax.load` takes, on this machine: of an address a copy, of "bundled" that file,
    other paths as they are.

    Of a run its newest checkpoint is fetched. With `#sha256=` nothing is asked for where the copy
    is there.

    Raises:
        UserError: nothing there that can be used, it cannot be fetched, or it has another SHA-256.
    """
    if os.fspath(path) == BUNDLED:
        if Path(path).exists():
            raise UserError(f"{path}: siamjax's own checkpoint has this name; rename this one")
        return bundled()
    if not is_address(path):
        return Path(path)
    place = Place(str(path))
    if place.digest is not None or place.name.endswith(".npz"):
        return _file(place)
    listed = lists.read(place)
    if listed is not None:
        return _mirrored(place, listed)
    info = place.info()
    return _folder(place) if info.is_folder else _file(place, info)


def bundled() -> Path:
    """The bundled weights file (its model card lies beside it).

    Raises:
        UserError: this installation has none.
    """
    shipped = sorted(ASSETS.glob("*.npz"))
    if not shipped:
        raise UserError("this installation came without weights; give --checkpoint=PATH")
    return shipped[0]


def _file(place: Place, info: Info | None = None) -> Path:
    """A copy of the file at the address itself."""
    if place.digest is not None:  # of the same content wherever it lies
        wanted, version = Wanted(place.name, sha256=place.digest, source=""), ""
    else:
        info = info or place.info()
        wanted, version = Wanted(place.name, info.size, source=""), info.mark
    path = cache.fetched(place, version, lambda: [wanted]) / wanted.name
    if place.digest is not None and (found := sha256(path)) != place.digest:
        path.unlink()
        raise UserError(f"{path}: damaged since it was fetched (SHA-256 {found}); run again")
    return path


def _mirrored(place: Place, listed: lists.List) -> Path:
    """Its newest checkpoint; an older one where that is not as the list has it."""
    fault: UserError | None = None
    for step in reversed(listed.steps()):
        wanted = [x for x in listed.wanted(step) if _TRAINING not in x.name]
        try:
            return _step(place, step, wanted)
        except (Missing, Damaged) as error:
            fault = fault or error
    raise fault or UserError(f"{place.shown}: no checkpoint there yet")


def _folder(place: Place) -> Path:
    """A copy of a run's folder: of its newest checkpoint."""
    found = place.files()
    prefixes = {m[1]: int(m[2]) for name in found if (m := _OF_STEP.match(name))}
    if place.name.isdigit() and any(name.startswith("meta/") for name in found):
        prefixes = {"": int(place.name)}
    if not prefixes:
        raise UserError(
            f"{place.shown}: no checkpoint there; give a run's folder, or name a weights file"
        )
    prefix = max(prefixes, key=lambda each: prefixes[each])
    step = prefixes[prefix]
    wanted = [
        Wanted(f"{step}/{name.removeprefix(prefix)}", info.size, source=name)
        for name, info in sorted(found.items())
        if name.startswith(prefix) and _TRAINING not in f"/{name.removeprefix(prefix)}"
    ]
    return _step(place, step, wanted, *(found[str(each.source)].mark for each in wanted))


def _step(place: Place, step: int, wanted: list[Wanted], *marks: str) -> Path:
    version = f"{step} {sorted(wanted)} {marks}"
    return cache.fetched(place, version, lambda: wanted) / str(step)
