"""Where the frames of labels lie: a video file, a folder of images, or single images."""

import os
import unicodedata
from pathlib import Path

from siamjax.errors import UserError
from siamjax.media.decoded import frame_count
from siamjax.media.frames import INNER, images_of
from siamjax.wording import counted

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv")


def base_name(name: str) -> str:
    """The last part of a path or address, of any system, without what follows a "?"."""
    return name.split("?")[0].replace("\\", "/").rstrip("/").rpartition("/")[2]


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC): macOS stores file names decomposed."""
    return unicodedata.normalize("NFC", name)


def is_video(path: Path) -> bool:
    """Whether a file's name is one of a video."""
    return path.suffix.lower() in VIDEOS and not path.name.startswith(".")


def visible(folder: Path, *patterns: str) -> list[Path]:
    """What is in a folder by patterns, in order, without hidden files and folders: macOS leaves a
    file "._0001.json" beside each "0001.json" on disks of other systems."""
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    parts = {path: path.relative_to(folder).parts for path in found}
    return sorted(path for path in found if not any(part[0] == "." for part in parts[path]))


def holds_videos(folder: Path) -> bool:
    """Whether a folder has video files, or folders of frames, beside whatever else is in it."""
    return any(
        is_video(path) if path.is_file() else bool(images_of(path))
        for path in folder.iterdir()
        if not path.name.startswith(".")
    )


def check_rows(path: Path, count: int, found: dict) -> None:
    """For files with a row per frame; a single row may be the first box alone.

    Args:
        found: the frames as `Places.media` gives them. A video that cannot be read is told where
            its frames are read.

    Raises:
        UserError: another number of rows than of frames.
    """
    if count == 1:
        return
    if images := found.get("images"):
        frames, kind, place = len(images), "image", images[0].parent
    elif (place := found.get("media")) is not None:
        try:
            frames, kind = frame_count(place, count), "frame"
        except UserError:
            return
    else:
        return
    if count != frames:
        fix = f"restore the missing {kind}s, or leave rows out"
        if count < frames:
            fix = "restore the missing rows, or give frames without the target an empty one"
        raise UserError(f"{path}: {count} rows for {counted(frames, kind)} in {place}; {fix}")


def need_folder(source: Path) -> None:
    """For formats that are folders.

    Raises:
        UserError: it is none.
    """
    if not source.is_dir():
        raise UserError(f"{source}: labels of this format are a folder; name it")


def lines_of(path: Path) -> list[str]:
    """The lines of a text file; bytes that are no UTF-8 become U+FFFD."""
    return path.read_text("utf-8-sig", errors="replace").splitlines()


class Places:
    """Where to look for the frames of a label file."""

    def __init__(self, source: Path, media: Path | None = None):
        """Args: media: a folder to look in first, or the video itself; None: beside the labels."""
        self.source, self.given = Path(source), media
        self._last: tuple[Path, int] | None = None  # where the last image was found
        beside = self.source if self.source.is_dir() else self.source.parent
        self.folders = [beside, beside.parent]
        if media is not None and media.is_dir():
            self.folders.insert(0, media)

    def media(self, *names: str) -> dict:
        """`media` and `images` of the video with one of these names, with or without suffix; else
        the frames in the labels' own folder; nothing where neither is there.

        Raises:
            UserError: two videos have the name.
        """
        if self.given is not None and not self.given.is_dir():
            return {"media": self.given}
        for folder in self.folders:
            for name in filter(None, names):
                if found := in_folder(folder, base_name(name)):
                    return found
        for folder in self.folders[: 2 if self.given is not None and self.given.is_dir() else 1]:
            if images := images_of(folder):
                return {"images": images}
        return {}

    def image(self, name: str, *inside: str) -> Path | None:
        """The image of a name, which may be a path, below one of the folders or their sub-folders
        `inside`; None: it is not there."""
        parts = Path(name.replace("\\", "/")).parts
        places = [
            (f / sub, k)
            for f in self.folders
            for sub in ("", *inside, *INNER[1:])
            for k in range(len(parts))
        ]
        for folder, k in [*filter(None, [self._last]), *places]:
            path = folder.joinpath(*parts[k:])
            if k < len(parts) and path.is_file():
                self._last = folder, k
                return path
        return None


def in_folder(folder: Path, name: str) -> dict:
    """`media` or `images` of the video of a name in a folder; {}: it has none.

    Raises:
        UserError: two videos have the name.
    """
    if is_video(Path(name)) and (folder / name).is_file():
        return {"media": folder / name}
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    stems = {composed(n) for n in (name, Path(name).stem if is_video(Path(name)) else name)}
    files = [n for n in names if is_video(Path(n)) and composed(Path(n).stem) in stems]
    found: list[dict] = [{"media": folder / n} for n in files]
    folders = [n for n in names if composed(n) in stems and n not in files]
    for stem in folders:
        if images := images_of(folder / stem):
            found.append({"images": images})
    if len(found) > 1:
        listed = " and ".join(files + folders)
        raise UserError(f"{folder}: {listed} are two videos of one name; rename one")
    return found[0] if found else {}
