"""YOLO's sets of images: `python -m data_prep yolo --source=players --out=data/players`.

Each image is a video of one frame, each object a track.
"""

from data_prep.command import run
from data_prep.labelled import Labelled


class Yolo(Labelled):
    """Images with texts of a box per line.

    expected are images/**/*.jpg, labels/**/*.txt and data.yaml with the names of the classes
    """

    name = "yolo"
    format = "yolo"


if __name__ == "__main__":
    run(Yolo)
