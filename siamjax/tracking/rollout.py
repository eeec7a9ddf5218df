"""Whole clips on the device: one scan over the frames, many clips in parallel.

`rollout` is the scan, which may be vmapped over states or settings; `init_clips` and `follow_clips`
do that for clips, jitted (the state given to `follow_clips` is donated: it is gone afterwards).
`track_clips` feeds them from lazily read frames of different lengths and sizes.

A long-term tracker works here too, but `vmap` computes both of its search regions at every frame.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from siamjax.geometry.boxes import check_box
from siamjax.models import SiamRPN
from siamjax.tracking import tracker
from siamjax.tracking.config import Settings, TrackerConfig
from siamjax.tracking.frames import as_bgr
from siamjax.tracking.tracker import State, Step

_SIZE_STEP = 64  # px; padded frame sizes are multiples of it, so that few programs are compiled


def rollout(
    model: SiamRPN,
    config: TrackerConfig,
    variables,
    settings: Settings,
    state: State,
    frames: UInt8[np.ndarray | Array, "t h w 3"],
    frame_size: tracker.FrameSize = None,
) -> tuple[State, Step]:
    """Follows a target through consecutive frames in one `lax.scan`.

    Args:
        frames: those after the one that `state` is from.
        model, config, variables, settings, state, frame_size: as in `tracker.update`.

    Returns:
        The last state, and the steps with a leading axis t.
    """

    def follow(state, frame):
        return tracker.update(model, config, variables, settings, state, frame, frame_size)

    return jax.lax.scan(follow, state, frames)


# (model, config, variables, frames (B, H, W, 3), boxes (B, 4), frame_sizes (B, 2)) -> State
init_clips = jax.jit(
    jax.vmap(tracker.init, in_axes=(None, None, None, 0, 0, 0)), static_argnums=(0, 1)
)
# (model, config, variables, settings, state, frames (B, T, H, W, 3), frame_sizes (B, 2))
follow_clips = jax.jit(
    jax.vmap(rollout, in_axes=(None, None, None, None, 0, 0, 0)),
    static_argnums=(0, 1),
    donate_argnums=4,
)


class Track(NamedTuple):
    """One clip's result; the first row is the given box with score 1."""

    boxes: np.ndarray  # (T, 4) float64 x, y, w, h, px
    scores: np.ndarray  # (T,) float64 0..1


class Clip(NamedTuple):
    """A target in a clip.

    Attributes:
        frames: has a length and gives (H, W, 3) uint8 BGR frames of one size by index.
        box: x, y, w, h in the first frame, px.
        name: what messages call the box.
    """

    frames: Any
    box: Any
    name: str = "box"


def track_clips(
    model: SiamRPN,
    config: TrackerConfig,
    variables,
    clips: Sequence[Clip],
    *,
    batch: int = 16,
    chunk: int = 16,
    threads: int = 8,
) -> Iterator[tuple[int, Track]]:
    """Follows many targets, `batch` clips in lockstep; targets of one video are a clip each.

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
    sizes = [as_bgr(clip.frames[0]).shape[:2] for clip in clips]
    shapes = [tuple(-(-n // _SIZE_STEP) * _SIZE_STEP for n in size) for size in sizes]
    groups: dict[tuple, list[int]] = {}
    for i in sorted(range(len(clips)), key=lambda i: (shapes[i], len(clips[i].frames))):
        groups.setdefault(shapes[i], []).append(i)
    with ThreadPoolExecutor(threads) as pool:
        for shape, members in groups.items():
            for first in range(0, len(members), batch):
                chosen = members[first : first + batch]
                # an unfinished batch repeats its last clip: the same program serves it
                repeated = chosen + chosen[-1:] * (batch - len(chosen))
                together = [clips[i] for i in repeated]
                blocks = _blocks(pool, together, len(chosen), chunk, shape)
                tracks = _lockstep(model, config, variables, together, blocks, shape)
                yield from zip(chosen, tracks)


def _lockstep(model, config, variables, clips, blocks, shape) -> list[Track]:
    """The tracks of clips whose frames from the second on come in `blocks`."""
    firsts = [as_bgr(clip.frames[0]) for clip in clips]
    sizes = np.array([(frame.shape[1], frame.shape[0]) for frame in firsts], np.int32)
    boxes = np.stack([check_box(clip.box, size, clip.name) for clip, size in zip(clips, sizes)])
    block = np.zeros((len(clips), *shape, 3), np.uint8)
    for frame, padded in zip(firsts, block):
        _fill(padded, frame)
    structure = config.structure()
    settings = Settings(*map(jnp.float32, config.settings()))
    state = init_clips(model, structure, variables, block, boxes.astype(np.float32), sizes)
    steps: list[tuple] = [(boxes[:, None], np.ones((len(clips), 1)))]
    for block in blocks:
        state, step = follow_clips(model, structure, variables, settings, state, block, sizes)
        steps.append((step.box, step.score))
    boxes, scores = (np.concatenate(parts, 1) for parts in zip(*steps))
    ends = [len(clip.frames) for clip in clips]
    return [Track(boxes[b, :end], scores[b, :end]) for b, end in enumerate(ends)]


def _blocks(pool, clips, count, chunk, shape) -> Iterator[np.ndarray]:
    """(len(clips), chunk, *shape, 3) frames from the second on; threads read the next meanwhile.

    Beyond a clip's end its last frame is repeated, and behind the first `count` clips the last.
    """

    def start(begin):
        block = np.zeros((len(clips), chunk, *shape, 3), np.uint8)
        jobs = [
            pool.submit(_read, clip, begin + t, block[b, t])
            for b, clip in enumerate(clips[:count])
            for t in range(chunk)
        ]
        return block, jobs

    started = map(start, range(1, max(len(clip.frames) for clip in clips), chunk))
    upcoming = next(started, None)
    while upcoming is not None:
        block, jobs = upcoming
        for job in jobs:
            job.result()
        upcoming = next(started, None)
        block[count:] = block[count - 1]
        yield block


def _read(clip, index, padded):
    _fill(padded, as_bgr(clip.frames[min(index, len(clip.frames) - 1)]))


def _fill(padded, frame):
    padded[: frame.shape[0], : frame.shape[1]] = frame
