"""The console's static server."""

from pathlib import Path

import httpx
import pytest

from anmodel.errors import NotReadyError
from anmodel.marketapp.server import console_app

GATEWAY = "http://127.0.0.1:8000"
PAGE = "<title>AnModel</title>"


@pytest.fixture
def browser(tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / ".built-from").write_text("fingerprint")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-1a2b.js").write_text("start()")
    (tmp_path.parent / "secret.txt").write_text("secret")
    transport = httpx.ASGITransport(console_app(tmp_path, GATEWAY))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:5173")


@pytest.mark.parametrize(
    "path", ["/", "/users/42", "/users/ann@example.com", "/history?q=1", "/users/" + "%F0%9F%98%80" * 256]
)
async def test_every_deep_link_is_answered_with_the_page_which_is_asked_for_anew_each_time(
    browser: httpx.AsyncClient, path: str
) -> None:
    answer = await browser.get(path, headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["cache-control"] == "no-cache"


async def test_files_named_by_their_content_are_kept_for_ever_and_others_are_asked_for_anew(
    browser: httpx.AsyncClient,
) -> None:
    assert (await browser.get("/assets/index-1a2b.js")).headers[
        "cache-control"
    ] == "public, max-age=31536000, immutable"
    assert (await browser.get("/icon.svg")).headers["cache-control"] == "no-cache"
    assert (await browser.get("/icon.svg")).text == "<svg/>"


@pytest.mark.parametrize("path", ["/assets/gone-3c4d.js", "/gone.png", "/.built-from", "/..%2Fsecret.txt", "/a%00.js"])
async def test_what_is_no_file_of_the_build_is_404_and_not_kept(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 404
    assert "cache-control" not in answer.headers


async def test_the_browser_is_told_where_the_gateway_is_and_may_talk_to_no_other(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/config.json")
    assert answer.json() == {"apiBase": GATEWAY}
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert f"connect-src 'self' {GATEWAY};" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await browser.get("/health")).json() == {"status": "ok"}


def test_without_a_build_the_start_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match=r"MARKETAPP_DIST=.*anmodel up"):
        console_app(tmp_path, GATEWAY)
