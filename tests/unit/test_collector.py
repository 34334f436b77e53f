"""The collector's answers, exactly, over a topic of our own."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx
import pytest

from anmodel.collector.app import build_app
from anmodel.settings import CollectorSettings
from recording_topic import RecordingTopic

EVENT = {
    "event_id": "e1",
    "event_type": "click",
    "timestamp": "2026-11-20T10:00:00Z",
    "session_id": "s1",
    "user_id": "u1",
    "region": "UA-30",
    "properties": {"item_id": "item_1", "price": 10.5},
}


class Posted:
    """One POST to /collect as a server hands it over: the pieces as they come, then the connection's end."""

    def __init__(self, pieces: AsyncIterator[bytes], length: int = -1) -> None:
        """Of a whole body give the length: it is whole once so many bytes have come."""
        self.length = length
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/collect",
            "root_path": "",
            "query_string": b"",
            "headers": [],
        }
        self._pieces = pieces
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def receive(self) -> dict[str, object]:
        async for piece in self._pieces:
            self.length -= len(piece)
            return {"type": "http.request", "body": piece, "more_body": self.length != 0}
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]


@pytest.fixture
def topic() -> RecordingTopic:
    return RecordingTopic()


@pytest.fixture
def settings() -> CollectorSettings:
    return CollectorSettings.load(event_max_age_days=36_500, collect_max_events=10)


@pytest.fixture
async def client(topic: RecordingTopic, settings: CollectorSettings) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(topic, settings)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://collector") as made:
        yield made


async def test_one_event_is_answered_with_an_empty_201_and_sent_as_it_came(
    client: httpx.AsyncClient, topic: RecordingTopic
) -> None:
    raw = json.dumps(EVENT, indent=1).encode()
    answer = await client.post("/collect", content=raw)
    assert (answer.status_code, answer.content) == (201, b"")
    assert topic.sent == [("u1", raw)]


async def test_a_refused_event_is_answered_with_field_and_reason(
    client: httpx.AsyncClient, topic: RecordingTopic
) -> None:
    answer = await client.post("/collect", json={**EVENT, "properties": {"item_id": 5}})
    assert answer.status_code == 422
    assert answer.json() == {
        "detail": [{"field": "properties.item_id", "reason": "got a number; allowed: text of at most 256 characters"}]
    }
    assert not topic.sent


@pytest.mark.parametrize("lines", [False, True], ids=["array", "ndjson"])
async def test_in_a_batch_a_bad_event_does_not_refuse_the_good(
    client: httpx.AsyncClient, topic: RecordingTopic, lines: bool
) -> None:
    events = [EVENT, {**EVENT, "event_id": "e2", "user_id": ""}, {**EVENT, "event_id": "e3"}]
    content = "\n".join(map(json.dumps, events)) if lines else json.dumps(events)
    answer = await client.post("/collect", content=content)
    assert answer.status_code == 207
    assert answer.json() == {
        "accepted": 2,
        "refused": 1,
        "unavailable": 0,
        "events": [
            {"index": 0, "status": "accepted", "event_id": "e1"},
            {
                "index": 1,
                "status": "refused",
                "event_id": "e2",
                "field": "user_id",
                "reason": "Expected `str` of length >= 1",
            },
            {"index": 2, "status": "accepted", "event_id": "e3"},
        ],
    }
    assert [json.loads(raw)["event_id"] for _, raw in topic.sent] == ["e1", "e3"]


async def test_a_malformed_line_is_refused_alone(client: httpx.AsyncClient, topic: RecordingTopic) -> None:
    content = json.dumps(EVENT) + "\n{oops\n\n" + json.dumps(EVENT)
    answer = await client.post("/collect", content=content, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 207
    assert answer.json()["events"][1] == {
        "index": 1,
        "status": "refused",
        "field": "body",
        "reason": "not JSON: JSON is malformed: object keys must be strings (byte 1)",
    }
    assert len(topic.sent) == 2


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 422, "empty; allowed: an event as a JSON object, an array of events, or one event a line"),
        (b" \n ", 422, "empty; allowed: an event as a JSON object, an array of events, or one event a line"),
        (b"[]", 422, "an empty batch; allowed: at least one event"),
        (b"{oops", 422, "not JSON: JSON is malformed: object keys must be strings (byte 1)"),
        (
            b"[{}, NaN]",
            422,
            "the array is not JSON: JSON is malformed: invalid character (byte 5)."
            " Send one event a line (NDJSON) to have each judged alone.",
        ),
        (json.dumps([EVENT] * 11).encode(), 413, "11 events; allowed: at most COLLECT_MAX_EVENTS, 10"),
        (
            json.dumps({**EVENT, "properties": {"x": "y" * 2_000_000}}).encode(),
            413,
            "2000159 bytes; allowed: at most 262144 an event",
        ),
        (b" " * 10_485_761, 413, "larger than COLLECT_MAX_BYTES, 10485760 bytes"),
    ],
)
async def test_a_body_that_cannot_be_taken_is_answered_with_what_is_allowed(
    client: httpx.AsyncClient, topic: RecordingTopic, content: bytes, status: int, reason: str
) -> None:
    answer = await client.post("/collect", content=content)
    assert answer.status_code == status
    assert answer.json() == {"detail": [{"field": "body", "reason": reason}]}
    assert not topic.sent


