"""The loader: what a batch holds, determinism over workers, hosts and resuming, damaged records."""

import logging
import os
import types

import ml_collections
import numpy as np
import pytest
from scipy import stats

from configs import base
from siamjax.data import jpeg, loader, shards
from siamjax.data.index import Index
from siamjax.data.targets import TargetRule, assign
from siamjax.errors import UserError
from siamjax.geometry.anchors import Anchors

from .conftest import crop_image, write_set

SHAPES = {
    "template": ((6, 127, 127, 3), np.uint8),
    "search": ((6, 255, 255, 3), np.uint8),
    "template_noise": ((6, 3), np.float32),
    "search_noise": ((6, 3), np.float32),
    "label": ((6, 5, 25, 25), np.int8),
    "box": ((6, 4), np.float32),
}


def take(config, count, **arguments):
    with loader.make_loader(config, **arguments) as batches:
        return [next(batches) for _ in range(count)]


def assert_equal(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b):
        assert x.keys() == y.keys()
        for name in x:
            np.testing.assert_array_equal(x[name], y[name])


@pytest.fixture
def first(config):
    return take(config, 4)


def test_a_batch(first):
    for batch in first:
        assert {name: (value.shape, value.dtype) for name, value in batch.items()} == SHAPES
    assert (first[0]["label"] == 1).any()
    assert not np.array_equal(first[0]["search"], first[1]["search"])


def test_the_rule_of_negatives_is_the_configs(config):
    for rule in ("published", "other"):
        config.data.negatives = rule
        assert loader.make_sampler(config).published == (rule == "published")
    with config.unlocked():
        del config.data.negatives  # as in runs of older versions
    assert loader.make_sampler(config).published


def test_the_bytes_of_a_batch(config, first):
    """docs/training.md gives this number a pair."""
    layout = loader.Examples(config).layout(224)
    assert 0 <= layout.bytes - 224 * 246_627 < 6 * 64  # each array begins at a multiple of 64
    assert sum(value.nbytes for value in first[0].values()) == 6 * 246_627


def test_the_box_is_where_the_object_is(config):
    """Without scale the target keeps its size in the crop, and is shifted against the
    augmentation's window.
    """
    config.data.negative = 0.0
    config.data.search.scale = 0.0
    examples = loader.Examples(config)
    for position in range(10):
        example = examples[position]
        index = examples.sampler.sources[example.pair.search_source].index
        w, h = (float(v) for v in index.size[example.pair.search])
        side = ((w + (w + h) / 2) * (h + (w + h) / 2)) ** 0.5
        np.testing.assert_allclose(example.box[2:], np.array([w, h]) * 127 / side, rtol=1e-6)
        assert np.abs(example.box[:2] - 127).max() <= 64


def test_a_flipped_pair_is_the_mirrored_one(config):
    """Both crops and the box, also where a branch is flipped alone."""
    config.data.search.flip = 0.5
    plain, flipped = (
        loader.Examples(ml_collections.ConfigDict({**config, "data": {**config.data, "flip": p}}))
        for p in (1e-300, 1.0)
    )
    for position in range(6):
        a, b = plain[position], flipped[position]
        assert not a.pair.flip
        assert b.pair.flip
        np.testing.assert_array_equal(a.template[:, ::-1], b.template)
        np.testing.assert_array_equal(a.search[:, ::-1], b.search)
        np.testing.assert_allclose(a.box * [-1, 1, 1, 1] + [254, 0, 0, 0], b.box, atol=1e-9)


def test_labels_follow_the_box(first):
    """No label contradicts the rule, for the box that the batch carries."""
    grid = Anchors().grid(25, centre=127)
    everything = TargetRule(positives=10**6, total=2 * 10**6)
    positive_pairs = 0
    for batch in first:
        for label, box in zip(batch["label"], batch["box"]):
            full = assign(np.random.default_rng(0), everything, grid, box, False)
            if (label == 1).any():
                positive_pairs += 1
                assert (full[label == 1] == 1).all()
                assert (full[label == 0] == 0).all()
    assert positive_pairs > 5


def test_the_alexnet_map(config):
    config.tracker.base_size = 0
    (batch,) = take(config, 1)
    assert batch["label"].shape == (6, 5, 17, 17)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_batches_with_workers(config, first, workers):
    assert_equal(take(config, 4, workers=workers), first)


def test_two_hosts_together_see_what_one_sees(config, first):
    parts = [take(config, 4, host=host, hosts=2, batch_size=3) for host in (0, 1)]
    joined = [{k: np.concatenate([a[k], b[k]]) for k in a} for a, b in zip(*parts)]
    assert_equal(joined, first)
    assert_equal(take(config, 4, host=1, hosts=2), parts[1])


def test_resuming_at_a_step(config, first):
    assert_equal(take(config, 2, start_step=2), first[2:])


def test_a_batch_that_hosts_cannot_share(config):
    with pytest.raises(UserError, match="not a multiple of 4 hosts"):
        loader.make_loader(config, hosts=4)


def test_missing_source(config):
    config.data.sources.image.path += "-nowhere"
    with pytest.raises(UserError, match="no such data set"):
        loader.make_loader(config)


def test_no_source(config):
    config.data.sources = ml_collections.ConfigDict()
    with pytest.raises(UserError, match="no training set"):
        loader.make_loader(config)


def test_source_of_another_crop_size(config, tmp_path):
    write_set(tmp_path, "small", videos=1, side=255)
    config.data.sources.small = base.source(str(tmp_path), 1)
    with pytest.raises(UserError, match="crops of 255 px"):
        loader.make_loader(config)


# --- damaged records


