"""Kill -9 in the middle of the stream: what was accepted is stored, each event once."""

import json
import random
from collections.abc import Iterator
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


def kill_at_random_progress(stream: Stream, victim: Any, times: int) -> None:
    """Kill the victim each time a random further share of the events is stored, while more are being sent."""
    chance = random.Random(7)
    marks = sorted(chance.sample(range(EVENTS // 20, EVENTS * 3 // 4), times))
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_all, stream)
        for mark in marks:
            wait_for_at_least(stream, mark)
            victim.kill()
            victim.start()
        sending.result()


def wait_for_at_least(stream: Stream, rows: int) -> None:
    eventually(lambda: stream.count() >= rows, 60)


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
    messages = [json.dumps(each).encode() for each in logged_predictions(EVENTS)]
    keys = [str(number).encode() for number in range(EVENTS)]  # over all partitions
    topic = stream.predictions_topic

    def waiting() -> bool:
        return stream.count(table="predictions") > produced - EVENTS // 8

    produced = EVENTS // 4
    stream.produce(messages[:produced], topic, keys)
    for first in range(produced, EVENTS, EVENTS // 8):
        eventually(waiting, 60)
        produced = first + EVENTS // 8
        stream.produce(messages[first:produced], topic, keys[first:])
        stream.consumer.kill()
        stream.consumer.start()
    stream.wait_for_rows(EVENTS, 90, "predictions")
    stream.wait_until_committed(topic=topic)
    for final in (True, False):
        assert stream.count(final=final, table="predictions") == EVENTS
    assert stream.count("uniqExact(prediction_id)", table="predictions") == EVENTS


def test_counts_are_exact_after_clickhouse_was_killed_again_and_again(stream: Stream, clickhouse: Any) -> None:
    kill_at_random_progress(stream, clickhouse, 5)
    assert_exact(stream)
