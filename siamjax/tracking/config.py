"""The tracker's constants: those that shape the computation, and those that are numbers in it."""

import dataclasses
from typing import Any, NamedTuple

from siamjax.errors import UserError
from siamjax.geometry.anchors import Anchors, score_map_size
from siamjax.tracking.presence import COUNT


class Settings(NamedTuple):
    """Numbers that may differ from call to call without compiling again; arrays under `vmap`."""

    penalty_k: Any  # strength of the penalty on changes of scale and ratio
    window_influence: Any  # share of the cosine window in the final score, 0..1
    lr: Any  # rate at which the size follows the prediction, 0..1
    lost_window_influence: Any  # window_influence while lost
    confidence_low: Any  # score below which the target counts as lost
    confidence_high: Any  # score above which it counts as found again
    presence_low: Any  # presence below which the target counts as lost
    presence_high: Any  # presence above which it counts as found again


@dataclasses.dataclass(frozen=True)
class TrackerConfig:
    """All constants of a tracker: the fields of `config.tracker` and what it shares with training.

    Attributes:
        instance: px, side of the search crop.
        base_size: cells the score map has beyond (instance - exemplar) // stride + 1.
        long_term: switch to the large search region when the target is lost.
        lost_instance: px, side of the search crop while lost.
        exact_windows: take the true place and scale of a window of whole pixels for its answers;
            the published tracker takes those that were wished for, on average half a pixel of the
            frame to the lower right.
        exemplar: px, side of the template crop.
        context: margin around the box as a fraction of w + h.
        anchors: anchor boxes of the score map.
        presence: weights of `siamjax.tracking.presence`; empty: none were fitted, and the score
            says whether the target is lost.
        penalty_k, window_influence, lr, lost_window_influence, confidence_low, confidence_high,
            presence_low, presence_high: see `Settings`.
    """

    instance: int = 255
    base_size: int = 8
    penalty_k: float = 0.05
    window_influence: float = 0.42
    lr: float = 0.38
    long_term: bool = False
    lost_instance: int = 831
    lost_window_influence: float = 0.001
    confidence_low: float = 0.8
    confidence_high: float = 0.998
    exact_windows: bool = False
    presence: tuple[float, ...] = ()
    presence_low: float = 0.5
    presence_high: float = 0.8
    exemplar: int = 127
    context: float = 0.5
    anchors: Anchors = dataclasses.field(default_factory=Anchors)

    def __post_init__(self):
        """Refuses weights of presence that are not those of its map."""
        if len(self.presence) not in (0, COUNT):
            raise UserError(
                f"tracker.presence: {len(self.presence)} numbers, the map has {COUNT}; fit it again"
                " by siamjax study presence, or leave it empty"
            )

    @classmethod
    def of(cls, config) -> "TrackerConfig":
        """From an experiment's config: its sections tracker, crops and anchors."""
        return cls(
            **config.tracker,
            exemplar=config.crops.exemplar,
            context=config.crops.context,
            anchors=Anchors(**config.anchors),
        )

    @property
    def half_pixel_start(self) -> bool:
        """Whether benchmarks start the tracker half a pixel off, see
        `siamjax.evaluation.protocols`."""
        return not self.exact_windows

    def settings(self) -> Settings:
        """The numbers among the constants."""
        return Settings(*(getattr(self, name) for name in Settings._fields))

    def structure(self) -> "TrackerConfig":
        """The same without the numbers: what a compiled step depends on."""
        numbers: dict[str, Any] = dict.fromkeys(Settings._fields, 0.0)
        return dataclasses.replace(self, **numbers)

    def map_size(self, instance: int) -> int:
        """Cells per side of the score map for a search crop of `instance` px."""
        return score_map_size(instance, self.exemplar, self.anchors.stride, self.base_size)
