"""Compiled programs kept on disk, so that the next start of a tracker takes seconds less."""

import os
from pathlib import Path

import jax


def enable() -> Path | None:
    """Turns on JAX's persistent compilation cache, unless it was set up already.

    The folder is $SIAMJAX_CACHE, else `siamjax` under the user's cache folder; SIAMJAX_CACHE=off
    leaves the cache off.

    Returns:
        The folder in use; None where there is none.
    """
    present = jax.config.values["jax_compilation_cache_dir"]
    wanted = os.environ.get("SIAMJAX_CACHE")
    if present or wanted == "off":
        return Path(present) if present else None
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(wanted) if wanted else home / "siamjax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home: track without
        return None
    from jax.experimental.compilation_cache import compilation_cache

    jax.config.update("jax_compilation_cache_dir", str(folder))
    compilation_cache.reset_cache()  # it may have been found off by an earlier compilation
    return folder
