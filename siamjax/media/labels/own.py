"""A folder of own videos with their labels beside or inside, in any format.

    mine/cat.mp4          mine/cat.xml           a video file and its labels (CVAT, here)
    mine/bat.mp4          mine/bat/annotations.xml   the same, as an export is unpacked
    mine/dog/0001.jpg ..  mine/dog.csv           a folder of frames and its labels
    mine/fox/0001.jpg ..  mine/fox/groundtruth.txt, or img/ with the frames; labels inside
    mine/owl/0001.jpg ..  mine/owl/0001.json ..  labels image by image, of any such format
    mine/export.json      one file for several of the videos (COCO, Label Studio, CVAT's projects)

A folder that is itself such a video is read as the only one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from siamjax.errors import UserError
from siamjax.files import folder_name
from siamjax.media.frames import frame_folder, images_of
from siamjax.media.labels.images import Item, Picture, join
from siamjax.media.labels.model import Video
from siamjax.media.labels.places import Places, composed, is_video

SUFFIXES = (".csv", ".txt", ".mot", ".xml", ".json")
# files with boxes that lie in a video's folder, the first counts
USUAL = ("groundtruth.txt", "groundtruth_rect.txt", "boxes.txt", "gt/gt.txt", "annotations.xml")
_LISTS = ("classes.txt", "labels.txt", "list.txt")  # of names


class NoVideos(UserError):
    """A folder without videos."""


Reader = Callable[[Path, Places], list[Video]]


def read(
    root: Path, places: Places, read_file: Reader, faults: dict[str, UserError] | None = None
) -> list[Video]:
    """The videos of a folder by name; without tracks where there are no labels.

    Args:
        root: the folder.
        places: where to look for frames besides it.
        read_file: reads a label file, or a folder of labels, of any format.
        faults: takes what is wrong with a video, by its name; None: that is raised.

    Raises:
        NoVideos: no video.
        UserError: labels without their video, a video with two label files.
    """
    place = frame_folder(root)
    media = {} if place == root else _media(root, places)
    if place == root or (place is not None and len(media) == 1):
        return _kept(faults, folder_name(root), _inside, root, {}, read_file)
    found: dict[str, list[Video]] = {}
    sources: dict[str, Path] = {}
    stems = {path: composed(path.stem) for path in sorted(_label_files(root))}
    # those of one video first
    for path, stem in sorted(stems.items(), key=lambda item: item[1] not in media):
        if stem in media:
            videos = {stem: _kept(faults, stem, _one, path, stem, media[stem], read_file)}
        else:
            read = _kept(faults, stem, _of_several, path, media, read_file)
            videos = {video.name: [video] for video in read}
        for name in videos:
            if name in sources:
                raise UserError(f"{path}: {name} has other labels in {sources[name]}; leave one")
        found |= videos
        sources |= dict.fromkeys(videos, path)
    for name, frames in media.items():
        if name in found:
            continue
        folder = next((p for p in root.iterdir() if composed(p.name) == name and p.is_dir()), None)
        if folder is not None:
            found[name] = _kept(faults, name, _inside, folder, frames, read_file)
        else:
            found[name] = [Video(name, (), **frames, source=root)]
    if not found:
        raise NoVideos(
            f"{root}: no video in it; expected are videos, or folders of frames, and their labels"
            " beside them under the same name, or inside"
        )
    return [video for name in sorted(found) for video in found[name]]


def _kept(
    faults: dict[str, UserError] | None,
    name: str,
    reader: Callable[..., Video | list[Video]],
    *arguments: Any,
) -> list[Video]:
    """What a reader gives; nothing where its fault is kept."""
    try:
        found = reader(*arguments)
    except UserError as error:
        if faults is None:
            raise
        faults[name] = error
        return []
    return found if isinstance(found, list) else [found]


def _media(root: Path, places: Places) -> dict[str, dict]:
    """The videos of a folder by name: `media` or `images` of each.

    Raises:
        UserError: two of one name.
    """
    found: dict[str, dict] = {}
    where = [places.given] if places.given is not None and places.given.is_dir() else []
    for place in (root, *where):
        for path in sorted(place.iterdir()):
            if path.name.startswith("."):
                continue
            this: dict = {"media": path} if path.is_file() and is_video(path) else {}
            if path.is_dir() and (images := images_of(path)):
                this = {"images": images}
            name = composed(path.stem if "media" in this else path.name)
            if this and name in found and place == root:
                raise UserError(f"{place}: two videos are called {name}; rename one")
            if this:
                found.setdefault(name, this)
    return found


def _label_files(root: Path) -> list[Path]:
    return [
        path
        for path in root.iterdir()
        if path.is_file()
        and path.suffix.lower() in SUFFIXES
        and path.name not in _LISTS
        and not path.name.startswith(".")
    ]


def _one(path: Path, name: str, found: dict, read_file: Reader) -> Video:
    """The labels of one video from its own file."""
    read = read_file(path, Places(path, found.get("media")))
    if len(read) != 1:
        single = [video for video in read if video.name == name]
        read = single if len(single) == 1 else [_joined(path, name, read, found)]
    return read[0].replace(**{"name": name, "media": None, "images": (), **found})


def _of_several(path: Path, media: dict[str, dict], read_file: Reader) -> list[Video]:
    """The videos of this folder that a file is about; all of them where the folder has none.

    Raises:
        UserError: none of them.
    """
    read = read_file(path, Places(path, None))
    if not media:  # a folder of labels alone
        return read
    known = []
    folders: dict[str, list[Video]] = {}
    for video in read:
        name = composed(video.name)
        head = name.split("/")[0]
        if name in media:
            frames = {"media": None, "images": (), **media[name]}
            known.append(video.replace(name=name, **frames))
        elif head in media:
            folders.setdefault(head, []).append(video)
    known += [_joined(path, name, parts, media[name]) for name, parts in folders.items()]
    if not known:
        there = ", ".join(sorted(media)[:3]) or "no video"
        raise UserError(
            f"{path}: boxes of a video {path.stem}, but there is nothing of this name; found"
            f" {there}"
        )
    return known


def _inside(folder: Path, found: dict, read_file: Reader) -> Video:
    """A video with its labels in a folder.

    Args:
        folder: of its frames, or with the name of its file.
        found: its file as `media`; else its frames are in the folder.

    Raises:
        UserError: two label files that may be meant.
    """
    images = () if "media" in found else images_of(folder)
    found = found if "media" in found else {"images": images}
    name = composed(folder_name(folder))
    for usual in USUAL:
        if (folder / usual).is_file():
            return _one(folder / usual, name, found, read_file)
    stems = {path.stem for path in images}
    for place in dict.fromkeys((*(image.parent for image in images[:1]), folder)):
        files = _label_files(place)
        if any(path.stem in stems for path in files):
            read = read_file(place, Places(place, None))
            if len(read) == 1 and read[0].length != 1:  # its targets have ids: a video already
                return read[0].replace(name=name, **found)
            return _joined(place, name, read, found)
        if len(files) > 1:
            listed = ", ".join(sorted(path.name for path in files)[:4])
            raise UserError(
                f"{folder}: {len(files)} files may hold the labels ({listed}); call the one"
                " with a row x,y,w,h per frame groundtruth.txt, or leave one"
            )
        if files:
            return _one(files[0], name, found, read_file)
    return Video(name, (), **found, source=folder)


def _joined(source: Path, name: str, videos: list[Video], found: dict) -> Video:
    """Pictures, read one by one, as the frames of one video."""
    pictures = []
    for video in videos:
        items = [
            Item(shape.box, each.category, "", each.name, shape.polygon, shape.occluded)
            for each in video.tracks
            for shape in each.shapes()
        ]
        path = video.images[0] if video.images else None
        pictures.append(Picture(path.name if path else video.name, items, path, video.stated_size))
    whole = join(name, pictures, source, found.get("images", ()))
    for video in videos:
        whole.skipped.update(video.skipped)
    return whole.replace(media=found.get("media"))
