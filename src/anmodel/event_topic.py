"""Kafka, as the collector uses it: events sent from an event loop, each answered once all replicas have it.

The producer is idempotent (`acks=all`); an event's key is its user, so that a user's events keep their order in one
partition.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import TopicMetadata  # type: ignore[attr-defined]

from anmodel.brokers import LastFault, client, producer_options
from anmodel.errors import SettingError, TopicError
from anmodel.settings import KafkaSettings

_POLL_SECONDS = 0.002
_READY_SECONDS = 3.0
_GRACE_SECONDS = 2.0  # a second for the library to look for late messages, and one for a busy machine

log = structlog.get_logger()


class EventTopic:
    """Sends messages to one topic from an event loop.

    Deliveries are polled for on the loop itself, since a polling thread would contend with it for the interpreter.
    """

    def __init__(
        self, settings: KafkaSettings, topic: str, *, delivery_timeout: float, max_waiting: int, max_bytes: int
    ) -> None:
        """Opens nothing yet; `open` and `start` do.

        At most `max_waiting` messages wait for the broker at once, of about `max_bytes` together.
        """
        self.topic = topic
        self.waiting = 0
        self.max_waiting = max_waiting
        self._timeout = delivery_timeout
        self._heard = LastFault()
        self._failing = _Failing(delivery_timeout)
        self._options = producer_options(settings, delivery_timeout)
        self._options["queue.buffering.max.messages"] = max_waiting + 10_000
        self._options["queue.buffering.max.kbytes"] = max_bytes // 1024
        self._options["error_cb"] = self._heard
        self._producer: Producer | None = None
        self._polling: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._open: dict[_Delivery, None] = {}  # the oldest first

    def open(self) -> None:
        """Create the producer; the broker need not answer yet. Raises `SettingError` for options that it refuses."""
        self._producer = client(Producer, self._options)

    async def start(self) -> None:
        """Hear of deliveries from now on, on this event loop; opens first what is not open."""
        if self._producer is None:
            self.open()
        self._polling = asyncio.create_task(self._poll())

    async def stop(self, seconds: float = 10.0) -> None:
        """Wait up to `seconds` for what was sent to be acknowledged, then close."""
        if self._producer is None or self._polling is None:
            return
        if self._open:  # not by a flush: that would set this loop's futures from another thread
            await asyncio.wait([delivery.done for delivery in self._open], timeout=seconds)
        self._polling.cancel()
        self._producer = None

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> dict[bytes, str]:
        """Send (key, value) pairs and wait for the broker: the values it has not confirmed, and why; none when all is
        well.

        Raises `TopicError` at once, having sent nothing, when too many messages wait for the broker already.
        """
        producer = self._producer
        if producer is None:
            raise TopicError("the producer is not started")
        if self.waiting + len(messages) > self.max_waiting:
            raise TopicError(
                f"{self.waiting} events wait for Kafka already; at most {self.max_waiting} may. Try later."
            )
        if not messages:
            return {}
        delivery = _Delivery(self, len(messages))
        note, topic = delivery.note, self.topic
        for key, value in messages:
            try:
                producer.produce(topic, value, key, -1, note)
            except (BufferError, KafkaException) as error:
                delivery.refuse(value, str(error))
                self._serve()  # makes room, or puts another producer in place of a broken one
                producer = self._producer or producer
        self._wake.set()
        return await delivery.done

    async def check(self) -> None:
        """Raise `TopicError` unless events can be sent: the broker answers, each partition of the topic has a leader,
        there is room for more, and not all that was sent of late has failed."""
        if self._producer is None:
            raise TopicError("the producer is not started")
        try:
            metadata = await asyncio.to_thread(self._producer.list_topics, self.topic, _READY_SECONDS)
        except KafkaException as error:
            self._serve()
            raise TopicError(f"Kafka does not answer: {self._heard.text or error.args[0].str()}") from error
        self._serve()
        self._heard.clear()
        if fault := _fault_of(metadata.topics[self.topic]) or self._failing.why():
            raise TopicError(f"topic {self.topic}: {fault}")
        if self.waiting >= self.max_waiting:
            raise TopicError(f"{self.waiting} events wait for Kafka, as many as may")

    async def _poll(self) -> None:
        while self._producer is not None:
            if not self.waiting:
                self._wake.clear()
                await self._wake.wait()
            self._serve()
            self._give_up_late_ones()
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
        try:
            self._producer = client(Producer, self._options)
        except (KafkaException, SettingError) as error:  # a file of certificates that is just being changed, perhaps
            log.warning("producer could not be replaced", topic=self.topic, reason=str(error))
            return
        log.warning("producer replaced", topic=self.topic, reason=reason)
        broken.purge()
        for _ in range(3):  # a call that raises leaves answers to the next one
            with suppress(KafkaException):
                broken.flush(0.3)

    def _give_up_late_ones(self) -> None:
        """Answer what the library should have answered by now: nobody waits for longer than was promised."""
        latest = time.monotonic() - self._timeout - _GRACE_SECONDS
        while self._open and (oldest := next(iter(self._open))).since < latest:
            oldest.give_up(f"Kafka has not confirmed within DELIVERY_TIMEOUT, {self._timeout:g} s")


class _Delivery:
    """The answers still expected for one call of `EventTopic.send`."""

    __slots__ = ("_failures", "_left", "_topic", "done", "since")

    def __init__(self, topic: EventTopic, expected: int) -> None:
        self.since = time.monotonic()
        self.done: asyncio.Future[dict[bytes, str]] = asyncio.get_running_loop().create_future()
        self._topic = topic
        self._left = expected
        self._failures: dict[bytes, str] = {}
        topic.waiting += expected
        topic._open[self] = None

    def note(self, error: KafkaError | None, message: Message | None) -> None:
        """librdkafka's callback, for each message: a callback of its own for each would cost as much as sending it."""
        if error is not None and message is not None:
            self._failures[message.value() or b""] = error.str()
        self._topic.waiting -= 1
        self._left -= 1
        if not self._left:
            self._finish()

    def refuse(self, value: bytes, failure: str) -> None:
        """Note a message that could not even be handed over."""
        self._failures[value] = failure
        self.note(None, None)

    def give_up(self, failure: str) -> None:
        """Answer now for all messages of the call; what the library still tells of them is only counted."""
        self._topic._open.pop(self, None)
        self._topic._failing.note({b"": failure})
        if not self.done.done():
            self.done.set_exception(TopicError(failure))

    def _finish(self) -> None:
        self._topic._open.pop(self, None)
        self._topic._failing.note(self._failures)
        if not self.done.done():  # nobody waits any more, as a rule since the server gave the request up
            self.done.set_result(self._failures)


class _Failing:
    """Whether what was sent of late has failed, all of it: then it would be a mistake to ask for more."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since = 0.0
        self._reason = ""

    def note(self, failures: dict[bytes, str]) -> None:
        """What became of the messages of one call."""
        if failures:
            self._since, self._reason = time.monotonic(), next(iter(failures.values()))
        elif self._reason:
            self._reason = ""

    def why(self) -> str:
        """The newest failure, if nothing was delivered since; forgotten after a while, or nobody would ever try."""
        recent = time.monotonic() - self._since < self._seconds
        return f"events were not delivered: {self._reason}" if self._reason and recent else ""


def _fault_of(topic: TopicMetadata) -> str:
    """Why a topic takes no events, empty when it does."""
    if topic.error is not None:
        return str(topic.error)
    orphans = sorted(number for number, partition in topic.partitions.items() if partition.leader < 0)
    return f"no leader for partitions {', '.join(map(str, orphans))}" if orphans else ""