async def test_an_encoding_that_is_not_known_is_refused_by_name(client: httpx.AsyncClient) -> None:
    answer = await client.post("/collect", content=b"x", headers={"content-encoding": "br"})
    assert answer.status_code == 415
    assert answer.json() == {
        "detail": [{"field": "content-encoding", "reason": "got br; allowed: gzip, zstd, or a body as it is"}]
    }


@pytest.mark.parametrize("lines", [False, True], ids=["array", "ndjson"])
async def test_an_id_that_is_not_utf8_is_refused_alone(
    client: httpx.AsyncClient, topic: RecordingTopic, lines: bool
) -> None:
    good = json.dumps(EVENT).encode()
    bad = good.replace(b'"e1"', b'"\xff\xfe"')
    content = good + b"\n" + bad if lines else b"[" + good + b"," + bad + b"]"
    answer = await client.post("/collect", content=content)
    assert answer.status_code == 207
    assert answer.json()["events"][1] == {
        "index": 1,
        "status": "refused",
        "field": "body",
        "reason": "not JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    }
    assert len(topic.sent) == 1


async def test_a_body_that_does_not_come_to_its_end_is_given_up(topic: RecordingTopic) -> None:
    app = build_app(topic, CollectorSettings.load(collect_body_seconds=0.05))  # type: ignore[arg-type]

    async def never_whole() -> AsyncIterator[bytes]:
        yield b'{"event_id":'
        await asyncio.Event().wait()

    request = Posted(never_whole())
    await asyncio.wait_for(app(request.scope, request.receive, request.send), 5)
    assert (request.status, request.headers[b"connection"]) == (408, b"close")
    assert json.loads(request.body) == {
        "detail": [{"field": "body", "reason": "not whole after COLLECT_BODY_SECONDS, 0.05 s"}]
    }


async def test_a_body_that_comes_after_its_headers_is_waited_for(
    topic: RecordingTopic, settings: CollectorSettings
) -> None:
    there = asyncio.Event()

    async def later() -> AsyncIterator[bytes]:
        await there.wait()
        yield json.dumps(EVENT).encode()

    request = Posted(later(), length=len(json.dumps(EVENT)))
    app = build_app(topic, settings)  # type: ignore[arg-type]
    going = asyncio.create_task(app(request.scope, request.receive, request.send))
    asyncio.get_running_loop().call_later(0.02, there.set)
    await asyncio.wait_for(going, 5)
    assert (request.status, len(topic.sent)) == (201, 1)


async def test_a_body_of_which_nothing_comes_is_given_up(topic: RecordingTopic) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    request = Posted(nothing())
    app = build_app(topic, CollectorSettings.load(collect_body_seconds=0.05))  # type: ignore[arg-type]
    await asyncio.wait_for(app(request.scope, request.receive, request.send), 5)
    assert request.status == 408


async def test_a_client_that_leaves_in_the_middle_is_no_error(topic: RecordingTopic) -> None:
    async def leaves() -> AsyncIterator[bytes]:
        yield b'{"event_id":'

    app = build_app(topic, CollectorSettings.load())  # type: ignore[arg-type]
    request = Posted(leaves())
    await app(request.scope, request.receive, request.send)
    assert not topic.sent


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "text/plain", ""])
async def test_a_pages_beacon_is_taken_though_it_can_only_say_that_it_is_text(
    client: httpx.AsyncClient, topic: RecordingTopic, content_type: str
) -> None:
    headers = {"content-type": content_type, "origin": "https://shop.example"}
    answer = await client.post("/collect", content=json.dumps([EVENT, {**EVENT, "user_id": 1}]), headers=headers)
    assert (answer.status_code, len(topic.sent)) == (207, 1)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "retry-after"


async def test_a_browser_that_asks_first_is_told_what_a_page_may_send(client: httpx.AsyncClient) -> None:
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    answer = await client.options("/collect", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert {"authorization", "content-encoding", "content-type"} <= set(
        answer.headers["access-control-allow-headers"].split(", ")
    )


async def test_other_methods_are_refused_by_name(client: httpx.AsyncClient) -> None:
    answer = await client.put("/collect", json=EVENT)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert answer.json()["detail"][0]["field"] == "method"


async def test_many_small_pieces_are_one_body(topic: RecordingTopic, settings: CollectorSettings) -> None:
    raw = json.dumps(EVENT).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(raw), 7):
            await asyncio.sleep(0)
            yield raw[at : at + 7]

    request = Posted(pieces(), length=len(raw))
    await build_app(topic, settings)(request.scope, request.receive, request.send)  # type: ignore[arg-type]
    assert request.status == 201
    assert topic.sent == [("u1", raw)]


