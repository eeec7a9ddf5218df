"""`siamjax labels`: looks at labels of videos, and converts them."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from siamjax.errors import UserError
from siamjax.media import labels
from siamjax.media.formats import FORMATS
from siamjax.media.labels.check import faults, gaps, to_look_at
from siamjax.wording import counted

_FORMATS = "\n".join(f"  {name:<14}{text}" for name, (_, text) in FORMATS.items())
DESCRIPTION = f"""\
siamjax labels SOURCE
  prints what labels there are: videos, targets, boxes, gaps, and what looks wrong
siamjax labels SOURCE --to=FORMAT --out=FOLDER
  writes them in another format

SOURCE is a label file, a data set's folder, or a folder of own videos with their
labels beside or inside, in any of these formats:
{_FORMATS}
"""
_SHOWN = 20  # lines of faults
_CATEGORIES = 10  # that are named
EXAMPLES = (
    "siamjax labels my_videos",
    "siamjax labels my_videos --to=coco --out=coco_labels",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("source", help="label file, or folder")
    add("--from", dest="format", metavar="FORMAT", help="of SOURCE; default: found out")
    add("--media", help="the video, or the folder of the frames; default: beside the labels")
    add("--to", metavar="FORMAT", help="format to write")
    add("--images", action="store_true", help="with --to: write the frames, too")
    add("--out", help="with --to: a folder, or the file where the format makes a single one")


def run(args: argparse.Namespace) -> None:
    """Prints what is there; converts it where a format is named.

    Raises:
        UserError: bad arguments or input; labels that cannot be read, or not be those of their
            frames, when everything else is printed.
    """
    if (args.to is None) != (args.out is None):
        raise UserError("--to and --out: give both to convert, neither to look")
    if args.media is not None and not Path(args.media).exists():
        raise UserError(f"--media={args.media}: no such file or folder")
    if args.to is not None:
        labels.check_format("--to", args.to)
    if args.to is None:
        unread: dict[str, UserError] = {}
        videos = labels.read(args.source, args.format, args.media, unread)
        if videos:
            print("\n".join(report(videos, looks_right=not unread)))
        _refuse(list(unread.values()))
        return
    source, out = Path(args.source), Path(args.out)
    if source.is_dir() and out.resolve() == source.resolve():
        raise UserError(f"--out={out}: the labels that are read lie there; name another folder")
    videos = labels.read(args.source, args.format, args.media)
    made = labels.write(videos, args.to, args.out, args.images)
    print(f"{_counts(videos)} -> {counted(len(made), 'file')}, {args.out}")
    for reason, count in sorted(_skipped(videos).items()):
        print(f"  left out, {reason}: {count}")


def _refuse(errors: Sequence[UserError]) -> None:
    """Names labels that are no use, the last one as what ends the command."""
    for error in errors[:-1]:
        print(f"cannot be used: {error}")
    if errors:
        raise errors[-1]


def report(videos: Sequence[labels.Video], looks_right: bool = True) -> list[str]:
    """Lines that say what labels there are and what looks wrong.

    Args:
        looks_right: whether to say so where nothing looks wrong.
    """
    lines = [_counts(videos)]
    shown = videos if len(videos) <= _SHOWN else videos[:_SHOWN]
    for video in shown:
        place = "no frames found" if not video.has_frames else counted(video.count, "frame")
        lines.append(f"{video.name}: {place}")
        for each in video.tracks[:_SHOWN] if len(videos) <= _SHOWN else ():
            span = f"frames {each.frames[0]}..{each.frames[-1]}, {counted(len(each), 'box')}"
            missing = gaps(each)
            behind = f", {missing} between them without one" if missing else ""
            lines.append(f"  {each.title}: {span}{behind}")
        if len(videos) <= _SHOWN < len(video.tracks):
            lines.append(f"  and {len(video.tracks) - _SHOWN} more")
    if len(videos) > len(shown):
        lines.append(f"and {len(videos) - len(shown)} more videos")
    lines += [f"left out, {reason}: {n}" for reason, n in sorted(_skipped(videos).items())]
    found = [fault for video in videos for fault in faults(video)]
    lines += to_look_at(found, _SHOWN)
    if not found and looks_right:
        lines.append("nothing looks wrong")
    return lines


def _counts(videos: Sequence[labels.Video]) -> str:
    tracks = sum(len(video.tracks) for video in videos)
    categories = Counter(each.category for video in videos for each in video.tracks)
    named = [f"{n} {name}" for name, n in categories.most_common() if name]
    without = categories[""]
    if len(named) > _CATEGORIES:
        named[_CATEGORIES:] = [f"{len(named) - _CATEGORIES} more categories"]
    named += [f"{without} without a category"] if named and without else []
    boxes = sum(video.boxes for video in videos)
    numbers = ((len(videos), "video"), (tracks, "target"), (boxes, "box"))
    words = ", ".join(counted(n, word) for n, word in numbers)
    return words + (f" ({', '.join(named)})" if named else "")


def _skipped(videos: Sequence[labels.Video]) -> Counter[str]:
    total: Counter[str] = Counter()
    for video in videos:
        total.update(video.skipped)
    return +total
