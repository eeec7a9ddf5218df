"""Training batches from shards: a stream whose whole state is the number of the step.

Batch k is a function of the config and k: the same with any number of workers, on one host or as
the union of several, and after resuming at k.
"""

import contextlib
import dataclasses
import functools
import logging
import math
from collections.abc import Iterator, Sequence

import ml_collections
import numpy as np

from siamjax.data import augment, crops, jpeg, prefetch, sampling, staging, targets
from siamjax.data.index import Index
from siamjax.data.tfrecord import BadRecord
from siamjax.errors import UserError
from siamjax.geometry.anchors import Anchors, score_map_size

_log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 100  # pairs drawn for one position before the data set counts as unreadable


def make_sampler(config: ml_collections.ConfigDict, mined: Sequence[int] = ()) -> sampling.Sampler:
    """Opens the sources of an experiment; those at addresses are copied to this machine first.

    Args:
        config: the experiment.
        mined: positions of pairs that are drawn again, see `siamjax.training.mining`.

    Raises:
        UserError: no source, a source that is missing, empty, unfinished, truncated, or of another
            crop size, or an unknown rule of negative pairs.
    """
    sources = []
    for name, source in config.data.sources.items():
        index = Index(staging.local(source.path))
        if index.manifest["crop"] != config.crops.stored:
            raise UserError(
                f"{source.path}: crops of {index.manifest['crop']} px; prepare it with"
                f" --crop={config.crops.stored} or set --config.crops.stored"
            )
        sources.append(sampling.Source(name, index, source.frame_range, source.videos))
    if not sources:
        raise UserError("the config has no training set; add one to config.data.sources")
    fields = ("pairs_per_epoch", "negative", "grey", "distractor", "flip")
    rates = {name: config.data[name] for name in fields}
    # fields that experiments of before lack
    rates |= {"alike": config.data.get("alike", 0.0), "again": config.data.get("mined", 0.0)}
    rule = config.data.get("negatives", "published")  # experiments before 0.3 lack the field
    if rule not in ("other", "published"):
        raise UserError(f"--config.data.negatives={rule}: choose other or published")
    published = rule == "published"
    return sampling.Sampler(sources, config.seed, **rates, published=published, mined=mined)


@dataclasses.dataclass(frozen=True)
class Example:
    """One training pair.

    Attributes:
        template: (exemplar, exemplar, 3) uint8 BGR.
        search: (search, search, 3) uint8 BGR.
        template_noise, search_noise: (3,) float32, to be subtracted from the images.
        label: (A, S, S) int8, see `siamjax.data.targets.assign`.
        box: (4,) float64 cx, cy, w, h of the object in the search crop, px.
        pair: what was drawn.
        bad: damaged records that came up before, as (source, crop, reason).
    """

    template: np.ndarray
    search: np.ndarray
    template_noise: np.ndarray
    search_noise: np.ndarray
    label: np.ndarray
    box: np.ndarray
    pair: sampling.Pair
    bad: tuple[tuple[int, int, str], ...]


