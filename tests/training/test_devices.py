"""The real network's step over devices, processes and parts of a batch."""

import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from siamjax.config import to_json
from siamjax.training import checkpoint, loop

pytestmark = pytest.mark.slow

# Five steps of a tiny network, run in a process of its own because the number of devices is fixed
# when JAX starts. Arguments: config (JSON), file for the parameters, value of --distributed.
SCRIPT = """
import sys
import flax.traverse_util
import jax
import numpy as np
from siamjax import models
from siamjax.config import from_json
from siamjax.data import loader
from siamjax.training import initial, optimizer, parallel, state, step

parallel.initialise(sys.argv[3])
config = from_json(open(sys.argv[1]).read())
model = models.build(config)
variables = initial.initial_variables(config, model)
labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
model = model.clone(bn_axis_name=parallel.AXIS if config.train.sync_bn else None)
now = state.create(variables, optimizer.make(config.train, labels), False)
now = parallel.replicate(now)
size = parallel.host_batch_size(config.train.batch_size, config.train.accumulate)
batches = loader.make_loader(
    config, batch_size=size, host=jax.process_index(), hosts=jax.process_count()
)
programs, losses = {}, []
for number in range(5):
    phase = optimizer.phase_of(config.train, number // 2)
    if phase.name not in programs:
        one = step.make_step(config, model, labels, phase, 2, parallel.AXIS)
        programs[phase.name] = parallel.compile_step(one)
    now, metrics = programs[phase.name](now, parallel.put(next(batches)))
    losses.append(parallel.first(metrics)["loss"])
batches.close()
now = state.to_host(now)
arrays = flax.traverse_util.flatten_dict(
    {"params": now.params, "batch_stats": now.batch_stats}, sep="/"
)
if jax.process_index() == 0:
    np.savez(sys.argv[2], losses=losses, devices=jax.device_count(), **arrays)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def five_steps(tmp_path_factory):
    """run(config, devices, processes) -> {name: array} after five steps, three of them unfrozen."""

    def run(config, devices=1, processes=1):
        folder = tmp_path_factory.mktemp("steps")
        (folder / "config.json").write_text(to_json(config))
        (folder / "run.py").write_text(SCRIPT)
        port = free_port()
        flags = f"--xla_force_host_platform_device_count={devices // processes}"
        children = [
            subprocess.Popen(
                [
                    sys.executable,
                    folder / "run.py",
                    folder / "config.json",
                    folder / "out.npz",
                    f"127.0.0.1:{port},{processes},{index}" if processes > 1 else "",
                ],
                env=os.environ | {"XLA_FLAGS": flags},
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in range(processes)
        ]
        for child in children:
            _, errors = child.communicate()
            assert child.returncode == 0, errors
        result = dict(np.load(folder / "out.npz"))
        assert result.pop("devices") == devices
        return result

    return run


def distance(a, b):
    """Largest difference, relative to the largest value, of any tensor."""
    return max(np.abs(a[k] - b[k]).max() / max(np.abs(a[k]).max(), 1e-3) for k in a)


@pytest.fixture(scope="module")
def config(tiny):
    def make(**fields):
        return tiny(batch_size=8, epochs=9, data__pairs_per_epoch=16, **fields)

    return make


@pytest.fixture(scope="module")
def one_device(five_steps, config):
    return five_steps(config())


@pytest.mark.parametrize("devices,processes", [(2, 1), (8, 1), (2, 2)])
def test_devices_equal_one(five_steps, config, one_device, devices, processes):
    found = five_steps(config(), devices, processes)
    print(f"{devices} devices, {processes} processes: {distance(one_device, found):.1e}")
    assert distance(one_device, found) < 1e-5


def test_statistics_per_device_differ(five_steps, config, one_device):
    """Without synchronised statistics two devices are two small batches."""
    assert distance(one_device, five_steps(config(sync_bn=False), devices=2)) > 1e-4


def test_accumulation_equals_one_batch(five_steps, config):
    whole = five_steps(config(freeze_bn=True))
    parts = five_steps(config(freeze_bn=True, accumulate=4))
    print(f"4 parts: {distance(whole, parts):.1e}")
    assert distance(whole, parts) < 1e-5


def test_quirks_sum_over_devices(five_steps, config):
    """Parts of an accumulated batch stand for the reference's devices: both are summed."""
    fields = {"freeze_bn": True, "reference_quirks": True}
    devices = five_steps(config(**fields), devices=2)
    parts = five_steps(config(**fields, accumulate=2))
    assert distance(devices, parts) < 1e-5


