"""Fixtures of the server of the page."""

import contextlib

with contextlib.suppress(ImportError):  # aiohttp is optional; then the tests are skipped
    from .serving_client import asked, movie, temporary  # noqa: F401
