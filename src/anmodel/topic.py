"""Kafka: the topics, and how events and messages get there.

Producers are idempotent and wait for all replicas (`acks=all`); an event's key is its user, so that a user's events
keep their order in one partition.
"""

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import structlog
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

from anmodel.brokers import LastFault, client_options, producer_options
from anmodel.errors import MessageTooLarge, TopicError
from anmodel.settings import KafkaSettings

TOPICS = ("raw-events", "raw-events-dead", "predictions", "model-events")
"""raw-events: accepted events. raw-events-dead: messages that cannot be stored, with the reason in their headers.
predictions: what the gateway answered. model-events: news of models (a new champion, drift)."""

_POLL_SECONDS = 0.002
_READY_SECONDS = 3.0
_READ_SECONDS = 30.0

log = structlog.get_logger()


def create_topics(settings: KafkaSettings, partitions: int = 3, names: Iterable[str] = TOPICS) -> list[str]:
    """Create the topics that are missing and return their names. Safe to repeat; existing ones stay as they are."""
    admin = AdminClient({"log_level": 3, **client_options(settings)})
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
        self._admin = AdminClient(options)

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


class EventTopic:
    """Sends messages to one topic from an event loop.

    Deliveries are polled for on the loop itself, since a polling thread would contend with it for the interpreter.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, delivery_timeout: float, max_waiting: int) -> None:
        """Opens nothing yet; `start` connects. At most `max_waiting` messages wait for the broker at once."""
        self.topic = topic
        self.waiting = 0
        self.max_waiting = max_waiting
        self._heard = LastFault()
        self._options = producer_options(settings, delivery_timeout)
        self._options["queue.buffering.max.messages"] = max_waiting + 10_000
        self._options["error_cb"] = self._heard
        self._producer: Producer | None = None
        self._polling: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Create the producer; the broker need not answer yet."""
        self._producer = Producer(self._options)
        self._polling = asyncio.create_task(self._poll())

    async def stop(self, seconds: float = 10.0) -> None:
        """Wait up to `seconds` for what was sent to be acknowledged, then close."""
        if self._producer is None or self._polling is None:
            return
        with suppress(KafkaException):  # a producer that broke at last; its messages are answered as not delivered
            await asyncio.to_thread(self._producer.flush, seconds)
        self._polling.cancel()
        self._producer = None

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> list[str | None]:
        """Send (key, value) pairs; answers per message None if the broker has it, else why that is not known.

        Raises `TopicError` at once, having sent nothing, when too many messages wait for the broker already.
        """
        if self._producer is None:
            raise TopicError("the producer is not started")
        if self.waiting + len(messages) > self.max_waiting:
            raise TopicError(
                f"{self.waiting} events wait for Kafka already; at most {self.max_waiting} may. Try later."
            )
        delivery = _Delivery(self, len(messages))
        for index, (key, value) in enumerate(messages):
            try:
                self._producer.produce(self.topic, value, key, on_delivery=delivery.report(index))
            except (BufferError, KafkaException) as error:
                delivery.settle(index, str(error))
                self._serve()  # makes room, or puts another producer in place of a broken one
        self._wake.set()
        return await delivery.done

    async def check(self) -> None:
        """Ask the broker for the topic; raises `TopicError` when it does not answer or lacks the topic."""
        if self._producer is None:
            raise TopicError("the producer is not started")
        try:
            metadata = await asyncio.to_thread(self._producer.list_topics, self.topic, _READY_SECONDS)
        except KafkaException as error:
            self._serve()
            raise TopicError(f"Kafka does not answer: {self._heard.text or error.args[0].str()}") from error
        self._serve()
        self._heard.clear()
        if metadata.topics[self.topic].error is not None:
            raise TopicError(f"topic {self.topic}: {metadata.topics[self.topic].error}")

    async def _poll(self) -> None:
        while self._producer is not None:
            if not self.waiting:
                self._wake.clear()
                await self._wake.wait()
            self._serve()
            await asyncio.sleep(_POLL_SECONDS)

    def _serve(self) -> None:
        """Hand out what the producer has to tell: deliveries and faults."""
        if self._producer is None:
            return
        try:
            self._producer.poll(0)
        except KafkaException as error:
            self._renew(self._producer, str(error.args[0].str()))

    def _renew(self, broken: Producer, reason: str) -> None:
        """Put a new producer in place of one that Kafka has told never to send again (it had no right to, perhaps).

        What it still held is answered as not delivered.
        """
        log.warning("producer replaced", topic=self.topic, reason=reason)
        self._producer = Producer(self._options)
        broken.purge()
        for _ in range(3):  # a call that raises leaves answers to the next one
            with suppress(KafkaException):
                broken.flush(0.3)


class _Delivery:
    """The answers still expected for one call of `EventTopic.send`."""

    def __init__(self, topic: EventTopic, expected: int) -> None:
        self._topic = topic
        self._left = expected
        self._answers: list[str | None] = [None] * expected
        self.done: asyncio.Future[list[str | None]] = asyncio.get_running_loop().create_future()
        topic.waiting += expected
        if not expected:
            self.done.set_result([])

    def report(self, index: int) -> Any:
        """librdkafka's callback for the message at `index`."""
        return lambda error, message: self.settle(index, error.str() if error else None)

    def settle(self, index: int, failure: str | None) -> None:
        """Note one answer; the last one completes the call."""
        self._answers[index] = failure
        self._topic.waiting -= 1
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(self._answers)


def read_topic(settings: KafkaSettings, topic: str) -> Iterator[Message]:
    """All messages of a topic up to where it ends now, of partition after partition; raises `TopicError`.

    Joins no group and commits nothing, so it may run at any time.
    """
    options = {"group.id": "anmodel-desk", "enable.auto.commit": False, "enable.partition.eof": True}
    reader = Consumer({**client_options(settings), **options})
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
            producer.produce(topic, on_delivery=note, **message)
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


def announce(settings: KafkaSettings, topic: str, message: dict[str, Any]) -> None:
    """Put one JSON message on a topic and wait until the broker has it; raises `TopicError` if that fails.

    Its key is the model it speaks of, if any, so that news of one model keep their order.
    """
    # quiet: the error that is raised says it once
    producer = Producer({**producer_options(settings, delivery_timeout=10.0), "log_level": 2})
    send_all(producer, topic, [{"key": message.get("model"), "value": json.dumps(message).encode()}], seconds=12.0)
