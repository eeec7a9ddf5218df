import os
import subprocess
import sys
import time

from siamjax.models import weights

LOAD = """
import jax, time, siamjax
jax.numpy.zeros(3).block_until_ready()  # something was compiled before
siamjax.load({path!r})
print(jax.config.jax_compilation_cache_dir)
"""


def load(path, **environment):
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(path=str(path))],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), time.perf_counter() - started


def test_compiled_programs_are_kept(tmp_path, tiny):
    weights.save(tmp_path / "tiny.npz", tiny.config, tiny.variables)
    cache = tmp_path / "cache"
    short = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    folder, _ = load(tmp_path / "tiny.npz", SIAMJAX_CACHE=str(cache), **short)
    assert folder == str(cache)
    kept = sorted(cache.iterdir())
    assert kept
    load(tmp_path / "tiny.npz", SIAMJAX_CACHE=str(cache), **short)
    assert [p for p in sorted(cache.iterdir()) if p.name.endswith("-cache")] == [
        p for p in kept if p.name.endswith("-cache")
    ]  # nothing had to be compiled again


def test_default_place_off_and_the_users_own(tmp_path, tiny):
    weights.save(tmp_path / "tiny.npz", tiny.config, tiny.variables)
    path = tmp_path / "tiny.npz"
    environment = {k: v for k, v in os.environ.items() if k != "SIAMJAX_CACHE"}
    default = subprocess.run(
        [sys.executable, "-c", LOAD.format(path=str(path))],
        env=environment | {"XDG_CACHE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert default.stdout.strip() == str(tmp_path / "home" / "siamjax")
    assert load(path, SIAMJAX_CACHE="off")[0] == "None"
    own = str(tmp_path / "own")
    assert load(path, SIAMJAX_CACHE="", JAX_COMPILATION_CACHE_DIR=own)[0] == own
