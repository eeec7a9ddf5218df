import os
import platform
import subprocess
import sys

import siamjax
from siamjax import compile_cache
from siamjax.models import weights

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
