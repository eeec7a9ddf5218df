"""Which of OpenCV's four wheels is installed: they write the same files, so only one may be."""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib import metadata

from siamjax import installation
from siamjax.errors import UserError

OURS = "opencv-contrib-python-headless"  # has CSRT and KCF
WHEELS = (
    *("opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "opencv-contrib-python-headless"),
)


def installed() -> list[str]:
    """The names of the wheels that are installed."""
    found = []
    for name in WHEELS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            metadata.version(name)
            found.append(name)
    return found


def remedy() -> str:
    """What to do where `cv2` lacks something, in one line."""
    found = installed()
    if found == [OURS]:
        return f"its files are incomplete: pip install --force-reinstall --no-deps {OURS}"
    why = f"{OURS} goes in its place, since two of OpenCV's wheels break each other"
    if len(found) > 1:
        why = f"{' and '.join(found)} are both installed and overwrite each other"
    names = " ".join(found) or "opencv-python"
    return f"{why}: pip uninstall -y {names}; then pip install {OURS}"


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """For code that imports cv2: a broken one is said in a line.

    Raises:
        UserError: cv2 cannot be imported, or lacks a function.
    """
    try:
        yield
    except (ImportError, AttributeError) as error:
        if "'cv2'" not in str(error) and getattr(error, "name", None) != "cv2":
            raise
        if not installed() and importlib.util.find_spec("jax") is None:  # no environment at all
            fix = installation.environment()
            raise UserError(f"{sys.executable} has no cv2; {fix}") from error
        raise UserError(f"OpenCV is broken ({error}); {remedy()}") from error
