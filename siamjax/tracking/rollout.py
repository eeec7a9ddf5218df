"""Whole clips on the device: one scan over the frames; clips, targets or settings side by side.

`rollout` is the scan; `over_clips`, `over_targets` and `over_settings` are it under `vmap`, jitted.
`track_clips` feeds them from lazily read frames of different lengths and sizes. The state that they
are given is donated: it is gone afterwards.

A long-term tracker works here too, but `vmap` computes both of its search regions at every frame.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from siamjax.tracking import tracker
from siamjax.tracking.config import Settings, TrackerConfig
from siamjax.tracking.frames import as_bgr, checked_box
from siamjax.tracking.tracker import Network, State, Step

_SIZE_STEP = 64  # px; padded frame sizes are multiples of it, so that few programs are compiled


def rollout(
    network: Network,
    config: TrackerConfig,
    variables,
    settings: Settings,
    state: State,
    frames,
    frame_size=None,
) -> tuple[State, Step]:
    """Follows a target through consecutive frames in one `lax.scan`.

    Args:
        frames: (T, H, W, 3) uint8, those after the one that `state` is from.
        network, config, variables, settings, state, frame_size: as in `tracker.update`.

    Returns:
        The last state, and the steps with a leading axis T.
    """

    def follow(state, frame):
        return tracker.update(network, config, variables, settings, state, frame, frame_size)

    return jax.lax.scan(follow, state, frames)


def _mapped(function, axes, donated=()):
    """jit(vmap(function)) over the arguments behind network and config, named by their axes."""

    @functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=donated)
    def call(network, config, *arguments):
        return jax.vmap(functools.partial(function, network, config), in_axes=axes)(*arguments)

    return call


# (network, config, variables, frames (B, H, W, 3), boxes (B, 4), frame_sizes (B, 2)) -> State
init_clips = _mapped(tracker.init, (None, 0, 0, 0))
# (network, config, variables, frame (H, W, 3), boxes (B, 4), frame_size (2,)) -> State
init_targets = _mapped(tracker.init, (None, None, 0, None))
# (network, config, variables, settings, state, frames (B, T, H, W, 3), frame_sizes (B, 2))
over_clips = _mapped(rollout, (None, None, 0, 0, 0), donated=(4,))
# (network, config, variables, settings, state, frames (T, H, W, 3), frame_size (2,))
over_targets = _mapped(rollout, (None, None, 0, None, None), donated=(4,))
# (network, config, variables, settings (B,), state (B,), frames, frame_size)
over_settings = _mapped(rollout, (None, 0, 0, None, None), donated=(4,))


class Track(NamedTuple):
    """One clip's result; the first row is the given box with score 1."""

    boxes: np.ndarray  # (T, 4) float64 x, y, w, h, px
    scores: np.ndarray  # (T,) float64 0..1


@dataclasses.dataclass(frozen=True)
class Clip:
    """A target in a clip.

    Attributes:
        frames: has a length and gives (H, W, 3) uint8 BGR frames of one size by index.
        box: x, y, w, h in the first frame, px.
    """

    frames: Sequence[np.ndarray]
    box: Sequence[float]


def track_clips(
    network: Network,
    config: TrackerConfig,
    variables,
    clips: Sequence[Clip],
    *,
    batch: int = 16,
    chunk: int = 16,
    threads: int = 8,
) -> Iterator[tuple[int, Track]]:
    """Follows many targets, `batch` clips in lockstep.

    Clips of similar length and frame size go together; frames are padded to the largest of their
    batch, rounded up, and lengths to whole chunks. The frames of the next chunk are read by threads
    while the device works on this one. Results equal those of one clip after the other within float
    rounding.

    Args:
        batch: clips at a time.
        chunk: frames per clip on the device at a time; batch * chunk frames are held twice.
        threads: that read frames.

    Yields:
        Index of the clip and its `Track`, batch by batch.

    Raises:
        UserError: a frame or box that `Tracker.init` would refuse.
    """
    firsts = [as_bgr(clip.frames[0]) for clip in clips]
    order = sorted(range(len(clips)), key=lambda i: (_padded(firsts[i]), len(clips[i].frames)))
    groups: dict[tuple, list[int]] = {}
    for i in order:
        groups.setdefault(_padded(firsts[i]), []).append(i)
    with ThreadPoolExecutor(threads) as pool:
        for shape, members in groups.items():
            for start in range(0, len(members), batch):
                chosen = members[start : start + batch]
                tracks = _lockstep(
                    network,
                    config,
                    variables,
                    [clips[i] for i in chosen],
                    shape,
                    chunk,
                    pool,
                    batch,
                )
                yield from zip(chosen, tracks)


def _lockstep(network, config, variables, clips, shape, chunk, pool, batch):
    lengths = [len(clip.frames) for clip in clips]
    # an unfinished batch repeats its last clip: the same program serves it
    padded = list(clips) + [clips[-1]] * (batch - len(clips))
    firsts = [as_bgr(clip.frames[0]) for clip in padded]
    sizes = np.array([(frame.shape[1], frame.shape[0]) for frame in firsts], np.int32)
    boxes = np.stack([checked_box(c.box, *size) for c, size in zip(padded, sizes)])
    stacked = np.stack([_pad(frame, shape) for frame in firsts])
    state = init_clips(
        network, config.structure(), variables, stacked, boxes.astype(np.float32), sizes
    )
    settings = Settings(*(jnp.float32(v) for v in config.settings()))

    def read(begin):
        """(batch, chunk, H, W, 3) frames from `begin` on; beyond a clip's end its last frame."""
        rows = pool.map(
            lambda job: _read(padded[job[0]], job[1], shape),
            [(b, t) for b in range(len(clips)) for t in range(begin, begin + chunk)],
        )
        block = np.empty((batch, chunk, *shape, 3), np.uint8)
        for position, frame in enumerate(rows):
            block[divmod(position, chunk)] = frame
        block[len(clips) :] = block[len(clips) - 1]
        return block

    steps = []
    begins = range(1, max(lengths), chunk)
    with ThreadPoolExecutor(1) as ahead:
        upcoming = [ahead.submit(read, begin) for begin in begins[:1]]
        for begin in begins:
            block = upcoming.pop().result()
            if begin + chunk < max(lengths):
                upcoming.append(ahead.submit(read, begin + chunk))
            state, step = over_clips(
                network, config.structure(), variables, settings, state, block, sizes
            )
            steps.append((step.box, step.score))
    found = [np.concatenate([np.asarray(s[k]) for s in steps], 1) for k in (0, 1)] if steps else []
    for b, length in enumerate(lengths):
        track = [boxes[b : b + 1], np.ones(1)]
        if found:
            track = [np.concatenate([t, f[b, : length - 1]]) for t, f in zip(track, found)]
        yield Track(*(np.asarray(values, np.float64) for values in track))


def _padded(frame) -> tuple[int, int]:
    height, width = (-(-n // _SIZE_STEP) * _SIZE_STEP for n in frame.shape[:2])
    return height, width


def _read(clip, index, shape):
    return _pad(as_bgr(clip.frames[min(index, len(clip.frames) - 1)]), shape)


def _pad(frame, shape):
    block = np.zeros((*shape, 3), np.uint8)
    block[: frame.shape[0], : frame.shape[1]] = frame
    return block
