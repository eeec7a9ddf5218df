"""Pairs the network was wrong on: which they are, that they come again, that a run resumes."""

import json
import signal
import time

import jax
import numpy as np
import pytest

from siamjax.data.loader import Examples
from siamjax.errors import UserError
from siamjax.training import checkpoint, loop, losses, metrics, mining, resume


def test_wrongness_by_hand():
    """Four pairs with two anchors on one cell: an object's probability is .5 and .75, in the third
    .9 and .25."""
    logit = {0.5: 0.0, 0.75: np.log(3), 0.9: np.log(9), 0.25: -np.log(3)}
    chances = [(0.5, 0.75), (0.5, 0.75), (0.9, 0.25), (0.5, 0.75)]
    # channels: class * anchors + anchor
    cls = np.float32([[[[0, 0, logit[a], logit[b]]]] for a, b in chances])
    label = np.int8([[1, 0], [0, -1], [1, 0], [1, -1]]).reshape(4, 2, 1, 1)
    expected = [0.75 - 0.5, 0.5 - 0.5, 0.25 - 0.9, -1]
    np.testing.assert_allclose(losses.wrongness(cls, label), expected, atol=1e-6)


def test_the_worst_of_an_epoch_come_again(tiny):
    miner = mining.Miner(tiny(data__mined=0.5, data__mined_kept=3))
    assert miner.sampler.mined == ()
    miner.add(1, [0.2, -0.1])
    miner.add(2, [0.0, 0.9])
    miner.add(3, [0.3, 0.1])
    assert miner.state() == {"mined": [], "found": [[0, 0.2], [3, 0.9], [4, 0.3], [5, 0.1]]}
    miner.turn()
    assert miner.sampler.mined == (3, 4, 0)
    # what is shown again is found under its own position, with the worst of its values
    shown = [p for p in range(8, 40) if miner.sampler.root(p) == 3][:2]
    for position in shown:
        wrong = [0.0, 0.0]
        wrong[position % 2] = 0.4 + position / 100
        miner.add(position // 2 + 1, wrong)
    assert miner.state()["found"] == [[3, 0.4 + shown[-1] / 100]]
    miner.turn()
    assert miner.sampler.mined == (3,)
    miner.turn()
    assert miner.sampler.mined == ()


def test_a_miner_is_built_again_from_its_state(tiny):
    """Also after it has let go what is not bad enough."""
    config = tiny(data__mined=0.5, data__mined_kept=4)
    rng = np.random.default_rng(0)
    whole, other = mining.Miner(config), mining.Miner(config)
    for step in range(1, 60):
        wrong = rng.normal(size=2).astype(np.float32).tolist()
        whole.add(step, wrong)
        other.add(step, wrong)
        if step % 7 == 0:
            other = mining.Miner(config, json.loads(json.dumps(other.state())))
        if step % 20 == 0:
            whole.turn()
            other.turn()
            assert len(whole.sampler.mined) == 4
        assert whole.state() == other.state()
        assert len(whole.state()["found"]) <= 9


def test_mined_pairs_show_the_same_crops(tiny):
    config = tiny(data__mined=0.9)
    plain, again = Examples(config), Examples(config, mined=(5,))
    position = next(p for p in range(8, 100) if again.sampler.root(p) == 5)
    assert again[position].pair == plain[5].pair
    assert not np.array_equal(again[position].search, plain[5].search)  # augmented anew


def test_a_stopped_run_equals_one_that_was_not(tiny, tmp_path, monkeypatch):
    """Stopped in the epoch that mines, at its end and in the next; the weights are equal bit for
    bit, and the loader of each epoch gets what the one before it found."""
    config = tiny(epochs=3, unfreeze_epoch=9, data__mined=0.5, data__mined_kept=4, keep=20)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    given: list[tuple] = []
    make_loader = loop.loader_lib.make_loader

    def noting(config, *, start_step, mined, **others):
        given.append((start_step, mined))
        return make_loader(config, start_step=start_step, mined=mined, **others)

    monkeypatch.setattr(loop.loader_lib, "make_loader", noting)
    loop.train(config, whole)
    assert [step for step, _ in given] == [0, 4, 8]
    assert [len(mined) for _, mined in given] == [0, 4, 4]
    assert given[1][1] != given[2][1]
    real, stops = loop._Run._record, [3, 4, 6]

    def record(self):
        if stops and self.done == stops[0]:
            stops.pop(0)
            signal.raise_signal(signal.SIGTERM)
            end = time.monotonic() + 60
            while self.stop.signal is None and time.monotonic() < end:
                time.sleep(0.001)
        real(self)

    monkeypatch.setattr(loop._Run, "_record", record)
    assert [loop.train(config, stopped)["finished"] for _ in range(4)] == [False] * 3 + [True]
    assert {*given[3:]} >= {(3, ()), given[1], given[2]}
    for step in (4, 8, 12):
        items = [checkpoint.read(w / f"checkpoints/{step}", True) for w in (whole, stopped)]
        jax.tree.map(np.testing.assert_array_equal, *(item[:2] for item in items))
        states = [item[2]["extra"]["mining"] for item in items]
        assert states[0] == states[1]
    rows = [
        [(x["step"], x["loss"], x["mined"]) for x in metrics.read_lines(w / "metrics.jsonl")]
        for w in (whole, stopped)
    ]
    assert rows[0] == rows[1]
    assert [number for _, _, number in rows[0]] == [0] * 4 + [4] * 8


def test_runs_of_before_do_not_mine(tiny, tmp_path):
    """They resume with a config whose new fields change nothing."""
    config = tiny(epochs=1, unfreeze_epoch=9)
    old = config.copy_and_resolve_references().unlock()
    for name in ("alike", "mined", "mined_kept"):
        del old.data[name]
    loop.train(old.lock(), tmp_path)
    resume.check(tmp_path, config, resume.identity(config))
    with pytest.raises(UserError, match=r"data\.mined: 0\.0 -> 0\.5"):
        resume.check(
            tmp_path, tiny(epochs=1, unfreeze_epoch=9, data__mined=0.5), resume.identity(config)
        )
