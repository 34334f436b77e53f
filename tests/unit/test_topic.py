"""Sending many messages to a topic. Real librdkafka, nobody at the other end."""

import pytest
from confluent_kafka import Producer

from anmodel.consumer.blocks import Partition, Refused
from anmodel.consumer.dead import DeadLetters
from anmodel.errors import MessageRefused, MessageTooLarge, TopicError
from anmodel.settings import KafkaSettings
from anmodel.topic import send_all


def test_more_messages_than_a_producer_holds_are_waited_for_and_then_an_error_to_try_again() -> None:
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0, "queue.buffering.max.messages": 5})
    with pytest.raises(TopicError, match=r"no room for more messages in 0\.2 s"):
        send_all(producer, "letters", ({"value": b"1"} for _ in range(6)), seconds=0.2)


def test_a_letter_goes_at_last_without_the_body_and_a_huge_key_and_its_headers_are_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a topic does that takes a thousand bytes or two."""
    sent: list[dict[str, object]] = []

    def small(producer: object, topic: str, messages: object, seconds: float) -> None:
        for message in messages:  # type: ignore[attr-defined]
            headers = sum(len(name) + len(value) for name, value in message["headers"])
            if headers + len(message["value"] or b"") + len(message["key"] or b"") > 1500:
                raise MessageTooLarge("too large")
            sent.append(message)

    monkeypatch.setattr("anmodel.consumer.dead.send_all", small)
    letters = DeadLetters(KafkaSettings.load(kafka_bootstrap="127.0.0.1:1", kafka_options="log_level=0"), "dead")
    fault = MessageRefused("x" * 1_000_000, "unknown")
    letters.write(Partition("events", 0), [Refused(7, b"k" * 9000, b"v" * 9000, fault.field, fault.reason)])
    (letter,) = sent
    assert (letter["key"], letter["value"]) == (None, None)
