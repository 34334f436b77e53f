"""A browser that finds every host of the edge at the edge's port."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from edge import EDGE
from playwright.sync_api import Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def new_page() -> Iterator[Page]:
    """A page in a browser of its own; skips the test where no browser is installed."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    host = EDGE.partition(":")[0]
    flags = ["--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules=MAP *.localtest.me {host}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser.new_page(viewport={"width": 1440, "height": 900}, locale="en-GB")
        browser.close()
