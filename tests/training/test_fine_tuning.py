"""The ten lines of docs/training.md that fine-tune on one's own data."""

import re
from pathlib import Path

from siamjax.config import load_config
from siamjax.training import optimizer

ROOT = Path(__file__).resolve().parents[2]


def test_documented_lines_make_an_experiment(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/training.md").read_text(), re.S)
    assert len([line for line in code.splitlines() if line]) == 10
    path = tmp_path / "mine.py"
    path.write_text(code)
    config = load_config(str(path))
    assert list(config.data.sources) == ["mine"]
    assert config.data.sources.mine.path == "data/mine"
    assert config.train.init_from == "runs/resnet50"
    groups = {
        optimizer.phase_of(config.train, epoch).groups for epoch in range(config.train.epochs)
    }
    assert groups == {(optimizer.REST,)}
