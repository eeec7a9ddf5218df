"""The page of `siamjax serve` in a headless browser: every control is used."""

import csv
import io
import json

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="needs aiohttp (extra serve)")

from ..browser import chromium
from ..integrations.serving_client import Still, greys
from .serving import boxes_of, expected

pytestmark = pytest.mark.slow
BOX, OTHER = (40, 50, 30, 24), (90, 20, 30, 40)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, with a camera that shows a test picture."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def tab(browser):
    """Opens pages; at the end none has complained."""
    complaints, opened = [], []

    def heard(line):
        shown = ("status of 4", "CONNECTION_REFUSED")  # the page shows those
        if line.type == "error" and not any(each in line.text for each in shown):
            complaints.append(line.text)

    def new(address, ready="Draw a box", **options):
        context = browser.new_context(**({"viewport": {"width": 1400, "height": 900}} | options))
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", heard)
        page.goto(address)
        status(page, ready)
        return page

    yield new
    for context in opened:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """60 frames of 160x120 px, each of another grey."""
    return greys(tmp_path_factory.mktemp("long") / "greys.webm", 60, 160, 120)


def status(page, words):
    """Waits until the page says this; all that it says."""
    try:
        page.wait_for_selector(f"#status:has-text('{words}')")
    except Exception as error:
        raise AssertionError(f"{page.inner_text('aside')}, not {words}") from error
    return page.inner_text("#status")


def shown(page, frame):
    """Waits for a frame."""
    page.wait_for_function("n => document.getElementById('seek').value === n", arg=str(frame))
    page.wait_for_timeout(300)


def zoomed(page, width=160):
    area = page.locator("#view").bounding_box()
    return area, area["width"] / width


def drag(page, begin, end, width=160):
    """Drags in the picture, from and to a place in px of the video."""
    area, zoom = zoomed(page, width)
    page.mouse.move(area["x"] + begin[0] * zoom, area["y"] + begin[1] * zoom)
    page.mouse.down()
    for part in (0.5, 1.0):
        at = [b + part * (e - b) for b, e in zip(begin, end)]
        page.mouse.move(area["x"] + at[0] * zoom, area["y"] + at[1] * zoom)
    page.mouse.up()


def draw(page, box, width=160):
    """Draws a box with the mouse."""
    x, y, w, h = box
    drag(page, (x, y), (x + w, y + h), width)


def saved(page, click):
    """Bytes of what is saved."""
    with page.expect_download() as waiting:
        click()
    return waiting.value.path().read_bytes()


def rows_of(page):
    text = saved(page, lambda: page.click("#results a[data-kind=csv]")).decode()
    return list(csv.DictReader(io.StringIO(text)))


def looks(page):
    """The picture with its boxes."""
    return page.evaluate("document.getElementById('view').toDataURL()")


def grey(page):
    """The grey in the corner of the picture, where no box is."""
    reads = "document.getElementById('view').getContext('2d').getImageData(5, 200, 1, 1).data[0]"
    return page.evaluate(reads)


def test_the_page_in_a_browser(serve, session, video, tab):
    """Draws a box with the mouse, presses Track, reads the boxes back from the download."""
    with serve(str(video)) as address:
        page = tab(address)
        assert page.inner_text("#videos option:checked") == "moving"
        assert page.is_disabled("#start")
        draw(page, BOX)
        page.check("#heatmap")
        page.click("#start")
        assert status(page, "Done") == "Done: 12 of 12 frames, 1 target."
        assert "frames/s" in page.inner_text("#about")
        rows = rows_of(page)
        movie = saved(page, lambda: page.click("#results a[data-kind=webm]"))
        assert movie[:4] == b"\x1aE\xdf\xa3"
        page.set_input_files("#file", str(video))
        page.wait_for_selector("#videos option:nth-child(2)", state="attached")
    np.testing.assert_allclose(boxes_of(rows)[0], BOX, atol=1.0)
    truth = expected(session, video, tuple(boxes_of(rows)[0]))
    np.testing.assert_allclose(boxes_of(rows), truth, atol=1e-6)


