"""Small data sets written by the product's own writer."""

import json

import cv2
import ml_collections
import numpy as np
import pytest

from configs import base
from siamjax.data import shards


def crop_image(key, side=511):
    """A smooth random crop, determined by a number."""
    rng = np.random.default_rng(key)
    coarse = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def write_set(folder, name, videos, tracks=1, frames=1, side=511, max_bytes=128 << 20, first=0):
    """Videos v0, v1, ... with `tracks` tracks of `frames` frames; frame numbers have gaps of 3."""
    with shards.ShardWriter(folder, name, max_bytes=max_bytes, crop=side) as writer:
        for v in range(videos):
            for t in range(tracks):
                for f in range(frames):
                    key = first + (v * tracks + t) * frames + f
                    size = (20 + v, 30 + t)
                    writer.add(f"v{v}", f"{t:02d}", 3 * f, crop_image(key, side), size)
    return folder


def manifest_of_format_1(folder):
    """The text of the manifest that a data set had before there were checksums."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["columns"], manifest["crc32c"]
    for shard in manifest["shards"]:
        del shard["crc32c"]
    return json.dumps(manifest | {"version": 1}, indent=2) + "\n"


def to_format_1(folder):
    """Makes a data set what it was before there were checksums."""
    (folder / "manifest.json").write_text(manifest_of_format_1(folder))
    (folder / "index/category.npy").unlink()
    return folder


@pytest.fixture(scope="session")
def two_sets(tmp_path_factory):
    """A set of videos and one of single images, on disk."""
    root = tmp_path_factory.mktemp("sets")
    write_set(root / "video", "video", videos=4, tracks=2, frames=6)
    write_set(root / "image", "image", videos=8, tracks=2, frames=1, first=1000)
    return root


@pytest.fixture
def config(two_sets):
    """The base experiment on the two small sets."""
    c = base.get_config()
    c.data.sources = ml_collections.ConfigDict(
        {
            "video": base.source(str(two_sets / "video"), 3, 10),
            "image": base.source(str(two_sets / "image"), 1),
        }
    )
    c.data.pairs_per_epoch = 40
    c.train.batch_size = 6
    c.data.workers = 0
    c.data.prefetch = 1
    return c
