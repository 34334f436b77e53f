"""The snippet for web pages in a real browser, against a collector that fails in all the ways it may."""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from anmodel.collector.app import build_app
from anmodel.collector.keys import line_of
from anmodel.settings import CollectorSettings
from eventually import eventually
from recording_topic import RecordingTopic
from scripted_server import Answer, Request, ScriptedServer
from served import served

SNIPPET = files("anmodel.collector").joinpath("anmodel.js").read_bytes()
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "retry-after"}


@dataclass
class FailingCollector:
    """Answers as the collector does, from another origin than the page's; `fail` may answer a request instead.

    `events` has every accepted event by its id, `arrivals` how often it came.
    """

    fail: Callable[[int], Answer | None] = lambda _: None
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrivals: dict[str, int] = field(default_factory=dict)
    posted: list[Request] = field(default_factory=list)

    def answer(self, request: Request, _: int) -> Answer:
        if request.path == "/anmodel.js":
            return Answer(200, SNIPPET, {"Content-Type": "text/javascript"})
        self.posted.append(request)
        if (failure := self.fail(len(self.posted) - 1)) is not None:
            failure.headers.update(CORS)
            return failure
        answers = [self._take(event, index) for index, event in enumerate(json.loads(request.body))]
        return Answer(201, json.dumps({"events": answers}).encode(), dict(CORS))

    def _take(self, event: dict[str, Any], index: int) -> dict[str, Any]:
        if event["event_type"] == "nonsense":
            return {"index": index, "status": "refused", "field": "event_type", "reason": "allowed: …"}
        self.events[event["event_id"]] = event
        self.arrivals[event["event_id"]] = self.arrivals.get(event["event_id"], 0) + 1
        return {"index": index, "status": "accepted", "event_id": event["event_id"]}


@dataclass
class Shop:
    """A shop's page with the snippet, in a browser without any memory."""

    context: BrowserContext
    url: str
    collector: FailingCollector

    def open(self) -> Page:
        page = self.context.new_page()
        page.goto(self.url)
        return page


@pytest.fixture
def shop(browser: Browser) -> Iterator[Shop]:
    collector = FailingCollector()
    with ScriptedServer(collector.answer).running() as receiving:
        html = page_of(receiving.url)
        with ScriptedServer(lambda *_: Answer(200, html, {"Content-Type": "text/html"})).running() as pages:
            context = browser.new_context()
            yield Shop(context, pages.url, collector)
            context.close()


def page_of(collector: str) -> bytes:
    """A shop's page that sends to a collector."""
    return (
        "<!doctype html><script>window.anmodel = window.anmodel || []; anmodel.push(['region', 'UA-30'])</script>"
        f'<script src="{collector}/anmodel.js" data-key="amk_page" data-wait="20"></script>'
    ).encode()


def track(page: Page, count: int = 1, kind: str = "page_view") -> list[str]:
    """Track events in one go; their ids."""
    script = "([kind, count]) => Array.from({length: count}, (_, n) => anmodel.track(kind, {item_id: 'item_' + n}))"
    return list(page.evaluate(script, [kind, count]))


def left(page: Page) -> int:
    """How many events the page still keeps."""
    return int(page.evaluate("Object.keys(localStorage).filter(name => name.startsWith('anmodel.e.')).length"))


def stored(page: Page, name: str) -> str | None:
    """What the page sees under a name; what another wrote reaches it a little later, from a process of its own."""
    return page.evaluate("name => localStorage.getItem('anmodel.' + name)", name)


def all_there(shop: Shop, ids: list[str]) -> None:
    eventually(lambda: set(ids) <= set(shop.collector.events), 20)


def test_it_is_no_larger_than_three_kilobytes_on_the_wire() -> None:
    assert len(gzip.compress(SNIPPET, 9)) <= 3 * 1024


def test_events_arrive_in_one_batch_with_all_the_contract_asks_for(shop: Shop) -> None:
    page = shop.open()
    ids = track(page, 3)
    all_there(shop, ids)
    assert len(shop.collector.posted) == 1
    (request,) = shop.collector.posted
    assert request.path == "/collect?key=amk_page"
    assert request.headers["content-type"].startswith("text/plain")
    first, *_ = (shop.collector.events[name] for name in ids)
    assert (first["region"], first["properties"]) == ("UA-30", {"item_id": "item_0"})
    assert len({event["session_id"] for event in shop.collector.events.values()}) == 1
    eventually(lambda: left(page) == 0)


