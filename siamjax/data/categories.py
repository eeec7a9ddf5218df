"""Which tracks of a data set have a category in common: for negatives that look alike."""

from collections.abc import Sequence

import numpy as np


class Categories:
    """The tracks of an index in the order of their categories."""

    def __init__(self, category: np.ndarray, video_start: np.ndarray):
        """Args: columns of `siamjax.data.index.Index`."""
        self._category, self._video_start = category, video_start
        self._order = np.argsort(category, kind="stable")
        numbers = np.arange(category.max() + 2)
        self._starts = np.searchsorted(category[self._order], numbers)

    def count(self, track: int) -> int:
        """How many tracks of other videos have a track's category; 0 where that is not known."""
        tracks, first, behind = self._alike(track)
        return len(tracks) - (behind - first)

    def draw(self, rng: np.random.Generator, track: int) -> int:
        """One of the tracks that `count` counts, each with equal probability."""
        tracks, first, behind = self._alike(track)
        place = int(rng.integers(len(tracks) - (behind - first)))
        return int(tracks[place + (behind - first) * (place >= first)])

    def _alike(self, track):
        """The tracks of a track's category, and which of them (first, behind the last) are of its
        video."""
        category = int(self._category[track])
        if category < 0:
            return self._order[:0], 0, 0
        tracks = self._order[self._starts[category] : self._starts[category + 1]]
        video = int(np.searchsorted(self._video_start, track, side="right")) - 1
        ends = self._video_start[video : video + 2]
        return tracks, *np.searchsorted(tracks, ends).tolist()


def numbered(names: Sequence[str]) -> np.ndarray:
    """A number for each name, int32; -1 for the empty one."""
    numbers = {name: i for i, name in enumerate(sorted({*names} - {""}))}
    return np.array([numbers.get(name, -1) for name in names], np.int32)
