import datetime
import hashlib
import json
import re
import subprocess
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from siamjax import cli, models
from siamjax.errors import UserError
from siamjax.models import weights
from siamjax.tracking import Settings, TrackerConfig, export, exported, tracker

PLATFORMS = export.PLATFORMS


@pytest.fixture(scope="module")
def artefact(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    weights.save(folder / "tiny.npz", tiny.config, tiny.variables)
    cli.dispatch(["export", f"--checkpoint={folder / 'tiny.npz'}", f"--out={folder / 'tiny.zip'}"])
    return folder / "tiny.zip"


def live(tiny, frames, box):
    model, config = models.build(tiny.config), TrackerConfig.of(tiny.config)
    settings = Settings(*(jnp.float32(v) for v in config.settings()))
    start = jax.jit(tracker.init, static_argnums=(0, 1))
    step = jax.jit(tracker.update, static_argnums=(0, 1))
    state = start(model, config, tiny.variables, frames[0], np.float32(box))
    for frame in frames[1:]:
        state, found = step(model, config, tiny.variables, settings, state, frame)
        yield np.asarray(found.box), float(found.score)


RUN = """
import sys
sys.modules["siamjax"] = sys.modules["flax"] = sys.modules["cv2"] = None  # not to be imported
import numpy as np
sys.path.insert(0, {folder!r})
from tiny import ExportedTracker

tracker = ExportedTracker({artefact!r})
for name in ("large", "small"):
    frames = np.load({frames!r})[name]
    tracker.init(frames[0], (40, 50, 30, 24))
    for frame in frames[1:]:
        box, score = tracker.update(frame)
        print(*box, score)
"""


def test_exported_equals_live_without_siamjax(artefact, tiny, clip, tmp_path):
    large, small = clip.frames[:4], clip.frames[:4, :110, :140]
    np.savez(tmp_path / "frames.npz", large=large, small=small)
    program = RUN.format(
        folder=str(artefact.parent), artefact=str(artefact), frames=str(tmp_path / "frames.npz")
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    got = np.array([line.split() for line in done.stdout.splitlines()], float)
    expected = [*live(tiny, large, (40, 50, 30, 24)), *live(tiny, small, (40, 50, 30, 24))]
    np.testing.assert_allclose(got[:, :4], [box for box, _ in expected], rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(got[:, 4], [score for _, score in expected], atol=1e-5)


def test_platforms(artefact):
    with zipfile.ZipFile(artefact) as file:
        for name in ("init", "update"):
            step = jax.export.deserialize(bytearray(file.read(name)))
            assert set(step.platforms) == {"cpu", "cuda", "tpu"}
        assert "siamrpn" in file.read("config.json").decode()


def rewritten(artefact, path, change=lambda members: None, head=lambda head: None, sums=True):
    """A copy of the archive with other members and another head; sums: that fit."""
    with zipfile.ZipFile(artefact) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members)
    tree = json.loads(members.get(exported.HEAD, b"{}"))
    for name in {*tree.get("members", {})} & {*members} if sums else ():
        sum_ = hashlib.sha256(members[name]).hexdigest()
        tree["members"][name] = {"bytes": len(members[name]), "sha256": sum_}
    head(tree)
    if exported.HEAD in members:
        members[exported.HEAD] = json.dumps(tree).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def other_jax(made, convention=None):
    def change(head):
        head |= {"exported": made, "jax": "0.1.2"}
        head |= {"calling_convention": convention} if convention else {}

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        ({"change": lambda m: m.pop("update")}, "not a whole archive (KeyError)"),
        ({"change": lambda m: m.pop("archive.json")}, "no archive.json in it; export it again"),
        (
            {"change": lambda m: m.update(init=m["init"][:-1]), "sums": False},
            "init is damaged; copy the file again",
        ),
        (
            {"change": lambda m: m.update(weights=b"x" + m["weights"][1:]), "sums": False},
            "weights is damaged",
        ),
        ({"head": lambda h: h.update(format="siamjax archive 1")}, "of another version of siamjax"),
        ({"head": lambda h: h.update(exported="soon")}, "no date and version of jax"),
        ({"head": other_jax("2020-01-01")}, "expired: exported on 2020-01-01 with jax 0.1.2"),
        ({"head": other_jax("2020-01-01")}, "`siamjax export`, or pip install jax==0.1.2"),
        ({"head": other_jax(datetime.date.today().isoformat(), 1)}, "expired"),
        ({"head": lambda h: h["weights"].pop()}, "weights or settings are damaged"),
        ({"head": lambda h: h["weights"][0][1].append(1 << 40)}, "weights or settings"),
        ({"head": lambda h: h["settings"].clear()}, "update is a program for other weights"),
        ({"head": lambda h: h["weights"].reverse()}, "init is a program for other weights"),
        ({"change": lambda m: m.update(init=b"x" * 99)}, "init is no program of this jax"),
    ],
)
def test_an_archive_is_checked_before_a_program_is_loaded(artefact, tmp_path, change, message):
    """Before: BadZipFile, KeyError, flatbuffers' errors; damaged weights were tracked with."""
    path = rewritten(artefact, tmp_path / "a.zip", **change)
    with pytest.raises(UserError) as caught:
        cli.dispatch(["inspect", "archive", str(path)])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(exported.ArchiveError, match=re.escape(message)):
        exported.ExportedTracker(path)


