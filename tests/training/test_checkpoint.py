"""What a checkpoint holds, and which errors of saving it are the disk's."""

import platform

import jax
import numpy as np
import optax
import pytest

from siamjax.errors import UserError
from siamjax.training import checkpoint, saving, state


@pytest.fixture
def small():
    variables = {"params": {"a": np.arange(2, dtype=np.float32)}, "batch_stats": {}}
    return state.create(variables, optax.trace(0.9), ema=False).replace(step=np.int32(3))


@pytest.fixture
def saved(tmp_path):
    found = saving.Checkpoints(tmp_path, keep=2, keep_best=0)
    yield found
    found._manager.close()


def test_meta_of_a_checkpoint(saved, small, tiny, tmp_path):
    saved.save(small, tiny(batch_size=4), {"window": 1}, {"tiny": "abc"})
    saved.close()
    variables, training, meta = checkpoint.read(tmp_path / "checkpoints" / "3", True)
    jax.tree.map(np.testing.assert_array_equal, variables["params"], small.params)
    assert meta["step"] == training["state/step"] == 3
    assert meta["position"] == 12
    assert meta["versions"]["python"] == platform.python_version()
    assert meta["versions"]["jax"] == jax.__version__
    assert meta["extra"] == {"window": 1}
    assert meta["data"] == {"tiny": "abc"}


def test_the_factor_of_the_loss_is_saved(saved, small, tiny):
    """With the steps since it last changed; a state without one takes none."""
    scaled = small.replace(loss_scale={"scale": np.float32(32), "good": np.int32(7)})
    saved.save(scaled, tiny(), {}, {})
    saved.wait()
    restored, _ = saved.restore(scaled.replace(loss_scale={"scale": 0.0, "good": 0}))
    assert restored.loss_scale == {"scale": 32, "good": 7}
    with pytest.raises(UserError, match="loss_scale/good"):
        saved.restore(small)


def test_newest_are_kept(saved, small, tiny):
    for step in (3, 4, 5):
        saved.save(small.replace(step=np.int32(step)), tiny(), {}, {})
    saved.close()
    assert saved.steps() == [4, 5]


def test_what_is_no_fault_of_the_disk_is_not_called_one(saved, small, tiny):
    with pytest.raises(TypeError, match="JSON"):
        saved.save(small, tiny(), {"window": object()}, {})


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left"),
        ValueError("RESOURCE_EXHAUSTED: No space left\n [os_error_code='28']" + 300 * "x"),
    ],
)
def test_what_the_operating_system_refuses_is_one_line(saved, small, tiny, monkeypatch, error):
    saved.save(small, tiny(), {}, {})
    saved._manager.wait_until_finished()

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(saved._manager, "save", fail)
    with pytest.raises(UserError, match="No space left") as raised:
        saved.save(small.replace(step=np.int32(4)), tiny(), {}, {})
    message = str(raised.value)
    assert "free some space" in message
    assert "step 3 is safe" in message
    reason = " ".join(str(error).split())
    assert f"({reason[:300]})" in message


def test_a_checkpoint_of_another_network_is_refused(saved, small, tiny):
    saved.save(small, tiny(), {}, {})
    saved.close()
    other = small.replace(params={"a": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match=r"params/a is \(2,\) there, \(3,\) in the network"):
        saved.restore(other)
    other = small.replace(params={"b": np.zeros(2, np.float32)})
    with pytest.raises(UserError, match=r"params/a is \(2,\) there, absent in the network"):
        saved.restore(other)
    found, meta = saved.restore(small)
    assert jax.tree.structure(found) == jax.tree.structure(small)
    assert (meta["step"], meta["extra"]) == (3, {})
