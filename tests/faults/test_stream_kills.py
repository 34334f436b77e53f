"""Kill -9 in the middle of the stream: what was accepted is stored, each event once."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from anmodel.laptop.guardian import Guardian
from eventually import eventually
from streaming import Stream, events, logged_predictions

EVENTS = 20_000
BATCH = 250


@pytest.fixture
def stream(kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian) -> Iterator[Stream]:
    # small blocks, so that a kill finds many under way
    made = Stream(kafka, clickhouse, tmp_path, guardian, BATCH_SIZE=500, BATCH_TIMEOUT=0.1)
    made.collector.start()
    made.consumer.start()
    yield made
    made.close()


def send_all(stream: Stream) -> None:
    batch = list(events(EVENTS))
    for first in range(0, EVENTS, BATCH):
        stream.post_until_accepted(batch[first : first + BATCH])


def log_all(stream: Stream) -> None:
    messages = [json.dumps(each).encode() for each in logged_predictions(EVENTS)]
    keys = [str(number).encode() for number in range(EVENTS)]  # over all partitions
    for first in range(0, EVENTS, BATCH):
        stream.produce(messages[first : first + BATCH], stream.predictions_topic, keys[first:])


def kill_at_random_progress(
    stream: Stream,
    victim: Any,
    times: int,
    send: Callable[[Stream], None] = send_all,
    table: str = "events_raw",
) -> None:
    """Kill the victim each time a random further share of the rows is stored, while more are being sent."""
    chance = random.Random(7)
    marks = sorted(chance.sample(range(EVENTS // 20, EVENTS * 3 // 4), times))
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, stream)
        for mark in marks:
            wait_for_at_least(stream, mark, table)
            victim.kill()
            victim.start()
        sending.result()


def wait_for_at_least(stream: Stream, rows: int, table: str) -> None:
    eventually(lambda: stream.count(table=table) >= rows, 60)


def assert_exact(stream: Stream) -> None:
    stream.wait_for_rows(EVENTS, 90)
    stream.wait_until_committed()
    assert stream.count() == EVENTS
    assert stream.count("uniqExact(event_id)") == EVENTS
    assert stream.count(final=False) == EVENTS


def test_counts_are_exact_after_the_consumer_was_killed_again_and_again(stream: Stream) -> None:
    kill_at_random_progress(stream, stream.consumer, 5)
    assert_exact(stream)


def test_logged_predictions_are_exact_after_the_consumer_was_killed_again_and_again(stream: Stream) -> None:
    # merged parts would hide a row that was stored twice
    stream.warehouse.command(f"SYSTEM STOP MERGES {stream.warehouse.db}.predictions")
    kill_at_random_progress(stream, stream.consumer, 5, log_all, "predictions")
    stream.wait_for_rows(EVENTS, 90, "predictions")
    stream.wait_until_committed(topic=stream.predictions_topic)
    for final in (True, False):
        assert stream.count(final=final, table="predictions") == EVENTS
    assert stream.count("uniqExact(prediction_id)", table="predictions") == EVENTS


def test_counts_are_exact_after_clickhouse_was_killed_again_and_again(stream: Stream, clickhouse: Any) -> None:
    kill_at_random_progress(stream, clickhouse, 5)
    assert_exact(stream)
