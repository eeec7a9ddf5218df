"""Several targets in one video: one pass of the network per frame, as far as their windows allow.

Windows of one size go through the network together, in batches of a few fixed sizes, so that
another number of targets compiles nothing new. A target's track is that of a tracker of its own
within the float rounding of a batch.
"""

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import jax
import numpy as np

from siamjax.errors import UserError
from siamjax.tracking.frames import as_bgr
from siamjax.tracking.session import Prediction, Search, Tracker

# Sizes of the batches. Accelerators repeat the last window up to the next size. A CPU splits: with
# small networks more than two at a time fall out of its cache (benchmarks/multi.py).
SIZES = (1, 2, 4, 8)
MOST_ON_CPU = 2


class Shared:
    """A tracker's network, which answers several targets together.

    Attributes:
        tracker: holds the weights, and no target.
        pads: whether a pass may be larger than what it takes: accelerators take no longer.

    Args:
        tracker: of `siamjax.load`; its own target is left alone.
        user: what takes it, for the message.

    Raises:
        UserError: another kind of tracker.
    """

    def __init__(self, tracker, user: str):
        if not isinstance(tracker, Tracker):
            kind = type(tracker).__name__
            raise UserError(f"{user} takes a tracker of siamjax.load, not {kind}")
        self.tracker = tracker.sibling()
        self.pads = jax.devices()[0].platform != "cpu"
        self._compiled = {1}  # sizes of passes

    def prepare(self, count: int) -> None:
        """Compiles what so many targets need."""
        needed = {self._batch(n)[0] for n in range(2, count + 1)} - self._compiled
        for size, lost in itertools.product(needed, {False, self.tracker.constants.long_term}):
            search = self.tracker.blank_search(lost)
            jax.block_until_ready(self.tracker.answer_together([search], size))
        self._compiled |= needed

    def answers(self, searches: Sequence[Search]) -> list[tuple]:
        """What `Tracker.advance` takes behind each search; the device may still work on the later
        ones. Windows of one size go through the network together."""
        found: list[tuple] = [()] * len(searches)
        passes = []
        for instance in sorted({search.window.instance for search in searches}):
            left = [i for i, search in enumerate(searches) if search.window.instance == instance]
            while left:
                size, count = self._batch(len(left))
                chosen, left = left[:count], left[count:]
                if size == 1:
                    passes.append((chosen, *self.tracker.answer(searches[chosen[0]])))
                else:
                    taken = [searches[i] for i in chosen]
                    passes.append((chosen, *self.tracker.answer_together(taken, size)))
        for chosen, values, response in passes:
            values = np.asarray(values)
            for row, i in enumerate(chosen):
                place = row if values.ndim == 2 else ()
                found[i] = (values[place], response, place)
        return found

    def _batch(self, count: int) -> tuple[int, int]:
        """Size of the next pass for `count` windows, and how many of them it takes."""
        if self.pads:
            taken = min(count, SIZES[-1])
            return next(size for size in SIZES if size >= taken), taken
        size = next(size for size in reversed(SIZES) if size <= min(count, MOST_ON_CPU))
        return size, size


class MultiTracker:
    """Follows targets that come and go.

        targets = siamjax.MultiTracker(siamjax.load())
        dog = targets.add(frame, (x, y, w, h))
        targets.add(frame, (x, y, w, h), "cat")
        for id, prediction in targets.update(next_frame).items():
            print(id, prediction.box)
        targets.remove(dog)

    What a further target needs is compiled by `add`; `update` compiles nothing.

    Args:
        tracker: of `siamjax.load`; its weights are shared, its own target is left alone.

    Raises:
        UserError: another kind of tracker.
    """

    def __init__(self, tracker):
        self._shared = Shared(tracker, "MultiTracker")
        self._targets: dict[int | str, Tracker] = {}
        self._next = 0

    @property
    def targets(self) -> Mapping[int | str, Tracker]:
        """The trackers of the targets by id, in the order in which they came; read only."""
        return MappingProxyType(self._targets)

    def prepare(self, count: int) -> None:
        """Compiles what so many targets need, as `add` does, before there is a frame."""
        self._shared.prepare(count)

    def add(self, frame, box, name: int | str | None = None) -> int | str:
        """Starts a target, or starts a known one again, in this frame.

        Args:
            frame: as `Tracker.init` takes it.
            box: x, y, w, h of the target in px, 0-based.
            name: the target's id. One that is followed already is given a new box and template and
                keeps its place; None: the next unused number.

        Returns:
            The id.

        Raises:
            UserError: as `Tracker.init`; then no target has changed.
        """
        target = self._targets[name] if name in self._targets else self._shared.tracker.sibling()
        target.init(frame, box)
        if name is None:
            while self._next in self._targets:
                self._next += 1
            name, self._next = self._next, self._next + 1
        self._targets[name] = target
        self.prepare(len(self._targets))
        return name

    def update(self, frame) -> dict[int | str, Prediction]:
        """Finds all targets in the next frame.

        Args:
            frame: as `Tracker.update` takes it.

        Returns:
            Predictions by id, in the order in which the targets came.

        Raises:
            UserError: as `Tracker.update`.
        """
        frame = as_bgr(frame, self._shared.tracker.rgb)
        searches = {id: target.search(frame) for id, target in self._targets.items()}
        found = self._shared.answers([*searches.values()])
        return {
            id: self._targets[id].advance(search, *answer)
            for (id, search), answer in zip(searches.items(), found, strict=True)
        }

    def remove(self, id: int | str) -> None:
        """Follows a target no longer.

        Raises:
            UserError: there is no such target.
        """
        if id not in self._targets:
            known = ", ".join(map(str, self._targets)) or "none"
            raise UserError(f"no target {id!r} is followed; there are: {known}")
        del self._targets[id]
