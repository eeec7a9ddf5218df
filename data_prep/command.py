"""The command line that all sources share."""

import argparse
import dataclasses
import logging
import os
from collections import Counter
from pathlib import Path

from data_prep import parts
from data_prep.source import Source, box_fault
from siamjax.data import index
from siamjax.errors import UserError


def main(source_class: type[Source], argv: list[str] | None = None) -> None:
    """Prepares a source, or checks it.

    Args:
        source_class: which.
        argv: arguments; None: the process's.

    Raises:
        UserError: bad arguments or input.
    """
    arguments, beam_options = _parse(source_class, argv)
    source = source_class(arguments.source)
    if arguments.check:
        for line in check(source, arguments.limit):
            print(line)
        return
    if not arguments.out:
        raise UserError("--out: give the folder that the data set is written to")
    out = Path(arguments.out)
    fields = [field.name for field in dataclasses.fields(parts.Options)]
    options = parts.Options(**{name: getattr(arguments, name) for name in fields})
    if arguments.beam_runner:
        beam_options = [f"--runner={arguments.beam_runner}", *beam_options]
    builder = _builder(source_class)(
        source=arguments.source,
        data_dir=out,
        options=options,
        workers=arguments.workers,
        beam_options=beam_options,
    )
    made = builder.prepare()
    manifest = index.read_manifest(out)
    if not made:
        print(f"{out}: complete already, nothing to do")
    counts = ", ".join(f"{manifest[name]} {name}" for name in ("videos", "tracks", "crops"))
    print(f"{out}: {counts}, {len(manifest['shards'])} shards")
    for reason, count in manifest["skipped"].items():
        print(f"  skipped, {reason}: {count}")


def _parse(source_class, argv):
    parser = argparse.ArgumentParser(
        prog=f"python -m {source_class.__module__}",
        description=f"Prepares {source_class.name} for training: {source_class.layout()}.",
        epilog="Other arguments go to Apache Beam.",
    )
    defaults = parts.Options()
    parser.add_argument("--source", required=True, help="folder of the data set")
    parser.add_argument("--out", help="folder that is written")
    parser.add_argument("--check", action="store_true", help="look at the source, write nothing")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: all cores")
    parser.add_argument("--beam_runner", default="", help="Beam runner instead of the direct one")
    texts = {
        "limit": "take the first videos only; 0: all",
        "crop": "side of the crops, px",
        "exemplar": "side of the target with context in the crop, px",
        "context": "context on each side, as a fraction of width + height",
        "jpeg_quality": "0..100",
        "shard_mb": "most that a shard holds, MiB",
        "seed": "of the order of the videos",
    }
    for name, text in texts.items():
        value = getattr(defaults, name)
        help_ = f"{text} (default {value})"
        parser.add_argument(f"--{name}", type=type(value), default=value, help=help_)
    arguments, beam_options = parser.parse_known_args(argv)
    for name, low in (("workers", 0), ("limit", 0), ("crop", 16), ("exemplar", 1), ("shard_mb", 1)):
        if getattr(arguments, name) < low:
            raise UserError(f"--{name}={getattr(arguments, name)}: must be at least {low}")
    if not 0 <= arguments.jpeg_quality <= 100:
        raise UserError(f"--jpeg_quality={arguments.jpeg_quality}: must be in 0..100")
    return arguments, beam_options


def _builder(source_class):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        from data_prep import builders
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed; install siamjax with: pip install 'siamjax[prep]'"
        ) from error
    # As a script the module is __main__, and its class another object of the same name.
    return {c.name: b for c, b in builders.BUILDERS.items()}[source_class.name]


def check(source: Source, limit: int = 0) -> list[str]:
    """What a source holds, what is missing or surplus, beside the official counts.

    Args:
        source: the data set.
        limit: look at the first videos only; 0: all.

    Returns:
        Lines of a report.

    Raises:
        UserError: the folder does not have the layout.
    """
    skipped: Counter = Counter()
    counts: Counter = Counter()
    used: set[str] = set()
    missing: list[str] = []
    tracks = set()
    for video in source.videos():
        if limit and counts["videos"] == limit:
            break
        counts["videos"] += 1
        for target in source.targets(video, skipped):
            counts["boxes"] += 1
            tracks.add((video.name, target.track))
            if target.image not in used:
                used.add(target.image)
                if not source.exists(target):
                    missing.append(target.image)
            fault = box_fault(target.box, pixel=source.pixel)
            if fault:
                skipped[fault] += 1
    images = set(source.images()) if not limit else set()
    counts["images"], counts["tracks"] = len(images), len(tracks)
    surplus = sorted(images - used)
    lines = [f"{source.root}: {source.name}"]
    for name in ("videos", "images", "tracks", "boxes"):
        if name == "images" and not images:
            continue
        official = source.official.get(name)
        beside = "" if official is None else f" (official release: {official})"
        lines.append(f"  {name}: {counts[name]}{beside}")
    for reason, count in sorted(skipped.items()):
        if count:
            lines.append(f"  would be skipped, {reason}: {count}")
    for title, files in (("missing images", missing), ("images without a box", surplus)):
        if files:
            lines.append(f"  {title}: {len(files)}, the first: {', '.join(files[:3])}")
    if not missing and not sum(skipped.values()):
        lines.append("  nothing is missing")
    return lines
