"""The page's server with a real tracker: requests by hand."""

import asyncio
import contextlib
import csv
import io
import json

import numpy as np
import pytest

from siamjax import cli
from siamjax.errors import UserError
from siamjax.media import read_video

aiohttp = pytest.importorskip("aiohttp", reason="needs aiohttp (extra serve)")

from ..integrations.serving_client import begin  # noqa: E402
from .serving import ask, boxes_of, expected, watch  # noqa: E402


def test_run_and_results(serve, session, video, tmp_path):
    async def work(client):
        (entry,) = await (await client.get("/videos")).json()
        assert entry["name"] == "moving"
        assert (entry["width"], entry["height"]) == (160, 120)
        key = entry["id"]
        first = await (await client.get(f"/videos/{key}/first.jpg")).read()
        assert first[:2] == b"\xff\xd8"
        run = await begin(client, {"box": [40, 50, 30, 24], "heatmap": True}, key)
        watched = await watch(client, run)
        results = [
            await (await client.get(f"{run}/result.{kind}")).read()
            for kind in ("csv", "json", "webm")
        ]
        return watched, results

    with serve(str(video)) as address:
        (rows, pictures, told), (table, tree, movie) = ask(address, work)
    assert 1 <= pictures <= 12
    assert (told["state"], told["frames"]) == ("done", 12)
    boxes = expected(session, video, (40, 50, 30, 24))
    np.testing.assert_allclose(boxes_of(rows), boxes)
    np.testing.assert_allclose(boxes_of(csv.DictReader(io.StringIO(table.decode()))), boxes)
    (target,) = json.loads(tree)["targets"]
    assert [frame["frame"] for frame in target["frames"]] == list(range(12))
    (tmp_path / "result.webm").write_bytes(movie)
    assert len(list(read_video(tmp_path / "result.webm"))) == 12


def test_upload(serve, video):
    async def work(client):
        headers = {"X-Name": "..%2F..%2Fetc%2Fmy%20clip.webm"}
        answer = await client.post("/videos", data=video.read_bytes(), headers=headers)
        assert answer.status == 200
        entry = await answer.json()
        assert entry["name"] == "my clip"
        run = await begin(client, {"box": [40, 50, 30, 24]}, entry["id"])
        _, _, told = await watch(client, run)
        result = await client.get(f"{run}/result.webm")
        return told, result.headers["Content-Disposition"]

    with serve() as address:
        told, disposition = ask(address, work)
    assert told["frames"] == 12
    assert disposition == 'attachment; filename="my_clip_tracked.webm"'


def test_uploads_that_are_refused(serve, video):
    content = video.read_bytes()

    async def chunks():
        for _ in range(40):
            yield content  # no length announced

    async def work(client):
        async def post(data, name):
            async with client.post("/videos", data=data, headers={"X-Name": name}) as answer:
                return answer.status, await answer.text()

        answers = [
            await post(b"x" * (len(content) + 1), "big.webm"),
            await post(content, "clip.exe"),
            await post(content, ""),
            await post(b"no video", "text.mp4"),
        ]
        with contextlib.suppress(aiohttp.ClientError):  # it may hang up before all is sent
            answers.append(await post(chunks(), "endless.webm"))
        assert await (await client.get("/videos")).json() == []
        assert (await post(content, "good.webm"))[0] == 200
        return [*answers[:4], *answers[4:], await post(content, "second.webm")]

    with serve(upload=len(content), videos=1) as address:
        answers = ask(address, work)
    assert [status for status, _ in answers[:4]] == [413, 400, 400, 400]
    assert "too large" in answers[0][1]
    assert "clip.exe: not one of" in answers[1][1]
    assert "text.mp4: a text file, not a video" in answers[3][1]
    assert all(status == 413 for status, _ in answers[4:-1])
    assert "1 videos are kept at most" in answers[-1][1]


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/videos/..%2f..%2fetc/first.jpg",
        "/videos/unknown/first.jpg",
        "/runs/unknown/result.webm",
        "/serve.py",
    ],
)
def test_paths_that_lead_nowhere(serve, video, path):
    from yarl import URL

    async def work(client):
        return (await client.get(URL(path, encoded=True))).status

    with serve(str(video)) as address:
        assert ask(address, work) == 404


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
def test_other_pages_are_refused(serve, headers):
    async def work(client):
        posted = await client.post("/videos", data=b"", headers={**headers, "X-Name": "a.mp4"})
        return (await client.get("/", headers=headers)).status, posted.status

    with serve() as address:
        assert ask(address, work) == (403, 403)


def test_runs_side_by_side(serve, session, video):
    boxes = [(40, 50, 30, 24), (100, 20, 40, 40), (40, 50, 30, 24)]

    async def work(client):
        keys = [entry["id"] for entry in await (await client.get("/videos")).json()]
        keys = [keys[0], keys[0], keys[1]]
        runs = [await begin(client, {"box": box}, key) for key, box in zip(keys, boxes)]
        return await asyncio.gather(*(watch(client, run) for run in runs))

    with serve(str(video), str(video), jobs=2) as address:
        results = ask(address, work)
    for (rows, _, told), box in zip(results, boxes):
        assert told["state"] == "done"
        np.testing.assert_allclose(boxes_of(rows), expected(session, video, box))


def test_command_refuses(tmp_path, tiny, monkeypatch):
    from siamjax.models import weights

    monkeypatch.chdir(tmp_path)
    weights.save("tiny.npz", tiny.config, tiny.variables)
    with pytest.raises(UserError, match=r"nothing\.mp4: no such video"):
        cli.dispatch(["serve", "nothing.mp4", "--checkpoint=tiny.npz"])
    for flag in ("jobs", "max_upload", "max_megapixels", "max_frames", "max_disk"):
        with pytest.raises(UserError, match=f"--{flag}=0: must be at least 1"):
            cli.dispatch(["serve", f"--{flag}=0", "--checkpoint=tiny.npz"])
