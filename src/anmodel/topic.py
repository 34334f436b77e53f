"""Kafka: the topics, and how events and messages get there.

Producers are idempotent and wait for all replicas (`acks=all`); an event's key is its user, so that a user's events
keep their order in one partition.
"""

import asyncio
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from anmodel.errors import SettingError, TopicError
from anmodel.settings import KafkaSettings

TOPICS = ("raw-events", "raw-events-dead", "predictions", "model-events")
"""raw-events: accepted events. raw-events-dead: messages that cannot be stored, with the reason in their headers.
predictions: what the gateway answered. model-events: news of models (a new champion, drift)."""

_POLL_SECONDS = 0.002
_READY_SECONDS = 3.0


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """librdkafka's options shared by every client; raises `SettingError` for a malformed KAFKA_OPTIONS."""
    options: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "log.connection.close": False,
        # while Kafka is away a client tries, and logs, some times a second instead of twenty
        "reconnect.backoff.ms": 250,
        "reconnect.backoff.max.ms": 1000,
    }
    for part in filter(None, (part.strip() for part in settings.kafka_options.split(";"))):
        name, separator, value = part.partition("=")
        if not separator:
            raise SettingError(f"KAFKA_OPTIONS is wrong: got {part!r}; allowed: name=value;name=value")
        options[name.strip()] = value.strip()
    return options


def producer_options(settings: KafkaSettings, delivery_timeout: float) -> dict[str, Any]:
    """Options of an idempotent producer; an undelivered message fails after `delivery_timeout` seconds."""
    return {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 5,
        "delivery.timeout.ms": int(delivery_timeout * 1000),
        **client_options(settings),
    }


def consumer_options(settings: KafkaSettings, group: str) -> dict[str, Any]:
    """Options of a consumer that commits by itself and starts at the oldest message it has not committed."""
    return {
        "group.id": group,
        "group.protocol": "consumer",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": 16_384,
        "queued.min.messages": 10_000,
        "fetch.wait.max.ms": 50,
        **client_options(settings),
    }


def create_topics(bootstrap: str, partitions: int = 3, names: Iterable[str] = TOPICS) -> list[str]:
    """Create the topics that are missing and return their names. Safe to repeat; existing ones stay as they are."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
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
                raise TopicError(f"topic {name} could not be created at {bootstrap}: {error.args[0].str()}") from error
    return created


class TopicCheck:
    """Asks whether a topic is there, on a client of its own: a consumer's blocks for ever while Kafka is away."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._admin = AdminClient(client_options(settings))

    def fault(self) -> str:
        """Why the topic cannot be had, empty when it can. Takes `_READY_SECONDS` at most."""
        try:
            error = self._admin.list_topics(self._topic, _READY_SECONDS).topics[self._topic].error
        except KafkaException as exception:
            return f"Kafka does not answer: {exception.args[0].str()}"
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
        self._options = producer_options(settings, delivery_timeout)
        self._options["queue.buffering.max.messages"] = max_waiting + 10_000
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
        self._wake.set()
        return await delivery.done

    async def check(self) -> None:
        """Ask the broker for the topic; raises `TopicError` when it does not answer or lacks the topic."""
        if self._producer is None:
            raise TopicError("the producer is not started")
        try:
            metadata = await asyncio.to_thread(self._producer.list_topics, self.topic, _READY_SECONDS)
        except KafkaException as error:
            raise TopicError(f"Kafka does not answer: {error.args[0].str()}") from error
        if metadata.topics[self.topic].error is not None:
            raise TopicError(f"topic {self.topic}: {metadata.topics[self.topic].error}")

    async def _poll(self) -> None:
        while self._producer is not None:
            if not self.waiting:
                self._wake.clear()
                await self._wake.wait()
            self._producer.poll(0)
            await asyncio.sleep(_POLL_SECONDS)


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


def send_all(producer: Producer, topic: str, messages: Iterable[dict[str, Any]], seconds: float = 30.0) -> None:
    """Send messages (keyword arguments of `produce`) and wait until the broker has them all, else `TopicError`."""
    failures: list[str] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error.str())

    sent = itertools.count()
    for message in messages:
        producer.produce(topic, on_delivery=note, **message)
        next(sent)
        producer.poll(0)
    left = producer.flush(seconds)
    if left or failures:
        raise TopicError(
            f"{topic}: {len(failures) + left} of {next(sent)} messages not acknowledged"
            f" ({failures[0] if failures else f'no answer in {seconds:g} s'})"
        )


def announce(settings: KafkaSettings, topic: str, message: dict[str, Any]) -> None:
    """Put one JSON message on a topic and wait until the broker has it; raises `TopicError` if that fails."""
    # quiet: the error that is raised says it once
    producer = Producer({**producer_options(settings, delivery_timeout=10.0), "log_level": 2})
    send_all(producer, topic, [{"value": json.dumps(message).encode()}], seconds=12.0)
