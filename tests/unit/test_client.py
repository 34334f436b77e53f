"""Sending events to a collector that fails in all the ways it may."""

import json
import time

import pytest

from anmodel.client import CollectorClient, SendOptions
from anmodel.errors import InputError
from fake_collector import FakeCollector
from scripted_server import Answer


def events(count: int, **changes: object) -> list[bytes]:
    base = {
        "event_type": "page_view",
        "timestamp": "2026-01-31T09:30:00Z",
        "session_id": "s",
        "user_id": "u",
        "region": "",
    }
    return [json.dumps({"event_id": f"e{number}"} | base | changes).encode() for number in range(count)]


def test_every_event_arrives_once_when_all_is_well() -> None:
    with FakeCollector().running() as collector:
        report = CollectorClient(collector.collect, SendOptions(batch=100)).send_all(events(1050))
    assert (report.sent, report.accepted, report.refused, report.failed, report.retries) == (1050, 1050, 0, 0, 0)
    assert report.complete
    assert len(collector.requests) == 11
    assert collector.stored == dict.fromkeys(events(1050), 1)


def test_one_worker_sends_in_the_order_given() -> None:
    with FakeCollector().running() as collector:
        CollectorClient(collector.collect, SendOptions(batch=3, concurrency=1)).send_all(events(10))
    assert b"\n".join(request.body for request in collector.requests) == b"\n".join(events(10))


def test_a_batch_of_one_is_sent_as_the_original_sent_it() -> None:
    with FakeCollector().running() as collector:
        report = CollectorClient(collector.collect, SendOptions(batch=1)).send_all(
            events(2) + events(1, event_type="zzz")
        )
    assert {request.headers["content-type"] for request in collector.requests} == {"application/json"}
    assert (report.accepted, report.refused) == (2, 1)
    assert report.refusals[0][0] == "e0"
    assert report.refusals[0][1].startswith("event_type: ")


def test_a_refused_event_does_not_refuse_the_others_and_is_named() -> None:
    bad = events(1, event_id="bad", timestamp="2019-01-01T00:00:00Z") + events(1, event_id="worse", region=5)
    with FakeCollector().running() as collector:
        report = CollectorClient(collector.collect).send_all(events(5) + bad)
    assert (report.accepted, report.refused, report.failed) == (5, 2, 0)
    assert not report.complete
    assert [event for event, _ in report.refusals] == ["bad", "worse"]
    assert report.reasons["timestamp: allowed: at most 1825 days old"] == 1


@pytest.mark.parametrize(
    "failure",
    [Answer(503, headers={"retry-after": "0.01"}), Answer(drop=True), Answer(502, b"a proxy's page"), Answer(429)],
    ids=["503", "no answer", "502", "429"],
)
def test_what_was_not_confirmed_is_sent_again_with_the_same_bytes(failure: Answer) -> None:
    with FakeCollector(fail=lambda number: failure if number < 2 else None).running() as collector:
        report = CollectorClient(collector.collect, SendOptions(batch=50, concurrency=1, first_wait=0.01)).send_all(
            events(100)
        )
    assert (report.accepted, report.failed, report.retries) == (100, 0, 2)
    assert collector.requests[0].body == collector.requests[1].body == collector.requests[2].body
    assert collector.stored == dict.fromkeys(events(100), 1)


def test_only_the_unconfirmed_part_of_a_batch_is_sent_again() -> None:
    with FakeCollector(loses=lambda event, number: number == 0 and event in ("e3", "e7")).running() as collector:
        report = CollectorClient(collector.collect, SendOptions(batch=10)).send_all(events(10))
    assert (report.accepted, report.failed, report.retries) == (10, 0, 1)
    assert collector.requests[1].body == b"\n".join([events(10)[3], events(10)[7]])
    assert collector.stored == dict.fromkeys(events(10), 1)


def test_a_batch_too_large_for_the_collector_is_halved() -> None:
    with FakeCollector(most=30).running() as collector:
        report = CollectorClient(collector.collect, SendOptions(batch=100)).send_all(events(100))
    assert (report.accepted, report.refused) == (100, 0)
    assert collector.stored == dict.fromkeys(events(100), 1)


def test_a_collector_that_stays_away_stops_sending_and_the_report_says_so() -> None:
    with FakeCollector(fail=lambda number: None if number == 0 else Answer(503)).running() as collector:
        options = SendOptions(batch=10, concurrency=1, retry_for=0.3, first_wait=0.05)
        report = CollectorClient(collector.collect, options).send_all(events(1000))
    assert (report.accepted, report.failed, report.sent) == (10, 10, 20)
    assert "did not confirm events for 0.3 s (HTTP 503)" in report.stopped
    assert report.reasons["not confirmed by the collector"] == 10
    assert "stopped: " in report.summary()


def test_an_address_that_is_no_collector_stops_sending_at_once() -> None:
    with FakeCollector(fail=lambda _: Answer(404, b"nothing here")).running() as collector:
        report = CollectorClient(collector.collect).send_all(events(10))
    assert report.retries == 0
    assert "HTTP 404: 'nothing here'. Is it a collector's /collect?" in report.stopped


@pytest.mark.parametrize("status", [401, 403])
def test_a_write_key_goes_with_each_request_and_a_wrong_one_stops_sending_at_once(status: int) -> None:
    refused = Answer(status, b'{"detail": [{"field": "key", "reason": "the write key is not known here"}]}')
    with FakeCollector(fail=lambda number: refused if number else None).running() as collector:
        options = SendOptions(batch=10, concurrency=1, key="amk_secret")
        report = CollectorClient(collector.collect, options).send_all(events(20))
    assert {request.headers["authorization"] for request in collector.requests} == {"Bearer amk_secret"}
    assert (report.accepted, report.failed, report.retries) == (10, 10, 0)
    assert report.stopped.endswith("does not take events with this write key: the write key is not known here")
    assert "amk_secret" not in repr(options)


def test_compressed_events_arrive_as_they_were() -> None:
    with FakeCollector().running() as collector:
        report = CollectorClient(collector.collect, SendOptions(batch=100, compress=True)).send_all(events(250))
    assert report.complete
    assert collector.stored == dict.fromkeys(events(250), 1)
    assert {request.headers["content-encoding"] for request in collector.requests} == {"gzip"}


def test_a_rate_holds_the_stream_back_and_spreads_it() -> None:
    with FakeCollector().running() as collector:
        started = time.monotonic()
        CollectorClient(collector.collect, SendOptions(rate=200)).send_all(events(100))
        seconds = time.monotonic() - started
    assert len(collector.requests) == 2
    assert seconds >= 50 / 200  # the second half may not go out sooner


def test_an_url_without_a_host_is_refused() -> None:
    with pytest.raises(InputError, match="allowed: http"):
        CollectorClient("localhost:8001/collect")


def test_no_events_are_no_requests() -> None:
    with FakeCollector().running() as collector:
        report = CollectorClient(collector.collect).send_all([])
    assert report.complete
    assert collector.requests == []


def test_an_answer_that_says_nothing_of_a_batch_is_not_taken_for_its_acceptance() -> None:
    with FakeCollector(fail=lambda _: Answer(200, b"<html>welcome</html>")).running() as collector:
        report = CollectorClient(collector.collect).send_all(events(10))
    assert report.accepted == 0
    assert "HTTP 200" in report.stopped
