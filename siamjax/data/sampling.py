"""Which two crops make a training pair: a function of seed and position.

The rule is SiamRPN++'s: each source's shuffled list of videos, repeated or cut to its share, the
lists joined and shuffled; a positive pair is two near frames of one track of the entry's video, a
negative pair takes its search crop from any track of any source but the template's, or, if wished,
shows another target of the template's video, which is likely to look like it (distractor-aware
training: Zhu et al., ECCV 2018, section 3.2), or one of the template's category elsewhere. Pairs
that the network was wrong on are drawn again if wished (`siamjax.training.mining`). The published
rule draws the template's own track, too, which shows the target as background: with two videos in
half of the negative pairs. The lists are permutations computed entry by entry, so position
1,000,000 costs what position 0 does and nothing is kept in memory.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from siamjax.data.index import Index

_MASK = (1 << 64) - 1


@dataclasses.dataclass(frozen=True)
class Source:
    """One training set.

    Attributes:
        name: for messages.
        index: its crops.
        frame_range: largest distance of the two frames of a positive pair, in positions of the
            track's frames.
        videos: entries in one pass over all sources; 0: each video once.
    """

    name: str
    index: Index
    frame_range: int
    videos: int = 0

    @property
    def entries(self) -> int:
        """Entries in one pass over all sources."""
        return self.videos or self.index.videos


@dataclasses.dataclass(frozen=True)
class Pair:
    """What was drawn for one position.

    Attributes:
        source: position in the sampler's sources of the template's set.
        template: crop in that set's index.
        search_source: position of the search crop's set.
        search: crop in that set's index.
        negative: whether search shows another target; by the published rule, any.
        grey: whether both crops lose their colour.
        flip: whether both crops are mirrored left to right.
    """

    source: int
    template: int
    search_source: int
    search: int
    negative: bool
    grey: bool
    flip: bool


@dataclasses.dataclass(frozen=True)
class Sampler:
    """Draws pairs.

    Attributes:
        sources: the training sets.
        seed: of everything that is drawn.
        pairs_per_epoch: positions in an epoch; positions count on from epoch to epoch.
        negative: probability of a negative pair, 0..1.
        grey: probability that a pair loses its colour, 0..1.
        distractor: probability that a negative pair's search shows another target of the
            template's video, where it has one; 0..1.
        alike: probability that the search of any other negative pair shows a target of the
            template's category in another video of its set, where there is one; 0..1.
        flip: probability that both crops of a pair are mirrored left to right, 0..1.
        published: whether a negative pair may show the template's own track. Otherwise such a draw
            is repeated, and a pair is positive where there is no other track at all.
        mined: positions of earlier pairs that are drawn again.
        again: probability that one of them is, 0..1.
    """

    sources: Sequence[Source]
    seed: int
    pairs_per_epoch: int
    negative: float = 0.0
    grey: float = 0.0
    distractor: float = 0.0
    alike: float = 0.0
    flip: float = 0.0
    published: bool = False
    mined: Sequence[int] = ()
    again: float = 0.0

    @functools.cached_property
    def _ends(self):
        return np.cumsum([source.entries for source in self.sources])

    @functools.cached_property
    def _one_track(self):
        """Whether all sources together hold a single track."""
        return sum({s.index.folder: s.index.tracks for s in self.sources}.values()) == 1

    def generator(self, position: int, attempt: int = 0) -> np.random.Generator:
        """The generator of a position, for the pair, then augmentation, then labels.

        Args:
            position: of the pair since the start of training.
            attempt: counts the pairs drawn for this position before, whose records turned out to be
                damaged.
        """
        epoch, position = divmod(position, self.pairs_per_epoch)
        return np.random.default_rng((self.seed, epoch, position, attempt))

    def entry(self, position: int, attempt: int = 0) -> tuple[int, int]:
        """The source and the video that a position is about."""
        ends, total = self._ends, int(self._ends[-1])
        round_, slot = divmod(position, total)
        slot = shuffled(slot, total, (self.seed, 0, round_))
        # A damaged record is replaced from a neighbouring entry: its video may have no readable
        # crop.
        slot = (slot + attempt) % total
        which = int(np.searchsorted(ends, slot, side="right"))
        source = self.sources[which]
        slot -= int(ends[which]) - source.entries
        repeat, slot = divmod(slot, source.index.videos)
        return which, shuffled(slot, source.index.videos, (self.seed, 1 + which, round_, repeat))

    def root(self, position: int) -> int:
        """The position whose pair is shown at a position: its own, or one of `mined`."""
        if not self.mined:
            return position
        place = divmod(position, self.pairs_per_epoch)
        rng = np.random.default_rng((self.seed, *place, 0, 1))  # leaves `generator` as it is
        return (
            self.mined[int(rng.integers(len(self.mined)))]
            if rng.random() < self.again
            else position
        )

    def pair(self, position: int, rng: np.random.Generator, attempt: int = 0) -> Pair:
        """Draws the pair of a position.

        Args:
            position: of the pair since the start of training.
            rng: `generator(position, attempt)`, in its first state; it stays there where the pair
                is a mined one.
            attempt: as in `generator`; pairs in the place of damaged ones are not mined.
        """
        root = position if attempt else self.root(position)
        return self._draw(root, rng if root == position else self.generator(root), attempt)

    def _draw(self, position, rng, attempt):
        which, video = self.entry(position, attempt)
        source = self.sources[which]
        grey = bool(self.grey and rng.random() < self.grey)
        flip = bool(self.flip and rng.random() < self.flip)
        negative = rng.random() < self.negative and (self.published or not self._one_track)
        first, behind = source.index.tracks_of(video)
        track = int(rng.integers(first, behind))
        begin, end = source.index.crops_of(track)
        template = int(rng.integers(begin, end))
        tracks = behind - first
        search_source = which
        if not negative:
            begin = max(begin, template - source.frame_range)
            end = min(end, template + source.frame_range + 1)
        elif self.distractor and tracks > 1 and rng.random() < self.distractor:
            other = first + (track - first + int(rng.integers(1, tracks))) % tracks
            begin, end = source.index.crops_of(other)
        elif self.alike and source.index.categories.count(track) and rng.random() < self.alike:
            begin, end = source.index.crops_of(source.index.categories.draw(rng, track))
        else:
            search_source, other = self._any_track(rng)
            while not self.published and self._same(which, track, search_source, other):
                search_source, other = self._any_track(rng)  # at most half of the draws
            begin, end = self.sources[search_source].index.crops_of(other)
        search = int(rng.integers(begin, end))
        return Pair(which, template, search_source, search, negative, grey, flip)

    def _any_track(self, rng):
        """A source, one of its videos, one of its tracks: each uniformly."""
        which = int(rng.integers(len(self.sources)))
        index = self.sources[which].index
        return which, int(rng.integers(*index.tracks_of(int(rng.integers(index.videos)))))

    def _same(self, source, track, other_source, other):
        """Whether two tracks are one; a folder may be named as several sources."""
        folders = [self.sources[i].index.folder for i in (source, other_source)]
        return track == other and folders[0] == folders[1]


def shuffled(i: int, n: int, key: Sequence[int]) -> int:
    """Element i of a pseudo-random permutation of range(n), without computing the others.

    A Feistel network on the next even number of bits, walked until it lands below n (Black and
    Rogaway, 2002).

    Args:
        i: 0 <= i < n.
        n: size of the permutation.
        key: numbers that choose the permutation.
    """
    if n <= 1024:  # a network on few bits is a poor permutation
        return int(_permutation(n, tuple(key))[i])
    half = ((n - 1).bit_length() + 1) // 2
    low = (1 << half) - 1
    mixed = 0
    for part in key:
        mixed = _mix(mixed ^ part)
    while True:
        left, right = i >> half, i & low
        for round_ in range(6):
            left, right = right, left ^ (_mix(mixed ^ (round_ << 56) ^ right) & low)
        i = left << half | right
        if i < n:
            return i


@functools.lru_cache(maxsize=256)
def _permutation(n: int, key: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(key).permutation(n)


def _mix(x):
    """splitmix64: one step of a generator whose every output bit depends on every input bit."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
