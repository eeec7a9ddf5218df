"""Your own videos: `python -m data_prep folder --source=mine --out=data/mine`.

The folder holds videos or folders of frames, and their labels beside or inside, in any format that
`siamjax labels` knows; `siamjax.media.labels.own` describes the layout, which `--dataset=folder`
reads, too. A folder of one format, such as YOLO's, is taken as it is.
"""

from collections.abc import Collection
from pathlib import Path

from data_prep.command import run
from data_prep.labelled import Labelled
from data_prep.source import Videos


class Folder(Labelled):
    """Videos or folders of frames with labels.

    expected are videos <name>.mp4 (or .avi ...) or folders <name>/ of frames, and their labels in
    <name>.xml, .json, .csv, .txt or .mot beside them, or inside; siamjax labels FOLDER looks at it
    """

    name = "folder"

    def __init__(self, root: str | Path, names: Collection[str] | None = None):
        """`names`: of the videos that are taken; None: all."""
        super().__init__(root)
        self.names = names

    def videos(self) -> Videos:
        """As the base class, those that are taken."""
        for video in super().videos():
            if self.names is None or video.name in self.names:
                yield video


if __name__ == "__main__":
    run(Folder)
