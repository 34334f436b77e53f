"""Kafka: the topics, and how events and messages get there.

Producers are idempotent and wait for all replicas (`acks=all`). How the collector sends events is in `event_topic`.
"""

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from anmodel.brokers import LastFault, client, client_options, producer_options
from anmodel.errors import MessageTooLarge, TopicError
from anmodel.settings import KafkaSettings

TOPICS = ("raw-events", "raw-events-dead", "predictions", "model-events")
"""raw-events: accepted events. raw-events-dead: messages that cannot be stored, with the reason in their headers.
predictions: what the gateway answered. model-events: news of models (a new champion, drift)."""

_READY_SECONDS = 3.0
_READ_SECONDS = 30.0


def create_topics(settings: KafkaSettings, partitions: int = 3, names: Iterable[str] = TOPICS) -> list[str]:
    """Create the topics that are missing and return their names. Safe to repeat; existing ones stay as they are."""
    admin = client(AdminClient, {"log_level": 3, **client_options(settings)})
    created = []
    # the broker's own clock stamps messages, so that `received_at` can be trusted whoever produced them
    config = {"message.timestamp.type": "LogAppendTime"}
    wanted = [NewTopic(name, partitions, -1, config=config) for name in names]
    for name, future in admin.create_topics(wanted).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicError(
                    f"topic {name} could not be created at {settings.kafka_bootstrap}: {error.args[0].str()}"
                ) from error
    return created


class TopicCheck:
    """Asks whether a topic is there, on a client of its own: a consumer's blocks for ever while Kafka is away."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._heard = LastFault()
        options = client_options(settings)
        options["error_cb"] = self._heard
        self._admin = client(AdminClient, options)

    def fault(self) -> str:
        """Why the topic cannot be had, empty when it can. Takes `_READY_SECONDS` at most."""
        try:
            error = self._admin.list_topics(self._topic, _READY_SECONDS).topics[self._topic].error
        except KafkaException as exception:
            self._admin.poll(0)
            return f"Kafka does not answer: {self._heard.text or exception.args[0].str()}"
        self._admin.poll(0)
        self._heard.clear()
        return f"topic {self._topic}: {error}" if error is not None else ""


def read_topic(settings: KafkaSettings, topic: str) -> Iterator[Message]:
    """All messages of a topic up to where it ends now, of partition after partition; raises `TopicError`.

    Joins no group and commits nothing, so it may run at any time.
    """
    options = {"group.id": "anmodel-desk", "enable.auto.commit": False, "enable.partition.eof": True}
    reader = client(Consumer, {**client_options(settings), **options})
    try:
        found = reader.list_topics(topic, _READ_SECONDS).topics[topic]
        if found.error is not None:
            raise TopicError(f"topic {topic}: {found.error}")
        for partition in sorted(found.partitions):
            reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
            yield from _to_the_end(reader, topic)
    except KafkaException as error:
        raise TopicError(f"topic {topic}: Kafka does not answer: {error.args[0].str()}") from error
    finally:
        reader.close()


def _to_the_end(reader: Consumer, topic: str) -> Iterator[Message]:
    """The messages of the partition that the reader has."""
    while True:
        message = reader.poll(_READ_SECONDS)
        if message is None:
            raise TopicError(f"topic {topic}: Kafka did not answer for {_READ_SECONDS:g} s")
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            return
        elif error.fatal() or not error.retriable():
            raise TopicError(f"topic {topic}: {error.str()}")


def send_all(producer: Producer, topic: str, messages: Iterable[dict[str, Any]], seconds: float = 30.0) -> None:
    """Send messages (keyword arguments of `produce`) and wait until the broker has them all, else `TopicError`:
    `MessageTooLarge` if the topic will never take one of them.

    After an error the producer may be of no use any more; try again with another.
    """
    failures: list[str] = []
    too_large: list[str] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            (too_large if error.code() == KafkaError.MSG_SIZE_TOO_LARGE else failures).append(error.str())

    sent = itertools.count()
    try:
        for message in messages:
            _hand_over(producer, seconds, topic=topic, on_delivery=note, **message)
            next(sent)
            producer.poll(0)
        left = producer.flush(seconds)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
            producer.flush(seconds)
            raise MessageTooLarge(f"{topic}: {error.args[0].str()}") from error
        # such a producer never sends again; Kafka has refused it the right to, as a rule
        raise TopicError(f"{topic}: Kafka takes no messages from this producer: {error.args[0].str()}") from error
    if too_large:
        raise MessageTooLarge(f"{topic}: {too_large[0]}")
    if left or failures:
        raise TopicError(
            f"{topic}: {len(failures) + left} of {next(sent)} messages not acknowledged"
            f" ({failures[0] if failures else f'no answer in {seconds:g} s'})"
        )


def _hand_over(producer: Producer, seconds: float, **message: Any) -> None:
    """Give a message to the producer, waiting for room in it; `TopicError` if there is none in time."""
    ends = time.monotonic() + seconds
    while True:
        try:
            return producer.produce(**message)
        except BufferError as error:
            producer.poll(0.1)
            if time.monotonic() > ends:
                raise TopicError(f"{message['topic']}: no room for more messages in {seconds:g} s") from error


def announce(settings: KafkaSettings, topic: str, message: dict[str, Any]) -> None:
    """Put one JSON message on a topic and wait until the broker has it; raises `TopicError` if that fails.

    Its key is the model it speaks of, if any, so that news of one model keep their order.
    """
    # quiet: the error that is raised says it once
    producer = client(Producer, {**producer_options(settings, delivery_timeout=10.0), "log_level": 2})
    send_all(producer, topic, [{"key": message.get("model"), "value": json.dumps(message).encode()}], seconds=12.0)