def test_the_real_collector_takes_them_by_the_pages_key_and_from_its_origin_alone(
    browser: Browser, tmp_path: Path
) -> None:
    html = b""
    topic = RecordingTopic()
    with (
        ScriptedServer(lambda *_: Answer(200, html, {"Content-Type": "text/html"})).running() as ours,
        ScriptedServer(lambda *_: Answer(200, html, {"Content-Type": "text/html"})).running() as theirs,
    ):
        keys = tmp_path / "write_keys"
        keys.write_text(line_of("shop", "amk_page", origins=ours.url))
        with served(build_app(topic, CollectorSettings.load(write_keys=str(keys)))) as collector:  # type: ignore[arg-type]
            html = page_of(collector)
            context = browser.new_context()
            stranger, page = context.new_page(), context.new_page()
            with stranger.expect_response(lambda answer: "/collect" in answer.url) as refused:
                stranger.goto(theirs.url)
                track(stranger)
            assert refused.value.status == 403
            page.goto(ours.url)
            ids = track(page, 3)
            eventually(lambda: len(topic.sent) == 3, 20)
            eventually(lambda: left(page) == 0)
            context.close()
    assert [json.loads(raw)["event_id"] for _, raw in topic.sent] == ids


def test_a_visitor_stays_the_same_over_pages_and_becomes_the_user_who_signs_in(shop: Shop) -> None:
    first, second = shop.open(), shop.open()
    ids = track(first)
    eventually(lambda: stored(second, "visitor"))
    ids += track(second)
    second.evaluate("anmodel.identify('u-17')")
    eventually(lambda: stored(first, "user"))
    ids += track(first)
    all_there(shop, ids)
    users = [shop.collector.events[name]["user_id"] for name in ids]
    assert users[0] == users[1] != "u-17"
    assert users[2] == "u-17"


@pytest.mark.parametrize(
    "failure",
    [
        Answer(503, b'{"detail": []}', {"retry-after": "0"}),
        Answer(drop=True),
        Answer(502, b"a proxy's page"),
        Answer(429, b"{}", {"retry-after": "1"}),
        Answer(401, b"{}"),
    ],
    ids=["503", "no answer", "502", "429", "401"],
)
def test_what_was_not_confirmed_is_sent_again_with_the_same_ids(shop: Shop, failure: Answer) -> None:
    shop.collector.fail = lambda number: failure if number < 2 else None
    page = shop.open()
    ids = track(page, 5)
    all_there(shop, ids)
    eventually(lambda: left(page) == 0)
    bodies = {request.body for request in shop.collector.posted[:3]}
    assert len(bodies) == 1
    assert set(shop.collector.events) == set(ids)


def test_only_what_was_not_confirmed_is_sent_again(shop: Shop) -> None:
    half = [{"index": 0, "status": "accepted"}, {"index": 1, "status": "unavailable"}]
    body = json.dumps({"events": half}).encode()
    shop.collector.fail = lambda number: Answer(503, body, {"retry-after": "0"}) if number == 0 else None
    page = shop.open()
    ids = track(page, 2)
    eventually(lambda: left(page) == 0)
    assert list(shop.collector.events) == ids[1:]


def test_a_refused_event_is_given_up_and_stops_no_other(shop: Shop) -> None:
    page = shop.open()
    ids = track(page, 1, "nonsense") + track(page, 2)
    all_there(shop, ids[1:])
    eventually(lambda: left(page) == 0)


def test_unsent_events_outlive_the_page(shop: Shop) -> None:
    shop.collector.fail = lambda _: Answer(drop=True)
    page = shop.open()
    ids = track(page, 4)
    eventually(lambda: len(shop.collector.posted) > 0)
    page.reload()
    assert left(page) == 4
    page.close()
    shop.collector.fail = lambda _: None
    page = shop.open()
    all_there(shop, ids)
    eventually(lambda: left(page) == 0)
    assert set(shop.collector.events) == set(ids)


def test_a_page_that_goes_sends_what_it_has_by_a_beacon(shop: Shop) -> None:
    page = shop.open()
    page.evaluate("() => { window.fetch = () => new Promise(() => {}) }")  # a request that is never answered
    ids = track(page, 3)
    page.goto("about:blank")
    all_there(shop, ids)
    (beacon,) = shop.collector.posted
    assert beacon.path == "/collect?key=amk_page"
    assert beacon.headers["content-type"].startswith("text/plain")


def test_more_than_one_request_holds_goes_out_in_several_and_nothing_twice(shop: Shop) -> None:
    page = shop.open()
    ids = track(page, 250)
    all_there(shop, ids)
    eventually(lambda: left(page) == 0)
    assert len(shop.collector.posted) == 3
    assert set(shop.collector.arrivals.values()) == {1}


def test_a_batch_that_is_too_large_is_halved(shop: Shop) -> None:
    shop.collector.fail = lambda number: (
        Answer(413, b"{}") if len(json.loads(shop.collector.posted[number].body)) > 2 else None
    )
    page = shop.open()
    ids = track(page, 7)
    all_there(shop, ids)
    eventually(lambda: left(page) == 0)


def test_without_storage_events_are_sent_all_the_same(shop: Shop) -> None:
    denied = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied') }})"
    shop.context.add_init_script(denied)
    all_there(shop, track(shop.open(), 2))
