"""Which values the fields of a config may have, checked before anything is built from them.

Fields and their types are those of `configs/base.py`; ranges are in a table here. The sections that
are a constructor's arguments hold its fields alone. Elsewhere a config may have fields that
`configs/base.py` does not know, of another version or of an experiment of one's own: they are kept
as they are. A field that is missing has its constructor's default.
"""

import functools
import math
import runpy
from collections.abc import Mapping
from typing import Any

from siamjax import bundled
from siamjax.errors import nearest

CONSTRUCTORS = ("model", "anchors", "tracker", "targets")
# what a tracker needs; the rest has defaults
REQUIRED = ("model", "anchors", "tracker", "crops.exemplar", "crops.context")
# fields of constructors that an experiment may set and `configs/base.py` leaves out
FURTHER: dict[str, Any] = {"targets.neighbourhood": 3}
_SHARE, _COUNT, _ANY = (0, 1), (0, 10**12), (-1e12, 1e12)
# Lowest and highest number of a field, or of each element of a list; "section.*": of its others.
RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**63 - 1),
    "model.width": (2**-6, 16),
    "model.blocks": (1, 64),  # ResNet-152 has 36 in a layer
    "model.levels": (0, 16),
    "model.adjust_channels": (1, 8192),
    "model.stride": (1, 128),
    "model.template_cells": (1, 64),
    "anchors.stride": (1, 128),
    "anchors.ratios": (0.01, 100),
    "anchors.scales": (0.01, 1000),
    "crops.context": (0, 10),
    "crops.*": (16, 8192),
    "tracker.instance": (16, 4096),
    "tracker.lost_instance": (16, 4096),
    "tracker.base_size": (0, 128),
    "tracker.penalty_k": (0, 100),
    "tracker.presence": (-100, 100),
    "tracker.*": _SHARE,
    "data.sources.*": _COUNT,
    "data.max_bad_fraction": _SHARE,
    "data.*": _COUNT,
    "targets.positive_iou": _SHARE,
    "targets.negative_iou": _SHARE,
    "targets.loc_iou": _SHARE,
    "targets.*": _COUNT,
    "train.*": _ANY,
}
# elements of a list, at least and at most; 0 to 16 of others
_LENGTHS = {"anchors.ratios": (1, 32), "anchors.scales": (1, 32)}
_KINDS = {bool: "True or False", str: "a text", int: "a whole number", float: "a number"}


def fault(config: Mapping[str, Any], whole: bool = True) -> str | None:
    """The first field of a config that no network or run can be built from, and what it is to be;
    None: there is none.

    Args:
        config: nested mappings, as JSON gives them.
        whole: whether what a tracker needs has to be there.
    """
    if whole:
        for name in REQUIRED:
            section, _, field = name.partition(".")
            node = config.get(section)
            if not isinstance(node, Mapping) or (field and field not in node):
                return f"{name} is missing"
    return _section(config, _known(), "")


def expected(name: str, value: Any) -> str:
    """What a field takes, in words.

    Args:
        name: "section.field".
        value: that it has, of its type.
    """
    if isinstance(value, Mapping):
        return "a section of fields"
    if isinstance(value, tuple):
        return f"a list such as {value!r}" if value else "a list, texts in quotes,"
    return _fits(name, None, type(value))[1] if type(value) in _KINDS else "another value"


@functools.cache
def _known() -> dict[str, Any]:
    base = runpy.run_path(str(bundled.experiments()["base"]))["get_config"]().to_dict()
    for name, value in FURTHER.items():
        section, field = name.split(".")
        base[section][field] = value
    return base


def _section(node: Mapping[str, Any], known: Mapping[str, Any], prefix: str) -> str | None:
    for key, value in node.items():
        name, found = f"{prefix}{key}", None
        if key not in known:
            if prefix[:-1] in CONSTRUCTORS:
                hint = f"did you mean {prefix}{nearest(str(key)[:99], known)}?"
                return f"{_short(name)}: no such field; {hint}"
        elif name == "data.sources":
            found = _sources(value)
        elif isinstance(known[key], dict):
            if not isinstance(value, Mapping):
                return f"{name}={_short(value)}: a section of fields expected"
            found = _section(value, known[key], f"{name}.")
        else:
            found = _field(name, value, known[key])
        if found:
            return found
    return None


def _sources(value: Any) -> str | None:
    """Data sets by any names."""
    if not isinstance(value, Mapping):
        return f"data.sources={_short(value)}: a section of fields expected"
    known = {"path": "", "frame_range": 1, "videos": 0}
    for name, source in value.items():
        place = f"data.sources.{_short(name)}"
        if not isinstance(source, Mapping):
            return f"{place}={_short(source)}: a section of fields expected"
        for key, expected in known.items():
            if key in source and (found := _field(f"{place}.{key}", source[key], expected)):
                return found
    return None


def _field(name: str, value: Any, known: Any) -> str | None:
    if not isinstance(known, tuple):
        good, wanted = _fits(name, value, type(known))
        return None if good else f"{name}={_short(value)}: {wanted} expected"
    if name == "train.evaluate":  # read by `siamjax.evaluation.validation`
        return None
    shortest, longest = _LENGTHS.get(name, (0, 16))
    if not isinstance(value, list | tuple) or not shortest <= len(value) <= longest:
        return f"{name}={_short(value)}: a list of {shortest} to {longest} expected"
    for element in value:
        kind = _element(name, element, known)
        good, wanted = _fits(name, element, kind)
        if not good:
            return f"{name}={_short(value)}: {wanted} expected in each place"
    return None


def _element(name: str, element: Any, known: tuple) -> type:
    """The type that an element of a list is to have."""
    if name == "model.levels":  # by index or name
        return str if isinstance(element, str) else int
    if name.startswith("anchors.") or name == "tracker.presence":
        return float
    return type(known[0]) if known else int


def _fits(name: str, value: Any, kind: type) -> tuple[bool, str]:
    """Whether a value has a type and lies in its field's range, and what that is in words."""
    if kind in (bool, str):
        return isinstance(value, kind), _KINDS[kind]
    group = next((g for g in _groups(name) if g in RANGES), None)
    low, high = RANGES[group] if group else _ANY
    given = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    good = given and low <= value <= high and not (isinstance(value, float) and math.isnan(value))
    return good, _KINDS[kind] + ("" if (low, high) == _ANY else f" from {low:g} to {high:g}")


def _groups(name: str):
    """The entries of `RANGES` that may be meant, the nearest first."""
    yield name
    while "." in name:
        name = name.rpartition(".")[0]
        yield f"{name}.*"


def _short(value: Any, most: int = 60) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else "?" for c in text[:most])
    return text if len(text) < most else f"{text}..."
