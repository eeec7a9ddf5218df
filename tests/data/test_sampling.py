"""Pair sampling: the rules, on our own pairs and on the reference's, and the statistics."""

import dataclasses
import json
import shutil
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamjax.data import shards
from siamjax.data.index import Index
from siamjax.data.sampling import Sampler, Source, shuffled

from .conftest import to_format_1


def make_index(frames_per_track):
    """An index in memory: per video, per track, the number of frames."""
    tracks = [t for video in frames_per_track for t in video]
    track_start = np.concatenate([[0], np.cumsum(tracks)])
    video_start = np.concatenate([[0], np.cumsum([len(v) for v in frames_per_track])])
    return SimpleNamespace(
        folder=object(),
        videos=len(frames_per_track),
        tracks=len(tracks),
        crops=int(track_start[-1]),
        tracks_of=lambda v: (int(video_start[v]), int(video_start[v + 1])),
        crops_of=lambda t: (int(track_start[t]), int(track_start[t + 1])),
        track_of=lambda c: int(np.searchsorted(track_start, c, side="right")) - 1,
        video_of=lambda c: (
            int(
                np.searchsorted(
                    video_start, np.searchsorted(track_start, c, side="right") - 1, side="right"
                )
            )
            - 1
        ),
    )


def make_sampler(seed=0, negative=0.2, grey=0.3):
    """Sources of the shapes of VID (repeated), YouTube-BB, COCO and a set that is cut."""
    return Sampler(
        [
            Source("vid", make_index([[250, 40], [120], [90, 200, 7]]), 100, 20),
            Source("youtubebb", make_index([[10, 6], [12], [1], [5]]), 3),
            Source("coco", make_index([[1] * n for n in (1, 5, 2, 7, 3, 1, 1)]), 1),
            Source("cut", make_index([[2]] * 9), 1, 4),
        ],
        seed,
        pairs_per_epoch=1000,
        negative=negative,
        grey=grey,
    )


def draw(sampler, position, attempt=0):
    return sampler.pair(position, sampler.generator(position, attempt), attempt)


# --- permutation


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 100))
def test_shuffled_is_a_permutation(n, seed, turn):
    assert sorted(shuffled(i, n, (seed, turn)) for i in range(n)) == list(range(n))


