"""The log of predictions: what was answered goes to a topic, in the background."""

import queue
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from prometheus_client import CollectorRegistry, Counter

from anmodel import predictions
from anmodel.brokers import LastFault, client, client_options
from anmodel.gateway.answers import Predictions
from anmodel.settings import KafkaSettings

MAX_WAITING = 20_000
"""Records that may wait to be written, and again as many that may wait for the broker; past it they are dropped."""
_MAX_KBYTES = 65_536
_DELIVERY_SECONDS = 30.0
_POLL_SECONDS = 0.5
_FLUSH_SECONDS = 3.0
_TELL_SECONDS = 60.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Answered:
    """One answered request: its records and what was said of each. `user_ids` is empty when they are not known."""

    service: str
    records: Sequence[dict[str, Any]]
    answer: Predictions
    user_ids: Sequence[str] = ()


class PredictionNotes(Protocol):
    """Where answered requests are noted down."""

    def note(self, answered: Answered) -> None:
        """Note it down; returns at once and never raises."""


class NoLog:
    """Predictions are not logged."""

    def note(self, answered: Answered) -> None:
        """Forget it."""


class PredictionLog:
    """Writes a message a record, from a thread of its own, so that no answer waits for Kafka or fails with it.

    The broker's acknowledgement is waited for (by nobody but this log) and a message is sent again until then; what
    comes twice by that has one id, and the table keeps it once. What cannot be written in time, or does not fit the
    bounded buffer, is dropped and counted.
    """

    def __init__(self, settings: KafkaSettings, topic: str, registry: CollectorRegistry) -> None:
        self._topic = topic
        self._sent = Counter("anmodel_gateway_prediction_log_sent", "Predictions logged.", registry=registry)
        self._dropped = Counter("anmodel_gateway_prediction_log_dropped", "Predictions not logged.", registry=registry)
        self._fault = LastFault()
        self._queue: queue.SimpleQueue[tuple[datetime, Answered] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._told = -_TELL_SECONDS
        self._producer = client(
            Producer,
            {
                "acks": "all",
                "linger.ms": 50,
                "compression.type": "lz4",
                "delivery.timeout.ms": int(_DELIVERY_SECONDS * 1000),
                "queue.buffering.max.messages": MAX_WAITING,
                "queue.buffering.max.kbytes": _MAX_KBYTES,
                "log_level": 2,
                "error_cb": self._fault,
                **client_options(settings),
            },
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write for the time of a `with`; at its end what waits is sent, if that takes no longer than a few seconds."""
        thread = threading.Thread(target=self._write, name="prediction-log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._queue.put(None)
            thread.join(_FLUSH_SECONDS + 5.0)

    def note(self, answered: Answered) -> None:
        """Note down an answered request, or drop it when too many wait."""
        count = len(answered.records)
        with self._lock:
            fits = self._waiting + count <= MAX_WAITING
            self._waiting += count if fits else 0
        if fits:
            self._queue.put((datetime.now(UTC), answered))
        else:
            self._drop(count, "too many wait to be written")

    def _write(self) -> None:
        while True:
            self._producer.poll(0)
            try:
                noted = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if noted is None:
                break
            for message in _messages(*noted):
                self._produce(noted[1].service, message)
            with self._lock:
                self._waiting -= len(noted[1].records)
        if left := self._producer.flush(_FLUSH_SECONDS):
            self._drop(left, "the gateway has ended")

    def _produce(self, service: str, message: bytes) -> None:
        try:
            self._producer.produce(self._topic, message, service, on_delivery=self._delivered)
            self._producer.poll(0)
        except (BufferError, KafkaException) as error:
            self._drop(1, str(error))

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._sent.inc()
        else:
            self._drop(1, self._fault.text or error.str())

    def _drop(self, count: int, reason: str) -> None:
        self._dropped.inc(count)
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._told = time.monotonic()
            log.warning("predictions not logged", topic=self._topic, reason=reason)


def _messages(at: datetime, answered: Answered) -> Iterator[bytes]:
    users = answered.user_ids or [""] * len(answered.records)
    for record, said, user_id in zip(answered.records, answered.answer.predictions, users, strict=True):
        yield predictions.encode_logged(
            predictions.LoggedPrediction(
                prediction_id=str(uuid.uuid4()),
                service=answered.service,
                model_version=answered.answer.model_version,
                predicted_at=at,
                records=len(answered.records),
                record=record,
                prediction=msgspec.convert(said.model_dump(), predictions.Prediction),
                user_id=user_id,
            )
        )
