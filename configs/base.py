"""Every field of an experiment, once, with its unit and meaning.

The values are the paper's (SiamRPN++ with ResNet-50) as the published models were trained. The
other files in this folder override what differs. A field is set on the command line by
`--config.section.field=value`; a field that is not here does not exist.
"""

import ml_collections


def source(path, frame_range, videos=0):
    """One training set: a folder of shards and how pairs are drawn from it.

    Args:
        path: folder written by `data_prep` (shards, index, manifest), or its address, s3://...
        frame_range: largest distance between the two frames of a pair, in positions of the
            track's frame list.
        videos: entries per epoch; the shuffled list of videos is repeated or cut to it.
            0: each video once.
    """
    return ml_collections.ConfigDict({"path": path, "frame_range": frame_range, "videos": videos})


def get_config():
    c = ml_collections.ConfigDict()
    c.name = "siamrpn_r50_l234"
    c.seed = 0  # of initialisation and of the drawn pairs

    # --- network: the arguments of siamjax.models.SiamRPN
    c.model = ml_collections.ConfigDict()
    c.model.backbone = "resnet50"  # resnet18 resnet34 resnet50 mobilenetv2 mobilenetv3 alexnet
    c.model.width = 1.0  # factor on the backbone's channels
    c.model.blocks = ()  # residual blocks of layer1..layer4 (ResNet); empty: the backbone's own
    c.model.levels = (2, 3, 4)  # backbone levels with a head each; the paper's conv3, conv4, conv5
    # 1x1 adjust layer's channels per level; one value: for all levels; empty: no adjust layer
    c.model.adjust_channels = (256,)
    # of the head: depthwise (SiamRPN++), upchannel (SiamRPN) or cross (one map of all channels)
    c.model.correlation = "depthwise"
    c.model.weighted = True  # learned softmax fusion of the levels; False: plain mean
    c.model.stride = 8  # px per cell of the deepest level; 16, 32 for comparison (ResNet)
    c.model.dilated = True  # stages that keep their resolution dilate instead (ResNet)
    c.model.template_cells = 7  # side of the template features, in cells, where they are adjusted
    # of the computation: float32, bfloat16 or float16; parameters and outputs stay float32
    c.model.dtype = "float32"
    c.model.early_dtype = "float32"  # the same of the first layers (ResNet: up to layer2)
    # of the convolutions: platform, products (1x1 as products on accelerators too), plain
    c.model.formulation = "platform"

    # --- anchors: the arguments of siamjax.geometry.anchors.Anchors
    c.anchors = ml_collections.ConfigDict()
    c.anchors.stride = 8  # px between score map cells in the search crop
    c.anchors.ratios = (0.33, 0.5, 1.0, 2.0, 3.0)  # height / width
    c.anchors.scales = (8,)  # side of the square anchor, in strides

    # --- crops shared by training and tracking
    c.crops = ml_collections.ConfigDict()
    c.crops.exemplar = 127  # px, side of the template crop z
    c.crops.search = 255  # px, side of the search crop x in training
    c.crops.stored = 511  # px, side of the context crops in the shards
    c.crops.context = 0.5  # context added to each side, as a fraction of w + h of the box

    # --- tracker: the arguments of siamjax.tracking.TrackerConfig
    c.tracker = ml_collections.ConfigDict()
    c.tracker.instance = 255  # px, side of the search crop x
    c.tracker.base_size = 8  # cells the score map has beyond (instance - 127) // 8 + 1
    c.tracker.penalty_k = 0.05  # strength of the penalty on changes of scale and ratio
    c.tracker.window_influence = 0.42  # share of the cosine window in the final score, 0..1
    c.tracker.lr = 0.38  # rate at which the size follows the prediction, 0..1
    c.tracker.long_term = False  # switch to the large search region when the target is lost
    c.tracker.lost_instance = 831  # px, side of the search crop while lost
    c.tracker.lost_window_influence = 0.001  # window_influence while lost
    c.tracker.confidence_low = 0.8  # score below which the target counts as lost
    c.tracker.confidence_high = 0.998  # score above which it counts as found again
    # take the true place and scale of a window of whole pixels for its answers; False: those that
    # were wished for, as published: half a pixel of the frame off on average
    c.tracker.exact_windows = False
    # weights of the map from what an answer looks like to the probability that the box holds the
    # target (siamjax study presence); empty: the score decides whether the target is lost
    c.tracker.presence = ()
    c.tracker.presence_low = 0.5  # presence below which the target counts as lost
    c.tracker.presence_high = 0.8  # presence above which it counts as found again

    # --- training pairs
    c.data = ml_collections.ConfigDict()
    c.data.sources = ml_collections.ConfigDict()
    c.data.sources.vid = source("data/vid", 100, 100_000)
    c.data.sources.youtubebb = source("data/youtubebb", 3)
    c.data.sources.coco = source("data/coco", 1)
    c.data.sources.det = source("data/det", 1)
    c.data.pairs_per_epoch = 600_000
    c.data.negative = 0.2  # probability that search comes from any video
    # other: never the template's own track; published: any track, the template's own included
    c.data.negatives = "other"
    # probability that it then shows another target of the template's video, where there is one
    c.data.distractor = 0.0
    # else: one of the template's category in another video of its set, where there is one
    c.data.alike = 0.0
    # probability that a pair is one that the network was wrong on in the epoch before
    c.data.mined = 0.0
    c.data.mined_kept = 512  # most such pairs of an epoch, the worst
    c.data.grey = 0.0  # probability that both crops lose their colour
    c.data.flip = 0.0  # probability that both crops are flipped left to right
    c.data.template = ml_collections.ConfigDict()
    c.data.template.shift = 4.0  # px, uniform in +/- shift, x and y independently
    c.data.template.scale = 0.05  # uniform in 1 +/- scale, x and y independently
    c.data.template.blur = 0.0  # probability of motion blur
    c.data.template.flip = 0.0  # probability of a horizontal flip
    c.data.template.colour = 1.0  # probability of PCA lighting noise
    c.data.template.exposure = 0.0  # stops, brightness times 2 ** (uniform in +/- exposure)
    c.data.template.coarse = 0.0  # probability of a lower resolution, down to a third
    c.data.search = ml_collections.ConfigDict()
    c.data.search.shift = 64.0
    c.data.search.scale = 0.18
    c.data.search.blur = 0.2
    c.data.search.flip = 0.0
    c.data.search.colour = 1.0
    c.data.search.exposure = 0.0
    c.data.search.coarse = 0.0
    c.data.workers = 8  # processes that decode and augment; 0: in the training process
    c.data.prefetch = 4  # batches made ahead by each worker
    c.data.max_bad_fraction = 0.01  # share of unreadable records above which the run fails

    # --- labels on the anchor grid: the arguments of siamjax.data.targets.TargetRule
    c.targets = ml_collections.ConfigDict()
    c.targets.positive_iou = 0.6  # anchors above are positive
    c.targets.negative_iou = 0.3  # anchors below are negative
    # anchors above that are kept as neither learn the box alone; 1: none, as published
    c.targets.loc_iou = 1.0
    c.targets.positives = 16  # most positives kept per pair
    c.targets.total = 64  # of them and the negatives; at most total - positives negatives
    c.targets.negatives = 16  # kept per negative pair

    # --- training
    c.train = ml_collections.ConfigDict()
    c.train.epochs = 20
    c.train.batch_size = 224  # pairs per step over all devices
    c.train.accumulate = 1  # parts in which a device's share of the batch is computed in turn
    c.train.cls_weight = 1.0
    c.train.loc_weight = 1.2
    c.train.momentum = 0.9
    # on every trainable tensor; the paper says 5e-4, the published models were trained with 1e-4
    c.train.weight_decay = 1e-4
    c.train.clip_norm = 10.0  # total L2 norm of the gradient
    c.train.freeze_bn = False  # batch norm uses its running statistics everywhere (small batches)
    # the same in the backbone alone, also while it trains: few videos, or a backbone whose
    # normalisations came folded into its weights
    c.train.freeze_backbone_bn = False
    c.train.ema = 0.0  # per step, share of the old in moving averages of the weights; 0: none kept
    c.train.remat = (
        False  # recompute cheap activations in the backward pass: less memory, more time
    )
    c.train.max_loss = 1e4  # a step with a larger or non-finite loss is skipped
    c.train.max_skipped = 50  # skipped steps in a row that end the run
    c.train.warmup_epochs = 5  # geometric from warmup_start towards warmup_end
    c.train.warmup_start = 0.001
    c.train.warmup_end = 0.005
    c.train.lr_start = 0.005  # after the warm-up, log-spaced over the remaining epochs
    c.train.lr_end = 0.0005
    c.train.backbone_lr = 0.1  # factor on the backbone's learning rate
    c.train.unfreeze_epoch = 10  # epoch (0-based) from which the backbone trains; 0: at once
    c.train.unfreeze_layers = ("layer2", "layer3", "layer4")  # backbone parts that ever train
    c.train.sync_bn = True  # batch statistics over all devices; False: per device, as published
    c.train.reference_quirks = False  # summed gradients, momentum lost at the switch; see docs
    c.train.checkpoint_every = 0  # steps between checkpoints besides each epoch's end; 0: none
    c.train.keep = 3  # newest checkpoints kept
    c.train.keep_best = 1  # checkpoints with the best validation score kept besides
    # validation while training: ((data set, every N epochs), ...), or with a third value in each,
    # the number of sequences; data sets are looked for as run_eval.py does
    c.train.evaluate = ()
    c.train.log_every = 50  # steps between TensorBoard points and lines of metrics.jsonl
    c.train.images_every = 0  # steps between images in TensorBoard; 0: none
    # weights to start from: a file (siamjax convert), or a run's folder to fine-tune, also at an
    # address; empty: random
    c.train.init_from = ""
    c.train.init_parts = ("backbone", "neck", "head")  # what is taken of them; the rest: random
    # address, s3://bucket/run, where config, metrics and checkpoints are copied and from which an
    # empty workdir is filled; empty: none
    c.train.mirror = ""
    return c
