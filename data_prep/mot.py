"""MOT Challenge: `python -m data_prep mot --source=MOT17 --out=data/mot`.

People that cross each other: for negative pairs that look alike. Boxes of confidence 0 (what is not
to be scored) and wholly hidden people (visibility 0) are left out.
"""

from data_prep.command import run
from data_prep.labelled import Labelled


class Mot(Labelled):
    """MOT15, MOT16, MOT17, MOT20 and sets of their form.

    expected are train/<sequence>/ with gt/gt.txt, seqinfo.ini and img1/*.jpg
    """

    name = "mot"
    format = "motchallenge"


if __name__ == "__main__":
    run(Mot)
