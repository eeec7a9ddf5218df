"""The experiment of docs/finetuning.md that fine-tunes on one's own data."""

import re
from pathlib import Path

from siamjax.api import default_checkpoint
from siamjax.config import load_config
from siamjax.training import optimizer

ROOT = Path(__file__).resolve().parents[2]


def test_documented_lines_make_an_experiment(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/finetuning.md").read_text(), re.S)
    path = tmp_path / "mine.py"
    path.write_text(code)
    config = load_config(str(path))
    assert list(config.data.sources) == ["mine"]
    assert config.data.sources.mine.path == "data/mine"
    assert Path(config.train.init_from) == default_checkpoint()
    groups = {
        optimizer.phase_of(config.train, epoch).groups for epoch in range(config.train.epochs)
    }
    assert groups == {(optimizer.REST,)}
