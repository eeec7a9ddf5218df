"""Own videos: a folder with video files or folders of frames, and their labels beside or inside.

Layout: that of `siamjax.media.labels.own`, with labels in any format; `siamjax prepare folder`
reads the same. A target is a sequence, from its first box on; it is called like its video, and
where that has several, video.target. A text file with a row left, top, width, height, or x1, y1 ...
x4, y4, per frame (0-based) gives as many frames as rows; one with a single row gives the first box:
such a video can be tracked but not scored. Frames without a box are not scored.
"""

from pathlib import Path

import numpy as np

from siamjax.datasets.dataset import Dataset
from siamjax.datasets.sequence import Absent, NoFrames, Sequence, start_note
from siamjax.errors import UserError
from siamjax.files import folder_name
from siamjax.media import labels
from siamjax.media.labels import Track, Video
from siamjax.media.labels.own import NoVideos

LAYOUT = """\
DIR/cat.mp4 and DIR/cat.xml, or .json, .csv, .txt, .mot: labels of any format
DIR/dog/0001.jpg ... and DIR/dog.xml or the like
DIR/fox/0001.jpg ... and DIR/fox/groundtruth.txt with a row x,y,w,h per frame
or a folder that is itself such a video"""


Targets = dict[str, tuple[Video, Track] | UserError]
_READ: dict[Path, Targets] = {}  # the folder that was listed last, to open its sequences from


class Folder(Dataset):
    """A folder of one's own; sequences by name, and what is wrong with others."""

    def find(self, root: Path) -> Path | None:
        """The folder itself, where it has videos."""
        return root if root.is_dir() and self.on_disk(root) else None

    def on_disk(self, root: Path) -> list[str]:
        """The targets' names, and those of videos that cannot be read."""
        if not root.is_dir():
            return []
        _READ.clear()
        _READ[root] = _targets(root)
        return sorted(_READ[root])

    def load(self, root: Path, name: str) -> Sequence:
        """Opens a sequence.

        Raises:
            Absent: no such target.
            UserError: its labels cannot be read, or do not fit its frames.
        """
        found = (_READ.get(root) or _targets(root)).get(name)
        if found is None:
            raise Absent(f"{root}: no target {name}")
        if isinstance(found, UserError):
            raise found
        return _sequence(name, *found)


def _targets(root: Path) -> Targets:
    """Video and track by the sequence's name, or what is wrong."""
    faults: dict[str, UserError] = {}
    try:
        videos = labels.read(root, faults=faults)
    except NoVideos:
        return {}
    except UserError as error:
        return {folder_name(root): error}
    found: Targets = dict(faults)
    pictures = [video for video in videos if video.count == 1 and not video.per_frame]
    if pictures and len(pictures) == len(videos):
        fault = f"{root}: {len(pictures)} single pictures; a video is needed to track in"
        return {folder_name(root): UserError(fault)}
    for video in videos:
        if not video.tracks:
            place = video.source or root
            found[video.name] = UserError(f"{place}: no labels of {video.name}")
        found |= {name: (video, each) for name, each in named(video).items()}
    return found


def named(video: Video) -> dict[str, Track]:
    """The tracks of a video by the names of their sequences."""
    titles = [each.name or each.id for each in video.tracks]
    names = []
    for each, title in zip(video.tracks, titles):
        title = title if titles.count(title) == 1 else each.id
        name = video.name if len(titles) == 1 else f"{video.name}.{title}"
        names.append(name.replace("/", "_"))
    return dict(zip(names, video.tracks))


def _sequence(name: str, video: Video, each: Track) -> Sequence:
    if not len(each):
        raise UserError(f"{video.source}: no box of {name}")
    first = int(each.frames[0])
    place = video.source or Path(video.name)
    single = video.per_frame and video.length is None
    last = video.count if video.per_frame else int(each.frames[-1]) + 1
    frames = video.frames()[first:last] if video.has_frames else NoFrames(last - first, place)
    if single:
        return Sequence(name, frames, each.boxes, image_size=video.stated_size)
    outlines = [outline for outline in each.polygons if outline is not None]
    corners = len(outlines) == len(each) and all(outline.size == 8 for outline in outlines)
    truth = np.stack(outlines).reshape(-1, 8) if corners else each.boxes
    rows = np.full((last - first, truth.shape[1]), np.nan)
    rows[each.frames - first] = truth
    known = ~np.isnan(rows).any(1)
    whole = bool(known.all())
    note = f"{name}: {len(known) - known.sum()} of {len(known)} frames without a label, not scored"
    late = first if video.per_frame else 0
    return Sequence(
        name=name,
        frames=frames,
        groundtruth=rows,
        image_size=video.stated_size,
        labelled=None if whole else known,
        notes=(*start_note(name, late), *(() if whole else (note,))),
        skipped=late,
    )


DATASETS = (Folder(name="folder", total=0, source="your own videos", layout=LAYOUT, test=False),)
