"""Arrays that a study computes once: what took long lies in a file and is read again."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from siamjax import npz
from siamjax.errors import UserError
from siamjax.files import write_whole

_FAULT = "not the answers of a study; remove it"


def arrays(
    path: Path, key: str, names: Iterable[str], make: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays of a file, made and written where it is not there or has another key.

    Args:
        path: `.npz`.
        key: what they depend on besides the path.
        names: of those that there must be.
        make: computes them.

    Raises:
        UserError: the file is damaged.
    """
    saved = npz.read(path, _FAULT) if path.is_file() else {}
    if str(saved.pop("key", "")) != key:
        saved = dict(make())
        content = {"key": np.array(key), **saved}
        write_whole(path, lambda file: np.savez(file, allow_pickle=False, **content))
    if lacking := sorted(set(names) - saved.keys()):
        raise UserError(f"{path}: {_FAULT} (it lacks {', '.join(lacking)})")
    return saved
