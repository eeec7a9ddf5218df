"""Configs from anywhere: fields, types and ranges."""

import dataclasses
import json

import pytest

from siamjax import bundled, schema
from siamjax.config import from_json, load_config, to_json
from siamjax.data.targets import TargetRule
from siamjax.errors import UserError
from siamjax.geometry.anchors import Anchors
from siamjax.models import SiamRPN
from siamjax.tracking import TrackerConfig

# fields of the constructors that are no field of a config's section
ELSEWHERE = {
    "model": {"anchors_per_cell", "bn_axis_name", "folded", "parent", "name"},
    "anchors": set(),
    "tracker": {"exemplar", "context", "anchors"},
    "targets": set(),
}


@pytest.mark.parametrize(
    "section, kind",
    [("model", SiamRPN), ("anchors", Anchors), ("tracker", TrackerConfig), ("targets", TargetRule)],
)
def test_the_sections_are_the_arguments_of_their_constructors(section, kind):
    known = schema._known()[section]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    assert {*known} == fields.keys() - ELSEWHERE[section]
    for name, value in known.items():
        default = fields[name].default
        assert type(value) is type(default) or isinstance(default, float), name


@pytest.mark.parametrize("name", sorted(bundled.experiments()))
def test_every_experiment_fits(name):
    config = load_config(name)
    assert schema.fault(config.to_dict()) is None
    assert to_json(from_json(to_json(config), "x")) == to_json(config)


def test_each_number_has_a_range():
    def numbers(node, prefix=""):
        for key, value in node.items():
            if isinstance(value, dict):
                yield from numbers(value, f"{prefix}{key}.")
            elif not isinstance(value, bool | str) and prefix + key != "train.evaluate":
                yield prefix + key

    for name in numbers(schema._known()):
        assert any(group in schema.RANGES for group in schema._groups(name)), name


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("model.blocks", [10**9] * 4, "whole number from 1 to 64 expected in each place"),
        ("model.blocks", [3] * 17, "a list of 0 to 16"),
        ("model.blocks", 3, "a list of 0 to 16"),
        ("model.width", float("nan"), "a number from 0.015625 to 16"),
        ("model.width", float("inf"), "a number from 0.015625 to 16"),
        ("model.width", True, "a number from"),
        ("model.levels", [2, [3]], "model.levels=[2, [3]]: a whole number from 0 to 16"),
        ("model.backbone", 5, "a text expected"),
        ("model.weighted", 1, "True or False expected"),
        ("model.deep", 1, "model.deep: no such field; did you mean model.dtype?"),
        ("anchors.stride", 0, "anchors.stride=0: a whole number from 1 to 128"),
        ("anchors.stride", 8.0, "a whole number from 1 to 128"),
        ("anchors.ratios", [], "a list of 1 to 32"),
        ("anchors.ratios", [0], "a number from 0.01 to 100"),
        ("anchors.ratios", [1.0] * 33, "a list of 1 to 32"),
        ("tracker.lr", 2, "a number from 0 to 1"),
        ("tracker.lr", None, "tracker.lr=None: a number from 0 to 1"),
        ("tracker.instance", 10**6, "from 16 to 4096"),
        ("crops.exemplar", "x" * 999, "xxx...: a whole number from 16 to 8192"),
        ("data.sources", [], "a section of fields"),
        ("data.sources.vid", 3, "a section of fields"),
        ("data.sources.vid.frame_range", -1, "a whole number from 0"),
        ("model", 3, "model is missing"),
        ("crops", {"exemplar": 127}, "crops.context is missing"),
    ],
)
def test_a_value_that_nothing_can_be_built_from_is_named(name, value, message):
    tree = json.loads(to_json(load_config("base")))
    *sections, field = name.split(".")
    node = tree
    for section in sections:
        node = node[section]
    node[field] = value
    with pytest.raises(UserError) as caught:
        from_json(json.dumps(tree), "strange.npz")
    assert str(caught.value).startswith("strange.npz: its config is none of siamjax's: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '{"a.b": 1}', "{}"])
def test_a_text_that_is_no_config(text):
    with pytest.raises(UserError, match="its config is none of siamjax's"):
        from_json(text, "strange")


def test_fields_of_other_versions():
    """Fields that `configs/base.py` does not have stay where no constructor takes them; those that
    came later are not needed."""
    tree = json.loads(to_json(load_config("base")))
    tree["train"]["later"] = {"a": [1]}
    tree["section"] = {"mine": 1}
    del tree["data"]["negatives"], tree["train"]["freeze_backbone_bn"], tree["targets"]
    config = from_json(json.dumps(tree), "other")
    assert config.train.later.a == (1,)
    assert config.section.mine == 1


def test_an_override_out_of_range_is_one_line():
    """Before: `siamjax inspect resnet50 --config.anchors.stride=0` gave a ZeroDivisionError when
    the network was compiled."""
    with pytest.raises(UserError, match=r"^--config\.anchors\.stride=0: a whole number from 1"):
        load_config("base", ["--config.anchors.stride=0"])
