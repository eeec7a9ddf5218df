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
from jaxtyping import Array, Int, UInt8

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
    frame_sizes: Int[np.ndarray | Array, "t 2"] | None = None,
) -> tuple[State, Step]:
    """Follows a target through consecutive frames in one `lax.scan`.

    Args:
        frames: those after the one that `state` is from.
        frame_sizes: width and height of each frame's valid upper left part, see `tracker.init`;
            None: all of each.
        model, config, variables, settings, state: as in `tracker.update`.

    Returns:
        The last state, and the steps with a leading axis t.
    """

    def follow(state, taken):
        return tracker.update(model, config, variables, settings, state, *taken)

    return jax.lax.scan(follow, state, (frames, frame_sizes))


# (model, config, variables, frames (B, H, W, 3), boxes (B, 4), frame_sizes (B, 2)) -> State
init_clips = jax.jit(
    jax.vmap(tracker.init, in_axes=(None, None, None, 0, 0, 0)), static_argnums=(0, 1)
)
# (model, config, variables, settings, state, frames (B, T, H, W, 3), frame_sizes (B, T, 2))
follow_clips = jax.jit(
    jax.vmap(rollout, in_axes=(None, None, None, None, 0, 0, 0)),
    static_argnums=(0, 1),
    donate_argnums=4,
)


class Track(NamedTuple):
    """One clip's result; the first row is the given box with score 1."""

    boxes: np.ndarray  # (T, 4) float64 x, y, w, h, px
    scores: np.ndarray  # (T,) float64 0..1: presence, or the score where no map of it was fitted


class Clip(NamedTuple):
    """A target in a clip.

    Attributes:
        frames: has a length and gives (H, W, 3) uint8 BGR frames by index; their size may change.
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

    Clips of similar length and size of the first frame go together; frames are padded to the
    largest of their chunk, rounded up, and lengths to whole chunks. Each frame counts with its own
    size, so that a change of it in a clip is followed as `session.Tracker` follows it. The frames
    of the next chunk are read by threads while the device works on this one. Results equal those of
    one clip after the other within float rounding.

    Args:
        batch: clips at a time.
        chunk: frames per clip on the device at a time; batch * chunk frames are held twice.
        threads: that read frames.

    Yields:
        Index of the clip and its `Track`, batch by batch.

    Raises:
        UserError: a frame or box that `Tracker.init` would refuse.
    """
    shapes = [_padded(as_bgr(clip.frames[0]).shape) for clip in clips]
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
    block = np.zeros((len(clips), *shape, 3), np.uint8)
    sizes = np.zeros((len(clips), 2), np.int32)
    for i, clip in enumerate(clips):
        sizes[i] = _fill(block[i], as_bgr(clip.frames[0]))
    boxes = np.stack([check_box(clip.box, size, clip.name) for clip, size in zip(clips, sizes)])
    structure = config.structure()
    settings = Settings(*map(jnp.float32, config.settings()))
    state = init_clips(model, structure, variables, block, boxes.astype(np.float32), sizes)
    steps: list[tuple] = [(boxes[:, None], np.ones((len(clips), 1)))]
    for block, sizes in blocks:
        state, step = follow_clips(model, structure, variables, settings, state, block, sizes)
        steps.append((step.box, step.score if step.presence is None else step.presence))
    boxes, scores = (np.concatenate(parts, 1) for parts in zip(*steps))
    ends = [len(clip.frames) for clip in clips]
    return [Track(boxes[b, :end], scores[b, :end]) for b, end in enumerate(ends)]


def _blocks(pool, clips, count, chunk, shape) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames from the second on, (len(clips), chunk, height, width, 3), and their widths and
    heights, (len(clips), chunk, 2); threads read the next meanwhile.

    A block has the height and width `shape`, or more where a frame needs it. Beyond a clip's end
    its last frame is repeated, and behind the first `count` clips the last.
    """

    def start(begin):
        block = np.zeros((len(clips), chunk, *shape, 3), np.uint8)
        jobs = {
            (b, t): pool.submit(_read, clip, begin + t, block[b, t])
            for b, clip in enumerate(clips[:count])
            for t in range(chunk)
        }
        return block, jobs

    started = map(start, range(1, max(len(clip.frames) for clip in clips), chunk))
    upcoming = next(started, None)
    while upcoming is not None:
        block, jobs = upcoming
        sizes = np.zeros((len(clips), chunk, 2), np.int32)
        larger = {}
        for place, job in jobs.items():
            sizes[place], frame = job.result()
            if frame is not None:
                larger[place] = frame
        upcoming = next(started, None)
        block = _with_larger(block, larger)
        block[count:], sizes[count:] = block[count - 1], sizes[count - 1]
        yield block, sizes


def _with_larger(block, larger):
    """A block with the frames, by clip and time, that do not fit into it."""
    if not larger:
        return block
    heights, widths, _ = zip(*(frame.shape for frame in larger.values()))
    shape = _padded((max(*heights, block.shape[2]), max(*widths, block.shape[3])))
    grown = np.zeros((*block.shape[:2], *shape, 3), np.uint8)
    grown[:, :, : block.shape[2], : block.shape[3]] = block
    for place, frame in larger.items():
        grown[place] = 0
        _fill(grown[place], frame)
    return grown


def _read(clip, index, padded):
    """Width and height of a clip's frame, and the frame where it is larger than its place."""
    frame = as_bgr(clip.frames[min(index, len(clip.frames) - 1)])
    if frame.shape[0] > padded.shape[0] or frame.shape[1] > padded.shape[1]:
        return frame.shape[1::-1], frame
    return _fill(padded, frame), None


def _fill(padded, frame):
    padded[: frame.shape[0], : frame.shape[1]] = frame
    return frame.shape[1::-1]


def _padded(shape) -> tuple[int, ...]:
    """Height and width of the place of a frame of that shape."""
    return tuple(-(-n // _SIZE_STEP) * _SIZE_STEP for n in shape[:2])