class Examples:
    """Training pairs by position. Opens its sources on first use, in the process that uses it.

    Attributes:
        grid: (A, S, S, 4) anchors, cx, cy, w, h in px of the search crop.
    """

    def __init__(self, config: ml_collections.ConfigDict, mined: Sequence[int] = ()):
        """Args: config: an experiment; mined: as `make_sampler` takes it."""
        self._mined = tuple(mined)
        self._config = ml_collections.FrozenConfigDict(config)
        # fields of a ConfigDict are slow to look up
        self._crops = dict(config.crops)
        self._template = augment.Augmentation(**config.data.template)
        self._search = augment.Augmentation(**config.data.search)
        self._rule = targets.TargetRule(**config.targets)
        c, stride = config.crops, config.anchors.stride
        size = score_map_size(c.search, c.exemplar, stride, config.tracker.base_size)
        self.grid = Anchors(**config.anchors).grid(size, centre=c.search // 2)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "sampler"}

    def layout(self, size: int) -> prefetch.Layout:
        """The arrays of a batch of `size` pairs."""
        z, x = self._crops["exemplar"], self._crops["search"]
        pair = {
            "template": ((z, z, 3), np.uint8),
            "search": ((x, x, 3), np.uint8),
            "template_noise": ((3,), np.float32),
            "search_noise": ((3,), np.float32),
            "label": (self.grid.shape[:-1], np.int8),
            "box": ((4,), np.float32),
        }
        return prefetch.Layout({name: ((size, *s), dtype) for name, (s, dtype) in pair.items()})

    @functools.cached_property
    def sampler(self) -> sampling.Sampler:
        """The sampler behind the pairs."""
        return make_sampler(self._config, self._mined)

    def __getitem__(self, position: int) -> Example:
        """The pair of a position.

        Raises:
            UserError: no readable pair was found.
        """
        bad: list[tuple[int, int, str]] = []
        for attempt in range(_MAX_ATTEMPTS):
            rng = self.sampler.generator(position, attempt)
            pair = self.sampler.pair(position, rng, attempt)
            try:
                return self._make(rng, pair, tuple(bad))
            except BadRecord as error:
                bad.append(error.args)
        source, crop, reason = bad[-1]
        raise UserError(
            f"{self.sampler.sources[source].index.describe(crop)}: {reason};"
            f" {_MAX_ATTEMPTS} pairs in a row were unreadable; prepare the data set again"
        )

    def _make(self, rng, pair, bad):
        stored, exemplar, side = (self._crops[name] for name in ("stored", "exemplar", "search"))
        z_draw, x_draw = augment.draw(rng, self._template), augment.draw(rng, self._search)
        if pair.flip:
            z_draw, x_draw = (dataclasses.replace(d, flip=not d.flip) for d in (z_draw, x_draw))
        template, _ = self._patch(pair.source, pair.template, z_draw, exemplar, pair.grey)
        search, size = self._patch(pair.search_source, pair.search, x_draw, side, pair.grey)
        box = crops.target_in_crop(*size, stored, exemplar, self._crops["context"])
        box = augment.move_box(x_draw, box, side, stored)
        label = targets.assign(rng, self._rule, self.grid, box, pair.negative)
        return Example(template, search, z_draw.noise, x_draw.noise, label, box, pair, bad)

    def _patch(self, source, crop, draw, size, grey):
        """The patch of a crop, and the target's size in the source image.

        Raises:
            BadRecord: (source, crop, reason).
        """
        stored = self._crops["stored"]
        try:
            record = self.sampler.sources[source].index.read(crop)
            image, first = jpeg.decode_rows(record.image, *augment.rows(draw, size, stored))
            if image.shape[1] != stored:
                raise BadRecord(f"the image is {image.shape[1]} px wide, not {stored}")
        except BadRecord as error:
            raise BadRecord(source, crop, str(error)) from error
        return augment.patch(draw, image, size, grey, first), record.size


def _fill(examples, host, hosts, size, step, batch):
    """Writes this host's part of the batch of a step; gives the damaged records that came up."""
    first = (step * hosts + host) * size
    bad = []
    for i in range(size):
        pair = examples[first + i]
        bad += pair.bad
        for name, values in batch.items():
            values[i] = getattr(pair, name)
    return bad


class Loader(Iterator, contextlib.AbstractContextManager):
    """Iterates over batches, and stops the run where too many records are damaged.

    Attributes:
        skipped: damaged records read so far, each counted as often as it was drawn.
    """

    def __init__(self, iterator, sampler, batch_size, max_bad_fraction):
        """Args: iterator over (batch, damaged records); see `make_loader` for the others."""
        self._iterator, self._sources = iterator, sampler.sources
        self._batch_size, self._fraction = batch_size, max_bad_fraction
        self._crops = sum(source.index.crops for source in sampler.sources)
        self._read = 0
        self._known: set[tuple[int, int]] = set()
        self.skipped = 0

    def __next__(self) -> dict[str, np.ndarray]:
        """The next batch.

        Raises:
            UserError: too many of all records are damaged (a share above `max_bad_fraction`), or
                clearly too many of those read.
        """
        batch, bad = next(self._iterator)
        self._read += 2 * self._batch_size + len(bad)
        for source, crop, reason in bad:
            self.skipped += 1
            if (source, crop) not in self._known:
                self._known.add((source, crop))
                _log.warning(
                    "%s: %s; replaced by another pair (%d damaged so far)",
                    self._sources[source].index.describe(crop),
                    reason,
                    len(self._known),
                )
        expected = self._fraction * self._read
        too_many_read = self.skipped > expected + 4 * math.sqrt(expected) + 4
        if bad and (too_many_read or len(self._known) > self._fraction * self._crops):
            source, crop, reason = bad[-1]
            index = self._sources[source].index
            raise UserError(
                f"{index.folder}: more than {self._fraction:.2%} of the records are damaged"
                f" ({len(self._known)} of {self._crops} crops so far, the last:"
                f" {index.describe(crop)}: {reason}); prepare the data set again"
            )
        return batch

    def close(self) -> None:
        """Ends the workers; the loader can't be used afterwards."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None

    def __exit__(self, *error):
        self.close()


def make_loader(
    config: ml_collections.ConfigDict,
    start_step: int = 0,
    batch_size: int | None = None,
    host: int = 0,
    hosts: int = 1,
    workers: int | None = None,
    mined: Sequence[int] = (),
) -> Loader:
    """Batches from a step on, without end.

    A batch is a dict of arrays, B pairs each (see `Example`): `template`, `search` uint8;
    `template_noise`, `search_noise` float32; `label` int8; `box` float32. Pair i of step s on this
    host has the position (s * hosts + host) * batch_size + i.

    Args:
        config: an experiment.
        start_step: first step.
        batch_size: pairs per step on this host; None: `config.train.batch_size` / hosts.
        host: number of this host, 0 <= host < hosts.
        hosts: number of hosts.
        workers: processes; 0: a thread of this process; None: `config.data.workers`.
        mined: as `make_sampler` takes it.

    Returns:
        An iterator with `close()` and `skipped`, the number of damaged records met so far.

    Raises:
        UserError: as `make_sampler`; while iterating, when too many records are damaged.
    """
    if batch_size is None:
        batch_size, rest = divmod(config.train.batch_size, hosts)
        if rest:
            raise UserError(
                f"--config.train.batch_size={config.train.batch_size}:"
                f" not a multiple of {hosts} hosts"
            )
    workers = config.data.workers if workers is None else workers
    examples = Examples(staging.with_local_sources(config), mined)
    sampler = examples.sampler  # bad folders are reported here, not by a worker
    fill = functools.partial(_fill, examples, host, hosts, batch_size)
    layout = examples.layout(batch_size)
    batches = prefetch.ahead(fill, layout, start_step, workers, config.data.prefetch)
    return Loader(batches, sampler, batch_size, config.data.max_bad_fraction)
