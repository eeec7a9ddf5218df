"""The server of the page: frames of a webcam, one by one."""

import asyncio
import json

import cv2
import numpy as np
import pytest

from siamjax.errors import UserError

pytest.importorskip("aiohttp", reason="needs aiohttp (extra serve)")

from siamjax.integrations.serving.cameras import read_picture
from siamjax.integrations.serving.limits import Limits
from siamjax.integrations.serving.orders import read_given

from .serving_client import BOX, Still, begin, ended, tree, until

OTHER = [30.0, 20.0, 10.0, 12.0]


def jpeg(width=64, height=48):
    return cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


async def opened(client):
    status, camera = await tree(client.post("/cameras"))
    assert status == 201, camera
    return f"/cameras/{camera['id']}"


async def sent(client, camera, *given, data=None):
    query = {"given": json.dumps(given)} if given else {}
    return await tree(client.post(camera, data=data or jpeg(), params=query))


def boxes(answer):
    status, told = answer
    assert status == 200, told
    assert told["ms"] >= 0
    return {row["target"]: [row[side] for side in "xywh"] for row in told["targets"]}


def test_targets_begin_move_begin_again_and_go(asked):
    async def work(client):
        camera = await opened(client)
        answers = [
            await sent(client, camera),
            await sent(client, camera, {"target": 0, "box": BOX}),
            await sent(client, camera, {"target": 3, "box": OTHER}),
            await sent(client, camera, {"target": 0, "box": OTHER}),
            await sent(client, camera, {"target": 3, "box": None}),
        ]
        await client.post(f"{camera}/end")
        return answers, await sent(client, camera)

    answers, after = asked(work, tracker=Still(step=1))
    one = [BOX[0] + 1, *BOX[1:]]
    further = [OTHER[0] + 1, *OTHER[1:]]
    assert [boxes(answer) for answer in answers] == [
        {},
        {0: BOX},
        {0: one, 3: OTHER},
        {0: OTHER, 3: further},
        {0: further},
    ]
    assert after[0] == 404
    assert "begin again" in after[1]["error"]


def test_frames_that_are_refused_change_nothing(asked):
    async def work(client):
        camera = await opened(client)
        await sent(client, camera, {"target": 0, "box": BOX})
        refused = [
            await sent(client, camera, data=b"no picture"),
            await sent(client, camera, data=jpeg()[:40]),
            await sent(client, camera, data=b"x" * 5000),
            await sent(client, camera, data=jpeg(160, 120)),
            await sent(client, camera, {"target": 0, "box": [900, 900, 5, 5]}),
            await sent(client, camera, {"target": 99, "box": BOX}),
            await sent(client, camera, {"target": 0}),
            await tree(client.post(camera, data=jpeg(), params={"given": "[" * 900})),
        ]
        return refused, await sent(client, camera)

    limits = {"picture": 4096, "pixels": 10_000}
    refused, after = asked(work, tracker=Still(step=1), **limits)
    assert [status for status, _ in refused] == [400, 400, 413, 400, 400, 400, 400, 400]
    said = [answer["error"] for _, answer in refused]
    assert "not a JPEG" in said[0]
    assert "4 KiB at most" in said[2]
    assert "0.01 megapixels" in said[3]
    assert "outside the frame" in said[4]
    assert all("\n" not in line for line in said)
    assert boxes(after) == {0: [BOX[0] + 1, *BOX[1:]]}


def test_cameras_are_few_and_silent_ones_end(asked):
    async def work(client):
        cameras = [await opened(client) for _ in range(2)]
        full = await tree(client.post("/cameras"))
        for _ in range(10):
            await asyncio.sleep(0.1)
            await sent(client, cameras[0])
        return full, (await sent(client, cameras[0]))[0], (await sent(client, cameras[1]))[0]

    full, alive, silent = asked(work, cameras=2, silence=0.6)
    assert full[0] == 503
    assert "2 cameras are followed already" in full[1]["error"]
    assert (alive, silent) == (200, 404)


def test_one_frame_of_a_camera_at_a_time_and_runs_beside_it(asked, movie):
    tracker = Still(held=1)

    async def work(client):
        camera = await opened(client)
        await sent(client, camera, {"target": 0, "box": BOX})
        waiting = asyncio.ensure_future(sent(client, camera))
        await asyncio.sleep(0.2)
        second = await sent(client, camera)
        tracker.gate.set()
        run = await begin(client)
        return second, await waiting, await until(client, run, ended)

    second, first, run = asked(work, movie, tracker=tracker)
    assert second[0] == 429
    assert boxes(first) == {0: BOX}
    assert run["state"] == "done"


def test_a_frame_that_stalls_is_ended(asked):
    async def slow():
        yield jpeg()[:100]
        await asyncio.sleep(5)

    async def work(client):
        camera = await opened(client)
        stalled = await tree(client.post(camera, data=slow()))
        return stalled, await sent(client, camera)

    (status, answer), after = asked(work, silence=0.4)
    assert (status, answer["error"]) == (408, "the frame stalled; send the next one")
    assert boxes(after) == {}


def test_pictures():
    assert read_picture(jpeg(), 64 * 48).shape == (48, 64, 3)
    png = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    for data in (b"", png, jpeg()[:20]):
        with pytest.raises(UserError, match="not a JPEG"):
            read_picture(data, 1 << 20)
    with pytest.raises(UserError, match=r"more than 0\.003 megapixels"):
        read_picture(jpeg(), 3000)


def test_what_is_given_for_a_frame():
    given = read_given('[{"target": 1, "box": [1, 2, 3, 4]}]', (64, 48), Limits())
    assert given.starts[0].box == (1, 2, 3, 4)
    assert read_given("", (64, 48), Limits()) == ((), frozenset())
    for text in ("{}x", '[{"box": [1, 2]}]', "[1]", '[{"box": null}]', '"text"'):
        with pytest.raises(UserError):
            read_given(text, (64, 48), Limits())
