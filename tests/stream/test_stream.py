"""From `POST /collect` to rows in ClickHouse, through a real Kafka."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from eventually import eventually
from stages import Stage
from streaming import Stream, events


@pytest.fixture
def stream(kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian) -> Iterator[Stream]:
    made = Stream(kafka, clickhouse, tmp_path, guardian)
    yield made
    made.close()


def test_accepted_events_become_rows_with_every_column(stream: Stream) -> None:
    stream.collector.start()
    stream.consumer.start()
    sent = list(events(3000))
    assert stream.post(sent).status_code == 201
    assert stream.post(json.dumps({**sent[0], "event_id": "single 🛒"}).encode()).status_code == 201
    stream.wait_for_rows(3001)
    row = stream.warehouse.query(
        f"SELECT * FROM {stream.warehouse.db}.events_raw WHERE event_id = {{id:String}}", {"id": "single 🛒"}
    )[0]
    assert row["user_id"] == sent[0]["user_id"]
    assert row["event_type"] == sent[0]["event_type"]
    assert row["ts"].replace(tzinfo=UTC) == datetime.fromisoformat(sent[0]["timestamp"])
    assert json.loads(row["properties"]) == sent[0]["properties"]
    assert (row["item_id"], row["price"]) == (sent[0]["properties"]["item_id"], sent[0]["properties"]["price"])
    assert abs(row["received_at"].replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=2)


def test_a_repeat_is_counted_once_and_the_same_id_of_another_user_is_kept(stream: Stream) -> None:
    stream.collector.start()
    stream.consumer.start()
    sent = list(events(100))
    for batch in (sent, sent[:50], [{**sent[0], "user_id": "another"}]):
        assert stream.post(batch).status_code == 201
    stream.wait_until_committed()
    assert stream.count() == 101
    assert stream.count("uniqExact(event_id)") == 100


def test_repeats_are_stored_once_by_a_consumer_that_does_not_know_what_the_one_before_it_did(stream: Stream) -> None:
    stream.consumer.start()
    event = json.dumps(next(events(1))).encode()
    far = [json.dumps(event).encode() for event in events(3000, seed=2)]
    stream.produce([event] * 1000 + far)
    eventually(lambda: stream.count() > 1, 30)
    stream.consumer.kill()
    stream.forget_commits()
    stream.consumer.start()
    stream.wait_until_committed()
    assert stream.count() == 3001


def test_an_events_order_within_its_user_is_kept(stream: Stream) -> None:
    stream.collector.start()
    stream.consumer.start()
    assert stream.post(events(500)).status_code == 201
    stream.wait_for_rows(500)
    table = f"{stream.warehouse.db}.events_raw"
    spread = stream.warehouse.query(f"SELECT max(n) AS n FROM (SELECT uniq(partition) n FROM {table} GROUP BY user_id)")
    assert spread[0]["n"] == 1
    assert stream.count("uniq(partition)") == 3


def test_messages_that_are_no_events_go_to_the_dead_letters_and_stop_nothing(stream: Stream) -> None:
    good = json.dumps(next(events(1))).encode()
    hostile = [
        b"",
        b"\xff\xfe",
        b"{",
        b'{"event_id": 1}',
        good.replace(b'"item_id": "', b'"item_id": 5, "was": "'),
        good.replace(b'"price": ', b'"price": -'),
        good.replace(b"+00:00", b""),
        good.replace(b'"user_id": "', b'"user_id": "\\u0000'),
        good.replace(b'"price": ', b'"price": 1' + b"0" * 400),
        b"[" * 100_000,
        b'"' + b"x" * 900_000 + b'"',
    ]
    stream.consumer.start()
    stream.produce([*hostile, good, None])
    stream.wait_for_rows(1)
    stream.wait_until_committed()
    letters = stream.dead_letters(len(hostile) + 1)
    assert sorted(letter["value"] or b"" for letter in letters) == sorted([*hostile, b""])
    by_value = {letter["value"]: letter for letter in letters}
    letter = by_value[hostile[4]]
    assert letter["field"] == "properties.item_id"
    assert letter["reason"] == "got a number; allowed: text of at most 256 characters"
    assert (letter["stage"], letter["origin_topic"]) == ("consumer", stream.topic)
    assert letter["origin_offset"].isdigit()


def test_a_batch_over_more_than_a_hundred_months_is_stored(
    kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian
) -> None:
    stream = Stream(kafka, clickhouse, tmp_path, guardian, EVENT_MAX_AGE_DAYS=5000)
    try:
        stream.collector.start()
        stream.consumer.start()
        now = datetime.now(UTC)
        sent = [
            {**event, "user_id": "one", "timestamp": (now - timedelta(days=31 * month)).isoformat()}
            for month, event in enumerate(events(120))
        ]
        assert stream.post(sent).status_code == 201
        stream.wait_for_rows(120)
        assert stream.count("uniq(toYYYYMM(ts))") == 120
    finally:
        stream.close()


def test_the_consumer_waits_for_clickhouse_and_then_stores_all(
    kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian
) -> None:
    stream = Stream(kafka, clickhouse, tmp_path, guardian)
    try:
        stream.collector.start()
        assert stream.post(events(1000)).status_code == 201
        clickhouse.kill()
        stream.consumer.start(wait=False)
        eventually(lambda: "waiting for ClickHouse" in stream.consumer.log.read_text(), 30)
        assert stream.consumer.answers()
        waiting = httpx.get(f"{stream.consumer.url}/ready", timeout=10)
        assert waiting.status_code == 503
        assert [part["part"] for part in waiting.json()["missing"]] == ["kafka", "clickhouse"]
        clickhouse.start()
        stream.wait_for_rows(1000)
    finally:
        stream.close()


def test_without_kafka_the_collector_says_503_in_time_and_recovers_alone(
    kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian
) -> None:
    stream = Stream(kafka, clickhouse, tmp_path, guardian, DELIVERY_TIMEOUT=2)
    try:
        stream.collector.start()
        stream.consumer.start()
        assert stream.post(events(10)).status_code == 201
        kafka.kill()
        answer = stream.post(events(10, seed=2))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert {event["status"] for event in answer.json()["events"]} == {"unavailable"}
        ready = httpx.get(f"{stream.collector.url}/ready", timeout=10)
        assert ready.status_code == 503
        assert ready.json()["missing"][0]["part"] == "kafka"
        assert stream.collector.answers()
        waiting = httpx.get(f"{stream.consumer.url}/ready", timeout=10)
        assert waiting.status_code == 503
        assert waiting.json()["missing"][0]["part"] == "kafka"
        kafka.start()
        stream.post_until_accepted(list(events(10, seed=2)))
        stream.wait_for_rows(20)
    finally:
        stream.close()


def test_a_consumer_without_a_partition_stands_by_ready(stream: Stream, tmp_path: Path, guardian: Guardian) -> None:
    members = [stream.consumer]
    for number in range(3):
        port = free_port()
        folder = tmp_path / str(number)
        folder.mkdir()
        variables = stream.variables | {"CONSUMER_PORT": str(port)}
        members.append(Stage("consumer", variables, folder, guardian, f"http://127.0.0.1:{port}"))
    try:
        for member in members:
            member.start()

        def partitions(member: Stage) -> int:
            shown = httpx.get(f"{member.url}/metrics", timeout=10).text
            return int(float(shown.split("\nanmodel_consumer_partitions ")[1].split()[0]))

        eventually(lambda: sorted(map(partitions, members)) == [0, 1, 1, 1], 30)
        assert all(httpx.get(f"{member.url}/ready", timeout=10).status_code == 200 for member in members)
    finally:
        for member in members:
            member.kill()


def test_on_sigterm_both_stages_finish_what_they_took_and_exit_cleanly(stream: Stream) -> None:
    stream.collector.start()
    stream.consumer.start()
    assert stream.post(events(2000)).status_code == 201
    assert stream.collector.stop() in (0, -signal.SIGTERM)  # uvicorn ends by the signal, once it has finished
    assert stream.consumer.stop() == 0
    stream.consumer.start()
    stream.wait_for_rows(2000)
    stream.wait_until_committed()
    assert stream.count(final=False) == 2000
