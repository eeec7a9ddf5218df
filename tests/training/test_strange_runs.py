"""Folders of runs from anywhere."""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import tensorstore

from siamjax import api, checksums, models
from siamjax.cli import dispatch
from siamjax.config import to_json
from siamjax.errors import UserError
from siamjax.training import checkpoint, metrics, optimizer, saving, state


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    """The folder of an untrained run with one checkpoint."""
    workdir = tmp_path_factory.mktemp("run")
    write(workdir, tiny())
    return workdir


def write(workdir, config, change=lambda leaf: leaf):
    variables = jax.tree.map(change, models.init_variables(models.build(config), 0))
    labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
    made = state.create(variables, optimizer.make(config.train, labels), False)
    with_checkpoints = saving.Checkpoints(workdir, 3, 0)
    with_checkpoints.save(made, config, {"window": metrics.Window().state()}, {})
    with_checkpoints.close()


@pytest.fixture
def run(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "run")


def edit_meta(run, **changes):
    """Its checksum holds, as a stranger's would."""
    path = run / "checkpoints" / "0" / "meta" / "metadata"
    meta = json.loads(path.read_text())
    del meta["crc32c"]["meta"]
    meta |= changes
    meta["crc32c"]["meta"] = checksums.of_values(meta)
    path.write_text(json.dumps(meta))
    return meta


def edited(run, section, field, value):
    config = json.loads((run / "checkpoints/0/meta/metadata").read_text())["config"]
    config[section][field] = value
    return config


@pytest.mark.parametrize(
    "section, field, value, message",
    [
        ("model", "blocks", [10**9] * 4, "model.blocks="),
        ("anchors", "stride", 0, "anchors.stride=0"),
        ("tracker", "mine", 0, "tracker.mine: no such field"),
        ("model", "width", 0.1, "weights of another architecture"),
    ],
)
def test_the_config_in_a_checkpoint_is_checked(run, section, field, value, message):
    edit_meta(run, config=edited(run, section, field, value))
    with pytest.raises(UserError) as caught:
        api.load_variables(run)
    assert message in str(caught.value)
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite(tiny, tmp_path):
    write(tmp_path, tiny(), lambda leaf: np.full_like(leaf, np.nan))
    with pytest.raises(UserError, match=r"checkpoints/0: .* numbers that are not finite"):
        api.load_variables(tmp_path)


def test_arrays_that_claim_a_hundred_gigabytes(run, capsys):
    """Zeros need no space on disk: before, reading them took the memory."""
    place = run / "checkpoints" / "0" / "variables"
    store = {"driver": "ocdbt", "base": f"file://{place}/"}
    store = tensorstore.KvStore.open(store).result()
    key = next(key for key in store.list().result() if key.endswith(b"kernel/.zarray"))
    array = json.loads(store.read(key).result().value)
    array["shape"][0] = 100 << 30
    store.write(key, json.dumps(array).encode()).result()
    with pytest.raises(UserError, match=r"none of the checkpoints \[0\] can be read"):
        api.load_variables(run)
    assert re.search(r"variables claims [\d,]{15,} bytes", capsys.readouterr().err)


def test_names_that_only_look_like_steps(run):
    (run / "checkpoints" / "²").mkdir()
    assert checkpoint.saved_steps(run / "checkpoints") == [0]


@pytest.mark.parametrize(
    "window", [None, {}, [], {"sums": 3, "number": 1}, {"sums": {}, "number": "x"}]
)
def test_a_window_of_means_that_is_none_starts_empty(window):
    """Before: KeyError or TypeError when the run was resumed."""
    assert metrics.Window(window).state() == metrics.Window().state()


def test_inspect_reads_every_checkpoint(run, tiny, capsys):
    (run / "config.json").write_text(to_json(tiny()))
    (run / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    assert dispatch(["inspect", "run", str(run)]) is None
    first, config, lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r".*checkpoints/0: resnet18, \d+ arrays, [\d,]+ numbers, all finite", first)
    assert config.endswith("config.json: that of the newest checkpoint")
    assert lines.endswith("metrics.jsonl: 2 lines, 0 damaged")
    shutil.copytree(run / "checkpoints" / "0", run / "checkpoints" / "7")
    (run / "config.json").write_text("{")
    (run / "metrics.jsonl").write_text('{"step": 1}\n{"loss": 1}\n{"st')
    assert dispatch(["inspect", "run", str(run)]) == 1
    _, second, config, lines = capsys.readouterr().out.splitlines()
    assert second.endswith("checkpoints/7: damaged: it holds step 0; give the folder that name")
    assert "config.json: damaged" in config
    assert lines.endswith("3 lines, 2 damaged")  # those that the next start leaves out
    with pytest.raises(UserError, match="no checkpoint here"):
        dispatch(["inspect", "run", str(run / "checkpoints" / "7")])


def test_a_run_is_read_by_a_relative_path(run, tiny, capsys, monkeypatch):
    """Before: `siamjax inspect run runs/A` said "damaged: Checkpoint path should be absolute"."""
    (run / "config.json").write_text(to_json(tiny()))
    (run / "metrics.jsonl").write_text('{"step": 1}\n')
    monkeypatch.chdir(run.parent)
    assert dispatch(["inspect", "run", run.name]) is None
    assert capsys.readouterr().out.startswith(f"{run.name}/checkpoints/0: resnet18, ")
    variables, training, _ = checkpoint.read(Path(run.name) / "checkpoints" / "0", True)
    assert variables
    assert training