async def test_while_too_many_events_wait_the_body_is_not_even_read(
    topic: RecordingTopic, settings: CollectorSettings
) -> None:
    topic.waiting = topic.max_waiting

    async def never_asked_for() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    request = Posted(never_asked_for())
    await build_app(topic, settings)(request.scope, request.receive, request.send)  # type: ignore[arg-type]
    assert (request.status, request.headers[b"retry-after"]) == (503, b"2")
    assert b"7 events wait for Kafka already" in request.body


async def test_large_requests_on_their_way_hold_no_more_than_is_allowed(topic: RecordingTopic) -> None:
    settings = CollectorSettings.load(max_waiting_bytes=1_048_576, event_max_age_days=36_500)
    app = build_app(topic, settings)  # type: ignore[arg-type]
    held, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b" " * 1_000_000
        held.set()
        await go_on.wait()
        yield json.dumps(EVENT).encode()

    async def another() -> AsyncIterator[bytes]:
        yield b" " * 100_000
        yield json.dumps(EVENT).encode()

    first, second, third = Posted(slow(), len(json.dumps(EVENT)) + 1_000_000), Posted(another()), Posted(another())
    third.length = len(json.dumps(EVENT)) + 100_000
    going = asyncio.create_task(app(first.scope, first.receive, first.send))
    await held.wait()
    await app(second.scope, second.receive, second.send)
    assert (second.status, b"too many large requests" in second.body) == (503, True)
    go_on.set()
    await going
    await app(third.scope, third.receive, third.send)
    assert (first.status, third.status) == (201, 201)


async def test_requests_are_counted_by_status_and_time(client: httpx.AsyncClient) -> None:
    await client.post("/collect", json=EVENT)
    await client.post("/collect", content=b"{")
    text = (await client.get("/metrics")).text
    assert 'anmodel_collector_requests_total{status="201"} 1.0' in text
    assert 'anmodel_collector_requests_total{status="422"} 1.0' in text
    assert "anmodel_collector_request_seconds_count 2.0" in text
    assert 'anmodel_collector_request_seconds_bucket{le="10.0"} 2.0' in text


async def test_the_snippet_is_served_for_pages_of_any_origin(client: httpx.AsyncClient) -> None:
    answer = await client.get("/anmodel.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "sendBeacon" in answer.text


async def test_a_two_megabyte_event_in_a_batch_is_refused_alone(
    client: httpx.AsyncClient, topic: RecordingTopic
) -> None:
    answer = await client.post("/collect", json=[{**EVENT, "properties": {"x": "y" * 2_000_000}}, EVENT])
    assert answer.status_code == 207
    assert answer.json()["events"][0]["reason"] == "2000145 bytes; allowed: at most 262144 an event"
    assert len(topic.sent) == 1


async def test_an_unacknowledged_event_is_answered_503_with_retry_after(
    client: httpx.AsyncClient, topic: RecordingTopic
) -> None:
    topic.failure = "Local: Message timed out"
    answer = await client.post("/collect", json=EVENT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json() == {"detail": [{"field": "body", "reason": "Local: Message timed out"}]}
    batch = await client.post("/collect", json=[EVENT, {**EVENT, "region": 1}])
    assert batch.status_code == 503
    assert [event["status"] for event in batch.json()["events"]] == ["unavailable", "refused"]


async def test_past_the_waiting_limit_the_answer_is_503_at_once(
    client: httpx.AsyncClient, topic: RecordingTopic
) -> None:
    topic.full = True
    answer = await client.post("/collect", json=EVENT)
    assert answer.status_code == 503
    assert "7 events wait for Kafka already" in answer.text


async def test_ready_says_why_not_while_health_stays_green(client: httpx.AsyncClient, topic: RecordingTopic) -> None:
    assert (await client.get("/ready")).json() == {"status": "ready", "missing": []}
    topic.failure = "Kafka does not answer"
    answer = await client.get("/ready")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "missing": [{"part": "kafka", "reason": "Kafka does not answer"}],
    }
    assert (await client.get("/health")).json() == {"status": "ok"}


async def test_metrics_count_events_by_outcome_and_field(client: httpx.AsyncClient) -> None:
    await client.post("/collect", json=[EVENT, {**EVENT, "region": 1}, {**EVENT, "made\x00up": 1}])
    text = (await client.get("/metrics")).text
    assert 'anmodel_collector_events_total{outcome="accepted"} 1.0' in text
    assert 'anmodel_collector_refused_total{field="region"} 1.0' in text
    assert 'anmodel_collector_refused_total{field="other"} 1.0' in text


async def test_openapi_documents_collect_and_every_answer(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/collect"]["post"]
    assert set(operation["responses"]) == {"201", "207", "408", "413", "415", "422", "429", "503"} | {"401", "403"}
    assert {"Event", "BatchAnswer", "EventAnswer", "ProblemAnswer"} <= set(document["components"]["schemas"])
