"""The server of the page, with a tracker that stands still: limits, places, tabs, access."""

import asyncio
import csv
import io
import json
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamjax.errors import UserError
from siamjax.media import read_video

aiohttp = pytest.importorskip("aiohttp", reason="needs aiohttp (extra serve)")

from siamjax.integrations.serving.access import is_loopback  # noqa: E402
from siamjax.integrations.serving.orders import read_order  # noqa: E402

from .serving_client import BOX, Still, begin, ended, send, tree, until, watch  # noqa: E402

# --- what is taken


def mjpeg(path, pictures, width, height):
    """An AVI of JPEGs; its head may say another size."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        for k, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, k, k
            packet.time_base, packet.is_keyframe = Fraction(1, 25), True
            container.mux(packet)
    return path.read_bytes()


def picture(width, height):
    return cv2.imencode(".jpg", np.zeros((height, width), np.uint8))[1].tobytes()


@pytest.fixture(scope="session")
def huge():
    """A JPEG of 16000x16000 px, black."""
    return picture(16000, 16000)


@pytest.mark.parametrize("said", [(16000, 16000), (160, 120)])
def test_huge_frames_are_refused_before_they_are_decoded(asked, tmp_path, huge, said):
    """Before: the upload of such an AVI was answered 200, and the server kept 734 MiB for it."""
    content = mjpeg(tmp_path / "big.avi", [huge] * 2, *said)
    before = resident()

    async def work(client):
        refused = await send(client, content, "big.avi")
        return refused, await tree(client.get("/videos")), resident()

    (status, answer), listed, after = asked(work)
    assert status == 400
    assert answer["error"].startswith("big.avi: ")
    assert "frames of more than 16 megapixels" in answer["error"]
    assert listed == (200, [])
    assert after - before < 64 << 20


def resident():
    """Bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_size_that_grows_in_a_later_frame_is_not_decoded(tmp_path):
    small, large = picture(64, 48), picture(1000, 1000)
    path = tmp_path / "grows.avi"
    mjpeg(path, [small, large, small], 64, 48)
    assert [f.shape for f in read_video(path)] == [(48, 64, 3), (1000, 1000, 3), (48, 64, 3)]
    shapes = [frame.shape for frame in read_video(path, max_pixels=100_000)]
    assert shapes == [(48, 64, 3), (48, 64, 3)]
    with pytest.raises(UserError, match=r"grows\.avi: frames of more than 0\.003 megapixels"):
        read_video(path, max_pixels=3000)


def test_first_frames_are_kept_small_and_boxes_stand_in_the_videos_pixels(asked, tmp_path):
    path = tmp_path / "wide.avi"
    mjpeg(path, [picture(2560, 640)] * 2, 2560, 640)

    async def work(client):
        _, (entry,) = await tree(client.get("/videos"))
        first = await (await client.get(f"/videos/{entry['id']}/first.jpg")).read()
        run = await begin(client, {"box": [2000, 400, 100, 100]})
        told, pictures = await watch(client, run)
        return entry, [first, *pictures], told[-1]

    entry, pictures, told = asked(work, path)
    assert (entry["width"], entry["height"]) == (2560, 640)
    shapes = {cv2.imdecode(np.frombuffer(p, np.uint8), 1).shape for p in pictures}
    assert shapes == {(320, 1280, 3)}
    assert told["state"] == "done"