def test_another_jax_reads_it_for_six_months(artefact, tmp_path):
    path = rewritten(artefact, tmp_path / "a.zip", head=other_jax("2026-01-31"))
    head, _ = exported.read(path)
    assert exported.check_age(path, head, datetime.date(2026, 7, 31)).isoformat() == "2026-08-02"
    head["jax"] = jax.__version__  # the same reads it always
    assert exported.check_age(path, head, datetime.date(2036, 1, 1))
    head["jax"] = "0.1.2"
    assert exported.check_age(path, head, datetime.date(2026, 8, 2))
    with pytest.raises(exported.ArchiveError, match="expired"):
        exported.check_age(path, head, datetime.date(2026, 8, 3))


def test_archives_that_are_none(artefact, tmp_path, capsys):
    """Before: FileNotFoundError, BadZipFile; a bomb was unpacked."""
    for name, content in (("text", b"no zip"), ("cut", artefact.read_bytes()[:-100])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(exported.ArchiveError, match="not a whole archive"):
            exported.ExportedTracker(tmp_path / name)
    with pytest.raises(exported.ArchiveError, match="no such file"):
        exported.ExportedTracker(tmp_path / "none")
    bomb = rewritten(artefact, tmp_path / "bomb", lambda m: m.update(more=bytes(1 << 27)))
    with pytest.raises(exported.ArchiveError, match="claim more than the file can hold"):
        exported.ExportedTracker(bomb)
    assert cli.dispatch(["inspect", "archive", str(artefact)]) is None
    assert "resnet18, 125 arrays, " in capsys.readouterr().out


def test_settings_may_be_changed_in_the_head(artefact, tmp_path):
    def half(head):
        assert [name for name, _ in head["settings"]] == list(Settings._fields)
        head["settings"][0][1] = 0.5

    path = rewritten(artefact, tmp_path / "a.zip", head=half)
    _, settings = exported.arrays(path, *exported.read(path))
    assert settings[0] == 0.5


@pytest.mark.parametrize(
    "box", [(1, 2, 3), (1, 2, 0, 5), (1, 2, 3, float("nan")), "box", None, [[1, 2, 3, 4]]]
)
def test_the_runner_refuses_boxes(box):
    """Before: they were tracked, to NaN."""
    with pytest.raises(exported.ArchiveError, match="a box has to be x, y, width, height"):
        exported.check_box(box)
    np.testing.assert_array_equal(exported.check_box([1, 2, 3, 4]), np.float32([1, 2, 3, 4]))


@pytest.mark.parametrize(
    "frame",
    [
        None,
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 5, 3), np.float32),
    ],
)
def test_the_runner_refuses_frames(artefact, frame):
    """Before: a TypeError of jax, or no error."""
    with pytest.raises(exported.ArchiveError, match=r"a frame has to be \(height, width, 3\)"):
        exported.check_frame(frame)
    with pytest.raises(exported.ArchiveError, match="call init with the first frame"):
        exported.ExportedTracker(artefact).update(np.zeros((4, 5, 3), np.uint8))