def damage(folder, crops):
    index = Index(folder)
    for crop in crops:
        path = index.shards[int(index.shard[crop])]
        data = bytearray(path.read_bytes())
        data[int(index.offset[crop]) + 500] ^= 0x10
        path.write_bytes(data)


def small_config(folder):
    c = base.get_config()
    c.data.sources = ml_collections.ConfigDict({"toy": base.source(str(folder), 1)})
    c.data.pairs_per_epoch = 100
    c.train.batch_size = 10
    c.data.prefetch = 1
    return c


def test_a_damaged_record_is_named_counted_and_replaced(tmp_path, caplog):
    write_set(tmp_path, "toy", videos=20)
    healthy = take(small_config(tmp_path), 6, workers=0)
    damage(tmp_path, [7])
    config = small_config(tmp_path)
    config.data.max_bad_fraction = 0.05
    with caplog.at_level(logging.WARNING), loader.make_loader(config, workers=0) as batches:
        damaged = [next(batches) for _ in range(6)]
        assert batches.skipped >= 3
    (message,) = [r.getMessage() for r in caplog.records if "damaged" in r.getMessage()]
    assert "video v15, track 00, frame 0" in message  # v15 is the eighth by name
    assert "checksum of the data is wrong" in message
    changed = sum(
        not np.array_equal(a["search"][i], b["search"][i])
        or not np.array_equal(a["template"][i], b["template"][i])
        for a, b in zip(healthy, damaged)
        for i in range(10)
    )
    assert (
        3 <= changed <= 8
    )  # the pairs of that record (one of 20 videos, and by chance as negatives), no other


def test_a_jpeg_that_was_stored_damaged(tmp_path, caplog):
    with shards.ShardWriter(tmp_path, "toy") as writer:
        for v in range(20):
            data = jpeg.encode(crop_image(v), 95)
            kept = len(data) // 2 if v == 3 else len(data)
            writer.add_encoded(f"v{v}", "0", 0, data[:kept], (20, 30))
    config = small_config(tmp_path)
    config.data.max_bad_fraction = 0.05
    with caplog.at_level(logging.WARNING), loader.make_loader(config, workers=0) as batches:
        for _ in range(4):
            next(batches)
        assert batches.skipped > 0
    assert "video v3, track 0, frame 0): the JPEG is truncated" in caplog.text


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_damaged_records_end_the_run(tmp_path, workers):
    write_set(tmp_path, "toy", videos=20)
    damage(tmp_path, [3, 11])
    with pytest.raises(UserError, match=r"more than 1\.00% of the records are damaged"):
        take(small_config(tmp_path), 10, workers=workers)


def test_nothing_readable_ends_the_run(tmp_path):
    write_set(tmp_path, "toy", videos=2)
    damage(tmp_path, [0, 1])
    with (
        loader.make_loader(small_config(tmp_path), workers=0) as batches,
        pytest.raises(UserError, match="pairs in a row were unreadable"),
    ):
        next(batches)


def test_replacements_are_the_same_everywhere(tmp_path):
    write_set(tmp_path, "toy", videos=20)
    damage(tmp_path, [7])
    config = small_config(tmp_path)
    config.data.max_bad_fraction = 0.05
    expected = take(config, 4, workers=0)
    assert_equal(take(config, 2, start_step=2, workers=2), expected[2:])


def test_truncated_shard_is_refused_before_training(tmp_path):
    write_set(tmp_path, "toy", videos=3)
    (shard,) = tmp_path.glob("*.tfrecord-*")
    os.truncate(shard, shard.stat().st_size // 2)
    with pytest.raises(UserError, match="truncated"):
        loader.make_loader(small_config(tmp_path), workers=0)


# --- statistics of the drawn geometry


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 16.0, 64.0])
def test_statistics_of_shift_and_scale(config, shift):
    """Over 100,000 pairs: target positions uniform within the shift, window factors within the
    scale.
    """
    from siamjax.data import augment

    rule = augment.Augmentation(**{**config.data.search, "shift": shift})
    sampler = loader.Examples(config).sampler
    draws = [augment.draw(sampler.generator(p), rule) for p in range(100_000)]
    scale = np.array([d.scale for d in draws])
    moved = np.array([d.shift for d in draws])
    for axis in (0, 1):
        assert stats.kstest(scale[:, axis], "uniform", (0.82, 0.36)).pvalue > 1e-3
        if shift:
            assert stats.kstest(moved[:, axis], "uniform", (-shift, 2 * shift)).pvalue > 1e-3
        else:
            assert not moved.any()
    assert abs(np.corrcoef(scale.T)[0, 1]) < 0.02
    blurred = sum(d.blur is not None for d in draws)
    assert stats.binomtest(blurred, len(draws), 0.2).pvalue > 1e-3


@pytest.mark.parametrize("damaged, ends", [(28, False), (29, True)])
def test_clearly_too_many_of_those_read(damaged, ends):
    """A quarter may be damaged; of 2 * 8 + n read, n / 4 + 4 sqrt(n / 4) + 4 more is too many:
    28.3 of 44, 28.7 of 45."""
    index = types.SimpleNamespace(crops=10**6, folder="toy", describe=lambda crop: f"crop {crop}")
    sampler = types.SimpleNamespace(sources=[types.SimpleNamespace(index=index)])
    batches = iter([({}, [(0, 7, "damaged")] * damaged)])
    reader = loader.Loader(batches, sampler, 8, 0.25)
    if ends:
        with pytest.raises(UserError, match="1 of 1000000 crops so far, the last: crop 7"):
            next(reader)
    else:
        assert next(reader) == {}
    assert reader.skipped == damaged