def test_too_many_frames_are_refused_by_their_announcement_or_cut(asked, movie, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(5):
        cv2.imwrite(str(folder / f"{k}.png"), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(UserError, match="announces 5 frames; 4 are taken at most"):
        asked(None, folder, frames=4)

    async def work(client):
        refused = await send(client, movie.read_bytes(), "long.webm")
        entry = await tree(client.get("/videos"))
        return refused, entry

    (status, answer), listed = asked(work, frames=11)
    assert (status, listed[1]) == (400, [])
    assert answer["error"].startswith("long.webm: announces 12 frames; 11 are taken")


def test_a_run_ends_at_the_limit_where_nothing_was_announced(asked, movie, monkeypatch):
    async def work(client):
        _, (entry,) = await tree(client.get("/videos"))
        run = await begin(client)
        state = await until(client, run, ended)
        rows = (await tree(client.get(f"{run}/result.json")))[1]["targets"][0]["frames"]
        return entry["count"], state, len(rows)

    class Uncounted(type(read_video(movie))):
        count = property(lambda self: None, lambda self, value: None)

    monkeypatch.setattr("siamjax.media.video.VideoFile", Uncounted)
    count, state, rows = asked(work, movie, frames=7)
    assert count is None
    assert state["state"] == "failed"
    assert "no further ones are taken (--max_frames); what was tracked" in state["message"]
    assert rows == 7


def test_hostile_uploads_leave_nothing(asked, movie, temporary):
    content = movie.read_bytes()

    async def endless():
        while True:
            yield bytes(1 << 16)

    async def stalled():
        yield content[:100]
        await asyncio.sleep(20)

    async def work(client):
        answers = [
            await send(client, content[: len(content) // 3], "cut.mp4"),
            await send(client, b"", "empty.mp4"),
            await send(client, content, "clip.exe"),
            await send(client, content, ""),
            await send(client, b"x" * (1 << 20), "large.mp4"),
        ]
        for body in (endless(), stalled()):
            try:
                answers.append(await send(client, body, "body.mp4"))
            except (aiohttp.ClientError, ConnectionError):  # it may hang up before all is sent
                answers.append((None, {"error": ""}))
        left = [path for path in temporary.rglob("*") if path.is_file()]
        return answers, left, await send(client, content, "good.webm")

    answers, left, good = asked(work, upload=len(content), silence=0.3)
    assert left == []
    assert [status for status, _ in answers[:5]] == [400, 400, 400, 400, 413]
    assert all(status in (None, 408, 413) for status, _ in answers[5:])
    said = [answer["error"] for _, answer in answers]
    assert said[1] == "empty.mp4: an empty file"
    assert said[2].startswith("clip.exe: not one of .mp4")
    assert said[4].startswith("large.mp4: too large; ")
    assert good[0] == 200


def test_an_upload_that_lies_about_its_length_is_ended(asked, movie):
    async def work(client):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        head = f"POST /videos HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nX-Name: a.mp4\r\n"
        writer.write(head.encode() + b"Content-Length: 100000\r\n\r\nonly this")
        line = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        return line, await send(client, b"", "a.mp4", **{"Content-Length": "9" * 18})

    begin = time.monotonic()
    line, (status, _) = asked(work, silence=0.3)
    assert b" 408 " in line
    assert status == 413
    assert time.monotonic() - begin < 5


def test_what_is_kept_is_bounded(asked, movie):
    content = movie.read_bytes()

    async def work(client):
        first = await send(client, content, "a.webm")
        answers = [first[0], *(await send(client, content, "b.webm"))]
        return answers, len((await tree(client.get("/videos")))[1])

    (first, status, answer), kept = asked(work, disk=len(content) + 100)
    assert (first, status, kept) == (200, 507, 1)
    assert "--max_disk" in answer["error"]


def test_uploads_at_a_time_and_videos_are_bounded(asked, movie):
    content = movie.read_bytes()

    async def slow():
        yield content[:100]
        await asyncio.sleep(0.5)
        yield content[100:]

    async def work(client):
        first = asyncio.create_task(send(client, slow(), "a.webm"))
        await asyncio.sleep(0.2)
        busy = await send(client, content, "b.webm")
        return busy, (await first)[0], await send(client, content, "c.webm")

    busy, first, full = asked(work, uploads=1, videos=2)
    assert busy == (503, {"error": "1 uploads are under way; try again in a moment"})
    assert (first, full[0]) == (200, 200)
    busy, first, full = asked(work, uploads=1, videos=1)
    assert (busy[0], first, full[0]) == (503, 200, 400)
    assert "1 videos are kept at most" in full[1]["error"]


# --- orders


DEEP = "[" * 20000 + "]" * 20000


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ('{"box": [0, 0, 1e300, 1e300]}', "more than 10 times the frame"),
        ('{"box": [NaN, 1, 2, 3]}', "four finite numbers"),
        ('{"box": [1e400, 1, 2, 3]}', "four finite numbers"),
        (f'{{"box": [{"9" * 400}, 1, 2, 3]}}', "send"),
        (f'{{"box": {DEEP}}}', "send"),
        ('{"box": [500, 500, 10, 10]}', "outside the frame"),
        ('{"box": [100000, 100000, 1e6, 1e6]}', "more than 10 times the frame"),
        ('{"box": [1, 1]}', "four finite numbers"),
        ('{"box": "here"}', "send"),
        ('{"box": null}', "send"),
        ("[1]", "send"),
        ("no json", "send"),
        (b"\xff\xfe\xfa", "send"),
    ],
)
def test_orders_that_are_refused(order, message):
    """Before, on the socket: 1e300 reached the tracker, deep JSON closed the connection without a
    word (RecursionError), after which the page said "Done"."""
    with pytest.raises(UserError, match=message) as refused:
        read_order(order, (64, 48))
    assert len(str(refused.value)) < 300


def test_a_refusal_is_an_error_that_the_page_can_show(asked, movie):
    async def work(client):
        key = (await tree(client.get("/videos")))[1][0]["id"]
        bodies = [f'{{"box": {DEEP}}}', '{"box": [0, 0, 1e300, 1e300]}', "1," * 60000]
        answers = [await tree(client.post(f"/videos/{key}/runs", data=each)) for each in bodies]
        run = await begin(client)
        return answers, await until(client, run, ended)

    answers, state = asked(work, movie)
    assert [status for status, _ in answers] == [400, 400, 413]
    assert all(answer["error"] for _, answer in answers)
    assert state["state"] == "done"  # the server lives


# --- places


def test_sockets_that_say_nothing_hold_no_place(asked, movie):
    """Before: two of them held both places, a run was told "busy with another run; wait for it to
    end" for as long as they stayed open."""

    async def work(client):
        key = (await tree(client.get("/videos")))[1][0]["id"]
        silent = [await asyncio.open_connection("127.0.0.1", client.port) for _ in range(20)]
        for _, writer in silent[:10]:
            head = f"POST /videos/{key}/runs HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
            writer.write(head.encode() + b"Content-Length: 50\r\n\r\n")
        earlier = await until(client, await begin(client), ended)
        watchers = [await client.ws_connect(f"/runs/{earlier['id']}/watch") for _ in range(5)]
        state = await until(client, await begin(client), ended)
        line = await asyncio.wait_for(silent[0][0].readline(), 5)
        for _, writer in silent:
            writer.close()
        for socket in watchers:
            await socket.close()
        return state, line

    state, line = asked(work, movie, silence=0.5)
    assert state["state"] == "done"
    assert b" 408 " in line


def test_two_tabs_on_one_video(asked, movie):
    """Before: the second was refused although two runs at a time were allowed."""
    tracker = Still(held=5)

    async def work(client):
        runs = [await begin(client, {"box": BOX}), await begin(client, {"box": [1, 2, 30, 20]})]
        both = [await until(client, run, lambda s: s["frames"] == 5) for run in runs]
        tracker.gate.set()
        told = [await watch(client, run) for run in runs]
        tables = [await (await client.get(f"{run}/result.csv")).text() for run in runs]
        return both, told, tables

    both, told, tables = asked(work, movie, tracker=tracker)
    assert [state["state"] for state in both] == ["running", "running"]
    for (messages, _), text, box in zip(told, tables, [BOX, [1, 2, 30, 20]]):
        rows = [row for message in messages for row in message["rows"]]
        assert [row["frame"] for row in rows] == list(range(12))
        assert all([row[side] for side in "xywh"] == box for row in rows)
        kept = list(csv.DictReader(io.StringIO(text)))
        assert [[float(row[side]) for side in "xywh"] for row in kept] == [box] * 12


def test_further_runs_wait_in_their_order(asked, movie):
    tracker = Still(held=3)

    async def work(client):
        first = await begin(client)
        await until(client, first, lambda s: s["frames"] == 3)
        second, third = await begin(client), await begin(client)
        waiting = [(await tree(client.get(f"{run}/state")))[1] for run in (second, third)]
        key = (await tree(client.get("/videos")))[1][0]["id"]
        full = await tree(client.post(f"/videos/{key}/runs", json={"box": BOX}))
        _, stopped = await tree(client.post(f"{second}/stop"))
        stopped = await until(client, second, ended)
        tracker.gate.set()
        await until(client, third, ended)
        _, fourth = await tree(client.post(f"/videos/{key}/runs", json={"box": BOX}))
        assert fourth["ahead"] == 0  # Before: 1, on a server without another run
        return waiting, full, stopped, await until(client, third, ended)

    waiting, full, stopped, third = asked(work, movie, tracker=tracker, jobs=1, waiting=2)
    assert [(state["state"], state["ahead"]) for state in waiting] == [
        ("waiting", 1),
        ("waiting", 2),
    ]
    assert full[0] == 503
    assert "2 runs wait already" in full[1]["error"]
    assert (stopped["state"], stopped["frames"]) == ("stopped", 0)
    assert third["state"] == "done"


def test_a_run_that_no_page_watches_gives_its_place_when_others_wait(asked, movie):
    tracker = Still(held=6)

    async def work(client):
        first = await begin(client)
        await watch(client, first, enough=lambda told: told["frames"] == 6)  # then the tab closes
        await asyncio.sleep(0.5)
        alone = (await tree(client.get(f"{first}/state")))[1]
        second = await begin(client)
        watching = asyncio.create_task(watch(client, second))
        lost = await begin(client)  # nobody ever watches it
        lost = await until(client, lost, ended)
        await asyncio.sleep(0.2)
        tracker.gate.set()
        told, _ = await watching
        return alone, await until(client, first, ended), told[-1], lost

    alone, first, second, lost = asked(work, movie, tracker=tracker, jobs=1, unwatched=0.3)
    assert alone["state"] == "running"  # nobody waited for its place
    assert (first["state"], first["frames"]) == ("stopped", 7)
    assert "no page watched it" in first["message"]
    assert (second["state"], second["frames"]) == ("done", 12)
    assert (lost["state"], lost["frames"]) == ("stopped", 0)


# --- stop, reload, errors


def test_stop_keeps_what_there_is(asked, movie, tmp_path):
    tracker = Still(held=4)

    async def work(client):
        run = await begin(client)
        await until(client, run, lambda s: tracker.waits.is_set())
        early = await tree(client.get(f"{run}/result.csv"))
        await client.post(f"{run}/stop")
        tracker.gate.set()
        told, pictures = await watch(client, run)
        (tmp_path / "kept.webm").write_bytes(await (await client.get(f"{run}/result.webm")).read())
        return early, told[-1], pictures, (await tree(client.get(f"{run}/result.json")))[1]

    early, told, pictures, kept = asked(work, movie, tracker=tracker)
    assert early == (404, {"error": "no result yet; the run has not ended"})
    assert told["state"] == "stopped"
    assert len(kept["targets"][0]["frames"]) == told["frames"] == 5
    assert len(list(read_video(tmp_path / "kept.webm"))) == 5
    assert pictures[-1][:2] == b"\xff\xd8"


def test_a_run_is_opened_again_by_its_address(asked, movie):
    """Before: a reload of the page ended the run, and all of it was lost."""
    tracker = Still(held=6)

    async def work(client):
        run = await begin(client)
        await watch(client, run, enough=lambda told: told["frames"] >= 3)
        page = await (await client.get(run)).text()  # what a reload asks for
        tracker.gate.set()
        again, pictures = await watch(client, run, start=2)
        after, later = await watch(client, run)
        listed = (await tree(client.get("/runs")))[1]
        return page, again, pictures, after, later, listed

    page, again, pictures, after, later, listed = asked(work, movie, tracker=tracker)
    assert "serve.js" in page
    rows = [row for told in again for row in told["rows"]]
    assert [row["frame"] for row in rows] == list(range(2, 12))
    assert again[-1]["state"] == "done"
    assert pictures
    (only,) = after  # of an ended run: all at once, with the last picture
    assert [r["frame"] for r in only["rows"]] == list(range(12))
    assert only["rows"][2:] == rows
    assert len(later) == 1
    assert [(r["id"], r["state"]) for r in listed] == [(only["id"], "done")]


def test_long_runs_come_in_several_messages(asked, movie, monkeypatch):
    monkeypatch.setattr("siamjax.integrations.serving.server._ROWS", 5)

    async def work(client):
        run = await begin(client)
        await until(client, run, ended)
        return await watch(client, run)

    told, pictures = asked(work, movie)
    assert [len(each["rows"]) for each in told] == [5, 5, 2]
    assert [each["picture"] for each in told] == [False, False, True]
    assert len(pictures) == 1


def test_a_fault_of_the_tracker_is_told_and_the_rows_stay(asked, movie, caplog):
    async def work(client):
        run = await begin(client)
        told, _ = await watch(client, run)
        return told[-1], (await tree(client.get(f"{run}/result.json")))[1]["targets"][0]["frames"]

    told, rows = asked(work, movie, tracker=Still(broken=4))
    assert told["state"] == "failed"
    assert told["message"].endswith("what was tracked until then is kept")
    assert len(rows) == 4
    assert "a fault of the tracker" in caplog.text


def test_who_says_something_to_a_socket_that_listens(asked, movie):
    tracker = Still(held=2)

    async def work(client):
        run = await begin(client)
        async with client.ws_connect(f"{run}/watch") as socket:
            await socket.send_str(DEEP)
            said = [json.loads(m.data) async for m in socket if m.type == aiohttp.WSMsgType.TEXT]
        tracker.gate.set()
        return said[-1], await until(client, run, ended)

    said, state = asked(work, movie, tracker=tracker)
    assert "nothing is taken here" in said["error"]
    assert state["state"] == "done"


@pytest.mark.parametrize("path", ["/runs/none/state", "/runs/none/watch", "/runs/none/result.csv"])
def test_runs_that_are_not_there(asked, path):
    async def work(client):
        return await tree(client.get(path))

    status, answer = asked(work)
    assert status == 404
    assert "no such run" in answer["error"]


# --- access


def test_addresses_that_only_this_machine_reaches():
    assert all(map(is_loopback, ("127.0.0.1", "127.0.0.9", "::1", "[::1]", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "box.example", "")))


def test_a_token_is_needed_where_others_can_reach_it(asked, movie):
    async def work(client):
        token = client.access.token
        key = "/videos"
        without = [(await client.get(path)).status for path in ("/", key, "/serve.js")]
        wrong = (await client.get("/?token=wrong")).status
        client.session.cookie_jar.clear()
        redirect = await client.get("/", params={"token": token}, allow_redirects=False)
        cookie = next(iter(redirect.cookies.values()))
        named = {"Cookie": f"{cookie.key}={cookie.value}", "Host": "192.168.1.7:8765"}
        session = [(await client.get(path, headers=named)).status for path in ("/", key)]
        foreign = await client.get(key, headers={**named, "Origin": "http://evil.example"})
        client.session.cookie_jar.clear()
        script = (await client.get(key, params={"token": token})).status
        return without, wrong, redirect, cookie, session, foreign.status, script

    without, wrong, redirect, cookie, session, foreign, script = asked(work, movie, host="0.0.0.0")
    assert without == [403, 403, 403]
    assert wrong == 403
    assert (redirect.status, redirect.headers["Location"]) == (303, "/")
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert session == [200, 200]
    assert foreign == 403
    assert script == 200


def test_without_a_token_on_this_machine(asked):
    async def work(client):
        rebound = (await client.get("/", headers={"Host": "evil.example"})).status
        return client.access.token, (await client.get("/")).status, rebound

    assert asked(work) == (None, 200, 403)
