"""Whole runs with a tiny network: what they write, and that stopping anywhere changes nothing."""

import copy
import functools
import json
import re
import shutil
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from siamjax import cli, models
from siamjax.api import default_checkpoint
from siamjax.config import from_json, load_config, to_json
from siamjax.data import loader
from siamjax.errors import UserError
from siamjax.evaluation import validation
from siamjax.models import weights
from siamjax.training import checkpoint, initial, loop, losses, metrics, parallel, resume, saving

from .conftest import assert_same_run, lines

DATA = Path(__file__).parent / "data"


def differ(a, b):
    return any(not np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """A run without interruption."""
    workdir = tmp_path_factory.mktemp("whole")
    final = loop.train(tiny(), workdir)
    return workdir, final


def test_what_a_run_writes(whole, tiny):
    workdir, final = whole
    assert final["finished"]
    assert final["step"] == 8
    assert [line["step"] for line in lines(workdir)] == list(range(1, 9))
    assert [line["epoch"] for line in lines(workdir)] == [0] * 4 + [1] * 4
    rates = [line["lr"] for line in lines(workdir)]
    np.testing.assert_allclose(rates, [0.001] * 4 + [0.005] * 4, rtol=1e-6)
    backbone = [line["lr_backbone"] for line in lines(workdir)]
    np.testing.assert_allclose(backbone, [0] * 4 + [0.0005] * 4, rtol=1e-6)
    for line in lines(workdir):
        assert line["loss"] == pytest.approx(line["cls_loss"] + 1.2 * line["loc_loss"], rel=1e-5)
    assert list((workdir / "tensorboard").glob("events.*"))
    assert from_json((workdir / "config.json").read_text()).to_dict() == tiny().to_dict()
    assert not list(workdir.glob("*.tmp"))


def test_weights_and_config_of_a_run(whole, tiny):
    workdir, _ = whole
    config, variables, step = checkpoint.load_variables(workdir)
    assert step == 8
    assert config.to_dict() == tiny().to_dict()
    earlier = checkpoint.load_variables(workdir / "checkpoints" / "4")
    assert earlier[2] == 4
    start = initial.initial_variables(config, models.build(config))

    def parts(a, b):
        return {part: differ(a["params"][part], b["params"][part]) for part in a["params"]}

    # The first epoch trains neck and head alone, the second the backbone's layer2 besides.
    assert parts(start, earlier[1]) == {"backbone": False, "neck": True, "head": True}
    assert parts(earlier[1], variables) == {"backbone": True, "neck": True, "head": True}
    backbone = [v["params"]["backbone"] for v in (earlier[1], variables)]
    for part in ("conv1", "bn1", "layer1"):
        jax.tree.map(np.testing.assert_array_equal, backbone[0][part], backbone[1][part])


def test_a_finished_run_stays_as_it_is(whole, tiny, capsys):
    workdir, final = whole
    before = (workdir / "metrics.jsonl").read_bytes()
    assert loop.train(tiny(), workdir) == final
    assert (workdir / "metrics.jsonl").read_bytes() == before
    assert "finished already" in capsys.readouterr().err


def test_killed_and_resumed_run_equals_a_whole_one(whole, tiny, tmp_path, run_train):
    config = tiny(checkpoint_every=1)
    workdir = tmp_path / "run"
    process = run_train(config, workdir)
    path = workdir / "metrics.jsonl"
    while process.poll() is None and (not path.exists() or path.read_text().count("\n") < 3):
        time.sleep(0.005)
    process.kill()
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    with path.open("a") as file:
        file.write('{"step": 99, "lo')  # as a crash in the middle of a write leaves it
    assert loop.train(config, workdir)["finished"]
    assert_same_run(whole[0], workdir)


def test_terminated_run_saves_and_resumes(whole, tiny, tmp_path, run_train):
    workdir = tmp_path / "run"
    process = run_train(tiny(), workdir)
    path = workdir / "metrics.jsonl"
    while process.poll() is None and (not path.exists() or path.read_text().count("\n") < 1):
        time.sleep(0.005)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    assert "stopped by SIGTERM" in errors
    done = lines(workdir)[-1]["step"]
    assert checkpoint.load_variables(workdir)[2] == done < 8
    assert loop.train(tiny(), workdir)["finished"]
    assert_same_run(whole[0], workdir)


@pytest.mark.parametrize(("least", "made"), [(0, 1), (3, 3), (9, 8)])
def test_the_end_of_its_time_stops_a_run(least, made, whole, tiny, tmp_path, capsys):
    """After the step in progress, or after the least steps; resumed it is as one never stopped."""
    late = loop.train(tiny(), tmp_path, until=time.monotonic() - 1, least=least)
    assert (late["done"], late["finished"]) == (made, made == 8)
    stopped = f"stopped by the end of its time at step {made} of 8\n"
    assert (stopped in capsys.readouterr().err) == (made < 8)
    assert loop.train(tiny(), tmp_path)["finished"]
    assert_same_run(whole[0], tmp_path)


def test_means_between_lines_survive_a_stop(tiny, tmp_path, monkeypatch):
    loop.train(tiny(log_every=3), tmp_path / "whole")
    calls = []
    monkeypatch.setattr(
        loop.stopping.Stop, "asked", lambda _, step: calls.append(step) or step == 5
    )
    assert not loop.train(tiny(log_every=3), tmp_path / "stopped")["finished"]
    monkeypatch.undo()
    assert loop.train(tiny(log_every=3), tmp_path / "stopped")["finished"]
    assert calls == [1, 2, 3, 4, 5]
    assert [line["step"] for line in lines(tmp_path / "whole")] == [3, 6, 8]
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_changed_config_is_refused(whole, tiny):
    workdir, _ = whole
    before = (workdir / "config.json").read_bytes()
    with pytest.raises(UserError, match=r"train.momentum: 0.9 -> 0.8"):
        loop.train(tiny(momentum=0.8), workdir)
    assert (workdir / "config.json").read_bytes() == before
    assert loop.train(tiny(log_every=2, keep=2, data__workers=3), workdir)["finished"]


def test_corrupt_newest_checkpoint_falls_back(whole, tiny, tmp_path, capsys):
    workdir = tmp_path / "run"
    loop.train(tiny(), workdir)
    for path in (workdir / "checkpoints" / "8" / "training" / "d").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    assert loop.train(tiny(), workdir)["finished"]
    message = capsys.readouterr().err
    assert "checkpoints/8 can't be read" in message
    assert "resumes from step 4 of 8" in message
    assert (workdir / "corrupt" / "8").is_dir()
    assert_same_run(whole[0], workdir)


def test_full_disk_keeps_the_last_good_checkpoint(whole, tiny, tmp_path, run_train, monkeypatch):
    workdir = tmp_path / "run"
    monkeypatch.setattr(loop.stopping.Stop, "asked", lambda _, step: step == 5)
    loop.train(tiny(), workdir)
    monkeypatch.undo()
    largest = max(p.stat().st_size for p in (workdir / "checkpoints" / "5").rglob("*"))
    process = run_train(tiny(), workdir, largest_file=largest // 2)
    _, errors = process.communicate()
    assert process.returncode == 2, errors
    assert "could not be written" in errors
    assert "the last good checkpoint: step 5 is safe" in errors
    assert checkpoint.load_variables(workdir)[2] == 5
    assert loop.train(tiny(), workdir)["finished"]
    assert_same_run(whole[0], workdir)


def test_no_checkpoint_that_can_be_read(tiny, tmp_path):
    with pytest.raises(UserError, match="no checkpoint here"):
        checkpoint.load_variables(tmp_path)
    folder = tmp_path / "checkpoints" / "3"
    (folder / "meta").mkdir(parents=True)
    (tmp_path / "config.json").write_text(to_json(tiny()))
    with pytest.raises(UserError, match="none of the checkpoints"):
        loop.train(tiny(), tmp_path)


def test_bad_steps_are_skipped_and_end_the_run(tiny, tmp_path, monkeypatch):
    real = loader.make_loader

    class Poisoned:
        """The real batches, with NaN in those of the given steps (0-based)."""

        def __init__(self, steps, *args, **kwargs):
            self._inner, self._steps, self._step = (
                real(*args, **kwargs),
                steps,
                kwargs["start_step"],
            )
            self.skipped = 0

        def __next__(self):
            batch = next(self._inner)
            if self._step in self._steps:
                batch["search_noise"] = np.full_like(batch["search_noise"], np.nan)
            self._step += 1
            return batch

        def close(self):
            self._inner.close()

    def poison(steps):
        monkeypatch.setattr(loader, "make_loader", lambda *a, **k: Poisoned(steps, *a, **k))

    poison({1, 2})
    loop.train(tiny(epochs=1), tmp_path / "some")
    assert [line["skipped"] for line in lines(tmp_path / "some")] == [0, 1, 2, 2]
    assert [line["loss"] is None for line in lines(tmp_path / "some")] == [False, True, True, False]
    _, variables, _ = checkpoint.load_variables(tmp_path / "some")
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(variables))

    poison(range(100))
    with pytest.raises(UserError, match=r"3 steps in a row .* at step 3"):
        loop.train(tiny(epochs=1, max_skipped=3), tmp_path / "all")


def test_bad_input_leaves_nothing_behind(tiny, tmp_path, run_train):
    with pytest.raises(UserError, match="multiple of 3"):
        loop.train(tiny(accumulate=3), tmp_path / "a")
    with pytest.raises(UserError, match="makes no step"):
        loop.train(tiny(batch_size=10), tmp_path / "a")
    with pytest.raises(UserError, match="makes no step"):
        loop.train(tiny(epochs=0), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        loop.train(tiny(), tmp_path / "file" / "run")
    with pytest.raises(UserError, match="cannot be written"):  # one step an epoch is enough
        loop.train(tiny(data__pairs_per_epoch=2), tmp_path / "file" / "run")
    with pytest.raises(UserError, match=r"init_from=nowhere\.npz: no such file"):
        loop.train(tiny(init_from="nowhere.npz"), tmp_path / "b")
    with pytest.raises(UserError, match=r"no 'layer9'; its parts are"):
        loop.train(tiny(unfreeze_layers=("layer9",)), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_command_without_shards(tiny, tmp_path, run_train):
    config = tiny()
    config.data.sources.tiny.path = str(tmp_path / "nothing")
    process = run_train(config, tmp_path / "run")
    _, errors = process.communicate()
    assert process.returncode == 2, errors
    assert errors.startswith("error: ")
    assert str(tmp_path / "nothing") in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_fine_tuning_starts_from_a_run(whole, tiny, tmp_path):
    workdir, _ = whole
    config = tiny(init_from=str(workdir))
    model = models.build(config)
    _, expected, _ = checkpoint.load_variables(workdir)
    jax.tree.map(np.testing.assert_array_equal, initial.initial_variables(config, model), expected)
    other = tiny(init_from=str(workdir), model__adjust_channels=(6,))
    with pytest.raises(UserError, match=r"head/.* is \(4,\) there, \(6,\) in the network"):
        initial.initial_variables(other, models.build(other))


def test_parts_that_are_not_taken_are_random(whole, tiny):
    workdir, _ = whole
    config = tiny(init_from=str(workdir), init_parts=("backbone",))
    model = models.build(config)
    found = initial.initial_variables(config, model)
    _, given, _ = checkpoint.load_variables(workdir)
    drawn = initial.initial_variables(tiny(), model)
    for collection, parts in found.items():
        for part, tree in parts.items():
            expected = (given if part == "backbone" else drawn)[collection][part]
            jax.tree.map(np.testing.assert_array_equal, tree, expected)
    hint = r"init_parts: no part 'necks'; choose one of backbone, neck, head; did you mean neck\?"
    with pytest.raises(UserError, match=hint):
        initial.initial_variables(tiny(init_parts=("necks",)), model)


def test_the_demo_starts_from_the_bundled_network():
    config = load_config("demo")
    found = initial.initial_variables(config, models.build(config))
    _, bundled = weights.load(default_checkpoint())
    jax.tree.map(np.testing.assert_array_equal, found["params"], bundled["params"])


def test_a_part_of_the_bundled_network():
    config = load_config("demo")
    config.train.init_parts = ("backbone",)
    config.model.adjust_channels = (4,)  # the parts that are drawn may be small
    found = initial.initial_variables(config, models.build(config))
    _, bundled = weights.load(default_checkpoint())
    backbone = found["params"]["backbone"]
    jax.tree.map(np.testing.assert_array_equal, backbone, bundled["params"]["backbone"])
    assert found["params"]["neck"].keys() == bundled["params"]["neck"].keys()


@pytest.mark.parametrize(
    "layers, first, source, said",
    [
        (("layer2",), 10, "", "fixed for 10 of 20 epochs"),
        (("layer2",), 30, "", "fixed for 20 of 20 epochs"),
        ((), 0, "", "fixed for 20 of 20 epochs"),
        (("layer2",), 0, "", None),
        (("layer2",), 10, "weights.npz", None),
    ],
)
def test_random_weights_that_stay_are_a_warning(layers, first, source, said):
    train = load_config("resnet50").train
    train.unfreeze_layers, train.unfreeze_epoch, train.init_from = layers, first, source
    found = initial.begins(train, 0, 400)
    assert (found == "training") if said is None else (said in found)
    train.init_from, train.init_parts = "weights.npz", ("head",)
    assert ("fixed" in initial.begins(train, 0, 400)) == (not layers or first > 0)
    assert initial.begins(train, 20, 400) == "resumes from step 20 of 400"


def test_a_run_of_version_0_1_resumes(shards, tmp_path, monkeypatch):
    """The checkpoint of step 5 of 8, with moving averages, loads; its run ends as it did then."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").symlink_to(shards)
    shutil.unpack_archive(DATA / "run_0_1.tar.gz", tmp_path, filter="data")
    config, variables, step = checkpoint.load_variables("run")
    assert step == 5
    assert config.train.ema == 0.5
    size = sum(np.abs(x, dtype=np.float64).sum() for x in jax.tree.leaves(variables))
    assert size == pytest.approx(148.43439879012294, rel=1e-12)
    final = loop.train(config, "run")
    assert final["finished"]
    assert [line["step"] for line in lines(tmp_path / "run")] == list(range(1, 9))
    losses = [line["loss"] for line in lines(tmp_path / "run")[-3:]]
    np.testing.assert_allclose(losses, [2.68637252, 2.74447322, 1.72209466], rtol=1e-4)
    averages, rest, _ = checkpoint.read(tmp_path / "run" / "checkpoints" / "8", True)
    size = sum(np.abs(x, dtype=np.float64).sum() for x in jax.tree.leaves(averages))
    assert size == pytest.approx(143.45749843667727, rel=1e-4)
    momentum = rest["optimizer/inner_states/rest/inner_state/1/trace/head/level2/loc/out/bias"]
    assert np.abs(momentum).sum() == pytest.approx(21.837000914, rel=1e-4)


def test_a_run_of_version_0_1_continues_with_the_fields_of_today(tmp_path):
    """Each field added since says how runs without it were trained."""
    shutil.unpack_archive(DATA / "run_0_1.tar.gz", tmp_path, filter="data")
    old = json.loads((tmp_path / "run" / "config.json").read_text())
    new = copy.deepcopy(old)
    today = json.loads(to_json(load_config("base")))
    for section in ("model", "anchors", "targets", "crops", "data", "train"):
        added = {name: x for name, x in today[section].items() if name not in old[section]}
        new[section].update(added)
    new["data"]["negatives"] = "published"  # the one whose default is another rule
    assert new["train"]["init_parts"] == list(initial.PARTS)
    meta = {"config": old}
    resume.check_meta(meta, from_json(json.dumps(new), "new"), {}, "--workdir=run")
    new["train"]["init_parts"] = ["backbone"]
    with pytest.raises(UserError, match=r"init_parts: \['backbone', 'neck', 'head'\] -> "):
        resume.check_meta(meta, from_json(json.dumps(new), "new"), {}, "--workdir=run")


def test_best_checkpoints_are_kept_by_score(tiny, tmp_path):
    seen = []

    def validate(config, variables, epoch, step):
        seen.append((epoch, step, sorted(variables)))
        return {"a": [0.2, 0.9, 0.1, 0.3][epoch], "b": 0.5}

    config = tiny(epochs=4, unfreeze_epoch=9, keep=1, keep_best=1, checkpoint_every=1)
    loop.train(config, tmp_path, validate)
    assert seen == [(e, 4 * e + 4, ["batch_stats", "params"]) for e in range(4)]
    names = {p.name for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()}
    assert names == {"8", "16"}
    scores = [line["scores"] for line in lines(tmp_path) if "scores" in line]
    assert [s["a"] for s in scores] == [0.2, 0.9, 0.1, 0.3]


def test_validation_on_a_benchmark(tiny, tmp_path, run_train):
    """Every second epoch, from the command; the newest checkpoint and the best one stay."""
    evaluate = (("synthetic", 2, 1),)
    config = tiny(epochs=4, unfreeze_epoch=9, keep=1, keep_best=1, evaluate=evaluate)
    process = run_train(config, tmp_path / "run")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    scored = {n["step"]: n["scores"] for n in lines(tmp_path / "run") if "scores" in n}
    assert list(scored) == [8, 16]
    told = re.findall(r"^.*(validation at step \d+: .*)$", errors, re.MULTILINE)
    assert told == [
        f"validation at step {step}: synthetic, success AUC {scores['synthetic']:.3f}"
        for step, scores in scored.items()
    ]
    assert all(list(scores) == ["synthetic"] for scores in scored.values())
    results = tmp_path / "run/validation/synthetic/8/results/siamjax/clip000.txt"
    assert len(results.read_text().splitlines()) == 120
    best = max(scored, key=lambda step: scored[step]["synthetic"])
    names = {p.name for p in (tmp_path / "run" / "checkpoints").iterdir() if p.name.isdigit()}
    assert names == {str(best), "16"}


@pytest.mark.slow
def test_validation_where_the_frame_size_changes(tiny, tmp_path, monkeypatch):
    """Training ends, and `eval` of its checkpoint gives the same tracks, with and without --batch.

    Before: training ended in the first epoch with validation by "a frame of 112x84 px in a video of
    168x126 px: all frames need the same size", without a checkpoint.
    """
    from tests.evaluation.test_changing_size import write_sequence

    monkeypatch.setenv("SIAMJAX_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "GOT-10k/val/GOT-10k_Val_000001"
    write_sequence(folder, 9, range(4))
    (folder.parent / "list.txt").write_text(folder.name)
    config = tiny(epochs=2, evaluate=(("GOT-10k-val", 1),))
    loop.train(config, tmp_path / "run", validation.make(config, tmp_path / "run"))
    assert [n["step"] for n in lines(tmp_path / "run") if "scores" in n] == [4, 8]
    evaluate = ["eval", "--dataset=GOT-10k-val", "--checkpoint=run"]
    assert not cli.dispatch([*evaluate, "--out=one"])
    assert not cli.dispatch([*evaluate, "--out=batch", "--batch=2"])
    name = f"siamjax/{folder.name}/{folder.name}_001.txt"
    tracks = [
        np.loadtxt(tmp_path / place / "results" / name, delimiter=",")
        for place in ("run/validation/GOT-10k-val/8", "one", "batch")
    ]
    np.testing.assert_array_equal(tracks[0], tracks[1])
    np.testing.assert_allclose(tracks[0], tracks[2], atol=0.05)


def test_malformed_validation(tiny, tmp_path):
    for entry, message in (
        (("synthetic", 0), "not .data set, every N epochs"),
        (("synthetik", 1), "^--config.train.evaluate: synthetik: .* did you mean synthetic"),
    ):
        with pytest.raises(UserError, match=message):
            validation.make(tiny(evaluate=(entry,)), tmp_path)


def test_validation_on_what_is_not_there_names_what_helps(tiny, tmp_path, monkeypatch):
    """Before: "give its folder as --data_root=DIR", which training does not take."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIAMJAX_DATA", raising=False)
    with pytest.raises(UserError) as caught:
        validation.make(tiny(evaluate=(("OTB100", 1),)), tmp_path)
    assert str(caught.value) == (
        "--config.train.evaluate: OTB100 is not in data/OTB100 or data; set SIAMJAX_DATA to the"
        " folder that holds it, or --config.train.evaluate='()' leaves it out"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "flag,closeness",
    [
        ("train.ema=0.9", 0),
        ("train.images_every=3", 0),
        ("train.init_from={whole}", np.inf),
        ("train.remat=True", 1e-3),
        ("train.accumulate=2", np.inf),
        ("model.dtype=bfloat16", 0.1),
    ],
)
def test_options_on_the_command_line(whole, tiny, tmp_path, run_train, flag, closeness):
    """Each option trains from the command; those that change no number, or little, keep losses."""
    flag = flag.format(whole=whole[0])
    process = run_train(tiny(), tmp_path / "run", arguments=[f"--config.{flag}"])
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "pairs/s" in errors
    expected, found = (
        np.array([line["loss"] for line in lines(workdir)])
        for workdir in (whole[0], tmp_path / "run")
    )
    np.testing.assert_allclose(found, expected, rtol=closeness)
    assert found.shape == (8,)
    assert 0 < lines(tmp_path / "run")[-1]["device_busy"] <= 1
    (events,) = (tmp_path / "run" / "tensorboard").glob("events.*")
    tags = event_tags(events)
    assert {"train/loss", "train/lr", "train/lr_backbone", "train/device_busy"} <= tags
    assert ({"scores", "targets"} <= tags) == ("images" in flag)


def event_tags(path):
    """Names of all scalars and images in a TensorBoard file."""
    data, tags = path.read_bytes(), set()
    while data:
        end = 12 + int.from_bytes(data[:8], "little")
        tags |= {value.tag for value in Event.FromString(data[12:end]).summary.value}
        data = data[end + 4 :]
    return tags


@pytest.mark.slow
def test_float16_layers_skip_the_steps_that_overflow(tiny, tmp_path):
    """The loss' factor is halved until the gradients are finite, and is in the checkpoint."""
    loop.train(tiny(model__early_dtype="float16", unfreeze_epoch=0, epochs=1), tmp_path)
    skipped, scales = (
        [line[name] for line in lines(tmp_path)] for name in ("skipped", "loss_scale")
    )
    _, training, _ = checkpoint.read(tmp_path / "checkpoints" / "4", True)
    assert scales[0] == 65536
    assert skipped[-1] < 4
    for before, after, scale, following in zip(
        [0, *skipped], skipped, scales, [*scales[1:], training["loss_scale/scale"]]
    ):
        assert following == (scale / 2 if after > before else scale)


def test_moving_averages_are_what_is_tracked_with(tiny, tmp_path):
    config = tiny(epochs=1, ema=0.5, checkpoint_every=1, keep=9)
    loop.train(config, tmp_path)
    mean = initial.initial_variables(config, models.build(config))
    for step in range(1, 5):
        averaged, rest, _ = checkpoint.read(tmp_path / "checkpoints" / str(step), True)
        live = checkpoint._like(mean, rest, "live/")
        assert differ(averaged["params"], live["params"])
        mean = jax.tree.map(lambda m, x: 0.5 * m + 0.5 * x, mean, live)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-8)
        jax.tree.map(close, averaged, mean)
    _, variables, _ = checkpoint.load_variables(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, variables, averaged)


def test_pictures(tiny, tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(
        metrics.TensorBoard, "images", lambda _, step, images: shown.update({step: images})
    )
    config = tiny(epochs=1, images_every=3)
    loop.train(config, tmp_path)
    assert list(shown) == [3]
    batches = loader.make_loader(config, start_step=2, batch_size=2)
    batch = next(batches)
    batches.close()
    for name, picture in shown[3].items():
        assert picture.shape == (2 * 255, 255, 3), name
        assert picture.dtype == np.uint8
    # Where no anchor is positive, the picture of the targets is the search crop.
    crops = np.concatenate(batch["search"])[..., ::-1]
    far = np.ones(crops.shape[:2], bool)
    for i, label in enumerate(batch["label"]):
        rows, columns = np.nonzero((label == 1).any(0))
        for row, column in zip(rows * 8 + 31 + 255 * i, columns * 8 + 31):
            far[row - 12 : row + 13, column - 12 : column + 13] = False
        cx, cy, w, h = batch["box"][i]
        top, left = int(cy - h / 2 - 20) + 255 * i, int(cx - w / 2 - 40)
        far[max(top, 0) : top + int(h) + 45, max(left, 0) : left + int(w) + 80] = False
    assert far.any()
    np.testing.assert_array_equal(shown[3]["targets"][far], crops[far])
    assert (shown[3]["scores"] != crops).any()


def test_the_first_error_is_shown_when_closing_fails_too(tiny, tmp_path, monkeypatch):
    def fail(message):
        def close(_):
            raise OSError(message)

        return close

    def step(*_):
        raise FloatingPointError("the step failed")

    monkeypatch.setattr(parallel, "compile_step", lambda _: step)
    monkeypatch.setattr(metrics.TensorBoard, "close", fail("TensorBoard"))
    monkeypatch.setattr(saving.Checkpoints, "close", fail("checkpoint"))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(FloatingPointError, match="the step failed") as raised:
        loop.train(tiny(), tmp_path)
    assert [note.split()[0] for note in raised.value.__notes__] == ["TensorBoard", "Checkpoints"]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_only_needed_batches_are_made(tiny, tmp_path, monkeypatch):
    """Four steps take four batches; a stop asked for at the last step ends a finished run."""
    drawn = []
    real = loader.Loader.__next__
    monkeypatch.setattr(loader.Loader, "__next__", lambda self: drawn.append(1) or real(self))
    monkeypatch.setattr(loop.stopping.Stop, "asked", lambda _, step: step == 4)
    final = loop.train(tiny(epochs=1), tmp_path)
    assert final["finished"]
    assert len(drawn) == 4
    busy = [line["device_busy"] for line in lines(tmp_path)]
    assert all(0 < share <= 1 for share in busy[1:])


def test_each_phase_is_compiled_once(tiny, tmp_path, monkeypatch):
    traces = []
    real = losses.rpn_loss
    monkeypatch.setattr(losses, "rpn_loss", lambda *a, **k: traces.append(1) or real(*a, **k))
    loop.train(tiny(), tmp_path)
    assert len(traces) == 2


def test_batches_are_split_evenly():
    devices = jax.device_count()
    assert parallel.host_batch_size(4 * devices, 2) == 4 * jax.local_device_count()
    with pytest.raises(UserError, match="HOST:PORT,PROCESSES,INDEX"):
        parallel.initialise("here,two,0")