def test_several_targets_any_frame_correction_and_labels(serve, long, tab):
    """Two targets that begin in different frames, one of them drawn anew, results in formats."""
    with serve(str(long), targets=Still(step=1)) as address:
        page = tab(address)
        page.fill("#number", "10")
        page.press("#number", "Enter")
        shown(page, 10)
        draw(page, BOX)
        page.click("#add")
        page.click("#forward")
        page.click("#forward")
        shown(page, 12)
        draw(page, OTHER)
        assert page.locator("#targets li").count() == 2
        page.fill("[aria-label='name of target 1']", "cat")
        page.press("[aria-label='name of target 1']", "Tab")
        page.click("#start")
        assert status(page, "Done") == "Done: 50 of 50 frames, 2 targets."
        first = page.url
        rows = rows_of(page)
        assert [int(row["frame"]) for row in rows if row["target"] == "0"] == [*range(10, 60)]
        assert [int(row["frame"]) for row in rows if row["target"] == "1"] == [*range(12, 60)]
        assert {row["name"] for row in rows} == {"", "cat"}

        page.locator("#seek").fill("40")  # target 1 is moved 10 px down there, and tracked on
        shown(page, 40)
        x, y, w, h = np.array(
            boxes_of([r for r in rows if (r["frame"], r["target"]) == ("40", "1")])[0]
        )
        page.keyboard.press("1")
        drag(page, (x + w / 2, y + h / 2), (x + w / 2, y + h / 2 + 10))
        assert page.inner_text("#start") == "Track from frame 40"
        page.click("#start")
        page.wait_for_url(lambda url: url != first)
        status(page, "Done: 50 of 50 frames, 2 targets.")
        again = rows_of(page)
        assert [r for r in again if int(r["frame"]) < 40] == [
            r for r in rows if int(r["frame"]) < 40
        ]
        both = [[r for r in each if int(r["frame"]) >= 40] for each in (rows, again)]
        moved = np.subtract(*[boxes_of(each) for each in reversed(both)])
        targets = np.array([int(row["target"]) for row in both[0]])
        np.testing.assert_allclose(moved[targets == 0], 0, atol=1e-9)
        np.testing.assert_allclose(moved[targets == 1], [[0, 10, 0, 0]] * 20, atol=1)

        assert page.is_disabled("#start")
        seek = page.locator("#seek")
        seek.fill("40")
        shown(page, 40)
        page.click("#undo")  # the box that was drawn in frame 40: as before
        assert page.inner_text("#start") == "Track from frame 40"
        page.select_option("#format", "coco")
        tree = json.loads(saved(page, lambda: page.click("#save")))
        assert len(tree["annotations"]) == 98
        page.select_option("#format", "txt")
        page.click("#save")
        status(page, "a .txt holds one")
        page.click("[aria-label='remove target 1']")
        assert page.locator("#targets li").count() == 1
        assert page.inner_text("#start") == "Track from frame 12"

        page.click("#history summary")
        assert page.locator("#runs li").count() == 2
        page.click("#runs li:nth-child(2) a")
        page.wait_for_url(first)
        status(page, "Done: 50")
        assert rows_of(page) == rows


def test_scrub_play_and_keys(serve, long, tab):
    with serve(str(long), targets=Still(step=1)) as address:
        page = tab(address)
        seek = page.locator("#seek")
        seek.fill("30")
        shown(page, 30)
        assert grey(page) == pytest.approx(120, abs=4)
        page.click("#back")
        shown(page, 29)
        page.locator("#strip").click(position={"x": 2, "y": 5})
        shown(page, 0)
        page.click("#play")
        page.wait_for_function("() => Number(document.getElementById('seek').value) > 5")
        assert page.inner_text("#play") == "Pause"
        page.click("#play")
        assert page.inner_text("#play") == "Play"
        page.locator("#view").focus()
        page.keyboard.press("Home")
        shown(page, 0)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        shown(page, 11)
        page.keyboard.press("ArrowLeft")
        shown(page, 10)
        assert grey(page) == pytest.approx(40, abs=4)
        page.keyboard.press("b")  # a box without the mouse
        assert page.locator("#targets li").count() == 1
        page.keyboard.press("Alt+ArrowRight")
        page.keyboard.press("Alt+Shift+ArrowDown")
        page.keyboard.press("n")
        page.keyboard.press("b")
        assert page.locator("#targets li").count() == 2
        page.keyboard.press("Delete")
        assert page.locator("#targets li").count() == 1
        page.keyboard.press("h")
        assert page.is_checked("#heatmap")
        page.keyboard.press("h")
        page.keyboard.press("Space")
        page.wait_for_function("() => Number(document.getElementById('seek').value) > 12")
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        status(page, "Done: 50 of 50 frames, 1 target.")
        (x, y, w, h) = boxes_of(rows_of(page))[0]
        assert (x, y, w, h) == pytest.approx((61, 45, 40, 31), abs=0.1)
        page.locator("#view").focus()
        page.keyboard.press("End")
        shown(page, 59)
        page.click("#help summary")
        assert page.is_visible("#help dl")


def test_what_a_person_expects_of_several_tabs(serve, video, folder, tab):
    """Another video chosen during a run, a second tab, Stop and reload.

    Before: old frames were drawn over the new video's picture and the downloads were the old run's;
    the second tab was refused; Stop said "Done"; a reload lost the run.
    """
    still = Still(held=6)
    with serve(str(video), str(folder), targets=still) as address:
        first = tab(address)
        draw(first, BOX)
        first.click("#start")
        first.wait_for_selector("#speed:has-text('6 of 12 frames')")
        run = first.url
        assert "/runs/" in run
        draw(first, OTHER)
        assert "press Stop" in first.inner_text("#status")

        first.reload()
        first.wait_for_selector("#speed:has-text('6 of 12 frames')")
        assert first.url == run
        assert first.inner_text("#videos option:checked") == "moving"
        first.click("#back")  # looks at another frame, then at the newest again
        first.click("#follow")
        assert first.is_hidden("#follow")

        second = tab(address)
        draw(second, (10, 10, 50, 50))
        second.click("#start")
        second.wait_for_selector("#speed:has-text('6 of 12 frames')")
        second.click("#stop")

        first.select_option("#videos", index=1)  # during the run
        status(first, "Draw a box")
        first.wait_for_timeout(500)
        picture = looks(first)
        still.gate.set()
        assert status(second, "Stopped") == "Stopped after 7 of 12 frames."
        assert boxes_of(rows_of(second))[-1] == pytest.approx([10, 10, 50, 50], abs=1)
        assert second.inner_text("#start") == "Track from frame 7"
        first.wait_for_timeout(500)
        assert looks(first) == picture
        assert first.is_hidden("#results")
        assert "Draw a box" in first.inner_text("#status")

        third = tab(run, "Done: 12 of 12 frames")  # the run that was left has ended meanwhile
        assert len(rows_of(third)) == 12
        second.click("#start")  # and the one that was stopped is taken up
        status(second, "Done: 12 of 12 frames")


