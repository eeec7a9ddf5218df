import hashlib
import os
import pickle
import platform
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import siamjax
from siamjax import compile_cache
from siamjax.models import initialise, weights
from siamjax.tracking import steps

PROGRAM = """
import jax
jax.numpy.zeros(3).block_until_ready()  # something was compiled before
from siamjax import compile_cache
print(compile_cache.enable())
assert str(compile_cache.enable()) == str(jax.config.values["jax_compilation_cache_dir"])
jax.jit(lambda x: jax.numpy.sin(x) @ x)(jax.numpy.ones((64, 64)))
"""


def run(**environment):
    kept = {key: value for key, value in os.environ.items() if key != "SIAMJAX_CACHE"}
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=kept | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def programs(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith("-cache"))


def test_compiled_programs_are_kept(tmp_path):
    folder = tmp_path / "mine"
    assert run(SIAMJAX_CACHE=str(folder)) == str(folder)
    first = programs(folder)
    assert first
    run(SIAMJAX_CACHE=str(folder))
    assert programs(folder) == first  # nothing was compiled again


def test_default_place_off_and_the_users_own(tmp_path):
    own_machine = tmp_path / "siamjax" / platform.node()
    assert run(XDG_CACHE_HOME=str(tmp_path)) == str(own_machine)
    assert programs(own_machine)
    assert run(SIAMJAX_CACHE="off") == "None"
    own = tmp_path / "own"
    assert run(JAX_COMPILATION_CACHE_DIR=str(own)) == str(own)


def test_load_turns_it_on(tmp_path, tiny, monkeypatch):
    calls = []
    monkeypatch.setattr(compile_cache, "enable", lambda: calls.append("on"))
    weights.save(tmp_path / "tiny.npz", tiny.config, tiny.variables)
    siamjax.load(tmp_path / "tiny.npz")
    assert calls == ["on"]


