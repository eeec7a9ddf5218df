"""`siamjax study channels`: responses of a small network, labelled targets, pictures."""

import functools
import json

import cv2
import jax
import numpy as np
import pytest

from siamjax import models
from siamjax.cli import dispatch
from siamjax.errors import UserError
from siamjax.models import weights
from siamjax.studies import channels, labelled


@pytest.fixture
def coco(tmp_path):
    """COCO labels: 9 red squares and 8 blue discs, one an image, and 2 of a rare category."""
    folder = tmp_path / "coco"
    images, boxes = [], []
    (folder / "train2017").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i, kind in enumerate([1] * 9 + [2] * 8 + [3] * 2):
        image = rng.integers(90, 110, (90, 120, 3), dtype=np.uint8)
        if kind == 1:
            image[30:60, 40:70] = (0, 0, 250)
        else:
            cv2.circle(image, (55, 45), 15, (250, 0, 0), -1)
        cv2.imwrite(str(folder / "train2017" / f"{i:06d}.png"), image)
        images.append({"id": i, "file_name": f"{i:06d}.png", "width": 120, "height": 90})
        boxes.append({"id": i, "image_id": i, "category_id": kind, "bbox": [40, 30, 30, 30]})
    names = [{"id": 1, "name": "square"}, {"id": 2, "name": "disc"}, {"id": 3, "name": "rare"}]
    (folder / "annotations").mkdir()
    text = json.dumps({"images": images, "annotations": boxes, "categories": names})
    (folder / "annotations" / "instances_train2017.json").write_text(text)
    return folder


def test_from_labels_to_pictures(coco, tiny, tmp_path, capsys):
    weights.save(tmp_path / "tiny.npz", *tiny)
    flags = [f"--labels={coco}", f"--checkpoint={tmp_path / 'tiny.npz'}", "--clips=1"]
    out, data = tmp_path / "out", tmp_path / "data"
    data.mkdir()
    shards = ["--config.data.workers=0"]
    dispatch(["study", "channels", f"--workdir={out}", *flags, *shards, "--videos=1"])
    table = (out / "channels" / "table.md").read_text()
    assert table in capsys.readouterr().out
    assert "| given, level 2 | 1 |" in table
    assert "| given, level 3 | 1 |" in table
    rows = json.loads((out / "channels" / "study.json").read_text())["rows"]
    figures = {name: value["mean"] for name, value in rows["given, level 2"].items()}
    assert figures["p"] == 0.001
    assert figures["selectivity"] > 4 * figures["chance"]
    assert 0 <= figures["cosine"] <= 1
    # a row for each category, five pictures of 64 px in each
    for name in ("highest", "lowest"):
        assert cv2.imread(str(out / "channels" / f"{name}.png")).shape == (128, 320, 3)


def test_responses_by_plain_loops(coco, tiny):
    pairs = list(labelled.labelled(str(coco), tiny.config.crops))[:2]
    assert [pair.template.shape[0] for pair in pairs] == [127, 127]
    found = channels.respond(*tiny, pairs)

    def sides(model, z, x):
        return model.encode(z)[0]["cls"], model.rpn_head.rpns[0].cls.search(model.search(x)[0])

    model = models.build(tiny.config)
    apply = jax.jit(functools.partial(model.apply, method=sides))
    kernel, search = (
        np.asarray(a)[0] for a in apply(tiny.variables, *(p[None] for p in pairs[1][:2]))
    )
    wanted = np.mean(
        [
            (search[i : i + 5, j : j + 5].astype(np.float64) * kernel).sum((0, 1))
            for i in range(10, 15)
            for j in range(10, 15)
        ],
        0,
    )
    np.testing.assert_allclose(found["responses2"][1], wanted, rtol=1e-4, atol=1e-5)
    assert found["gram2"].shape == (8, 8)


def test_too_few_labels(coco):
    path = coco / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"] = content["annotations"][:12]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"at least 8 targets.*there are square 9, disc 3"):
        list(labelled.labelled(str(coco), None))


def test_rendered_targets_have_categories(tiny, monkeypatch):
    monkeypatch.setattr(labelled, "CATEGORIES", 2)
    monkeypatch.setattr(labelled, "RENDERED", 1)
    pairs = list(labelled.rendered(tiny.config.crops))
    assert len({pair.category for pair in pairs}) == 2
    assert {pair.search.shape for pair in pairs} == {(255, 255, 3)}
