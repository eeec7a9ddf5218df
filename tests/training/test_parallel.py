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
    np.testing.assert_array_equal(after["a"], np.float32([1, 2]) + np.float32(total))
    assert state["a"].is_deleted()
    assert not put["x"].is_deleted()


def test_one_host_decides_alone():
    done = []
    assert parallel.from_lead(lambda: {"step": 3}) == {"step": 3}
    parallel.on_all(lambda: done.append(1))
    assert done == [1]
    for several in (parallel.from_lead, parallel.on_all):
        with pytest.raises(UserError, match="no"):
            several(fail)


def fail():
    raise UserError("no")


def several_hosts(monkeypatch, index, tell):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: index)
    monkeypatch.setattr(parallel.multihost_utils, "broadcast_one_to_all", tell)


@pytest.mark.parametrize("make, given", [(lambda: ["é", 7, None], ["é", 7, None]), (fail, None)])
def test_the_lead_decides_for_all(monkeypatch, make, given):
    """What the lead broadcasts is what the others get: values, and errors."""

    def outcome(make):
        try:
            return parallel.from_lead(make)
        except UserError as error:
            return str(error)

    expected = "no" if given is None else given
    sent = []
    several_hosts(monkeypatch, 0, lambda x: sent.append(x) or x)
    assert outcome(make) == expected
    size, data = sent
    assert size == len(data)
    several_hosts(monkeypatch, 1, lambda _: sent.pop(0))
    assert outcome(lambda: 1 / 0) == expected  # its own is not asked


def test_an_error_on_one_host_is_everybodys(monkeypatch):
    several_hosts(monkeypatch, 1, None)
    other = np.frombuffer(b"host 0 cannot".ljust(parallel._MESSAGE), np.uint8)
    gather = lambda mine: np.stack([other, mine])  # noqa: E731
    monkeypatch.setattr(parallel.multihost_utils, "process_allgather", gather)
    with pytest.raises(UserError, match=r"^host 0 cannot$"):
        parallel.on_all(list)
    other = np.frombuffer(b"".ljust(parallel._MESSAGE), np.uint8)
    parallel.on_all(list)
    with pytest.raises(UserError, match=r"^no$"):
        parallel.on_all(fail)


def test_flag_of_several_hosts(monkeypatch):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args: calls.append(args))
    for flag in ("", "auto", "10.0.0.1:1234,4,3"):
        parallel.initialise(flag)
    assert calls == [(), ("10.0.0.1:1234", 4, 3)]
