"""DTB70: 70 videos from drones (Li and Yeung 2017).

Layout: `<video>/img/%05d.jpg` and `<video>/groundtruth_rect.txt` with left,top,width,height per
frame, the first pixel counted as 1 as in OTB, whose form the data set takes over. The authors'
evaluation code has `anno/att/<video>.txt` with eleven attributes as 0 or 1.
"""

from siamjax.datasets.dataset import Dataset

ATTRIBUTES = ("SV", "ARV", "OCC", "DEF", "FCM", "IPR", "OPR", "OV", "BC", "SOA", "MB")

DATASETS = (
    Dataset(
        name="DTB70",
        total=70,
        source="https://github.com/flyers/drone-tracking",
        layout=(
            "DTB70/<video>/img/00001.jpg ...\nDTB70/<video>/groundtruth_rect.txt\n"
            "DTB70/anno/att/<video>.txt for its attributes"
        ),
        truth="{name}/groundtruth_rect.txt",
        images="img",
        folders=("DTB70",),
        annotated=("DTB70",),
        attributes=ATTRIBUTES,
        base=1,
    ),
)
