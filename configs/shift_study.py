"""The narrow network of the studies with a head on the deepest level alone: one run of `siamjax
study shift`.

Command: siamjax study shift --workdir=runs/shift_study
Hardware: any machine; two CPU cores are enough.
"""

from configs import studies


def get_config():
    c = studies.get_config()
    c.name = "shift_study"
    # the deepest level alone: from there a cell sees the padding on all sides, and so where it is
    c.model.levels = (4,)
    c.model.blocks = (1, 1, 2, 2)
    c.data.sources.synthetic.path = "runs/shift_study/shards"
    # every search crop shows the target: where targets never leave the middle, place alone answers
    c.data.negative = 0.0
    return c
