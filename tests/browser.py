"""A browser for tests of pages."""

import contextlib
import shutil

import pytest

# a camera that shows a test picture, and may be used
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@contextlib.contextmanager
def chromium():
    """Chromium without a window; the test is skipped where it is not there."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:  # no Python package brings one
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=path, args=["--no-sandbox", *CAMERA])
        yield opened
        opened.close()