def test_bad_output(tmp_path, tiny):
    weights.save(tmp_path / "tiny.npz", tiny.config, tiny.variables)
    (tmp_path / "b.py").mkdir()
    for out, message in (
        ("b.zip", "b.py: "),
        ("a.onnx", "name a .zip file"),
        ("tiny.npz/a.zip", "cannot make"),
    ):
        with pytest.raises(UserError, match=message):
            cli.dispatch(
                ["export", f"--checkpoint={tmp_path / 'tiny.npz'}", f"--out={tmp_path / out}"]
            )
    with pytest.raises(UserError, match="no such checkpoint"):
        cli.dispatch(["export", f"--checkpoint={tmp_path / 'x'}", f"--out={tmp_path / 'a.zip'}"])


def test_the_runner_takes_no_other_files_place(tmp_path, tiny):
    """Before: `--out=tracker.zip` replaced a tracker.py of one's own without a word."""
    (tmp_path / "tracker.py").write_text("mine = 1\n")
    with pytest.raises(UserError, match=r"tracker\.py: a file of yours, which the runner"):
        export.export(tmp_path / "tracker.zip", *tiny)
    assert [path.name for path in tmp_path.iterdir()] == ["tracker.py"]
    assert (tmp_path / "tracker.py").read_text() == "mine = 1\n"


def steps(tiny, monkeypatch, *platforms) -> str:
    """StableHLO of the archive's two steps, lowered on this machine for these platforms alone."""
    monkeypatch.setattr(export, "PLATFORMS", platforms)
    constants = TrackerConfig.of(tiny.config).structure()
    exported = export._exported(models.build(tiny.config), constants, tiny.variables)
    return "".join(step.mlir_module() for step in exported)


def test_the_exported_cross_head_answers_as_the_live_one(tiny):
    config = tiny.config.copy_and_resolve_references()
    config.model.correlation, config.model.levels = "cross", (2,)
    model = models.build(config)
    variables = models.init_variables(model, seed=0)
    rng = np.random.default_rng(0)
    z, x = (rng.uniform(0, 255, (1, n, n, 3)).astype(np.float32) for n in (127, 255))
    leaves, tree = jax.tree.flatten(variables)

    @jax.jit
    def answer(leaves, z, x):
        return model.apply(jax.tree.unflatten(tree, leaves), z, x)

    made = jax.export.export(answer, platforms=PLATFORMS)(leaves, z, x)
    again = jax.export.deserialize(made.serialize())
    for ours, wanted in zip(again.call(leaves, z, x), answer(leaves, z, x), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-5 * np.abs(wanted).max())


def test_an_archive_holds_the_formulation_of_each_platform(tiny, monkeypatch):
    for platform in ("cuda", "tpu"):
        text = steps(tiny, monkeypatch, platform)
        groups = re.findall(r"feature_group_count = (\d+)", text)
        assert set(groups) == {"1"}
        assert text.count("stablehlo.dot_general") == 0, platform
    own = steps(tiny, monkeypatch, "cpu")
    assert own.count("stablehlo.dot_general") > 0  # its 1x1 convolutions are products
    assert len(re.findall("feature_group_count", own)) < len(groups)
    every = steps(tiny, monkeypatch, *PLATFORMS)
    assert every.count("stablehlo.dot_general") >= own.count("stablehlo.dot_general")
    assert "stablehlo.case" in every  # chosen when it runs
