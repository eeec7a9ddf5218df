"""What depth and fine-tuning of the backbone give (SiamRPN++, table of backbones)."""

from typing import Any

from siamjax.config import load_config
from siamjax.errors import UserError
from siamjax.studies import scores
from siamjax.studies.runs import Run, Setting, Variant

CONFIG = "studies"
QUESTION = "What do the backbone's depth, and training it, give?"
SOURCE = "SiamRPN++, section 4.2: the comparison of backbones, and the table of ablations"
FIGURES = scores.FIGURES
NAMES = ("resnet18", "alexnet", "resnet34", "resnet50", "mobilenetv2")
FROZEN = ("resnet18", "alexnet", "resnet50")  # compared without --full
# factors on the channels beside a narrow experiment, so that none costs far more than the others
NARROW = {
    "alexnet": 0.0834,
    "resnet18": 0.0625,
    "resnet34": 0.0625,
    "resnet50": 0.047,
    "mobilenetv2": 0.1875,
}
NARROW_BELOW = 0.5  # of the experiment's width
# parts of each that train: all of a narrow one, as it starts at random
PARTS = {
    "alexnet": tuple(f"layer{i}" for i in range(1, 6)),
    "mobilenetv2": tuple(f"layer{i}" for i in range(8)),
}
RESNET = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")


def variants(setting: Setting) -> list[Variant]:
    """Every backbone trained, some of them (--full: all) frozen as it starts, too.

    Raises:
        UserError: full width without weights to start from.
    """
    if not narrow(setting) and not setting.base.train.init_from:
        raise UserError(
            "--config: frozen backbones of full width need trained weights; give them as"
            " --config.train.init_from=FOLDER/{backbone}.npz (siamjax convert)"
        )
    found = []
    for frozen in (False, True):
        for name in NAMES:
            if frozen and name not in FROZEN and not setting.full:
                continue
            fields = fields_of(setting, name)
            if frozen:
                fields["train.unfreeze_layers"] = ()
            label = f"{name}, {'frozen' if frozen else 'trained'}"
            found.append(Variant(label, fields, main=name == "resnet50"))
    return found


def narrow(setting: Setting) -> bool:
    """Whether the experiment is of small scale, so that other backbones are to be narrow, too."""
    return setting.base.model.width < NARROW_BELOW


def fields_of(setting: Setting, name: str) -> dict[str, Any]:
    """What makes the experiment one of this backbone, as its bundled experiment has it."""
    own, base, small = load_config(name), setting.base, narrow(setting)
    adjust = base.model.adjust_channels if small else own.model.adjust_channels
    fields: dict[str, Any] = {
        "model.backbone": name,
        "model.width": NARROW[name] if small else own.model.width,
        "model.blocks": (),
        "model.levels": tuple(own.model.levels),
        "model.weighted": own.model.weighted,
        "model.adjust_channels": tuple(adjust) if own.model.adjust_channels else (),
        "train.unfreeze_layers": tuple(own.train.unfreeze_layers),
    }
    for field in ("instance", "base_size"):
        fields[f"tracker.{field}"] = own.tracker[field]
    if small:
        fields["train.unfreeze_layers"] = PARTS.get(name, RESNET)
    else:
        fields["train.init_from"] = base.train.init_from.replace("{backbone}", name)
    return fields


def measure(run: Run) -> dict[str, dict[str, float]]:
    """Success AUC, EAO and frames per second."""
    return {"": scores.of_run(run)}
