"""Labels of videos in the formats of the tools that people use: a module per format; the table that
names them is `siamjax.media.formats`.

A module has `read(source, places)`, which gives the labelled videos of a file or folder,
`matches(source)`, which says whether a file or folder is of the format, and `write(videos)`, which
gives the texts of files by their names; where a format cannot be written `write` is missing.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from siamjax import files
from siamjax.errors import UserError, one_of
from siamjax.media.formats import FORMATS
from siamjax.media.frames import images_of, readable
from siamjax.media.labels import fit, jsons, own, xml
from siamjax.media.labels.model import Shape, Track, Video, track
from siamjax.media.labels.pictures import paths as frame_paths
from siamjax.media.labels.pictures import pictures
from siamjax.media.labels.places import Places, is_video
from siamjax.media.tracks import Tracks

__all__ = ["FORMATS", "Shape", "Track", "Video", "detect", "read", "text", "track", "write"]

_BUILT = {".json": jsons.load, ".xml": xml.load}  # they say where a file is damaged
FOLDER = "folder"  # own videos with labels of any format beside them


def module(name: str) -> ModuleType:
    """The module of a format.

    Raises:
        UserError: there is no such format.
    """
    if name not in FORMATS:
        raise UserError(f"{name}: no such label format; {one_of(name, FORMATS)}")
    return import_module(FORMATS[name][0])


def writable() -> list[str]:
    """Names of the formats that can be written."""
    return [name for name in FORMATS if hasattr(module(name), "write")]


def detect(source: Path) -> str:
    """The format of a file or folder.

    Raises:
        UserError: it is not there, damaged, or of no format.
    """
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    with _names(source):
        for name in FORMATS:
            known = module(name)
            if hasattr(known, "matches") and known.matches(source):
                return name
    if source.is_dir():
        return FOLDER
    if is_video(source):
        raise UserError(f"{source}: a video; name its labels, or the folder of both")
    if source.suffix.lower() in (".zip", ".gz", ".tar", ".7z"):
        raise UserError(f"{source}: an archive; unpack it and name what was in it")
    if source.suffix.lower() in _BUILT:
        _BUILT[source.suffix.lower()](source)
    raise UserError(f"{source}: labels of no known format; name it: {', '.join(FORMATS)}")


def read(
    source: str | Path,
    format: str | None = None,
    media: str | Path | None = None,
    faults: dict[str, UserError] | None = None,
    compare: bool = True,
) -> list[Video]:
    """Reads labels.

    Args:
        source: a label file, a data set's folder, or a folder of own videos with labels beside them
            or inside.
        format: a name in `FORMATS`; None: found out.
        media: the video, or the folder in which the frames lie; None: beside the labels.
        faults: takes what is wrong with one of several videos, by its name; None: that is raised.
        compare: look whether the labels can be those of the frames, see
            `siamjax.media.labels.fit.check`.

    Raises:
        UserError: it can't be read, or contradicts the frames; names the file and the fix.
    """
    source = Path(source)
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    places = Places(source, Path(media) if media else None)
    try:
        format = format or detect(source)
        with _names(source):
            if format == FOLDER:
                videos = own.read(source, places, _any, faults)
            elif hasattr(module(format), "read"):
                videos = module(format).read(source, places)
            else:
                raise UserError(f"{format}: this format is written, not read")
    finally:
        jsons.forget()
    _check_names(videos, str(source))
    return [video for video in videos if _fits(video, faults)] if compare else videos


def _fits(video: Video, faults: dict[str, UserError] | None) -> bool:
    """Whether labels can be those of their frames; keeps the fault where there is a place."""
    try:
        fit.check(video)
    except UserError as error:
        if faults is None:
            raise
        faults[video.name] = error
        return False
    return True


def _check_names(videos: Sequence[Video], shown: str) -> None:
    """Refuses two videos of one name."""
    names = Counter(video.name for video in videos)
    if twice := next((name for name, times in names.items() if times > 1), None):
        raise UserError(f"{shown}: two videos are called {twice}; rename one")


@contextlib.contextmanager
def _names(source: Path) -> Iterator[None]:
    """A block that looks for the files that labels name.

    Raises:
        UserError: a name that no file can have.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{source}: a name in it is no file's ({error.strerror})") from None


def _any(source: Path, places: Places) -> list[Video]:
    return module(detect(source)).read(source, places)


def contents(videos: Sequence[Video], format: str) -> dict[str, str]:
    """The texts of the files of a format, by their paths below the output.

    Raises:
        UserError: the format cannot be written, or cannot hold these labels.
    """
    known = module(format)
    if not hasattr(known, "write"):
        raise UserError(f"{format}: read only; write one of {', '.join(writable())}")
    videos = [video.replace(name=readable(video.name)) for video in videos]
    if not getattr(known, "KEEPS_LOST", False):
        videos = [video.replace(tracks=[*map(_seen, video.tracks)]) for video in videos]
    return known.write(videos)


def check_format(flag: str, name: str) -> None:
    """Refuses a format that is not written.

    Args:
        flag: that names the format, for the message.

    Raises:
        UserError: names those that are.
    """
    if name not in (known := writable()):
        why = "this format is read only" if name in FORMATS else "no such label format"
        raise UserError(f"{flag}={name}: {why}; {one_of(name, known)}")


