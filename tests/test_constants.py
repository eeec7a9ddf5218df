"""Constants of the tracker from the command line."""

import argparse

import pytest

from siamjax import api, cli, constants
from siamjax.commands import eval as command
from siamjax.errors import UserError


def test_constants_by_hand():
    assert constants.parse([]) == constants.parse(None) == {}
    assert constants.parse(["penalty_k=0.1", "lr=.3,instance=287"]) == {
        "penalty_k": 0.1,
        "lr": 0.3,
        "instance": 287.0,
    }
    assert constants.parse(["lr=0.1", "lr=0.2"]) == {"lr": 0.2}


@pytest.mark.parametrize(
    "text, message",
    [
        ("penalty=1", "did you mean penalty_k[?] Known: penalty_k, window_influence, lr, instance"),
        ("lr", "give lr as a number from 0 to 1"),
        ("lr=x", "give lr as a number from 0 to 1"),
        ("lr=nan", "give lr as a number"),
        ("lr=1.01", "from 0 to 1"),
        ("penalty_k=-0.1", "from 0 to 100"),
        ("instance=287.5", "whole number from 128 to 2048"),
        ("instance=50000", "whole number from 128 to 2048"),
    ],
)
def test_wrong_constants(text, message):
    with pytest.raises(UserError, match=message):
        constants.parse([text])


def test_a_tracker_takes_them(checkpoint):
    chosen = {"penalty_k": 0.2, "instance": 287.0}
    config, _ = api.load_variables(checkpoint, chosen)
    before, _ = api.load_variables(checkpoint)
    assert (config.tracker.penalty_k, config.tracker.instance) == (0.2, 287)
    assert isinstance(config.tracker.instance, int)
    assert config.tracker.lr == before.tracker.lr
    assert config.is_locked


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"penalty": 1}, "constants: penalty=1: no constant 'penalty'; did you mean penalty_k"),
        ({"lr": 2}, "constants: lr=2: give lr as a number from 0 to 1"),
        ({"lr": None}, "constants: lr=None: give lr as a number"),
        ({"instance": 255.5}, "give instance as a whole number"),
    ],
)
def test_a_script_gives_wrong_ones(checkpoint, given, message):
    """Before: TrackerConfig.__init__() got an unexpected keyword argument, or a tracker."""
    with pytest.raises(UserError, match=message):
        api.load_variables(checkpoint, given)


def test_a_constant_without_effect_is_an_error(checkpoint):
    """Before: `siamjax eval --tracker=lost_instance=511` on a short-term tracker ran as without."""
    with pytest.raises(UserError, match=r"lost_instance: has no effect, .*long-term.*: penalty_k"):
        api.load_variables(checkpoint, {"lost_instance": 511})


def test_every_name_is_a_field_of_the_trackers_config(tiny):
    config = tiny.config.copy_and_resolve_references()
    assert set(constants.RANGES) == set(config.tracker) - {
        "base_size",
        "long_term",
        "presence",
        "exact_windows",
    }
    config.unlock().tracker.long_term = True
    highest = {name: high for name, (_, high) in constants.RANGES.items()}
    # score or presence decides, so that the limits of one have no effect
    for judged, fitted in (("presence", ()), ("confidence", (1.0,) * 16)):
        config.tracker.presence = fitted
        used = {name: high for name, high in highest.items() if not name.startswith(judged)}
        constants.apply(config, used)
    for name, (low, high) in constants.RANGES.items():
        assert low < high == config.tracker[name]


@pytest.mark.parametrize("name", ["eval", "curve"])
def test_the_old_form_names_the_new_one(name, tmp_path):
    flags = {"eval": [], "curve": [f"--workdir={tmp_path}"]}[name]
    with pytest.raises(UserError, match=r"by --set penalty_k=0.1,lr=0.3$"):
        cli.dispatch([name, "--dataset=synthetic", *flags, "--tracker=penalty_k=0.1,lr=0.3"])


def test_wrong_constants_are_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(UserError, match="--set lr=7"):
        command.run(parser.parse_args(["--dataset=synthetic", "--set", "lr=7"]))
    assert not list(tmp_path.iterdir())
