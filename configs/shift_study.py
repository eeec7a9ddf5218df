"""A tracker half as wide as the demo's, with a short schedule: one run of `siamjax study shift`.

Command: siamjax study shift --workdir=runs/shift_study
Hardware: any machine; two CPU cores are enough.
"""

from configs import demo


def get_config():
    c = demo.get_config()
    c.name = "shift_study"
    c.model.width = 0.0625
    c.model.adjust_channels = (16,)
    # the deepest level alone: from there a cell sees the padding on all sides, and so where it is
    c.model.levels = (4,)
    c.model.blocks = (1, 1, 2, 2)
    c.data.sources.synthetic.path = "runs/shift_study/shards"
    c.data.pairs_per_epoch = 800
    # every search crop shows the target: where targets never leave the middle, place alone answers
    c.data.negative = 0.0
    # a short training does better with many steps of few pairs, at a rate that stays high
    c.train.epochs = 5
    c.train.batch_size = 8
    c.train.warmup_start = 0.01
    c.train.lr_end = 0.004
    return c
