"""The tracker's constants that commands and scripts may replace: `--set penalty_k=0.1`."""

import math
from collections.abc import Iterable, Mapping

from siamjax.errors import UserError, nearest

# Fields of a config's section `tracker`, with their lowest and highest value
RANGES: dict[str, tuple[float, float]] = {
    "penalty_k": (0, 100),
    "window_influence": (0, 1),
    "lr": (0, 1),
    "instance": (128, 2048),
    "lost_instance": (128, 2048),
    "lost_window_influence": (0, 1),
    "confidence_low": (0, 1),
    "confidence_high": (0, 1),
    "presence_low": (0, 1),
    "presence_high": (0, 1),
}
# What a short-term tracker does not read
LONG_TERM = ("lost_instance", "lost_window_influence", "confidence_high", "presence_high")


def parse(texts: Iterable[str] | None, given: str = "") -> dict[str, float]:
    """`["penalty_k=0.1", "lr=0.3,instance=287"]` -> names and numbers; of a name given twice the
    last.

    Args:
        given: the argument that holds them, for the message; "": --set.

    Raises:
        UserError: a name that is no constant (the known ones are named), no number, or one outside
            its range.
    """
    constants = {}
    for pair in filter(None, (pair for text in texts or () for pair in text.split(","))):
        name, _, text = (part.strip() for part in pair.partition("="))
        constants[name] = _value(name, text, given or f"--set {pair}")
    return constants


def _value(name: str, given: str | float, shown: str) -> float:
    if name not in RANGES:
        hint = f"did you mean {nearest(name, RANGES)}? Known: {', '.join(RANGES)}"
        raise UserError(f"{shown}: no constant '{name}'; {hint}")
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    low, high = RANGES[name]
    whole = name.endswith("instance")
    if not low <= value <= high or (whole and value % 1):
        kind = "whole number" if whole else "number"
        raise UserError(f"{shown}: give {name} as a {kind} from {low} to {high}")
    return value


def apply(config, constants: Mapping[str, float]) -> None:
    """Replaces fields of the config's section `tracker`.

    Raises:
        UserError: a name or a value that `parse` refuses; a constant that has no effect: the
            tracker is not a long-term one, its weights have no map of presence, or presence stands
            in the place of the score.
    """
    values = {name: _value(name, x, f"constants: {name}={x}") for name, x in constants.items()}
    unread = [name for name in LONG_TERM if name in constants]
    if unread and not config.tracker.long_term:
        known = ", ".join(name for name in RANGES if name not in LONG_TERM)
        raise UserError(
            f"constant {unread[0]}: has no effect, this tracker is not a long-term one"
            f" (tracker.long_term of its config); constants with an effect: {known}"
        )
    judged = "confidence" if config.tracker.get("presence") else "presence"
    if unused := [name for name in constants if name.startswith(judged)]:
        why = "have a map of presence, which decides in the place of the score"
        if judged == "presence":
            why = "have no map of presence; siamjax study presence fits one"
        raise UserError(f"constant {unused[0]}: has no effect, these weights {why}")
    with config.unlocked():
        for name, value in values.items():
            config.tracker[name] = int(value) if name.endswith("instance") else value
