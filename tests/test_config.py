import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from siamjax.config import difference, from_json, load_config, to_json
from siamjax.errors import UserError, run_main

ROOT = Path(__file__).resolve().parents[1]
BASE = str(ROOT / "configs" / "base.py")
EXPERIMENTS = sorted(p.name for p in (ROOT / "configs").glob("*.py") if p.name != "__init__.py")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_the_fields_of_base_and_no_others(name):
    base, config = load_config(BASE), load_config(str(ROOT / "configs" / name))

    def fields(node, prefix=""):
        for key, value in node.items():
            if prefix == "data." and key == "sources":
                continue
            if hasattr(value, "items"):
                yield from fields(value, f"{prefix}{key}.")
            else:
                yield prefix + key

    own = {field for field in fields(config) if field.startswith("finetune.")}
    assert bool(own) == (name == "finetune.py")  # the constants of that command
    assert set(fields(config)) - own == set(fields(base))


def test_overrides_take_the_type_of_their_field():
    config = load_config(
        BASE, ["--config.model.levels=(4,)", "--config.train.lr_end=1", "--config.seed=3"]
    )
    assert config.model.levels == (4,)
    assert isinstance(config.train.lr_end, float)
    assert config.seed == 3


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--config.train.batchsize=3", "did you mean --config.train.batch_size?"),
        ("--config.model.level=(4,)", "did you mean --config.model.levels?"),
        (
            "--config.train.batch_size=many",
            "--config.train.batch_size=many: a whole number expected",
        ),
        ("--config.train.epochs=1.5", "--config.train.epochs=1.5: a whole number expected"),
        ("--config.train.lr_start=abc", "--config.train.lr_start=abc: a number expected"),
        ("--config.train.sync_bn=maybe", "--config.train.sync_bn=maybe: True or False expected"),
        (
            "--config.model.levels=(2,",
            "--config.model.levels=(2,: a list such as (2, 3, 4) expected",
        ),
        ("--config.model.levels=(2,x)", "levels=(2,x): a list such as (2, 3, 4) expected"),
        ("--config.anchors.ratios=(0.5,x)", "ratios=(0.5,x): a list such as (0.33, "),
        ("--config.anchors.ratios=abc", "--config.anchors.ratios=abc: a number from 0.01 to 100"),
        ("--config.train.evaluate=(a,1)", "evaluate=(a,1): a list, texts in quotes, expected"),
        ("--config.train=5", "--config.train=5: a section of fields expected"),
        ("--config.train.batch_size", "=VALUE"),
        ("--batch=3", "--config.section.field=value"),
    ],
)
def test_a_bad_override_is_one_line_that_names_the_fix(argument, message):
    with pytest.raises(UserError) as error:
        load_config(BASE, [argument])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "literal" not in str(error.value)  # Python's own words


def test_a_missing_experiment_file_is_named():
    with pytest.raises(UserError, match=r"configs/nothing\.py: no such file"):
        load_config("configs/nothing.py")


def test_a_bundled_experiment_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config("resnet50").name == load_config(str(ROOT / "configs/resnet50.py")).name
    with pytest.raises(UserError, match=r"resnet5: no such file; .*resnet34, resnet50,"):
        load_config("resnet5")
    (tmp_path / "resnet50").write_text(
        "import ml_collections\n"
        "def get_config():\n"
        "    return ml_collections.ConfigDict({'name': 'file'})\n"
    )
    assert load_config("resnet50").name == "file"  # a file of that name comes first


def test_experiments_of_a_wheel_lie_inside_the_package(tmp_path):
    """A user's file imports `configs` from there, in a folder that holds neither."""
    package = tmp_path / "site" / "siamjax"
    package.mkdir(parents=True)
    for name in ("__init__", "bundled", "config", "errors", "schema", "version"):
        shutil.copy(ROOT / "siamjax" / f"{name}.py", package)
    shutil.copytree(ROOT / "configs", package / "_bundled" / "configs")
    (tmp_path / "mine.py").write_text(
        "from configs import base\n"
        "def get_config():\n"
        "    c = base.get_config()\n"
        "    c.name = 'mine'\n"
        "    return c\n"
    )
    code = (
        "import sys\n"
        f"sys.path[:] = [entry for entry in sys.path if entry != {str(ROOT)!r}]\n"
        "from siamjax import bundled\n"
        "from siamjax.config import load_config\n"
        "print(load_config('mine.py', ['--config.seed=3']).seed, load_config('demo').name)\n"
        "print(bundled.call('configs.resnet50', 'get_config').name)\n"
        "print(sys.modules['configs'].__file__)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    place = str(package / "_bundled/configs/__init__.py")
    assert found.stdout.split() == ["3", "demo", load_config("resnet50").name, place]


def test_json_round_trip_and_difference():
    config = load_config(BASE)
    assert not difference(config, from_json(to_json(config)))
    other = load_config(BASE, ["--config.train.epochs=3"])
    assert difference(config, other) == ["train.epochs: 20 -> 3"]


def test_a_loaded_config_is_locked():
    with pytest.raises(AttributeError):
        load_config(BASE).train.new_field = 1


@pytest.mark.parametrize(
    "body, code, message",
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (lambda: exec("raise UserError('x.jpg: broken')", globals()), 2, "error: x.jpg: broken\n"),
        (lambda: exec("raise KeyboardInterrupt"), 130, "interrupted\n"),
    ],
)
def test_run_main_exit_codes(body, code, message, capsys):
    with pytest.raises(SystemExit) as caught:
        run_main(body)
    assert caught.value.code == code
    assert capsys.readouterr().err == message
    assert sys.exc_info()[0] is None
