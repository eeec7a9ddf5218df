"""Devices and hosts: the only module that maps a step over them.

The state is one copy for all devices; the batch is split, first over the hosts, then over each
host's devices.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from siamjax.errors import UserError

AXIS = "devices"


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
    return jax.pmap(
        step, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, 0), donate_argnums=(0,)
    )


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


def from_first_host(number: float | None) -> float | None:
    """The number that the first host gives, on every host; None stays None."""
    if jax.process_count() == 1:
        return number
    given = np.float32(np.nan if number is None else number)
    number = float(multihost_utils.broadcast_one_to_all(given))
    return None if np.isnan(number) else number


def first(metrics) -> dict[str, float]:
    """The metrics as numbers, from this host's first device; waits for the step that makes them."""
    return {name: np.asarray(x.addressable_shards[0].data).item() for name, x in metrics.items()}


def ready(metrics) -> bool:
    """Whether the step that makes these metrics is done."""
    return all(x.is_ready() for x in metrics.values())
