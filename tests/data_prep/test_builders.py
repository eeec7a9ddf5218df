"""Sets that Beam makes, and what TensorFlow Datasets reads of any set."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip(
    "tensorflow_datasets",
    reason="tensorflow-datasets is not installed; make test-prep installs it and runs these tests",
)

import tensorflow as tf
import tensorflow_datasets as tfds

from data_prep import builders, parts
from data_prep.det import Det
from data_prep.trackingnet import Trackingnet
from data_prep.vid import Vid
from siamjax.data import jpeg, shards
from siamjax.data.index import Index

from ..data.conftest import write_set
from .conftest import save_image, write_text, xml
from .test_preparation import SMALL, contents, prepare


def test_the_builder_reads_what_it_made(tmp_path, vid_tree):
    out = tmp_path / "out"
    builder = builders.CropBuilder(Vid(vid_tree), data_dir=out, workers=1)
    assert builder.prepare()
    assert builder.info.full_name == "vid/1.0.0"
    rows = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert len(rows) == Index(out).crops == 7


def test_all_readers_see_the_same(tmp_path, vid_tree):
    out = tmp_path / "out"
    index = prepare(Vid, vid_tree, out)
    ours = {}
    for crop in range(index.crops):
        video, track = index.locate(crop)
        key = (index.video_name(video), index.track_name(track), int(index.frame[crop]))
        record = index.read(crop)
        ours[key] = jpeg.decode(record.image), np.float32(record.size)
    builder = tfds.builder_from_directory(out)
    assert builder.info.splits["train"].num_examples == index.crops
    decoded = next(iter(tfds.as_numpy(builder.as_dataset(split="train"))))
    assert decoded["image"]["encoded"].shape == (127, 127, 3)
    as_stored = {"image": {"encoded": tfds.decode.SkipDecoding()}}
    rows = list(tfds.as_numpy(builder.as_dataset(split="train", decoders=as_stored)))
    assert len(rows) == len(ours)
    for row in rows:
        image, size = ours[row["video"].decode(), row["track"].decode(), int(row["frame"])]
        np.testing.assert_array_equal(row["size"], size)
        # Without flags TensorFlow decodes less exactly.
        decoded = tf.io.decode_jpeg(row["image"]["encoded"], dct_method="INTEGER_ACCURATE")
        np.testing.assert_array_equal(decoded[..., ::-1], image)
    plain = list(tf.data.TFRecordDataset([str(path) for path in index.shards]))
    parsed = [tf.train.Example.FromString(item.numpy()) for item in plain]
    assert len(parsed) == index.crops
    keys = {
        (
            e.features.feature["video"].bytes_list.value[0].decode(),
            e.features.feature["track"].bytes_list.value[0].decode(),
            e.features.feature["frame"].int64_list.value[0],
        )
        for e in parsed
    }
    assert keys == ours.keys()


def test_shards_of_the_writer_are_read_by_tensorflow_datasets(tmp_path):
    """The TensorFlow-free writer and the builders make the same container."""
    write_set(tmp_path, "toy", videos=3, frames=2, side=64, max_bytes=20_000)
    builder = tfds.builder_from_directory(tmp_path)
    assert len(builder.info.splits["train"].filenames) == len(Index(tmp_path).shards) > 1
    rows = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert sorted((r["video"], int(r["frame"])) for r in rows) == [
        (f"v{v}".encode(), f) for v in range(3) for f in (0, 3)
    ]


def test_features_are_those_of_the_writer(tmp_path, det_tree):
    prepare(Det, det_tree, tmp_path / "out")
    write_set(tmp_path / "toy", "toy", videos=1, side=127)
    ours, theirs = (
        json.loads((tmp_path / name / "features.json").read_text()) for name in ("toy", "out")
    )
    assert ours == theirs


def test_another_runner_is_asked(tmp_path, det_tree):
    """--beam_runner goes to Beam, which knows its runners."""
    with pytest.raises(Exception, match="NoSuchRunner"):
        prepare(Det, det_tree, tmp_path / "out", "--beam_runner=NoSuchRunner")
    index = prepare(Det, det_tree, tmp_path / "out", "--beam_runner=BundleBasedDirectRunner")
    assert index.crops == 3


def test_beam_makes_what_processes_make(tmp_path, trackingnet_tree, monkeypatch):
    """The records, the index and the manifest; the metadata are TensorFlow Datasets' own."""
    monkeypatch.setattr(parts, "_CROP_BYTES", 30 << 20)  # with SMALL: a part per video
    sets = {}
    for runner in ("", "BundleBasedDirectRunner"):
        out = tmp_path / f"set{runner}"
        prepare(Trackingnet, trackingnet_tree, out, *SMALL, f"--beam_runner={runner}")
        sets[runner] = contents(out)
    ours, theirs = sets.values()
    assert ours.keys() == theirs.keys() - {"metadata.json"}
    for name in ours.keys() - {"dataset_info.json", "features.json"}:
        assert ours[name] == theirs[name], name


@pytest.fixture
def dask_cluster():
    """The client of a cluster of two processes with a thread each."""
    distributed = pytest.importorskip("dask.distributed", reason="dask is not installed")
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_dask_cluster_makes_what_processes_make(tmp_path, dask_cluster, monkeypatch):
    """Both of its processes make parts, whose records, index and manifest are those made here."""
    monkeypatch.setattr(parts, "_CROP_BYTES", 30 << 20)  # with SMALL: a part per video
    tree = tmp_path / "ILSVRC2015"
    for i in range(8):
        save_image(tree / f"Data/DET/train/a/{i}.JPEG", i)
        write_text(tree / f"Annotations/DET/train/a/{i}.xml", xml((None, 5, 5 + i, 25, 40)))
    local, out = tmp_path / "local", tmp_path / "dask"
    prepare(Det, tree, local, *SMALL)
    address = f"--dask_client_address={dask_cluster.scheduler.address}"

    def who_made_parts():  # sent by value: this module imports TensorFlow
        return list(dask_cluster.run(lambda: "data_prep.parts" in sys.modules).values())

    assert who_made_parts() == [False, False]
    index = prepare(Det, tree, out, *SMALL, "--beam_runner=DaskRunner", address)
    assert who_made_parts() == [True, True]
    assert (index.crops, len(index.shards), index.manifest["version"]) == (8, 8, 2)
    ours, theirs = contents(local), contents(out)
    for name in ours.keys() - {"dataset_info.json", "features.json"}:
        assert ours[name] == theirs[name], name
    assert shards.verify(out) == []
