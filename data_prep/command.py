"""The command line that all sources share."""

import dataclasses
import functools
import logging
import os
import pkgutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep import parts
from data_prep.preparation import Preparation
from data_prep.source import Source, box_fault
from siamjax import installation
from siamjax.arguments import Parser
from siamjax.data import index
from siamjax.errors import UserError, importing, run_main
from siamjax.media.labels.places import is_video
from siamjax.wording import counted

_FIELDS = dataclasses.fields(parts.Options)


def run(source_class: type[Source]) -> None:
    """`main` as a process, with its exit codes."""
    run_main(functools.partial(main, source_class))


def main(
    source_class: type[Source], argv: Sequence[str] | None = None, prog: str = "python -m data_prep"
) -> None:
    """Prepares a source, or checks it.

    Args:
        source_class: which.
        argv: arguments; None: the process's.
        prog: what stands before the source's name in help texts.

    Raises:
        UserError: bad arguments or input.
    """
    arguments, beam_options = _parse(source_class, argv, prog)
    parts.check_number("workers", arguments.workers, 0)
    options = parts.Options(**{f.name: getattr(arguments, f.name) for f in _FIELDS})
    if source_class.__module__ == "__main__":  # workers need the class under its module's name
        spec = sys.modules["__main__"].__spec__
        source_class = pkgutil.resolve_name(f"{spec.name}:{source_class.__name__}")
    source = source_class(arguments.source)
    source.left_out = frozenset(arguments.leave_out)
    if arguments.check:
        print("\n".join(check(source, arguments.limit)))
        return
    if not arguments.out:
        raise UserError("--out: give the folder that the data set is written to")
    out = Path(arguments.out)
    if arguments.beam_runner:
        made = _by_beam(source, out, options, arguments, beam_options)
    else:
        made = Preparation(source, out, options).prepare(arguments.workers)
    manifest = index.read_manifest(out)
    if not made:
        print(f"{out}: complete already, nothing to do; remove it to make it anew")
    counts = [counted(manifest[f"{name}s"], name) for name in ("video", "track", "crop")]
    counts.append(counted(len(manifest["shards"]), "shard"))
    print(f"{out}: {', '.join(counts)}")
    for reason, count in manifest["skipped"].items():
        print(f"  skipped, {reason}: {count}")
    for line in _without_labels(manifest):
        print(line)


def _without_labels(about: Mapping[str, Any]) -> list[str]:
    """A line that names the first videos without labels, where a source knows of such."""
    names = about.get("without_labels")
    if not names:
        return []
    return [f"  videos without labels: {len(names)}, the first: {', '.join(names[:3])}"]


def _by_beam(source, out, options, arguments, beam_options) -> bool:
    beam_options = [f"--runner={arguments.beam_runner}", *beam_options]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    with importing(installation.extra("prep")):
        from data_prep import builders
    builder = builders.CropBuilder(
        source,
        data_dir=out,
        options=options,
        workers=arguments.workers,
        beam_options=beam_options,
    )
    return builder.prepare()


def _parse(source_class, argv, prog):
    parser = Parser(
        prog=f"{prog} {source_class.name}",
        description=f"Prepares {source_class.name} for training: {source_class.layout()}.",
        epilog="With --beam_runner other arguments go to Apache Beam.",
    )
    add = parser.add_argument
    add("--source", required=True, help="folder of the data set")
    add("--out", help="folder that is written")
    add(
        "--leave_out",
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="videos that are not taken, by the names that manifests and messages give them",
    )
    add("--check", action="store_true", help="report on the source, write nothing")
    add(
        "--beam_runner",
        default="",
        help="Beam runner that makes the parts; default: processes of this machine",
    )
    add("--workers", type=int, default=0, help="processes; 0: all cores (default 0)")
    for field in _FIELDS:
        text = f"{field.metadata['help']} (default {field.default})"
        add(f"--{field.name}", type=field.type, default=field.default, help=text)
    arguments, rest = parser.parse_known_args(argv)
    if rest and not arguments.beam_runner:
        raise parser.unknown(rest[0], "; Beam's need --beam_runner beside them")
    return arguments, rest


def check(source: Source, limit: int = 0) -> list[str]:
    """What a source holds, what is missing or surplus, beside the official counts.

    Args:
        source: the data set.
        limit: only the first videos; 0: all.

    Returns:
        Lines of a report.

    Raises:
        UserError: the folder does not have the layout.
    """
    skipped: Counter = Counter()
    counts: Counter = Counter()
    used: dict[str, bool] = {}  # whether the image is there
    tracks = set()
    for video in source.first_videos(limit):
        counts["videos"] += 1
        for target in source.targets(video, skipped):
            counts["boxes"] += 1
            tracks.add((video.name, target.track))
            if target.image not in used:
                used[target.image] = source.exists(target)
            fault = box_fault(target.box, pixel=source.pixel)
            if fault:
                skipped[fault] += 1
    images = set() if limit else set(source.images())
    counts["video files"] = sum(is_video(Path(name)) for name in images)
    counts["images"], counts["tracks"] = len(images) - counts["video files"], len(tracks)
    lines, officially = [f"{source.root}: {source.name}"], dict(source.official)
    for name in ("videos", "images", "video files", "tracks", "boxes"):
        beside = f" (official release: {officially[name]})" if name in officially else ""
        if name not in ("images", "video files") or counts[name]:
            lines.append(f"  {name}: {counts[name]}{beside}")
    lines += [f"  would be skipped, {reason}: {n}" for reason, n in sorted(skipped.items()) if n]
    missing = [image for image, there in used.items() if not there]
    surplus = sorted(images - used.keys())
    for title, files in (("missing images", missing), ("images without a box", surplus)):
        if files:
            lines.append(f"  {title}: {len(files)}, the first: {', '.join(files[:3])}")
    without = _without_labels(source.about())
    lines += without
    if not (missing or without or sum(skipped.values())):
        lines.append("  nothing is missing")
    return lines
