"""A benchmark of two short synthetic clips."""

import dataclasses

import pytest

from siamjax.datasets import registry


@pytest.fixture(scope="session")
def clips():
    """Two synthetic clips of 10 and 8 frames."""
    whole = registry.load("synthetic", limit=2)
    short = []
    for sequence, count in zip(whole.sequences, (10, 8), strict=True):
        frames = [sequence.frames[i] for i in range(count)]
        short.append(
            dataclasses.replace(sequence, frames=frames, groundtruth=sequence.groundtruth[:count])
        )
    return dataclasses.replace(whole, sequences=tuple(short))
