"""Your own videos: `python -m data_prep folder --source=mine --out=data/mine`.

The folder holds videos or folders of frames, and their labels beside or inside, in any format that
`siamjax labels` knows; `siamjax.media.labels.own` describes the layout, which `--dataset=folder`
reads, too. A folder of one format, such as YOLO's, is taken as it is.
"""

from data_prep.command import run
from data_prep.labelled import Labelled


class Folder(Labelled):
    """Videos or folders of frames with labels.

    expected are videos <name>.mp4 (or .avi ...) or folders <name>/ of frames, and their labels in
    <name>.xml, .json, .csv, .txt or .mot beside them, or inside; siamjax labels FOLDER looks at it
    """

    name = "folder"


if __name__ == "__main__":
    run(Folder)