def test_processes_stop_at_the_same_step_and_resume(tiny, tmp_path, run_train):
    """SIGTERM to one of two processes; then one process alone finishes the run."""
    config = tiny(data__pairs_per_epoch=200, epochs=2, unfreeze_epoch=2)
    workdir, port = tmp_path / "run", free_port()
    processes = [
        run_train(config, workdir, arguments=[f"--distributed=127.0.0.1:{port},2,{index}"])
        for index in range(2)
    ]
    lines = workdir / "metrics.jsonl"
    while processes[0].poll() is None and not (lines.exists() and lines.stat().st_size):
        time.sleep(0.01)
    processes[1].terminate()
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 143, errors
    done = json.loads(lines.read_text().splitlines()[-1])["step"]
    assert checkpoint.load_variables(workdir)[2] == done < 200
    assert loop.train(config, workdir)["finished"]
    steps = [json.loads(line)["step"] for line in lines.read_text().splitlines()]
    assert steps == list(range(1, 201))


class Pair:
    """Two processes of one run."""

    def __init__(self, start, config, workdir):
        flag = f"--distributed=127.0.0.1:{free_port()},2,"
        self.lines = workdir / "metrics.jsonl"
        self.processes = [start(config, workdir, arguments=[f"{flag}{i}"]) for i in range(2)]

    def wait_for(self, count):
        while self.processes[0].poll() is None:
            if self.lines.exists() and self.lines.read_text().count("\n") >= count:
                return
            time.sleep(0.01)
        raise AssertionError(self.processes[0].communicate()[1])

    def finish(self):
        for process in self.processes:
            _, errors = process.communicate()
            assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def long(tiny):
    """120 steps at a low rate, at which rounding does not grow."""
    rates = dict.fromkeys(("warmup_start", "warmup_end", "lr_start", "lr_end"), 1e-5)
    size = {"data__pairs_per_epoch": 120, "epochs": 2, "unfreeze_epoch": 2}
    return tiny(checkpoint_every=10, **size, **rates)


@pytest.fixture(scope="module")
def by_two(long, tmp_path_factory, start_train):
    """The state that two processes reach without interruption."""
    folder = tmp_path_factory.mktemp("two")
    Pair(start_train, long, folder / "run").finish()
    return checkpoint.read(folder / "run" / "checkpoints" / "120", True)[:2]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_host_that_is_killed(long, by_two, tmp_path, run_train, victim):
    """The other ends with a line; two resume bit for bit, one within 1e-6. Before: after SIGKILL of
    the second of two `run_train.py --distributed=...` the first aborted 95 s later with 83 lines,
    most of them C++ ("Check failure stack trace")."""
    workdir = tmp_path / "run"
    pair = Pair(run_train, long, workdir)
    pair.wait_for(25)
    pair.processes[victim].kill()
    begin = time.monotonic()
    _, errors = pair.processes[1 - victim].communicate()
    assert time.monotonic() - begin < 60
    assert pair.processes[1 - victim].returncode == (3 if victim else -signal.SIGABRT)
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert re.match(rf"error: host .* \(process {victim} of 2\) shows no sign of life", line)
    step, command = line.split("resume from step ")[1].split(", here: python")
    assert int(step) in (20, 30, 40)
    assert f"run_train.py --config={tmp_path}/experiment.py --workdir={workdir}" in command
    assert not (workdir / ".hosts").exists()
    shutil.copytree(workdir, tmp_path / "alone")

    Pair(run_train, long, workdir).finish()
    found = checkpoint.read(workdir / "checkpoints" / "120", True)[:2]
    jax.tree.map(np.testing.assert_array_equal, found, by_two)
    assert loop.train(long, tmp_path / "alone")["finished"]
    found = checkpoint.read(tmp_path / "alone" / "checkpoints" / "120", True)[0]
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
    jax.tree.map(close, found, by_two[0])


def test_the_lead_chooses_the_checkpoint(long, tmp_path, run_train):
    """One of two hosts can't read the newest: all take the lead's choice, or none trains alone.
    Before: with a workdir in which the second could not read the newest checkpoint, 15, the first
    said "can't be read: sync_global_devices name mismatch", and neither ended in 150 s."""
    workdir = tmp_path / "run"
    pair = Pair(run_train, long, workdir)
    pair.wait_for(25)
    pair.processes[1].terminate()
    for process in pair.processes:
        process.communicate()
    newest = checkpoint.saved_steps(workdir / "checkpoints")[-1]
    for path in (workdir / "checkpoints" / str(newest) / "training" / "d").iterdir():
        path.write_bytes(b"")
    pair = Pair(run_train, long, workdir)
    outputs = [process.communicate()[1] for process in pair.processes]
    assert [process.returncode for process in pair.processes] == [0, 0], outputs
    assert f"moved {workdir}/checkpoints/{newest} to" in outputs[0]
    assert "resumes from step 20 of 120" in outputs[0]
    assert "moved" not in outputs[1]
    steps = [json.loads(line)["step"] for line in pair.lines.read_text().splitlines()]
    assert steps == list(range(1, 121))
