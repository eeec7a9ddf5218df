"""The page's server: requests by hand, and the page itself in a headless browser."""

import asyncio
import contextlib
import csv
import io
import json
import shutil
import threading

import numpy as np
import pytest

from siamjax import cli
from siamjax.errors import UserError
from siamjax.media import VideoWriter, read_video
from siamjax.tracking import Tracker

aiohttp = pytest.importorskip("aiohttp", reason="needs aiohttp (extra serve)")

from aiohttp import web  # noqa: E402

from siamjax.integrations.serve import Server  # noqa: E402


@pytest.fixture(scope="module")
def session(tiny):
    return Tracker(tiny.config, tiny.variables)


@pytest.fixture(scope="module")
def video(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "moving.webm"
    with VideoWriter(path, 25) as writer:
        for frame in clip.frames:
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def serve(session):
    """Runs servers on free ports of the loopback address, in a thread; gives their addresses."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start(app):
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    @contextlib.contextmanager
    def running(*videos, **options):
        app = Server(session, videos, **options).app
        runner, port = asyncio.run_coroutine_threadsafe(start(app), loop).result(20)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)

    yield running
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def ask(address, work):
    """Runs `work(client)` with an HTTP client of the address."""

    async def run():
        async with aiohttp.ClientSession(address) as client:
            return await work(client)

    return asyncio.run(run())


async def follow(client, key, order, stop_after=None):
    """Sends an order; the JSON messages and the number of pictures that came back."""
    messages, pictures = [], 0
    async with client.ws_connect(f"/videos/{key}/track") as socket:
        await socket.send_str(order if isinstance(order, str) else json.dumps(order))
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                messages.append(json.loads(message.data))
            else:
                assert message.data[:2] == b"\xff\xd8"
                pictures += 1
                if pictures == stop_after:
                    break
    return messages, pictures


def expected(session, video, box):
    tracker = session.sibling()
    frames = list(read_video(video))
    tracker.init(frames[0], box)
    return [box] + [tracker.update(frame).box for frame in frames[1:]]


def test_run_and_results(serve, session, video, tmp_path):
    async def work(client):
        (entry,) = await (await client.get("/videos")).json()
        assert entry["name"] == "moving"
        assert (entry["width"], entry["height"]) == (160, 120)
        key = entry["id"]
        first = await (await client.get(f"/videos/{key}/first.jpg")).read()
        assert first[:2] == b"\xff\xd8"
        assert (await client.get(f"/videos/{key}/result.csv")).status == 404
        messages, pictures = await follow(client, key, {"box": [40, 50, 30, 24], "heatmap": True})
        results = [
            await (await client.get(f"/videos/{key}/result.{kind}")).read()
            for kind in ("csv", "json", "webm")
        ]
        return messages, pictures, results

    with serve(str(video)) as address:
        messages, pictures, (table, tree, movie) = ask(address, work)
    assert pictures == 12
    assert messages[-1] == {"done": 12}
    boxes = expected(session, video, (40, 50, 30, 24))
    np.testing.assert_allclose([m["box"] for m in messages[:-1]], boxes)
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    np.testing.assert_allclose([[float(r[k]) for k in "xywh"] for r in rows], boxes)
    assert [frame["frame"] for frame in json.loads(tree)["frames"]] == list(range(12))
    (tmp_path / "result.webm").write_bytes(movie)
    assert len(list(read_video(tmp_path / "result.webm"))) == 12


def test_upload(serve, video):
    async def work(client):
        headers = {"X-Name": "..%2F..%2Fetc%2Fmy%20clip.webm"}
        answer = await client.post("/videos", data=video.read_bytes(), headers=headers)
        assert answer.status == 200
        entry = await answer.json()
        assert entry["name"] == "my clip"
        messages, _ = await follow(client, entry["id"], {"box": [40, 50, 30, 24]})
        result = await client.get(f"/videos/{entry['id']}/result.webm")
        return messages, result.headers["Content-Disposition"]

    with serve() as address:
        messages, disposition = ask(address, work)
    assert messages[-1] == {"done": 12}
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

    with serve(max_upload=len(content), max_videos=1) as address:
        answers = ask(address, work)
    assert [status for status, _ in answers[:4]] == [413, 400, 400, 400]
    assert "too large" in answers[0][1]
    assert "clip.exe: not one of" in answers[1][1]
    assert "text.mp4: not a video" in answers[3][1]
    assert all(status == 413 for status, _ in answers[4:-1])
    assert "1 videos are kept at most" in answers[-1][1]


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/videos/..%2f..%2fetc/first.jpg",
        "/videos/unknown/first.jpg",
        "/videos/unknown/result.webm",
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


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"box": [500, 500, 10, 10]}, "outside the frame"),
        ({"box": [10, 10, 0, 10]}, "positive"),
        ({"box": [0, 0, 1e300, 1e300]}, "more than 10 times the frame"),
        ({"box": [0.1, 0.1, 0.2, 0.2]}, "under one pixel"),
        ({"box": [10, 10]}, "four finite numbers"),
        ({"box": "here"}, "send"),
        ("no json", "send"),
        ("[1]", "send"),
    ],
)
def test_bad_orders(serve, video, order, message):
    async def work(client):
        (entry,) = await (await client.get("/videos")).json()
        messages, pictures = await follow(client, entry["id"], order)
        after, _ = await follow(client, entry["id"], {"box": [40, 50, 30, 24]})
        return messages, pictures, after[-1]

    with serve(str(video), jobs=1) as address:
        messages, pictures, after = ask(address, work)
    assert len(messages) == 1
    assert message in messages[0]["error"]
    assert pictures == 0
    assert after == {"done": 12}  # the place is free again


def test_runs_side_by_side_and_too_many(serve, session, video):
    boxes = [(40, 50, 30, 24), (100, 20, 40, 40)]

    async def work(client):
        keys = [entry["id"] for entry in await (await client.get("/videos")).json()]
        runs = [follow(client, key, {"box": box}) for key, box in zip(keys, boxes)]
        first_two = asyncio.gather(*runs)
        await asyncio.sleep(0.05)
        refused, _ = await follow(client, keys[2], {"box": boxes[0]})
        return await first_two, refused

    with serve(str(video), str(video), str(video), jobs=2) as address:
        results, refused = ask(address, work)
    for (messages, _), box in zip(results, boxes):
        np.testing.assert_allclose([m["box"] for m in messages[:-1]], expected(session, video, box))
    assert "busy" in refused[0]["error"]


def test_stop_keeps_what_there_is(serve, video):
    async def work(client):
        (entry,) = await (await client.get("/videos")).json()
        await follow(client, entry["id"], {"box": [40, 50, 30, 24]}, stop_after=3)
        for _ in range(100):
            answer = await client.get(f"/videos/{entry['id']}/result.json")
            if answer.status == 200:
                return await answer.json()
            await asyncio.sleep(0.05)

    with serve(str(video)) as address:
        assert 3 <= len(ask(address, work)["frames"]) < 12


def test_command_refuses(tmp_path, tiny, monkeypatch):
    from siamjax.models import weights

    monkeypatch.chdir(tmp_path)
    weights.save("tiny.npz", tiny.config, tiny.variables)
    with pytest.raises(UserError, match=r"nothing\.mp4: no such video"):
        cli.dispatch(["serve", "nothing.mp4", "--checkpoint=tiny.npz"])
    with pytest.raises(UserError, match="--jobs"):
        cli.dispatch(["serve", "--jobs=0", "--checkpoint=tiny.npz"])


def test_the_page_in_a_browser(serve, session, video):
    """Draws a box with the mouse, presses Track, reads the boxes back from the download."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:  # no Python package brings one
        pytest.skip("needs chromium")
    with serve(str(video)) as address, playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda text: text.type == "error" and complaints.append(text.text))
        page.goto(address)
        page.wait_for_selector("#view[width='160']")
        assert page.inner_text("#videos option:checked") == "moving"
        area = page.locator("#view").bounding_box()
        zoom = area["width"] / 160
        page.mouse.move(area["x"] + 40 * zoom, area["y"] + 50 * zoom)
        page.mouse.down()
        page.mouse.move(area["x"] + 60 * zoom, area["y"] + 60 * zoom)
        page.mouse.move(area["x"] + 70 * zoom, area["y"] + 74 * zoom)
        page.mouse.up()
        page.check("#heatmap")
        page.click("#start")
        page.wait_for_selector("#results:not([hidden])", timeout=60_000)
        assert "frame 11" in page.inner_text("#box")
        assert "Done" in page.inner_text("#status")
        with page.expect_download() as waiting:
            page.click("#results a[data-kind=csv]")
        rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
        page.set_input_files("#file", str(video))
        page.wait_for_selector("#videos option:nth-child(2)", state="attached")
        browser.close()
    assert complaints == []
    boxes = np.array([[float(row[key]) for key in "xywh"] for row in rows])
    np.testing.assert_allclose(boxes[0], (40, 50, 30, 24), atol=1.0)
    np.testing.assert_allclose(boxes, expected(session, video, tuple(boxes[0])), atol=1e-6)