def test_shuffled_is_spread_evenly():
    """Where entries land over many keys, and the distance of neighbours, below and above the
    switch of methods.
    """
    for n in (7, 1500):
        keys = 200 if n > 1000 else 2000
        landed = np.array([[shuffled(i, n, (4, k)) for i in (0, 1, n - 1)] for k in range(keys)])
        for column in landed.T:
            counts = np.histogram(column, bins=7, range=(0, n))[0]
            expected = np.histogram(np.arange(n), bins=7, range=(0, n))[0] / n * keys
            assert stats.chisquare(counts, expected).pvalue > 1e-3
    table = np.array([shuffled(i, 5000, (9, 9)) for i in range(5000)])
    assert abs(np.corrcoef(table[:-1], table[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(np.arange(5000), table)[0, 1]) < 0.05


# --- rules


def check_lists(entries, sources):
    """The rule of the lists of one round: each source its share, its videos as equally often as
    possible.
    """
    counts = Counter(entries)
    for s, source in enumerate(sources):
        used = [counts[s, v] for v in range(source.index.videos)]
        assert sum(used) == source.entries
        assert max(used) - min(used) <= 1


def test_each_round_keeps_the_shares():
    sampler = make_sampler()
    total = sum(s.entries for s in sampler.sources)
    assert total == 20 + 4 + 7 + 4
    orders = []
    for round_ in range(4):
        entries = [sampler.entry(round_ * total + i) for i in range(total)]
        orders.append(entries)
        check_lists(entries, sampler.sources)
    assert orders[0] != orders[1]


def test_a_cut_source_takes_other_videos_each_round():
    """9 videos, 4 per round."""
    sampler = make_sampler()
    total = sum(s.entries for s in sampler.sources)
    rounds = [
        {v for s, v in map(sampler.entry, range(r * total, (r + 1) * total)) if s == 3}
        for r in range(12)
    ]
    assert all(len(videos) == 4 for videos in rounds)
    assert set.union(*rounds) == set(range(9))


def test_pairs_keep_the_rules():
    sampler = make_sampler()
    others = Counter()
    for position in range(3000):
        pair = draw(sampler, position)
        others[pair.source, pair.search_source] += pair.negative
        source, video = sampler.entry(position)
        index = sampler.sources[source].index
        assert pair.source == source
        assert index.video_of(pair.template) == video
        if pair.negative:
            assert 0 <= pair.search < sampler.sources[pair.search_source].index.crops
        else:
            assert pair.search_source == source
            assert index.track_of(pair.search) == index.track_of(pair.template)
            assert abs(pair.search - pair.template) <= sampler.sources[source].frame_range
    assert all(others[a, b] for a in range(4) for b in range(4))  # negatives come from everywhere


@pytest.mark.parametrize(
    "sets",
    [
        [[[5], [4]]],  # two videos
        [[[3, 6]]],  # one video of two tracks
        [[[7]], [[2]]],  # two sets of one video
        [[[1], [1], [1]], [[2, 2]]],
    ],
)
def test_a_negative_pair_never_shows_its_own_target(sets):
    """Before: with two videos 22 of 40 negatives did."""
    sources = [Source(f"s{i}", make_index(videos), 3) for i, videos in enumerate(sets)]
    sampler = Sampler(sources, 0, 10**6, negative=0.4)
    published = dataclasses.replace(sampler, published=True)
    own, negatives, seen = 0, 0, set()
    for position in range(2000):
        pair, old = draw(sampler, position), draw(published, position)
        assert pair.negative == old.negative
        assert pair.negative or pair == old
        if pair.negative:
            z, x = (sources[i].index for i in (pair.source, pair.search_source))
            track, other = z.track_of(pair.template), x.track_of(pair.search)
            assert (pair.source, track) != (pair.search_source, other)
            seen.add((pair.search_source, other))
            shows = sources[old.search_source].index.track_of(old.search)
            same = (old.source, track) == (old.search_source, shows)
            assert same or pair == old  # where the published rule draws another, it is that one
            own, negatives = own + same, negatives + 1
    tracks = sum(source.index.tracks for source in sources)
    assert len(seen) == tracks
    assert 700 < negatives < 900
    assert own > negatives / (tracks + 4)


def test_a_single_track_has_no_negative_pairs():
    sampler = Sampler([Source("one", make_index([[9]]), 3)] * 2, 0, 100, negative=0.9)
    assert not any(draw(sampler, position).negative for position in range(200))
    published = dataclasses.replace(sampler, published=True)
    assert sum(draw(published, position).negative for position in range(200)) > 150


def test_a_folder_that_is_named_twice_is_one_set():
    index = make_index([[4], [4]])
    sampler = Sampler([Source("a", index, 1), Source("b", index, 3)], 0, 1000, negative=1.0)
    for position in range(500):
        pair = draw(sampler, position)
        assert index.track_of(pair.template) != index.track_of(pair.search)


def test_half_of_the_pairs_are_flipped():
    """Of both kinds; without the option none is."""
    pairs = [draw(make_sampler(), position) for position in range(2000)]
    assert not any(pair.flip for pair in pairs)
    flipping = dataclasses.replace(make_sampler(), flip=0.5)
    pairs = [draw(flipping, position) for position in range(2000)]
    for kind in (True, False):
        flips = [pair.flip for pair in pairs if pair.negative == kind]
        assert stats.binomtest(sum(flips), len(flips), 0.5).pvalue > 1e-3


def test_distractors_are_other_targets_of_the_video():
    """All of them where a video has several tracks; what a sampler without them draws is the same
    up to there.
    """
    plain = make_sampler(negative=0.5)
    sampler = dataclasses.replace(plain, distractor=1.0)
    drawn_tracks = Counter()
    for position in range(3000):
        pair, same = draw(sampler, position), draw(plain, position)
        assert (pair.source, pair.template, pair.grey) == (same.source, same.template, same.grey)
        assert pair.negative == same.negative
        source, video = sampler.entry(position)
        index = sampler.sources[source].index
        first, behind = index.tracks_of(video)
        if not pair.negative or behind - first == 1:
            assert pair == same
            continue
        assert pair.search_source == source
        assert index.video_of(pair.search) == video
        template, search = index.track_of(pair.template), index.track_of(pair.search)
        assert template != search
        drawn_tracks[source, video, template, search] += 1
    three = [n for (s, v, *_), n in drawn_tracks.items() if (s, v) == (0, 2)]
    assert len(three) == 6  # every ordered pair of VID's video of three
    assert close(three, [1] * 6)


def test_share_of_distractors():
    sampler = dataclasses.replace(make_sampler(negative=1.0), distractor=0.3)
    index = sampler.sources[0].index
    pairs = [draw(sampler, p) for p in range(6000) if sampler.entry(p) == (0, 0)]
    near = sum(p.search_source == 0 and index.video_of(p.search) == 0 for p in pairs)
    by_chance = 0.7 * (1 / 4) * (1 / 3)
    assert stats.binomtest(near, len(pairs), 0.3 + by_chance).pvalue > 1e-3


CATEGORIES = [["cat", "dog"], ["cat"], ["dog", "", "dog"], ["", "cat"], ["fox"]]


@pytest.fixture(scope="module")
def categories(tmp_path_factory):
    """Videos with tracks of these categories, of one and two frames."""
    folder = tmp_path_factory.mktemp("categories") / "set"
    with shards.ShardWriter(folder, "set") as writer:
        for v, video in enumerate(CATEGORIES):
            for t, category in enumerate(video):
                for frame in range(1 + t % 2):
                    writer.add_encoded(str(v), str(t), frame, b"", (20, 30), category)
    return Index(folder)


def test_tracks_of_a_category_in_other_videos(categories):
    names = [name for video in CATEGORIES for name in video]
    video_of = [v for v, video in enumerate(CATEGORIES) for _ in video]
    rng = np.random.default_rng(0)
    for track, name in enumerate(names):
        expected = {
            i
            for i, other in enumerate(names)
            if name and other == name and video_of[i] != video_of[track]
        }
        assert categories.categories.count(track) == len(expected)
        if expected:
            drawn = Counter(categories.categories.draw(rng, track) for _ in range(900))
            assert drawn.keys() == expected
            assert len(drawn) == 1 or stats.chisquare(list(drawn.values())).pvalue > 1e-4


def test_sets_without_categories_have_none(categories, tmp_path):
    old = Index(to_format_1(shutil.copytree(categories.folder, tmp_path / "old")))
    assert [old.categories.count(track) for track in range(old.tracks)] == [0] * old.tracks


def test_negatives_of_the_same_category(categories):
    """A share of the negative pairs; where no other video has the category, as without the rule."""
    plain = Sampler([Source("set", categories, 100)], 0, 1000, negative=1.0)
    sampler = dataclasses.replace(plain, alike=0.6)
    alike = possible = 0
    for position in range(3000):
        pair = draw(sampler, position)
        (_, template), (_, search) = map(categories.locate, (pair.template, pair.search))
        assert template != search
        if not categories.categories.count(template):
            assert pair == draw(plain, position)
            continue
        possible += 1
        alike += categories.category[template] == categories.category[search]
    assert possible > 1000
    assert 0.6 < alike / possible < 0.8  # by chance some more, also of the same video


def test_mined_pairs_are_drawn_again():
    plain = make_sampler()
    mined = (7, 123, 1999)
    sampler = dataclasses.replace(plain, mined=mined, again=0.25)
    roots = [sampler.root(position) for position in range(2000, 6000)]
    shown = [root for position, root in enumerate(roots, 2000) if root != position]
    assert stats.binomtest(len(shown), len(roots), 0.25).pvalue > 1e-3
    assert stats.chisquare(list(Counter(shown).values())).pvalue > 1e-3
    for position, root in enumerate(roots[:200], 2000):
        assert draw(sampler, position) == draw(plain, root)
        rng = sampler.generator(position)
        sampler.pair(position, rng)
        fresh = plain.generator(position)
        if root == position:
            plain.pair(position, fresh)
        assert rng.random() == fresh.random()  # augmentation: as that of the position
        assert draw(sampler, position, 1) == draw(plain, position, 1)


@pytest.mark.reference
def test_reference_and_own_pairs_keep_the_same_rules(reference):
    """The reference's lists and pairs of a small index, judged by the checks that ours pass."""
    expected = json.loads((reference / "conformance/data/pairs.json").read_text())
    picks, starts = expected["picks"], expected["starts"]
    ranges = {"VID": 100, "YOUTUBEBB": 3, "COCO": 1, "DET": 1}
    names = list(starts)
    ends = [*list(starts.values())[1:], 1 + max(max(p) for p in expected["sub_picks"].values())]
    sources = [
        Source(
            name,
            make_index([[1]] * (end - starts[name])),
            ranges[name],
            len(expected["sub_picks"][name]),
        )
        for name, end in zip(names, ends)
    ]

    def entry(pick):
        s = int(np.searchsorted(ends, pick, side="right"))
        return s, pick - starts[names[s]]

    total = sum(s.entries for s in sources)
    ours = Sampler(sources, 0, 10**6)
    for round_ in range(len(picks) // total):
        part = slice(round_ * total, (round_ + 1) * total)
        check_lists([entry(p) for p in picks[part]], sources)
        check_lists([ours.entry(i) for i in range(total * round_, total * (round_ + 1))], sources)

    def parse(path):
        name, video, file = path.split("/")
        frame, track = file.split(".")[:2]
        return name, video, track, int(frame)

    negatives = 0
    for pick, pair in zip(picks, expected["pairs"]):
        z, x = parse(pair["z"]), parse(pair["x"])
        s, video = entry(pick)
        assert z[:2] == (names[s], f"v{video:02d}")
        negatives += pair["neg"]
        if not pair["neg"]:
            assert x[:3] == z[:3]
            assert abs(x[3] - z[3]) <= 3 * ranges[z[0]]  # the index has every third frame
    assert 0 < negatives < len(picks) / 2


# --- statelessness


def test_a_position_does_not_depend_on_the_others():
    forwards = [draw(make_sampler(), p) for p in range(50)]
    sampler = make_sampler()
    assert [draw(sampler, p) for p in reversed(range(50))] == forwards[::-1]


def test_seed_epoch_position_and_attempt_matter():
    pairs = [draw(make_sampler(), p) for p in range(200)]
    assert [draw(make_sampler(seed=1), p) for p in range(200)] != pairs
    assert [draw(make_sampler(), 1000 + p) for p in range(200)] != pairs
    assert [draw(make_sampler(), p, attempt=1) for p in range(200)] != pairs


def test_a_source_with_one_video_of_one_frame():
    sampler = Sampler([Source("one", make_index([[1]]), 100)], 0, 10, negative=0.5)
    for position in range(20):
        pair = draw(sampler, position)
        assert (pair.template, pair.search) == (0, 0)


# --- statistics over 100,000 pairs


@pytest.fixture(scope="module")
def drawn():
    sampler = dataclasses.replace(make_sampler(), published=True)
    return sampler, [draw(sampler, p) for p in range(100_000)]


def close(counts, expected):
    return (
        stats.chisquare(counts, np.asarray(expected) * (sum(counts) / np.sum(expected))).pvalue
        > 1e-3
    )


@pytest.mark.slow
def test_statistics_of_the_lists_and_probabilities(drawn):
    sampler, pairs = drawn
    shares = [s.entries for s in sampler.sources]
    # The lists are exact per round, so the counts must be nearer than chance: within one round.
    counts = np.bincount([p.source for p in pairs], minlength=4)
    np.testing.assert_allclose(
        counts, np.array(shares) / sum(shares) * len(pairs), atol=sum(shares)
    )
    negative = sum(p.negative for p in pairs)
    assert stats.binomtest(negative, len(pairs), 0.2).pvalue > 1e-3
    assert stats.binomtest(sum(p.grey for p in pairs), len(pairs), 0.3).pvalue > 1e-3
    assert close(np.bincount([p.search_source for p in pairs if p.negative], minlength=4), [1] * 4)


@pytest.mark.slow
def test_statistics_of_tracks_and_frames(drawn):
    """Tracks uniform in their video, templates in their track, distances as two uniform draws give
    them.
    """
    sampler, pairs = drawn
    index = sampler.sources[0].index
    positive = [p for p in pairs if p.source == 0 and not p.negative]
    for video in range(index.videos):
        first, last = index.tracks_of(video)
        tracks = [index.track_of(p.template) for p in positive]
        counts = np.bincount(tracks, minlength=last)[first:last]
        assert len(counts) == 1 or close(counts, [1] * len(counts))
    for track in range(6):
        begin, end = index.crops_of(track)
        chosen = [p for p in positive if begin <= p.template < end]
        n = end - begin
        assert close(np.bincount([p.template - begin for p in chosen], minlength=n), [1] * n)
        if n == 1:
            continue
        expected = np.zeros(201)
        for t in range(n):
            left, right = max(0, t - 100), min(n - 1, t + 100)
            expected[left - t + 100 : right - t + 101] += 1 / (n * (right - left + 1))
        counts = np.bincount([p.search - p.template + 100 for p in chosen], minlength=201)
        assert not counts[expected == 0].any()
        # Bins of about equal probability, since the far distances are rare.
        bins = np.minimum((np.cumsum(expected) - expected / 2) * 20, 19).astype(int)
        counts, expected = (np.bincount(bins, weights=v) for v in (counts, expected))
        keep = expected > 0
        assert close(counts[keep], expected[keep])


# --- the same numbers in every version: a resumed training draws the same pairs

SHUFFLED_5000 = [698, 3123, 2068, 3074, 903, 4638, 1657, 2809]
SHUFFLED_LARGE = [599700880, 289265507, 760929887, 304765677]
SHUFFLED_1024 = [482, 233, 215, 915]
SHUFFLED_1025 = [760, 908, 717, 612]
SHUFFLED_4096 = [2363, 2851, 717, 2344]
PLAIN_PAIRS = [
    (2, 6, 2, 6, False, False, False),
    (3, 15, 3, 14, False, False, False),
    (2, 5, 2, 5, False, False, False),
    (1, 12, 1, 15, False, False, False),
    (1, 28, 1, 28, False, False, False),
]
MIXED_PAIRS = [
    (2, 7, 2, 6, True, False, False),
    (3, 15, 1, 27, True, False, True),
    (2, 2, 2, 2, False, False, True),
    (1, 14, 2, 12, True, False, False),
    (1, 28, 2, 18, True, False, True),
]
REPLACED_ENTRIES = [(2, 1), (2, 0), (2, 3)]


def test_known_permutations():
    assert [shuffled(i, 5000, (1, 2, 3)) for i in range(8)] == SHUFFLED_5000
    assert [shuffled(i, 10**9, (4, 0)) for i in range(4)] == SHUFFLED_LARGE
    assert [shuffled(i, 1024, (7,)) for i in range(4)] == SHUFFLED_1024
    assert [shuffled(i, 1025, (7,)) for i in range(4)] == SHUFFLED_1025
    assert [shuffled(i, 4096, (7,)) for i in range(4)] == SHUFFLED_4096


def test_known_pairs():
    plain = Sampler(make_sampler().sources, 5, 1000)
    mixed = dataclasses.replace(plain, negative=0.8, grey=0.3, distractor=0.5, flip=0.4)
    positions = (0, 1, 999, 1000, 123_456)
    assert [dataclasses.astuple(draw(plain, p)) for p in positions] == PLAIN_PAIRS
    assert [dataclasses.astuple(draw(mixed, p)) for p in positions] == MIXED_PAIRS
    assert [mixed.entry(7, attempt) for attempt in range(3)] == REPLACED_ENTRIES


def test_the_first_pair_of_a_position_is_attempt_0():
    sampler = make_sampler()
    first, second = (sampler.generator(7, attempt).random() for attempt in (0, 1))
    assert sampler.generator(7).random() == first != second


def test_a_sampler_that_is_not_asked_draws_plain_positive_pairs():
    sampler = Sampler([Source("coco", make_index([[5, 5], [5]]), 100)], 0, pairs_per_epoch=2000)
    pairs = [draw(sampler, position) for position in range(2000)]
    assert not any(pair.negative or pair.grey or pair.flip for pair in pairs)
