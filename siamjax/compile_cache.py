"""Compiled programs kept on disk, so that the next start takes seconds less."""

import os
import platform
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache


def enable() -> Path | None:
    """Turns on JAX's persistent compilation cache, unless it was set up already.

    The folder is $SIAMJAX_CACHE, else `siamjax/<host name>` under the user's cache folder: programs
    for the CPU are made for one kind of CPU, so machines that share a home do not share them.
    SIAMJAX_CACHE=off leaves the cache off.

    Returns:
        The folder in use; None where there is none.
    """
    present = jax.config.values["jax_compilation_cache_dir"]
    wanted = os.environ.get("SIAMJAX_CACHE")
    if present or wanted == "off":
        return Path(present) if present else None
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(wanted) if wanted else home / "siamjax" / platform.node()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home: track without
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    compilation_cache.reset_cache()  # it may have been found off by an earlier compilation
    return folder
