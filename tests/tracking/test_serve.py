"""The page's server: requests by hand, and the page itself in a headless browser."""

import asyncio
import contextlib
import csv
import io
import json
import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from siamjax import cli
from siamjax.errors import UserError
from siamjax.media import VideoWriter, read_video
from siamjax.tracking import Tracker

aiohttp = pytest.importorskip("aiohttp", reason="needs aiohttp (extra serve)")

from aiohttp import web  # noqa: E402

from siamjax.integrations.serving import Limits, Server  # noqa: E402


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
    def running(*videos, tracker=session, jobs=2, **limits):
        app = Server(tracker, videos, jobs=jobs, limits=Limits(**limits)).app
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


async def begin(client, key, order):
    """Starts a run; its address."""
    answer = await client.post(f"/videos/{key}/runs", json=order)
    assert answer.status == 201, await answer.text()
    return f"/runs/{(await answer.json())['id']}"


async def watch(client, run):
    """The rows, the number of pictures that came, and the end."""
    rows, pictures, told = [], 0, {}
    async with client.ws_connect(f"{run}/watch") as socket:
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                told = json.loads(message.data)
                rows += told["rows"]
            else:
                assert message.data[:2] == b"\xff\xd8"
                pictures += 1
    return rows, pictures, told


def boxes_of(rows):
    return [[float(row[side]) for side in "xywh"] for row in rows]


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
        run = await begin(client, key, {"box": [40, 50, 30, 24], "heatmap": True})
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
        run = await begin(client, entry["id"], {"box": [40, 50, 30, 24]})
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
    assert "text.mp4: not a video that FFmpeg can read; encode it again" in answers[3][1]
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
        runs = [await begin(client, key, {"box": box}) for key, box in zip(keys, boxes)]
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


@pytest.fixture
def browser():
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:  # no Python package brings one
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser):
    """Opens pages; at the end none has complained."""
    complaints = []

    def heard(line):
        if line.type == "error" and "status of 400" not in line.text:  # the page shows those
            complaints.append(line.text)

    def new(address):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", heard)
        page.goto(address)
        page.wait_for_selector("#view[width='160']")
        return page

    yield new
    assert complaints == []


def draw(page, box):
    """Draws a box with the mouse."""
    x, y, w, h = box
    area = page.locator("#view").bounding_box()
    zoom = area["width"] / 160
    page.mouse.move(area["x"] + x * zoom, area["y"] + y * zoom)
    page.mouse.down()
    page.mouse.move(area["x"] + (x + w / 2) * zoom, area["y"] + (y + h / 2) * zoom)
    page.mouse.move(area["x"] + (x + w) * zoom, area["y"] + (y + h) * zoom)
    page.mouse.up()


def downloaded(page):
    with page.expect_download() as waiting:
        page.click("#results a[data-kind=csv]")
    return list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))


def status(page, words):
    page.wait_for_function(
        "words => document.getElementById('status').textContent.includes(words)", arg=words
    )
    return page.inner_text("#status")


@pytest.mark.slow
def test_the_page_in_a_browser(serve, session, video, tab):
    """Draws a box with the mouse, presses Track, reads the boxes back from the download."""
    with serve(str(video)) as address:
        page = tab(address)
        assert page.inner_text("#videos option:checked") == "moving"
        draw(page, (40, 50, 30, 24))
        page.check("#heatmap")
        page.click("#start")
        page.wait_for_selector("#results:not([hidden])")
        assert "frame 11" in page.inner_text("#box")
        assert "Done, 12 of 12 frames." in page.inner_text("#status")
        rows = downloaded(page)
        page.set_input_files("#file", str(video))
        page.wait_for_selector("#videos option:nth-child(2)", state="attached")
    np.testing.assert_allclose(boxes_of(rows)[0], (40, 50, 30, 24), atol=1.0)
    truth = expected(session, video, tuple(boxes_of(rows)[0]))
    np.testing.assert_allclose(boxes_of(rows), truth, atol=1e-6)


class Held:
    """A tracker that stands still, and waits before frame 6."""

    def __init__(self, gate):
        self.gate, self.frame = gate, 0

    def sibling(self):
        return Held(self.gate)

    def init(self, frame, box):
        self.box = tuple(map(float, box))

    def update(self, frame):
        self.frame += 1
        if self.frame == 6:
            assert self.gate.wait(60)
        return SimpleNamespace(box=self.box, score=0.9, second_peak=0.1, lost=False)


@pytest.mark.slow
def test_what_a_person_expects_of_several_tabs(serve, video, folder, tab):
    """Another video chosen during a run, a second tab, Stop and reload.

    Before: old frames were drawn over the new video's picture and the downloads were the old run's;
    the second tab was refused; Stop said "Done"; a reload lost the run.
    """
    gate = threading.Event()
    with serve(str(video), str(folder), tracker=Held(gate)) as address:
        first = tab(address)
        draw(first, (40, 50, 30, 24))
        first.click("#start")
        status(first, "6 of 12 frames")
        run = first.url
        assert "/runs/" in run

        first.reload()
        status(first, "6 of 12 frames")
        assert first.url == run
        assert first.inner_text("#videos option:checked") == "moving"

        second = tab(address)
        draw(second, (10, 10, 50, 50))
        second.click("#start")
        status(second, "6 of 12 frames")
        second.click("#stop")

        first.select_option("#videos", index=1)  # during the run
        assert "Draw a box" in status(first, "Draw a box")
        picture = first.evaluate("document.getElementById('view').toDataURL()")
        gate.set()
        assert "Stopped, 7 of 12 frames." in status(second, "Stopped")
        assert boxes_of(downloaded(second))[-1] == pytest.approx([10, 10, 50, 50], abs=1)
        first.wait_for_timeout(500)
        assert first.evaluate("document.getElementById('view').toDataURL()") == picture
        assert first.is_hidden("#results")
        assert "Draw a box" in first.inner_text("#status")

        third = tab(run)  # the run that was left has ended meanwhile
        assert "Done, 12 of 12 frames." in status(third, "Done")
        assert len(downloaded(third)) == 12


@pytest.mark.slow
def test_errors_are_shown_in_the_page(serve, video, tmp_path, tab):
    (tmp_path / "text.mp4").write_text("no video")
    with serve(str(video)) as address:
        page = tab(address)
        page.evaluate("box = [0, 0, 1e300, 1e300]")
        page.evaluate("draw()")
        page.click("#start")
        assert "more than 10 times the frame" in status(page, "more than")
        assert page.get_attribute("#status", "class") == "error"
        assert page.is_enabled("#start")
        assert page.is_hidden("#results")
        page.set_input_files("#file", str(tmp_path / "text.mp4"))
        assert "text.mp4: not a video" in status(page, "text.mp4: not")
