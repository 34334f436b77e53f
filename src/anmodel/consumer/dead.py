"""Dead letters: messages that cannot be stored, kept whole on another topic with the reason in their headers."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import Producer

from anmodel.brokers import client, producer_options
from anmodel.consumer.blocks import Partition, Refused
from anmodel.errors import MessageTooLarge, TopicError
from anmodel.settings import KafkaSettings
from anmodel.topic import send_all

STAGE = "consumer"
_SECONDS = 20.0
_LARGEST_KEY = 1024  # of a letter that goes without its body
_LARGEST = 64 << 20  # of a message before it is compressed; what comes out of a topic must go into one

log = structlog.get_logger()


class DeadLetters:
    """Writes refused messages to a dead-letter topic."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._options = producer_options(settings, delivery_timeout=_SECONDS - 5) | {"message.max.bytes": _LARGEST}
        self._producer = client(Producer, self._options)

    def write(self, partition: Partition, refused: Iterable[Refused]) -> None:
        """Return once the broker has every refused message; raises `TopicError`. May repeat letters.

        Of a message that is too large for the topic the letter holds all but the body, which stays where it came from
        as long as that topic keeps it: otherwise nobody's events could go past it.
        """
        refused = list(refused)
        if not refused:
            return
        try:
            self._send(partition, refused)
        except MessageTooLarge:
            for each in refused:
                self._send_any(partition, each)

    def _send_any(self, partition: Partition, refused: Refused) -> None:
        try:
            self._send(partition, [refused])
        except MessageTooLarge as error:
            log.warning("a dead letter goes without its body", offset=refused.offset, reason=str(error))
            size = len(refused.value or b"")
            told = f"{refused.reason} (left out: the body of {size} bytes, more than this topic takes)"
            key = refused.key if len(refused.key or b"") <= _LARGEST_KEY else None
            self._send(partition, [Refused(refused.offset, key, None, refused.field, told)])

    def _send(self, partition: Partition, refused: Iterable[Refused]) -> None:
        producer = self._producer
        try:
            send_all(producer, self._topic, _letters(partition, refused), _SECONDS)
        except TopicError:
            if producer is self._producer:
                self._producer = Producer(self._options)
            raise


def _letters(partition: Partition, many: Iterable[Refused]) -> Iterable[dict[str, Any]]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    for refused in many:
        yield {"key": refused.key, "value": refused.value, "headers": _headers(partition, refused, now)}


def _headers(partition: Partition, refused: Refused, now: str) -> list[tuple[str, bytes]]:
    """field, reason, stage and time of the refusal, and the message's origin."""
    headers = {
        "field": refused.field,
        "reason": refused.reason,
        "stage": STAGE,
        "time": now,
        "origin_topic": partition.topic,
        "origin_partition": str(partition.number),
        "origin_offset": str(refused.offset),
    }
    return [(name, text.encode("utf-8", "replace")) for name, text in headers.items()]
