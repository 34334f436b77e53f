"""`anmodel consumer --replay`: puts dead letters back on the topic they came from."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from confluent_kafka import Producer

from anmodel.brokers import client, producer_options
from anmodel.consumer.letters import Choice, Judge, Letter, Selection, read_letter, select
from anmodel.consumer.streams import Stream
from anmodel.errors import MessageRefused
from anmodel.settings import KafkaSettings
from anmodel.topic import read_topic, send_all

_AT_ONCE = 1000


def choose(settings: KafkaSettings, choice: Choice, streams: list[Stream]) -> Selection:
    """Read all dead letters and choose; changes nothing. Raises `TopicError`."""
    return select(_letters(settings), choice, _judge(streams))


def send_back(settings: KafkaSettings, letters: list[Letter]) -> None:
    """Put letters back on their topics, each with where it lay in its headers; raises `TopicError`.

    Safe to repeat: an event that comes twice counts once.
    """
    producer = client(Producer, producer_options(settings, delivery_timeout=30.0))
    for topic in sorted({letter.topic for letter in letters}):
        messages = (_message(letter) for letter in letters if letter.topic == topic)
        while some := list(islice(messages, _AT_ONCE)):
            send_all(producer, topic, some, seconds=40.0)


def summary(selection: Selection, sent: bool) -> Iterator[str]:
    """What was found, for an operator."""
    yield f"{selection.read} dead letters, {selection.chosen} chosen"
    yield from (f"  {count:>8}  {what}" for what, count in selection.by_kind.most_common())
    yield from (f"  {count:>8}  left out: {why}" for why, count in selection.left_out.most_common())
    yield from (f"  e.g. {letter.origin}  {letter.field}: {letter.reason[:120]}" for letter in selection.letters[:3])
    if sent:
        yield f"{len(selection.letters)} put back"
    else:
        yield f"{len(selection.letters)} would be put back; nothing was changed. Add --apply to do it."


def _letters(settings: KafkaSettings) -> Iterator[Letter | None]:
    for message in read_topic(settings, settings.kafka_dead_topic):
        place = f"{message.topic()}:{message.partition()}:{message.offset()}"
        headers: dict[str, bytes] = dict(message.headers() or [])  # type: ignore[arg-type]
        yield read_letter(place, message.key(), message.value(), headers)


def _judge(streams: list[Stream]) -> Judge:
    by_topic = {stream.topic: stream for stream in streams}
    now = int(time.time() * 1000)

    def judge(topic: str, value: bytes) -> None:
        if topic not in by_topic:
            raise MessageRefused("origin_topic", "not allowed: no stream of this consumer")
        by_topic[topic].read(value, now)

    return judge


def _message(letter: Letter) -> dict[str, Any]:
    return {"key": letter.key, "value": letter.value, "headers": [("replayed_from", letter.place.encode())]}
