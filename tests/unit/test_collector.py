"""The collector's answers, exactly, over a topic of our own."""

import json
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from anmodel.collector.app import build_app
from anmodel.errors import TopicError
from anmodel.settings import CollectorSettings

EVENT = {
    "event_id": "e1",
    "event_type": "click",
    "timestamp": "2026-11-20T10:00:00Z",
    "session_id": "s1",
    "user_id": "u1",
    "region": "UA-30",
    "properties": {"item_id": "item_1", "price": 10.5},
}


class RecordingTopic:
    """Stands in for EventTopic: keeps what is sent, and fails as told."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.waiting = 0
        self.failure: str | None = None
        self.full = False

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def check(self) -> None:
        if self.failure:
            raise TopicError(self.failure)

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> list[str | None]:
        if self.full:
            raise TopicError("7 events wait for Kafka already; at most 7 may. Try later.")
        self.sent += messages
        return [self.failure] * len(messages)


@pytest.fixture
def topic() -> RecordingTopic:
    return RecordingTopic()


@pytest.fixture
def settings() -> CollectorSettings:
    return CollectorSettings.load(event_max_age_days=100_000, collect_max_events=10)


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


async def test_a_compressed_body_is_refused_by_name(client: httpx.AsyncClient) -> None:
    answer = await client.post("/collect", content=b"x", headers={"content-encoding": "br"})
    assert answer.status_code == 415
    assert answer.json() == {
        "detail": [{"field": "content-encoding", "reason": "got br; allowed: an uncompressed body"}]
    }


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
    assert set(operation["responses"]) == {"201", "207", "413", "415", "422", "503"}
    assert {"Event", "BatchAnswer", "EventAnswer", "ProblemAnswer"} <= set(document["components"]["schemas"])
