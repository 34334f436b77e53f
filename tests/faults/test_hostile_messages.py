"""Fifty thousand messages that are no events, put on the topic past the collector."""

import json
import random
from collections.abc import Callable

from exactness import assert_exact
from hostile import hostile_messages
from passing import patiently
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
