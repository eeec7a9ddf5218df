"""What a benchmark ran on, for its results, what a call takes, and how two versions compare."""

import json
import os
import platform
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np


def machine() -> dict:
    """Device, processor, cores this process may use, versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    about = dict(line.split(":", 1) for line in lines if ":" in line)
    about = {key.strip(): value.strip() for key, value in about.items()}
    kind = [about[key] for key in ("cpu family", "model") if key in about]
    return {
        "device": jax.devices()[0].device_kind,
        "processor": " ".join([about.get("model name", platform.processor()), *kind]),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
    }


def memory() -> dict:
    """Most that the device and this process held so far, MiB."""
    most = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"device_mib": most and round(most / 2**20), "host_mib": round(host)}


def child_seconds(command: Sequence, **options) -> tuple[float, float]:
    """Wall seconds of a process, and its user and system time.

    Args:
        command, options: as `subprocess.run` takes them; it has to succeed.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, **options)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds(work, *arguments) -> tuple[float, float]:
    """Wall and processor seconds of a call."""
    started = time.perf_counter(), time.process_time()
    work(*arguments)
    return time.perf_counter() - started[0], time.process_time() - started[1]


def interval(ratios: np.ndarray, draws: int = 10_000) -> list[float]:
    """Geometric mean of ratios (N,), low and high end of its 95 % interval by bootstrap."""
    logs = np.log(ratios)
    means = np.random.default_rng(0).choice(logs, (draws, len(logs))).mean(1)
    return np.exp([logs.mean(), *np.quantile(means, (0.025, 0.975))]).tolist()


def keep(results: dict, out: str | None) -> None:
    """Writes results to a file, if one is named."""
    if out:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(results, indent=1) + "\n")
