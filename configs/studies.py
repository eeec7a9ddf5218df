"""The narrow network of `siamjax study`: ResNet-18's blocks, a sixteenth as wide, a short schedule.

Command: siamjax study layers --workdir=runs/studies
Hardware: any machine; two CPU cores are enough.
Cost: 4,000 pairs, 500 steps.
Expected: what docs/studies.md and its pages say.
"""

from configs import demo


def get_config():
    c = demo.get_config()
    c.name = "studies"
    c.model.width = 0.0625
    c.model.adjust_channels = (16,)
    c.data.sources.synthetic.path = "runs/studies/shards"
    c.data.pairs_per_epoch = 800
    # a short training does better with many steps of few pairs, at a rate that stays high
    c.train.epochs = 5
    c.train.batch_size = 8
    c.train.warmup_start = 0.01
    c.train.lr_end = 0.004
    c.train.keep = 1
    return c
