"""DAVIS and YouTube-VOS: `python -m data_prep davis --source=davis --out=data/davis`.

The boxes around the masks of all targets.
"""

from data_prep.command import run
from data_prep.labelled import Labelled


class Davis(Labelled):
    """Masks of DAVIS 2016 and 2017, and of YouTube-VOS.

    expected are JPEGImages/480p/<video>/*.jpg and Annotations/480p/<video>/*.png, with or without
    480p
    """

    name = "davis"
    format = "masks"
    official = (("videos", 60),)  # DAVIS 2017, training


if __name__ == "__main__":
    run(Davis)