@pytest.fixture
def folder(tmp_path):
    """A folder of compiled programs, for this test alone, in which JAX keeps all of its own."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [jax.config.values[name] for name in names]
    for name, value in zip(names, (str(tmp_path), 0.0)):
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield tmp_path
    for name, value in zip(names, before):
        jax.config.update(name, value)
    compilation_cache.reset_cache()


X = {"x": np.arange(3, dtype=np.float32)}


def scaled_anew(traced):
    """A function that JAX has not seen: it keeps what it traced of each."""

    def scaled(power, values, factor):
        traced.append(power)
        return {"scaled": values["x"] ** power * factor}

    return scaled


def as_in_another_process(x=X, power=2, rooms=("geometry",)):
    """The value, and whether the function was traced for it."""
    traced = []
    found = compile_cache.Kept(scaled_anew(traced), 1, rooms, "a test")(power, x, np.float32(3))
    np.testing.assert_array_equal(found["scaled"], x["x"] ** power * 3)
    return bool(traced)


def kept(folder):
    return sorted(folder.glob("siamjax_*.kept"))


def test_kept_programs_are_not_traced_again(folder):
    assert as_in_another_process()
    (path,) = kept(folder)
    assert path.name.startswith("siamjax_scaled-")
    assert not as_in_another_process()


def test_what_is_kept_is_compiled_anew(folder):
    """Before: where JAX's own cache had the program, what was kept of it could be loaded, and
    failed when it was called: "Function slice_bitcast_fusion.30 not found"."""
    jax.jit(lambda x: x + 1)(X["x"])
    own = len(programs(folder))
    assert own >= 1
    assert as_in_another_process(power=5)
    assert len(programs(folder)) == own
    jax.jit(lambda x: x + 2)(X["x"])  # it is on as before
    assert len(programs(folder)) > own


def test_what_does_not_run_is_not_kept(folder, monkeypatch):
    def broken(*_):
        raise ValueError("Function not found")

    with monkeypatch.context() as patch:
        patch.setattr(compile_cache, "_program", broken)
        assert as_in_another_process()
    assert kept(folder) == []


def test_without_a_folder_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setitem(jax.config.values, "jax_compilation_cache_dir", None)
    assert as_in_another_process()
    assert as_in_another_process()
    monkeypatch.setitem(jax.config.values, "jax_compilation_cache_dir", str(tmp_path / "gone"))
    assert as_in_another_process()
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("fault", ["bit", "cut", "empty", "foreign", "pickle"])
def test_a_damaged_program_is_made_again(folder, fault):
    as_in_another_process()
    (path,) = kept(folder)
    content = path.read_bytes()
    if fault in ("foreign", "pickle"):  # whole, but no program
        other = b"another program's" if fault == "foreign" else pickle.dumps((b"", 1, 2))
        path.write_bytes(hashlib.sha256(other).digest() + other)
    else:
        middle = len(content) // 2
        flipped = bytes([content[middle] ^ 4])
        damaged = {"bit": content[:middle] + flipped + content[middle + 1 :]}
        path.write_bytes(damaged.get(fault, content[:middle] if fault == "cut" else b""))
    assert as_in_another_process()
    assert not as_in_another_process()


def test_what_a_program_depends_on(folder, monkeypatch):
    def other(name, value):
        with monkeypatch.context() as patch:
            patch.setattr(compile_cache, name, lambda *_: value)
            return as_in_another_process()

    as_in_another_process()
    assert as_in_another_process(power=3)
    assert as_in_another_process({"x": np.zeros(4, np.float32)})
    assert as_in_another_process({"x": np.zeros(3, np.float16)})
    assert other("_versions", ("jax", "0.1"))
    assert other("_processor", "x86_64 flags: sse2")
    assert other("_cores", 64)
    assert other("_source", "changed")
    assert as_in_another_process(rooms=("geometry", "models"))
    with jax.default_matmul_precision("float32"):
        assert as_in_another_process()
    with monkeypatch.context() as patch:
        patch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
        assert as_in_another_process()
    assert not as_in_another_process()


def test_the_source_is_that_of_the_rooms():
    digests = [compile_cache._source(rooms) for rooms in (("geometry",), ("models",))]
    assert len({*digests}) == 2


def test_the_newest_are_left(folder, monkeypatch):
    monkeypatch.setattr(compile_cache, "_MOST", 2)
    for power in (1, 2):
        as_in_another_process(power=power)
    first, second = kept(folder)
    for age, path in enumerate(kept(folder)):
        os.utime(path, (1000 - age, 1000 - age))
    as_in_another_process(power=3)
    left = kept(folder)
    assert first in left
    assert second not in left
    assert len(left) == 2


def test_values_are_kept_too(folder):
    made = []

    def make():
        made.append(1)
        return [["a", [1, 2]]]

    for parts in (["x"], ["x"], ["y"]):
        assert compile_cache.kept_json("test", ("geometry",), parts, make) == [["a", [1, 2]]]
    assert len(made) == 2
    for path in kept(folder):
        path.write_bytes(hashlib.sha256(b"{").digest() + b"{")
    assert compile_cache.kept_json("test", ("geometry",), ["x"], make) == [["a", [1, 2]]]
    assert len(made) == 3


def test_a_second_start_traces_nothing(folder, tiny, checkpoint, monkeypatch):
    frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)

    def start():
        initialise._kept_shapes.cache_clear()
        for step in (steps.encode, steps.answer):
            monkeypatch.setattr(step, "programs", {})
        tracker = siamjax.load(checkpoint)
        tracker.init(frame, (30, 30, 40, 30))
        return tracker.update(frame)

    def traced(*_):
        raise AssertionError("traced")

    first = start()
    monkeypatch.setattr(compile_cache.Kept, "_compiled", traced)
    monkeypatch.setattr(initialise, "_shapes", traced)
    assert start() == first


def test_a_long_compilation_is_announced_once(folder, caplog, monkeypatch):
    """Before: with an empty cache `siamjax track` said nothing for 16 s: each of its programs took
    less than the 3 s of processor time from which one was announced."""

    def compiled(value):
        deadline = time.monotonic() + 30
        while len(caplog.messages) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        return 2 * value

    monkeypatch.setattr(compile_cache, "_said", set())
    monkeypatch.setattr(compile_cache, "_LONG", 3600.0)
    wanted = 0
    assert compile_cache.Announcing(compiled, "the network")(1) == 2
    assert caplog.messages == []
    # further programs of the same count with those before
    monkeypatch.setattr(compile_cache, "_spent", {"the network": 3600.0})
    program, wanted = compile_cache.Announcing(compiled, "the network"), 1
    assert [program(2), program(3)] == [4, 6]  # the second call compiles nothing
    line = f"loading or compiling the network ... (kept in {folder} for the next start)"
    assert caplog.messages == [line]
    assert compile_cache.Announcing(compiled, "the network")(1) == 2
    assert compile_cache.Announcing(compiled, "the step")(1) == 2
    assert caplog.messages == [line]
