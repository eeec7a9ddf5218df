"""What happens in a sequence as a whole, from the file that a benchmark has about it.

`att/<sequence>.txt`, beside the ground truth or in `annos`, `anno`, `anno/<benchmark>` above it,
holds a 0 or 1 for each attribute in the benchmark's order; `attributes.txt` or `attrs.txt` beside
the ground truth holds their names.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from siamjax.errors import UserError
from siamjax.media.lines import read_text


def read(
    root: Path, truth: Path, name: str, benchmark: str, order: tuple[str, ...]
) -> tuple[str, ...]:
    """The attributes of a sequence; none without a file.

    Args:
        root: the benchmark's folder.
        truth: the sequence's ground truth, below it.
        name: of the sequence.
        benchmark: its name, which may be a folder's.
        order: the attributes as files of 0 and 1 have them.

    Raises:
        UserError: as many numbers as there is no attribute for.
    """
    path = next((path for path in _places(root, truth, name, benchmark) if path.is_file()), None)
    if path is None:
        return ()
    words = re.split(r"[\s,;]+", read_text(path).strip())
    if not set(words) <= {"0", "1", "0.0", "1.0"}:
        return tuple(dict.fromkeys(filter(None, words)))
    if len(words) != len(order):
        raise UserError(
            f"{path}: {len(words)} numbers, {benchmark} has {len(order)} attributes; restore the"
            " file, or write the names of the attributes into it"
        )
    return tuple(attribute for attribute, word in zip(order, words, strict=True) if float(word))


def _places(root: Path, truth: Path, name: str, benchmark: str) -> Iterator[Path]:
    for folder in (truth.parent, *truth.parent.parents):
        for inner in (".", "annos", "anno", f"anno/{benchmark}"):
            yield folder / inner / "att" / f"{name}.txt"
        if folder == root:
            break
    for file in ("attributes.txt", "attrs.txt"):
        yield truth.with_name(file)
