"""Pairs that the network was wrong on, drawn again in the next epoch (hard example mining).

A pair is wrong where the network would answer with something else than the target
(`losses.wrongness` above 0), as the training step itself finds out. A pair is a function of its
position, so what is kept is a list of positions; which of them a later position shows again is
drawn from the seed, and the list is part of each checkpoint: a resumed run draws the same pairs.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import ml_collections

from siamjax.data import loader
from siamjax.data.sampling import Sampler


class Miner:
    """What was found in this epoch, and what is drawn again in it.

    Attributes:
        sampler: of this epoch; its `mined` are the positions found in the epoch before, the worst
            first.
    """

    sampler: Sampler

    def __init__(self, config: ml_collections.ConfigDict, state: dict[str, Any] | None = None):
        """
        Args:
            config: the experiment.
            state: of a checkpoint; None: nothing is known yet.
        """
        self._batch, self._most = config.train.batch_size, config.data.mined_kept
        known = state or {"mined": [], "found": []}
        self.sampler = loader.make_sampler(config, tuple(known["mined"]))
        self._found: dict[int, float] = {int(p): float(wrong) for p, wrong in known["found"]}

    def add(self, step: int, wrong: Sequence[float]) -> None:
        """Notes the pairs of a step.

        Args:
            step: counts from 1.
            wrong: of each pair of the whole batch, above 0 where the answer is.
        """
        first = (step - 1) * self._batch
        for position, value in enumerate(map(float, wrong), first):
            if value > 0:
                root = self.sampler.root(position)
                self._found[root] = max(value, self._found.get(root, 0.0))
        if len(self._found) > 2 * self._most:
            self._found = {position: self._found[position] for position in self._worst()}

    def turn(self) -> None:
        """Ends an epoch: what was found in it is drawn again in the next one."""
        self.sampler = dataclasses.replace(self.sampler, mined=tuple(self._worst()))
        self._found = {}

    def state(self) -> dict[str, Any]:
        """JSON values from which the miner can be built again."""
        return {"mined": list(self.sampler.mined), "found": [list(x) for x in self._found.items()]}

    def _worst(self) -> list[int]:
        order = sorted(self._found, key=lambda position: (-self._found[position], position))
        return order[: self._most]
