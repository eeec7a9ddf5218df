"""A network that can't learn eight real pairs by heart is broken somewhere."""

import cv2
import ml_collections
import numpy as np
import pytest

from configs import base, demo
from siamjax import models
from siamjax.data import loader
from siamjax.data.crops import context_crop
from siamjax.data.shards import ShardWriter
from siamjax.training import optimizer, parallel, state, step

STEPS = 400


@pytest.fixture
def real_shards(reference, tmp_path):
    """Two frames each of eight GOT-10k sequences."""
    folder = tmp_path / "shards"
    videos = sorted((reference / "data/train/got10k/train").glob("GOT-10k_Train_*"))[:8]
    with ShardWriter(folder, "real") as writer:
        for video in videos:
            boxes = np.loadtxt(video / "groundtruth.txt", delimiter=",")
            files = sorted(video.glob("*.jpg"))
            for i in (0, len(files) // 2):
                x, y, w, h = boxes[i]
                crop = context_crop(cv2.imread(str(files[i])), (x, y, x + w, y + h))
                writer.add(video.name, "0", i, crop, size=(w, h))
    return folder


@pytest.mark.slow
@pytest.mark.reference
def test_eight_real_pairs_are_learnt_by_heart(real_shards):
    config = demo.get_config()
    config.data.sources = ml_collections.ConfigDict()
    config.data.sources.real = base.source(str(real_shards), frame_range=100)
    config.data.negative = 0.25
    config.data.search.shift = 32.0
    paper = base.get_config().targets  # the demo asks for four times as many negatives
    config.targets.total, config.targets.negatives = paper.total, paper.negatives
    config.train.batch_size = 8
    config.train.epochs = 20
    config.train.warmup_epochs = 1
    config.train.warmup_start, config.train.warmup_end = 0.005, 0.05
    config.train.lr_start, config.train.lr_end = 0.05, 0.005
    config.train.weight_decay = 0.0

    batches = loader.make_loader(config, batch_size=8, workers=0)
    batch = parallel.put(next(batches))
    batches.close()
    model = models.build(config)
    variables = models.init_variables(model, config.seed)
    labels = optimizer.label(variables["params"], config.train.unfreeze_layers)
    phase = optimizer.phase_of(config.train, 0)
    model = model.clone(bn_axis_name=parallel.AXIS)
    program = parallel.compile_step(
        step.make_step(config, model, labels, phase, STEPS // config.train.epochs, parallel.AXIS)
    )
    now = state.create(variables, optimizer.make(config.train, labels), False)
    now = parallel.replicate(now)
    losses = []
    while len(losses) < STEPS and min(losses, default=1.0) >= 0.05:
        now, metrics = program(now, batch)
        losses.append(parallel.first(metrics)["loss"])
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f} in {len(losses)} steps")
    assert losses[0] > 1
    assert losses[-1] < 0.05
