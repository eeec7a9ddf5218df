"""The server of the page: several targets, boxes that are corrected, results, single frames."""

import asyncio
import csv
import io
import json
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax.errors import UserError
from siamjax.media import VideoWriter, read_video
from siamjax.tracking.follow import Start

pytest.importorskip("aiohttp", reason="needs aiohttp (extra serve)")

from siamjax.integrations.serving.limits import Limits
from siamjax.integrations.serving.orders import Order, read_order

from .serving_client import BOX, Still, begin, ended, tree, until, watch

OTHER = [30.0, 20.0, 10.0, 12.0]


def start(frame, target, box):
    return {"frame": frame, "target": target, "box": box}


async def table(client, run):
    """(frame, target) -> box, of the results."""
    text = await (await client.get(f"{run}/result.csv")).text()
    rows = csv.DictReader(io.StringIO(text))
    return {
        (int(row["frame"]), int(row["target"])): [float(row[side]) for side in "xywh"]
        for row in rows
    }


def moved(box, frames):
    return [box[0] + frames, *box[1:]]


def test_targets_that_begin_in_any_frame(asked, movie):
    starts = [start(3, 0, BOX), start(5, 2, OTHER)]
    order = {"starts": starts, "names": ["dog", "", "cat"]}

    async def work(client):
        run = await begin(client, order)
        told, pictures = await watch(client, run)
        labels = (await tree(client.get(f"{run}/result.json")))[1]
        return told, pictures, await table(client, run), labels

    told, pictures, boxes, labels = asked(work, movie, tracker=Still(step=1))
    expected = {(k, 0): moved(BOX, k - 3) for k in range(3, 12)}
    expected |= {(k, 2): moved(OTHER, k - 5) for k in range(5, 12)}
    assert boxes == expected
    rows = [row for each in told for row in each["rows"]]
    assert [(r["frame"], r["target"]) for r in rows] == sorted(expected)
    assert pictures
    last = told[-1]
    assert [last[k] for k in ("state", "first", "last", "frames", "count")] == ["done", 3, 11, 9, 9]
    assert last["starts"] == starts
    assert last["message"] == ""
    assert [target["name"] for target in labels["targets"]] == ["dog", "cat"]


BEFORE = [start(0, 0, BOX), start(2, 1, OTHER)]


@pytest.mark.parametrize(
    ("changed", "kept", "second"),
    [
        # a box drawn anew in frame 7: target 1 continues from it, and 0 as before
        ([*BEFORE, start(7, 1, [1, 1, 9, 9])], 7, [(2, OTHER), (7, [1, 1, 9, 9])]),
        # nothing else is given, so nothing is left to do
        (BEFORE, 12, [(2, OTHER)]),
        # the first box is another one: nothing is kept
        ([start(0, 0, OTHER), BEFORE[1]], 0, [(2, OTHER)]),
        # a target is removed, from where it began
        (BEFORE[:1], 2, []),
    ],
)
def test_a_corrected_run_keeps_the_frames_before(asked, movie, tmp_path, changed, kept, second):
    still = Still(step=1)

    async def work(client):
        first = await begin(client, {"starts": BEFORE})
        await until(client, first, ended)
        still.tracked = 0
        again = await begin(client, {"starts": changed, "after": first.rpartition("/")[2]})
        told, _ = await watch(client, again)
        made = await (await client.get(f"{again}/result.webm")).read()
        (tmp_path / "again.webm").write_bytes(made)
        return told, await table(client, again)

    told, boxes = asked(work, movie, tracker=still)
    expected = {(k, 0): moved(changed[0]["box"], k) for k in range(12)}
    for frame, box in second:
        expected |= {(k, 1): moved(box, k - frame) for k in range(frame, 12)}
    assert boxes == expected
    assert (told[-1]["state"], told[-1]["frames"]) == ("done", 12)
    assert still.tracked == 12 - max(kept, 1)  # in the first frame nothing is asked for
    rows = [row for each in told for row in each["rows"]]
    assert [(r["frame"], r["target"]) for r in rows] == sorted(expected)
    assert len(list(read_video(tmp_path / "again.webm"))) == 12


def test_a_run_that_was_stopped_is_taken_up(asked, movie):
    still = Still(held=6, step=1)

    async def work(client):
        first = await begin(client)
        await until(client, first, lambda s: s["frames"] == 6)
        key = first.rpartition("/")[2]
        video = (await tree(client.get("/videos")))[1][0]["id"]
        order = {"box": BOX, "after": key}
        early = await tree(client.post(f"/videos/{video}/runs", json=order))
        await client.post(f"{first}/stop")
        still.gate.set()
        kept = (await until(client, first, ended))["frames"]
        still.tracked = 0
        again = await begin(client, order)
        await until(client, again, ended)
        return early, kept, await table(client, again)

    early, kept, boxes = asked(work, movie, tracker=still)
    assert early[0] == 409
    assert "stop it first" in early[1]["error"]
    assert still.tracked == 12 - kept
    assert boxes == {(k, 0): moved(BOX, k) for k in range(12)}


