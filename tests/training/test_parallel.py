"""Devices and hosts, on one device."""

import jax
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.training import parallel


def test_a_host_s_share_is_a_whole_number():
    assert isinstance(parallel.host_batch_size(8 * jax.device_count(), 2), int)
    for batch_size, accumulate in ((0, 1), (8, 0), (2, 4 * jax.device_count())):
        with pytest.raises(UserError, match="can't be split"):
            parallel.host_batch_size(batch_size, accumulate)
    assert parallel.host_batch_size(jax.device_count(), 1) == jax.local_device_count()


def test_a_mapped_step_uses_up_its_state():
    def step(state, batch):
        total = jax.lax.psum(batch["x"].sum(), parallel.AXIS)
        return {"a": state["a"] + total}, {"total": total}

    devices = jax.local_device_count()
    batch = {"x": np.arange(2 * devices, dtype=np.float32), "y": np.zeros((2 * devices, 3, 4))}
    state = parallel.replicate({"a": np.float32([1, 2])})
    put = parallel.put(batch)
    assert {name: x.shape for name, x in put.items()} == {
        "x": (devices, 2),
        "y": (devices, 2, 3, 4),
    }
    after, metrics = parallel.compile_step(step)(state, put)
    total = float(batch["x"].sum())
    assert parallel.first(metrics) == {"total": total}
    assert parallel.ready(metrics)
    np.testing.assert_array_equal(after["a"], np.float32([1, 2]) + np.float32(total))
    assert state["a"].is_deleted()
    assert not put["x"].is_deleted()


def test_one_host_keeps_its_number():
    assert parallel.from_first_host(0.1) == 0.1
    assert parallel.from_first_host(None) is None


def test_flag_of_several_hosts(monkeypatch):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args: calls.append(args))
    for flag in ("", "auto", "10.0.0.1:1234,4,3"):
        parallel.initialise(flag)
    assert calls == [(), ("10.0.0.1:1234", 4, 3)]
