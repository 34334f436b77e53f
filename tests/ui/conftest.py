"""A browser, the built console and a gateway of ours that misbehaves when told to."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fake_shoppers
import pytest
from fake_gateway import FakeState, create_app
from playwright.sync_api import Browser, Page, sync_playwright

from anmodel.laptop.node import build_console
from anmodel.marketapp.server import console_app
from served import served

MARKETAPP = Path(__file__).parents[2] / "MarketApp"
CACHE = Path("~/.cache/anmodel").expanduser()
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]


@pytest.fixture(scope="session")
def dist() -> Path:
    """The built console."""
    build_console(MARKETAPP, CACHE)
    return MARKETAPP / "dist"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; nothing is downloaded. While it lives, no test may run an event loop: so not the whole run."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@dataclass
class Console:
    """The console in a window of its own, on a gateway that does what `gateway` says."""

    page: Page
    url: str
    gateway: FakeState
    faults: list[str]
    """Errors that the page did not handle."""

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.url + path)
        return self.page


@pytest.fixture(scope="session")
def shoppers() -> list[fake_shoppers.Shopper]:
    return fake_shoppers.make_shoppers(2469)


@pytest.fixture
def console(dist: Path, browser: Browser, shoppers: list[fake_shoppers.Shopper]) -> Iterator[Console]:
    """A fresh window of 1440×900 without any memory; a test may resize it. Unhandled errors fail the test."""
    state = FakeState(users=shoppers)
    with served(create_app(state)) as gateway, served(console_app(dist, gateway)) as url:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB", timezone_id="UTC")
        context.set_default_timeout(10_000)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        yield Console(page, url, state, faults)
        context.close()
    assert faults == []
