"""News about models (a new champion, a version rejected), heard from their topic as they come."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from anmodel.brokers import LastFault, client_options
from anmodel.settings import ModelEventsSettings

_POLL_SECONDS = 0.5
_READY_SECONDS = 5.0
_REST_SECONDS = 5.0
_NOT_THERE = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError.TOPIC_AUTHORIZATION_FAILED}
)

log = structlog.get_logger()


class ModelNews:
    """Calls `heard` at each message that comes from now on, on a thread of its own.

    It is no member of a group and commits nothing: each gateway hears everything, and needs no right but to read the
    topic. Without Kafka it keeps trying, quietly; what it then misses is found by who looks now and again anyway.
    """

    def __init__(self, settings: ModelEventsSettings, heard: Callable[[], None]) -> None:
        self._topic = settings.model_topic
        self._heard = heard
        self._stop = threading.Event()
        self._fault = LastFault()
        self._options: dict[str, Any] = {
            "group.id": "anmodel-gateway",  # the client asks for a name; no group of it is ever joined
            "enable.auto.commit": False,
            "allow.auto.create.topics": False,
            "log_level": 2,
            "error_cb": self._fault,
            **client_options(settings),
            "reconnect.backoff.max.ms": 10_000,
        }
        self._told = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for the time of a `with`."""
        thread = threading.Thread(target=self._listen, name="model-news", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(2 * _POLL_SECONDS)

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except KafkaException as error:
                self._tell(self._fault.text or error.args[0].str())
            self._stop.wait(_REST_SECONDS)

    def _follow(self) -> None:
        consumer = Consumer(self._options)
        try:
            consumer.assign([TopicPartition(self._topic, number, OFFSET_END) for number in self._partitions(consumer)])
            self._fault.clear()
            self._tell("")
            while not self._stop.is_set():
                message = consumer.poll(_POLL_SECONDS)
                if message is None:
                    continue
                if (error := message.error()) is None:
                    self._heard()
                elif error.code() in _NOT_THERE:
                    raise KafkaException(error)
        finally:
            consumer.close()

    def _partitions(self, consumer: Consumer) -> list[int]:
        found = consumer.list_topics(self._topic, _READY_SECONDS).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return list(found.partitions)

    def _tell(self, fault: str) -> None:
        """Say it when it changes; empty: all is well."""
        if fault and not self._told:
            log.warning("model news not heard", topic=self._topic, reason=fault)
        elif not fault:
            log.info("listening for model news", topic=self._topic)
        self._told = fault
