"""Dead letters: messages that break their contract, kept whole on another topic with the reason in their headers."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Producer

from anmodel.brokers import producer_options
from anmodel.consumer.blocks import Block, Refused
from anmodel.errors import TopicError
from anmodel.settings import KafkaSettings
from anmodel.topic import send_all

STAGE = "consumer"
_SECONDS = 20.0


class DeadLetters:
    """Writes refused messages to a dead-letter topic."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._options = producer_options(settings, delivery_timeout=_SECONDS - 5)
        self._producer = Producer(self._options)

    def write(self, block: Block) -> None:
        """Return once the broker has every refused message of the block; raises `TopicError`. May repeat letters."""
        if not block.refused:
            return
        producer = self._producer
        try:
            send_all(producer, self._topic, _letters(block), _SECONDS)
        except TopicError:
            if producer is self._producer:
                self._producer = Producer(self._options)
            raise


def _letters(block: Block) -> Iterable[dict[str, Any]]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    for refused in block.refused:
        yield {"key": refused.key, "value": refused.value, "headers": _headers(block, refused, now)}


def _headers(block: Block, refused: Refused, now: str) -> list[tuple[str, bytes]]:
    """field, reason, stage and time of the refusal, and the message's origin."""
    headers = {
        "field": refused.field,
        "reason": refused.reason,
        "stage": STAGE,
        "time": now,
        "origin_topic": block.partition.topic,
        "origin_partition": str(block.partition.number),
        "origin_offset": str(refused.offset),
    }
    return [(name, text.encode("utf-8", "replace")) for name, text in headers.items()]
