"""Devices and hosts: the only module that maps a step over them.

The state is one copy for all devices; the batch is split, first over the hosts, then over each
host's devices.
"""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Shaped

from siamjax import compile_cache
from siamjax.errors import UserError

AXIS = "devices"
_MESSAGE = 2000  # most bytes of an error's text that travel


def initialise(flag: str) -> None:
    """Joins the processes of a run on several hosts; call it before anything else uses JAX.

    Args:
        flag: "" for a single process, "auto" where JAX finds the cluster itself (Slurm, TPU pods,
            Kubernetes, MPI), or "HOST:PORT,PROCESSES,INDEX": the address of process 0, how many
            there are, and which one this is.

    Raises:
        UserError: a flag of another form.
    """
    if flag == "auto":
        jax.distributed.initialize()
    elif flag:
        try:
            address, processes, index = flag.split(",")
            processes, index = int(processes), int(index)
        except ValueError:
            raise UserError(
                f"--distributed={flag}: give auto or HOST:PORT,PROCESSES,INDEX"
            ) from None
        jax.distributed.initialize(address, processes, index)


def host_batch_size(batch_size: int, accumulate: int) -> int:
    """This host's share of the batch.

    Raises:
        UserError: the batch can't be split evenly over the devices and their parts.
    """
    devices = jax.device_count()
    if batch_size < 1 or accumulate < 1 or batch_size % (devices * accumulate):
        raise UserError(
            f"--config.train.batch_size={batch_size} can't be split over {devices} device(s) x "
            f"{accumulate} part(s) (train.accumulate); give a multiple of "
            f"{devices * max(accumulate, 1)}"
        )
    return batch_size // devices * jax.local_device_count()


def compile_step(step: Callable) -> Callable:
    """Maps `step(state, batch) -> (state, metrics)` over all devices of all hosts.

    The given state must not be used again: its memory goes to the new one.

    Args:
        step: from `siamjax.training.step.make_step` with axis `AXIS`.

    Returns:
        The same function for the whole state and a batch from `put`; read its metrics by `first`.
    """
    program = jax.pmap(
        step, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, 0), donate_argnums=(0,)
    )
    return compile_cache.Announcing(program, "the training step")


def replicate(state):
    """Puts one copy of the state on each of this host's devices, in the form in which steps return
    it (in any other form the first step would be compiled for itself)."""
    return jax.device_put(state, _sharding(PartitionSpec()))


def put(batch):
    """Starts the copy of this host's batch (leading axis pairs) onto its devices (leading axes
    device, pairs)."""
    devices = jax.local_device_count()
    split = {name: x.reshape(devices, -1, *x.shape[1:]) for name, x in batch.items()}
    return jax.device_put(split, _sharding(PartitionSpec(AXIS)))


def _sharding(spec):
    return NamedSharding(Mesh(np.array(jax.local_devices()), (AXIS,)), spec)


def from_lead(make: Callable[[], Any]) -> Any:
    """What the first host's `make` gives, on every host: JSON values.

    Raises:
        UserError: the one that `make` raised there.
    """
    if jax.process_count() == 1:
        return make()
    text = b""
    if jax.process_index() == 0:
        try:
            text = json.dumps({"value": make()}).encode()
        except UserError as error:
            text = json.dumps({"error": str(error)}).encode()
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    data = np.frombuffer(text.ljust(size, b" ")[:size], np.uint8)
    told = json.loads(np.asarray(multihost_utils.broadcast_one_to_all(data)).tobytes())
    if "error" in told:
        raise UserError(told["error"])
    return told["value"]


def on_all(act: Callable[[], object]) -> None:
    """Does something on every host, and returns when it is done on all.

    Raises:
        UserError: the one that `act` raised on the first host where it did.
    """
    if jax.process_count() == 1:
        act()
        return
    told = b""
    try:
        act()
    except UserError as error:
        told = str(error).encode()
    mine = np.frombuffer(told[:_MESSAGE].ljust(_MESSAGE, b" "), np.uint8)
    for message in np.asarray(multihost_utils.process_allgather(mine)):
        if text := message.tobytes().decode(errors="replace").strip():
            raise UserError(text)


def array(metric) -> Shaped[np.ndarray, "..."]:
    """One metric that is an array, from this host's first device; waits for its step."""
    return np.asarray(metric.addressable_shards[0].data)[0]


def first(metrics) -> dict[str, float]:
    """The metrics as numbers, from this host's first device; waits for the step that makes them."""
    return {name: np.asarray(x.addressable_shards[0].data).item() for name, x in metrics.items()}