def test_what_cannot_be_taken_up(asked, movie):
    async def work(client):
        one, other = [entry["id"] for entry in (await tree(client.get("/videos")))[1]]
        run = await begin(client, key=one)
        await until(client, run, ended)
        order = {"box": BOX, "after": run.rpartition("/")[2]}
        return [
            await tree(client.post(f"/videos/{other}/runs", json=order)),
            await tree(client.post(f"/videos/{one}/runs", json=order | {"after": "none"})),
        ]

    (status, answer), (lost, said) = asked(work, movie, movie)
    assert (status, answer["error"]) == (400, "the run that is taken up is over another video")
    assert (lost, said["error"]) == (
        404,
        "no such run here; GET /runs lists them (each start of the server gives new ids)",
    )


def test_a_box_in_a_frame_that_does_not_come(asked, movie):
    async def work(client):
        late = await begin(client, {"starts": [start(0, 0, BOX), start(50, 1, OTHER)]})
        never = await begin(client, {"starts": [start(50, 1, OTHER)]})
        return [await until(client, run, ended) for run in (late, never)], [
            await tree(client.get(f"{never}/result.{kind}")) for kind in ("webm", "coco")
        ]

    (late, never), results = asked(work, movie)
    assert late["state"] == "done"
    assert late["message"] == "frame 50 with a drawn box was not there; 11 was the last one"
    assert never["state"] == "done"
    assert never["frames"] == 0
    assert {status for status, _ in results} == {404}


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"starts": []}, "send"),
        ({"starts": [start(0, 0, BOX), start(0, 0, OTHER)]}, "two boxes in one frame"),
        ({"starts": [start(-1, 0, BOX)]}, "frames have the numbers 0 to 99999"),
        ({"starts": [start(100_000, 0, BOX)]}, "frame 100000: frames have"),
        ({"starts": [start(0, 16, BOX)]}, "target 16: targets have the numbers 0 to 15"),
        ({"starts": [start(0.5, 0, BOX)]}, "send"),
        ({"starts": [start(True, 0, BOX)]}, "send"),
        ({"starts": [start(0, "0", BOX)]}, "send"),
        ({"box": BOX, "after": 3}, "send"),
        ({"box": BOX, "names": ["a\nb"]}, "on one line"),
        ({"box": BOX, "names": ["a" * 101]}, "up to 100 letters"),
        ({"box": BOX, "names": [1]}, "names"),
        ({"box": BOX, "names": ["a"] * 17}, "16 at most"),
    ],
)
def test_orders_over_the_limits(order, message):
    with pytest.raises(UserError, match=message) as refused:
        read_order(json.dumps(order), (160, 120))
    assert "\n" not in str(refused.value)


@settings(max_examples=30, deadline=None)
@given(*[st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 2)), st.integers(1, 2))] * 2)
def test_where_two_orders_differ(ours, theirs):
    def order(boxes):
        return Order(tuple(Start(*at, (0.0, 0.0, side, side)) for at, side in boxes.items()))

    slow = None
    for frame in range(3, -1, -1):
        for target in range(3):
            if ours.get((frame, target)) != theirs.get((frame, target)):
                slow = frame
    assert order(ours).differs(order(theirs)) == slow


def test_labels_in_the_formats_of_siamjax(asked, movie):
    async def work(client):
        _, formats = await tree(client.get("/formats"))
        run = await begin(client, {"starts": [start(1, 0, BOX), start(4, 1, OTHER)]})
        await until(client, run, ended)
        named = await tree(client.post(f"{run}/names", json={"names": ["dog", "cat"]}))
        wrong = await tree(client.post(f"{run}/names", json={"names": "dog\n"}))
        answers = {}
        for name in formats:
            answer = await client.get(f"{run}/result.{name}")
            content = answer.headers.get("Content-Disposition", "")
            answers[name] = answer.status, content, await answer.read()
        return formats, named, wrong, answers

    formats, named, wrong, answers = asked(work, movie)
    assert {"csv", "json", "cvat", "coco", "mot", "yolo", "vot", "txt"} <= formats.keys()
    assert named[1]["names"] == ["dog", "cat"]
    assert wrong[0] == 400
    one_target = {name for name, (status, *_) in answers.items() if status == 400}
    assert one_target == {"vot", "txt"}
    assert b"write csv or mot" in answers["txt"][2]
    assert {name for name, (status, *_) in answers.items() if status == 200} >= {"coco", "cvat"}
    assert b"dog" in answers["cvat"][2]
    coco = json.loads(answers["coco"][2])
    assert len(coco["annotations"]) == 11 + 8
    assert coco["images"][0]["width"] == 64
    assert answers["coco"][1] == 'attachment; filename="grey_tracked.json"'
    assert answers["yolo"][1] == 'attachment; filename="grey_tracked_yolo.zip"'
    with zipfile.ZipFile(io.BytesIO(answers["yolo"][2])) as archive:
        assert len([n for n in archive.namelist() if n.endswith(".txt")]) >= 11


