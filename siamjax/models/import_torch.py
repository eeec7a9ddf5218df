"""PySOT's checkpoints as variables, and back.

Everything here works on {name: NumPy array}; reading `.pth` files is `siamjax.models.torch_files`.
"""

import re

import flax.traverse_util
import numpy as np

from siamjax.errors import UserError
from siamjax.models.initialise import shapes
from siamjax.models.siamrpn import SiamRPN

# Ours (below its part) -> PySOT's, tried in turn on the whole path. A normalisation has
# the number after its convolution's.
_BACKBONES = {
    "resnet": [
        (r"(conv1|bn1)", r"\1"),
        (r"(layer\d)/block(\d+)/shortcut_conv", r"\1.\2.downsample.0"),
        (r"(layer\d)/block(\d+)/((?:conv|bn)\d)", r"\1.\2.\3"),
    ],
    "mobilenetv2": [
        (r"layer0/conv", r"layer0.0"),
        (r"(layer\d)/block(\d+)/expand_conv", r"\1.\2.conv.0"),
        (r"(layer\d)/block(\d+)/depthwise_conv", r"\1.\2.conv.3"),
        (r"(layer\d)/block(\d+)/project_conv", r"\1.\2.conv.6"),
    ],
    "mobilenetv3": [  # NanoTrack's
        (r"layer0/conv", r"features.0.0"),
        (r"layer1/depthwise_conv", r"features.1.conv.0"),
        (r"layer1/gate/squeeze", r"features.1.conv.3.fc.0"),
        (r"layer1/gate/excite", r"features.1.conv.3.fc.2"),
        (r"layer1/project_conv", r"features.1.conv.4"),
        (r"layer(\d)/expand_conv", r"features.\1.conv.0"),
        (r"layer(\d)/depthwise_conv", r"features.\1.conv.3"),
        (r"layer(\d)/gate/squeeze", r"features.\1.conv.5.fc.0"),
        (r"layer(\d)/gate/excite", r"features.\1.conv.5.fc.2"),
        (r"layer(\d)/project_conv", r"features.\1.conv.7"),
    ],
    "alexnet": [
        (f"layer{i}/conv", f"features.{number}") for i, number in enumerate((0, 4, 8, 11, 14), 1)
    ],
    "alexnet in training": [(r"(layer\d)/conv", r"\1.0")],
}
_BRANCHES = {
    "depthwise": [
        (r"(cls|loc)/(kernel|search)/conv", r"\1.conv_\2.0"),
        (r"(cls|loc)/hidden/conv", r"\1.head.0"),
        (r"(cls|loc)/out", r"\1.head.3"),
    ],
    "upchannel": [
        (r"(cls|loc)/kernel", r"template_\1_conv"),
        (r"(cls|loc)/search", r"search_\1_conv"),
        (r"loc/out", r"loc_adjust"),
    ],
}
_BRANCHES["cross"] = _BRANCHES["depthwise"]  # the same layers, the first 1x1 on one channel
_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
# Modules and tensors in the order in which PySOT's classes define them; numbers are their own rank.
_ORDER = """
    backbone neck rpn_head conv1 bn1 conv2 bn2 conv3 bn3 downsample
    cls_weight loc_weight cls loc conv_kernel conv_search head
    template_cls_conv template_loc_conv search_cls_conv search_loc_conv loc_adjust
    weight bias running_mean running_var num_batches_tracked
""".split()  # noqa: SIM905

COUNTER = "num_batches_tracked"  # of each batch normalisation; it has no meaning for the network


def has_names(model: SiamRPN) -> bool:
    """Whether PySOT, or NanoTrack, whose checkpoints have the same form, has the backbone."""
    return _family(model) in _BACKBONES


def _family(model):
    return re.sub(r"^resnet\d+", "resnet", model.backbone)


def pysot_names(model: SiamRPN, training_form: bool = False) -> dict:
    """{PySOT's tensor name: our path, collection first}, in the order of PySOT's state dict.

    The batch normalisations' counters are listed too, with None: siamjax has no such variable.

    Args:
        model: a `SiamRPN`.
        training_form: AlexNet's names in PySOT's training code (layer1.0) instead of those in its
            published models (features.0).

    Raises:
        UserError: PySOT does not have the backbone.
        ValueError: a parameter that PySOT's names do not cover.
    """
    if not has_names(model):
        raise UserError(
            f"PySOT has no backbone {model.backbone}; its checkpoints are of resnet, mobilenetv2"
            " and alexnet"
        )
    table = {}
    levels = model.level_indices()
    for path in flax.traverse_util.flatten_dict(shapes(model)):
        name = _pysot_name(model, levels, path[1:], training_form)
        table[name] = path
        if path[-1] == "var":
            table[name.replace("running_var", COUNTER)] = None
    order = sorted(table, key=lambda name: [_rank(part) for part in name.split(".")])
    return {name: table[name] for name in order}