def planned(
    videos: Sequence[Video], format: str, out: str | Path, flag: str = "--out"
) -> dict[Path, str]:
    """The texts of labels, by the paths of the files that they become.

    Args:
        out: a folder; or the file, with its suffix, where the format makes one of these videos.
        flag: that names `out`, for messages.

    Raises:
        UserError: as `contents`; two videos of one name; a file of another suffix; a name that
            leads out of the folder.
    """
    out = Path(out)
    _check_names(videos, f"{flag}={out}")
    made = contents(videos, format)
    if not out.suffix or out.is_dir():
        _check_inside(made, f"{flag}={out}")
        return {out / name: text for name, text in made.items()}
    if len(made) > 1:
        raise UserError(f"{flag}={out}: {format} makes {len(made)} files; name a folder")
    usual = [Path(name).suffix for name in made] + [".txt"] * (format == "mot")
    if made and out.suffix.lower() not in usual:
        raise UserError(f"{flag}={out}: {format} is written as a {usual[0]} file, or in a folder")
    return {out: next(iter(made.values()), "")}


def check_absent(paths: Iterable[Path], shown: str) -> None:
    """Refuses to replace files: they may have been corrected by hand.

    Args:
        shown: the flag and its value, for the message.

    Raises:
        UserError: names the first that is there.
    """
    for path in paths:
        if path.exists():
            raise UserError(f"{shown}: {path} exists already; move it away, or name another place")


def write(
    videos: Sequence[Video],
    format: str,
    out: str | Path,
    images: bool = False,
    replace: bool = False,
) -> list[Path]:
    """Writes labels.

    Args:
        out: as `planned` takes it.
        images: write the frames, too, where the format expects them.
        replace: take the place of files that are there.

    Returns:
        The files that were written.

    Raises:
        UserError: as `planned`; an output would replace another file, or cannot be written.
    """
    out = Path(out)
    paths = planned(videos, format, out)
    names = [n for v in videos for n in frame_paths(v, module(format))] if images else []
    if images and out in paths:
        raise UserError(f"--images: needs a folder as --out, not the file {out}")
    _check_inside(names, f"--out={out}")
    inputs = {path.resolve() for video in videos for path in _inputs(video)}
    outputs = [*paths, *(out / name for name in names)]
    for path in outputs:
        if path.resolve() in inputs:
            raise UserError(f"--out={out}: would replace {path}, an input; choose another place")
    if not replace:
        check_absent(outputs, f"--out={out}")
    for path in paths:
        files.check_writable(path)
    written = [files.write_whole(path, text) for path, text in paths.items()]
    for name, picture in pictures([*videos], module(format)) if images else ():
        written.append(files.write_whole(out / name, picture))
    return written


def _check_inside(names: Iterable[str], shown: str) -> None:
    for name in names:
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise UserError(f"{shown}: the name {name} in the labels leads out of it; rename")


def _inputs(video: Video) -> list[Path]:
    found = [video.source, video.media, *video.images]
    if video.source is not None and video.source.is_dir():
        found += [path for path in video.source.rglob("*") if path.is_file()]
    return [path for path in found if path is not None]


def _seen(each: Track) -> Track:
    """Without the frames in which the tracker had lost the target."""
    lost = each.columns.get("lost")
    return each if lost is None or not (lost > 0).any() else each.select(~(lost > 0))


def text(name: str, tracks: Tracks) -> str:
    """The tracks of one video as the text of a format.

    Raises:
        UserError: the format makes more than one file.
    """
    made = contents([labelled(tracks)], name)
    if len(made) != 1:
        raise UserError(f"--labels={name}: makes {len(made)} files; it cannot be one text")
    return next(iter(made.values()))


def labelled(tracks: Tracks) -> Video:
    """The tracks of `siamjax track` as a labelled video; target k has the id k."""
    shapes: dict[int, list[Shape]] = {k: [] for k in range(len(tracks.boxes))}
    judged = any(row.presence is not None for row in tracks.rows)
    for row in tracks.rows:
        columns = {"score": row.score, "second_peak": row.second_peak, "lost": float(row.lost)}
        if judged:  # a box that was given holds the target
            columns["presence"] = 1.0 if row.presence is None else row.presence
        shapes.setdefault(row.target, []).append(Shape(row.frame, row.box, columns=columns))
    names = dict(enumerate(tracks.names))
    made = [track(str(k), rows, names.get(k, "")) for k, rows in sorted(shapes.items())]
    length = max((row.frame for row in tracks.rows), default=-1) + 1
    return Video(
        tracks.video,
        made,
        tracks.media,
        fps=tracks.fps,
        length=length,
        checkpoint=tracks.checkpoint,
    )


def of_source(tracks: Tracks, source: Path | None, size: tuple[int, int], length: int) -> Video:
    """As `labelled`, with what is known of the video that was tracked.

    Args:
        source: the video, a file, a folder of images or a camera; None: it is kept nowhere.
        size: width and height of a frame, px.
        length: number of frames.
    """
    file = source if source is not None and source.is_file() else None
    images = images_of(source) if source is not None else ()
    video = labelled(tracks._replace(media=file))
    return video.replace(images=images, stated_size=size, length=length)