# --- single frames


def grey(picture):
    """The grey of a uniform picture."""
    return float(cv2.imdecode(np.frombuffer(picture, np.uint8), 1).mean())


async def frame(client, key, number):
    """Status and content; asks again while the server reads."""
    for _ in range(100):
        answer = await client.get(f"/videos/{key}/frames/{number}.jpg")
        if answer.status != 202:
            return answer.status, await answer.read()
    raise AssertionError


@pytest.mark.parametrize("images", [False, True])
def test_frames_by_number_are_those_that_a_run_tracks(asked, movie, tmp_path, images):
    source = movie
    if images:
        source = tmp_path / "folder"
        source.mkdir()
        for k in range(12):
            cv2.imwrite(str(source / f"{k}.png"), np.full((48, 64, 3), 20 * k, np.uint8))

    async def work(client):
        key = (await tree(client.get("/videos")))[1][0]["id"]
        order = [7, 3, 11, 0, 11]
        found = [await frame(client, key, number) for number in order]
        together = await asyncio.gather(*(frame(client, key, number) for number in range(12)))
        end = await tree(client.get(f"/videos/{key}/frames/12.jpg"))
        wrong = await client.get(f"/videos/{key}/frames/x.jpg")
        return dict(zip(order, found)) | dict(enumerate(together)), end, wrong.status

    found, end, wrong = asked(work, source)
    assert {status for status, _ in found.values()} == {200}
    for number, (_, picture) in found.items():
        assert grey(picture) == pytest.approx(20 * number, abs=4)
    assert end == (404, {"error": "frame 12: the video ends after frame 11"})
    assert wrong == 404


def test_a_long_way_to_a_frame_is_told(asked, movie, monkeypatch):
    monkeypatch.setattr("siamjax.integrations.serving.reels._SLICE", 0.0)

    async def work(client):
        key = (await tree(client.get("/videos")))[1][0]["id"]
        waiting = [await tree(client.get(f"/videos/{key}/frames/5.jpg")) for _ in range(2)]
        monkeypatch.setattr("siamjax.integrations.serving.reels._SLICE", 9.0)
        return waiting, await frame(client, key, 5)

    waiting, (status, picture) = asked(work, movie)
    assert [status for status, _ in waiting] == [202, 202]
    assert all(answer["read"] < 5 for _, answer in waiting)
    assert status == 200
    assert grey(picture) == pytest.approx(100, abs=4)


def test_pictures_in_memory_are_bounded(asked, movie, monkeypatch):
    from siamjax.integrations.serving import reels

    kept = []
    keep = reels.Reels._keep

    def counted(self, place, picture):
        keep(self, place, picture)
        kept.append((self._bytes, sum(map(len, self._pictures.values()))))

    monkeypatch.setattr(reels.Reels, "_keep", counted)

    async def work(client):
        keys = [entry["id"] for entry in (await tree(client.get("/videos")))[1]]
        return [await frame(client, key, number) for key in keys for number in (11, 2, 11)]

    found = asked(work, *[movie] * 6, pictures=3000)
    assert {status for status, _ in found} == {200}
    assert all(counted == true <= 3000 for counted, true in kept)


def test_a_movie_that_begins_with_another_one(tmp_path):
    def image(k):
        return np.full((49, 65, 3), (20 * k, 0, 255 - 20 * k), np.uint8)

    with VideoWriter(tmp_path / "first.webm", 10) as writer:
        for k in range(8):
            writer.write(image(k))
    with VideoWriter(tmp_path / "second.webm", 10) as writer:
        writer.copy(tmp_path / "first.webm", 5, (65, 49))
        for k in range(5, 12):
            writer.write(image(k))
    first, second = (list(read_video(tmp_path / f"{n}.webm")) for n in ("first", "second"))
    assert len(second) == 12
    assert all((a == b).all() for a, b in zip(first[:5], second))
    for k in range(12):
        np.testing.assert_allclose(second[k].mean((0, 1)), image(k)[0, 0], atol=8)
    for frames, path in ((9, "first.webm"), (1, "none.webm")):
        writer = VideoWriter(tmp_path / "third.webm", 10)
        with pytest.raises(UserError, match=path), writer:
            writer.copy(tmp_path / path, frames, (65, 49))
        assert not (tmp_path / "third.webm").exists()


# --- limits


def test_limits_have_the_numbers_of_the_page(asked, movie):
    async def work(client):
        return (await tree(client.get("/limits")))[1]

    told = asked(work, movie, targets=3)
    assert told["targets"] == 3
    assert told["upload"] == Limits().upload