def _pysot_name(model, levels, path, training_form):
    part, inner, leaf = path[0], "/".join(path[1:-1]), path[-1]
    if part == "backbone":
        family = _family(model)
        if training_form and family == "alexnet":
            family = "alexnet in training"
        return f"backbone.{_translate(inner, _BACKBONES[family])}.{_LEAVES[leaf]}"
    if len(path) == 2:
        return f"rpn_head.{leaf}"  # a fusion weight
    # PySOT counts levels from 2 in the order of use, and does not number a single one.
    level, _, inner = inner.partition("/")
    number = levels.index(int(level.removeprefix("level"))) + 2 if len(levels) > 1 else ""
    if part == "neck":
        return f"neck.downsample{number}.downsample.{['conv', 'bn'].index(inner)}.{_LEAVES[leaf]}"
    prefix = f"rpn_head.rpn{number}." if len(levels) > 1 else "rpn_head."
    return f"{prefix}{_translate(inner, _BRANCHES[model.correlation])}.{_LEAVES[leaf]}"


def _translate(path, rules):
    conv = re.sub("bn$", "conv", path)
    for pattern, replacement in rules:
        if match := re.fullmatch(pattern, conv):
            name = match.expand(replacement)
            return name if conv == path else re.sub(r"\d+$", lambda n: str(int(n[0]) + 1), name)
    raise ValueError(f"no name for {path}")


def _rank(part):
    name = re.fullmatch(r"([a-z_]*?)(\d*)", part)
    if part in _ORDER:
        return (_ORDER.index(part), 0)
    if name[1] == "":
        return (0, int(part))
    # layer3, downsample2, rpn4: after the other children of the same module
    return (len(_ORDER), int(name[2] or 0))


def from_pysot(model: SiamRPN, tensors: dict, path) -> tuple[dict, dict]:
    """A PySOT checkpoint's tensors as variables.

    Args:
        model: the `SiamRPN` of the config that the checkpoint belongs to.
        tensors: {name: array}, with or without "module." prefixes and counters.
        path: of the file, for messages.

    Returns:
        variables: {"params", "batch_stats"}, NumPy float32.
        metadata: what `to_pysot` needs beside them to write the same checkpoint again.

    Raises:
        UserError: tensors that the network lacks, has besides, or has in another shape; all are
            counted and the first are named.
    """
    tensors = {name.removeprefix("module."): array for name, array in tensors.items()}
    return _from_pysot(model, tensors, path, "")


def _from_pysot(model, tensors, path, part):
    """`from_pysot` for the tensors whose names start with `part`."""
    training_form = model.backbone == "alexnet" and "backbone.layer1.0.weight" in tensors
    names = pysot_names(model, training_form)
    names = {name: target for name, target in names.items() if name.startswith(part)}
    wanted = {name: target for name, target in names.items() if target is not None}
    refuse(path, "unknown", sorted(tensors.keys() - names.keys()))
    refuse(path, "missing", sorted(wanted.keys() - tensors.keys()))
    variables = _fill(model, {target: tensors[name] for name, target in wanted.items()}, path)
    counters = {name: int(array) for name, array in tensors.items() if name.endswith(COUNTER)}
    return variables, {COUNTER: counters, "training_form": training_form}


def to_pysot(model: SiamRPN, variables: dict, metadata: dict | None = None) -> dict:
    """Variables as PySOT's tensors: its names, order, shapes and layouts.

    metadata: of `from_pysot`; without it AlexNet gets its published names and the counters are 0.
    """
    metadata = metadata or {}
    flat = flax.traverse_util.flatten_dict(dict(variables))
    counters = metadata.get(COUNTER)
    tensors = {}
    for name, path in pysot_names(model, metadata.get("training_form", False)).items():
        if path is not None:
            tensors[name] = _with_axes(flat[path], (3, 2, 0, 1))
        elif counters is None or name in counters:
            tensors[name] = np.array((counters or {}).get(name, 0), np.int64)
    return tensors


def backbone_from_pysot(model: SiamRPN, tensors: dict, path) -> dict:
    """A pretrained backbone in PySOT's form: names without "backbone.", a classifier is left out.

    Returns:
        The backbone's part of the variables: {"params": {"backbone": ...}, "batch_stats": ...}.
        Layers that the network does not build are left out.

    Raises:
        UserError: as `from_pysot`.
    """
    tensors = {f"backbone.{name.removeprefix('module.')}": array for name, array in tensors.items()}
    built = shapes(model)["params"]["backbone"]
    for name in list(tensors):
        layer = name.split(".")[1]
        if re.fullmatch(r"fc|classifier|layer\d", layer) and layer not in built:
            del tensors[name]
    return _from_pysot(model, tensors, path, "backbone.")[0]


def _fill(model, arrays, path):
    """{our path: torch array} -> variables; the shapes must be the network's."""
    wanted = flax.traverse_util.flatten_dict(shapes(model))
    arrays = {name: _with_axes(array, (2, 3, 1, 0)) for name, array in arrays.items()}
    wrong = [
        f"{'/'.join(name)} {arrays[name].shape} instead of {wanted[name].shape}"
        for name in sorted(arrays)
        if arrays[name].shape != wanted[name].shape
    ]
    refuse(path, "wrongly shaped", wrong)
    return flax.traverse_util.unflatten_dict(arrays)


def _with_axes(array, axes):
    """A kernel in another order of axes; all else as it is."""
    array = np.asarray(array)
    return np.ascontiguousarray(array.transpose(axes) if array.ndim == 4 else array, np.float32)


def refuse(path, what: str, names: list) -> None:
    """Raises a `UserError` that counts the tensors and names the first, unless there are none."""
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise UserError(
            f"{path}: {len(names)} {what} tensors: {', '.join(names[:3])}{more}; "
            "use the config of the network the file belongs to"
        )
