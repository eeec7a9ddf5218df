"""Small trees in the true layouts of the benchmarks."""

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def write_images():
    """Writes images of 32 x 24 px named by a pattern and a range of numbers."""

    def write(folder: Path, numbers, pattern: str = "{:04d}.jpg"):
        folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            image = np.full((24, 32, 3), number % 251, np.uint8)
            assert cv2.imwrite(str(folder / pattern.format(number)), image)
        return folder

    return write


@pytest.fixture
def boxes():
    """`boxes(n)`: n rows of left, top, width, height."""

    def make(count: int) -> np.ndarray:
        i = np.arange(count, dtype=float)
        return np.stack([5 + i, 6 + 2 * i, 10 + 0 * i, 8 + 0 * i], 1)

    return make


@pytest.fixture
def rows():
    """Boxes as text with a separator."""

    def make(table, separator: str = ",") -> str:
        return "".join(separator.join(f"{v:g}" for v in row) + "\n" for row in table)

    return make
