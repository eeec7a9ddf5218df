"""Whole runs with a tiny network: what they write, and that stopping anywhere changes nothing."""

import json

import numpy as np
import pytest

from siamjax.training import checkpoint, loop


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def losses(workdir):
    return [
        (x["step"], x["loss"], x["cls_loss"], x["loc_loss"], x["grad_norm"])
        for x in lines(workdir)
        if "loss" in x
    ]


def test_run(tiny, tmp_path):
    final = loop.train(tiny(), tmp_path)
    assert final["finished"]
    print(losses(tmp_path))