def test_a_run_that_waits_and_one_that_fails(serve, video, tab):
    still = Still(held=3, broken=5)
    with serve(str(video), targets=still, jobs=1) as address:
        first, second = tab(address), tab(address)
        for page in (first, second):
            draw(page, BOX)
            page.click("#start")
        status(second, "Waiting")
        still.gate.set()
        said = status(first, "Failed after 5 of 12 frames")
        assert said.endswith("what was tracked until then is kept.")
        assert first.get_attribute("#said", "class") == "error"
        assert len(rows_of(first)) == 5
        status(second, "Failed")


def test_errors_are_shown_in_the_page(serve, video, tmp_path, tab):
    (tmp_path / "text.mp4").write_text("no video")
    with serve(str(video)) as address:
        page = tab(address)
        page.set_input_files("#file", str(tmp_path / "text.mp4"))
        assert "text.mp4: a text file, not a video" in status(page, "text.mp4: a text")
        assert page.get_attribute("#said", "class") == "error"
        draw(page, BOX)
        refused = {"status": 400, "json": {"error": "box: more than 10 times the frame"}}
        page.route("**/videos/*/runs", lambda route: route.fulfill(**refused))
        page.click("#start")
        status(page, "more than 10 times")
        assert page.is_enabled("#start")
        assert page.is_hidden("#results")
        page.unroute("**/videos/*/runs")
        page.click("#start")
        status(page, "Done")
    page.click("#history summary")
    page.click("#runs a")
    status(page, "The server does not answer")


def test_the_webcam(serve, session, tab):
    """Live boxes, with the time that they take; drawn while the picture stands still."""
    with serve() as address:
        page = tab(address, "use the webcam")
        page.click("#camera")
        status(page, "Draw a box")
        page.wait_for_selector("#speed:has-text('ms from picture to boxes')")
        assert page.is_hidden("#transport")
        width = 640
        draw(page, (200, 150, 100, 80), width)
        status(page, "Live.")
        page.wait_for_selector("#targets .score:text-matches('^[01]|lost')")
        before = looks(page)
        page.wait_for_timeout(500)
        assert looks(page) != before
        page.click("#add")
        draw(page, (400, 200, 80, 80), width)
        page.wait_for_selector("#targets li:nth-child(2)")
        page.wait_for_selector("#targets li:nth-child(2) .score:text-matches('^[01]|lost')")
        page.click("[aria-label='remove target 0']")
        page.wait_for_timeout(500)
        assert page.locator("#targets li").count() == 1
        page.click("#stop")
        status(page, "The webcam is off.")
        assert page.locator("#targets li").count() == 0
        page.evaluate("navigator.mediaDevices.getUserMedia = undefined")
        page.click("#camera")
        status(page, "Browsers give the webcam to pages of this machine")


def test_a_phone(serve, long, tab):
    """At 390x844: nothing is wider than the screen, fingers draw, buttons are large enough."""
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with serve(str(long), targets=Still(step=1)) as address:
        page = tab(address, device_scale_factor=2, **phone)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        area, _ = zoomed(page)
        assert area["width"] > 350
        assert page.locator("#start").bounding_box()["y"] < 844
        for button in page.locator("button:visible").all():
            assert button.bounding_box()["height"] >= 40
        session = page.context.new_cdp_session(page)
        touches = [(60, 50), (80, 60), (100, 80)]
        _, zoom = zoomed(page)
        for kind, at in zip(("touchStart", "touchMove", "touchMove"), touches):
            point = {"x": area["x"] + at[0] * zoom, "y": area["y"] + at[1] * zoom}
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.tap("#start")
        status(page, "Done: 60 of 60 frames, 1 target.")
        assert boxes_of(rows_of(page))[0] == pytest.approx([60, 50, 40, 30], abs=1)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_file_is_dropped(serve, video, tab):
    """It is sent, and on offer afterwards."""
    with serve() as address:
        page = tab(address, "Open a video")
        data = page.evaluate_handle(
            """bytes => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(bytes)], "dropped.webm"));
                return data;
            }""",
            list(video.read_bytes()),
        )
        page.dispatch_event("#stage", "drop", {"dataTransfer": data})
        status(page, "Draw a box")
        assert page.inner_text("#videos option:checked") == "dropped"
