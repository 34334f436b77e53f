"""The streams that the consumer moves, and all that differs between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa

from anmodel import predictions
from anmodel.consumer.reading import read_events
from anmodel.events import decode_event, encode_properties
from anmodel.predictions import PREDICTIONS_SCHEMA
from anmodel.settings import ConsumerSettings
from anmodel.warehouse import EVENTS_SCHEMA

Row = tuple[object, ...]

_CLOCK_SLACK_DAYS = 1
"""An event that the collector let in just before it grew too old must not be refused here."""


@dataclass(frozen=True)
class Stream:
    """One topic and the table that its messages become rows of.

    `read` makes a row of a message's body and of when the broker took it (ms since 1970 UTC): the columns of `schema`
    without the last two, which are partition and offset. It raises `MessageRefused`. `read_many`, where there is one,
    makes the same columns of many messages at once, or None if they must be read singly. `key` are the columns by which
    the table knows a row, `time` the one that its months go by.
    """

    topic: str
    dead_topic: str
    table: str
    schema: pa.Schema
    key: tuple[str, ...]
    time: str
    read: Callable[[bytes, int], Row]
    read_many: Callable[[Sequence[bytes | None], Sequence[int]], list[pa.Array] | None] | None = None


def events_stream(settings: ConsumerSettings) -> Stream:
    """Accepted events, into `events_raw`."""
    max_age_days = settings.event_max_age_days + _CLOCK_SLACK_DAYS
    return Stream(
        topic=settings.kafka_topic,
        dead_topic=settings.kafka_dead_topic,
        table="events_raw",
        schema=EVENTS_SCHEMA,
        key=("user_id", "ts", "event_id"),
        time="ts",
        read=partial(_event, max_age_days=max_age_days),
        read_many=partial(read_events, max_age_days=max_age_days),
    )


def predictions_stream(settings: ConsumerSettings) -> Stream:
    """Logged predictions, into `predictions`."""
    return Stream(
        topic=settings.predictions_topic,
        dead_topic=settings.kafka_dead_topic,
        table="predictions",
        schema=PREDICTIONS_SCHEMA,
        key=("service", "predicted_at", "prediction_id"),
        time="predicted_at",
        read=_prediction,
    )


def _event(value: bytes, received: int, *, max_age_days: int) -> Row:
    event = decode_event(value, now=_instant(received), max_age_days=max_age_days)
    return (
        event.event_id,
        event.event_type,
        event.ts,
        event.session_id,
        event.user_id,
        event.region,
        event.item_id,
        event.price,
        encode_properties(event),
        received,
    )


def _prediction(value: bytes, received: int) -> Row:
    logged = predictions.decode(value, now=_instant(received))
    said = logged.prediction
    return (
        logged.prediction_id,
        logged.service,
        logged.model_version,
        logged.user_id,
        logged.predicted_at,
        said.purchase_proba,
        said.will_purchase_pred,
        said.days_to_next_pred,
        said.next_purchase_amount_pred,
        predictions.encode(logged.record).decode(),
    )


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
