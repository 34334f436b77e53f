"""Fifty thousand messages that are no events, put on the topic past the collector."""

import json
import random
from collections.abc import Callable

import httpx

from exactness import assert_exact
from hostile import hostile_messages
from line import PRODUCE
from passing import patiently
from proxied_kafka import ProxiedKafka
from shop import APART
from streaming import Stream, events

HOSTILE = 50_000
GOOD = 5_000


def test_fifty_thousand_hostile_messages_go_to_the_dead_letters_and_hide_no_event(
    streams: Callable[..., Stream],
) -> None:
    stream = streams(PREDICTIONS_TOPIC="")
    stream.consumer.start()
    good = {event["event_id"]: json.dumps(event).encode() for event in events(GOOD, seed=32, apart=APART)}
    chance = random.Random(31)
    messages: list[bytes | None] = [*hostile_messages(HOSTILE, seed=31), *good.values()]
    chance.shuffle(messages)
    stream.produce(messages, keys=(str(chance.randrange(1000)).encode() for _ in messages))
    assert_exact(stream, good)
    patiently(lambda: sum(end for _, end in stream.positions(stream.dead_topic)) == HOSTILE)
    letters = stream.dead_letters(HOSTILE)
    assert len({(letter["origin_partition"], letter["origin_offset"]) for letter in letters}) == HOSTILE
    assert all(letter["reason"] and letter["field"] for letter in letters)


def test_no_offset_is_committed_past_a_dead_letter_that_kafka_has_not_taken(
    streams: Callable[..., Stream], kafka: ProxiedKafka
) -> None:
    stream = streams(PREDICTIONS_TOPIC="", KAFKA_BOOTSTRAP=kafka.proxied)
    stream.consumer.start()
    good = {event["event_id"]: json.dumps(event).encode() for event in events(600, seed=33, apart=APART)}
    kafka.line.hold(PRODUCE)
    stream.produce([*good.values(), b"no event"], keys=[b"one partition"] * 601)
    patiently(lambda: "dead letters not acknowledged" in stream.consumer.log.read_text())
    assert stream.count() == 600
    assert sum(committed for committed, _ in stream.positions()) == 0
    ready = httpx.get(f"{stream.consumer.url}/ready", timeout=30)
    assert ready.status_code == 503, ready.text
    stream.consumer.kill()
    kafka.line.drop_held()
    stream.consumer.start()
    assert_exact(stream, good)
    (letter,) = stream.dead_letters(1)
    assert letter["value"] == b"no event"
