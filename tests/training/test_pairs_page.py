"""The page of training pairs shows what the network is given."""

import base64
import re
from collections import Counter
from types import SimpleNamespace

import cv2
import ml_collections
import numpy as np
import pytest

from configs import base
from siamjax.cli import dispatch
from siamjax.config import load_config
from siamjax.data import jpeg
from siamjax.data.loader import Examples, make_sampler
from siamjax.data.sampling import Pair
from siamjax.data.shards import ShardWriter
from siamjax.errors import UserError
from siamjax.training import pairs_page


def pictures(text):
    """(width, height, picture) of each image of the page."""
    found = re.findall(r'width="(\d+)" height="(\d+)" src="data:image/png;base64,([^"]+)"', text)
    for width, height, data in found:
        pixels = np.frombuffer(base64.b64decode(data), np.uint8)
        yield int(width), int(height), cv2.imdecode(pixels, cv2.IMREAD_COLOR)


def test_pairs_and_positions(tiny, monkeypatch):
    centres = []

    def position_map(found, side):
        centres.append(found)
        return np.zeros((side, side, 3), np.uint8)

    monkeypatch.setattr(pairs_page, "position_map", position_map)
    config = tiny(data__flip=0.5)
    text = pairs_page.page(config, range(3, 5))
    shown = list(pictures(text))
    assert [picture.shape[:2] for *_, picture in shown] == [(h, w) for w, h, _ in shown]
    examples = Examples(config)
    for position, (*_, picture) in zip((3, 4), shown):
        example = examples[position]
        noisy = example.template.astype(np.float64) - example.template_noise
        template = np.clip(np.rint(noisy), 0, 255)
        assert np.abs(picture[:127, :127] - template).max() <= 1
        positive, negative = ((example.label == value).sum() for value in (1, 0))
        assert f"; {positive} positive, {negative} negative anchors;" in text
        kind = "negative" if example.pair.negative else "positive"
        kind += ", mirrored" * example.pair.flip
        assert f"{position}: {kind}; " in text

    # One map for each shift, of the positive ones of the first 2000 pairs.
    assert re.findall(r"shift (\d+) px<", text) == ["0", "16", "32", "64"]
    sampler = examples.sampler
    pairs = [sampler.pair(i, sampler.generator(i)) for i in range(2000)]
    assert [found.shape for found in centres] == [(sum(not p.negative for p in pairs), 2)] * 4
    spread = [np.abs(found - 127).max() for found in centres]
    assert spread[0] < 1e-9
    assert 0.98 * 16 < spread[1] < 16 / (1 - config.data.search.scale)
    np.testing.assert_allclose(spread[2:], [2 * spread[1], 4 * spread[1]], rtol=1e-9)


def test_what_negative_pairs_show(tmp_path, capsys):
    """Two videos. Before: 366 of 2,000 pairs showed the target itself as background."""
    image = jpeg.encode(np.zeros((511, 511, 3), np.uint8), 95)
    with ShardWriter(tmp_path / "two", "two") as writer:
        for video in ("a", "b"):
            for frame in range(3):
                writer.add_encoded(video, "0", frame, image, (20, 30))
    (tmp_path / "experiment.py").write_text(
        "import ml_collections\nfrom configs import base\n\n\n"
        "def get_config():\n    c = base.get_config()\n"
        f"    source = base.source({str(tmp_path / 'two')!r}, 100)\n"
        "    c.data.sources = ml_collections.ConfigDict({'two': source})\n    return c\n"
    )
    for rule in ("other", "published"):
        config = load_config(str(tmp_path / "experiment.py"), [f"--config.data.negatives={rule}"])
        counts = pairs_page.negatives(config, range(2000))
        assert 320 < sum(counts.values()) < 480
        if rule == "other":
            assert counts[pairs_page.OWN] == 0
            assert counts[pairs_page.SAME] == sum(counts.values())
        else:
            assert 140 < counts[pairs_page.OWN] < 260
    command = ["inspect", "pairs", f"--config={tmp_path / 'experiment.py'}", "--count=1"]
    assert dispatch([*command, f"--out={tmp_path / 'page.html'}"]) is None
    out = capsys.readouterr().out
    assert re.search(r"\n\d+ of 2000 pairs are negative and show\n  the target itself: 0\n", out)
    with pytest.raises(UserError, match="negatives=mine: choose other or published"):
        dispatch([*command, "--config.data.negatives=mine"])


def test_targets_of_the_same_video_are_told_from_others(tmp_path):
    image = jpeg.encode(np.zeros((511, 511, 3), np.uint8), 95)
    with ShardWriter(tmp_path / "two", "two") as writer:
        for video, tracks in (("a", 1), ("b", 3)):
            for track in range(tracks):
                writer.add_encoded(video, str(track), 0, image, (20, 30))
    config = base.get_config()
    config.data.sources = ml_collections.ConfigDict(
        {"two": base.source(str(tmp_path / "two"), 100)}
    )
    config.data.negatives = "other"
    counts = pairs_page.negatives(config, range(2000))
    sampler = make_sampler(config)
    index, wanted = sampler.sources[0].index, Counter()
    for position in range(2000):
        pair = sampler.pair(position, sampler.generator(position))
        if pair.negative:
            same = index.key(pair.template)[0] == index.key(pair.search)[0]
            wanted[pairs_page.NEAR if same else pairs_page.SAME] += 1
    assert +Counter(counts) == wanted
    assert len(wanted) == 2


def test_black_stays_black(monkeypatch):
    """The picture shows the crop without the noise of the colours."""
    drawn = []
    monkeypatch.setattr(pairs_page, "draw_pair", lambda *parts: drawn.append(parts) or parts[0])
    example = SimpleNamespace(
        pair=Pair(0, 0, 0, 0, negative=True, grey=False, flip=False),
        label=np.zeros((5, 2, 2), np.int8),
        template=np.zeros((4, 4, 3), np.uint8),
        search=np.full((6, 6, 3), 255, np.uint8),
        template_noise=np.float32([0, 3, -3]),
        search_noise=np.float32([0, 3, -3]),
        box=np.zeros(4),
    )
    source = SimpleNamespace(name="a", index=SimpleNamespace(key=lambda crop: ("v", 0, 0)))

    class Examples(dict):
        sampler, grid = SimpleNamespace(sources=[source]), None

    monkeypatch.setattr(pairs_page, "_figure", lambda picture, text: text)
    text = pairs_page._pair(Examples({0: example}), 0)
    template, search = drawn[0][:2]
    assert template[0, 0].tolist() == [0, 0, 3]
    assert search[0, 0].tolist() == [255, 252, 255]
    assert "negative" in text
