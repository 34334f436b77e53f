"""Blocks: what is inserted at once, made of the messages of one partition between two offsets."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa
import structlog

from anmodel.errors import EventRefused
from anmodel.events import Event, decode_event, encode_properties
from anmodel.warehouse import EVENTS_SCHEMA

log = structlog.get_logger()

_CLOCK_SLACK_DAYS = 1
"""An event that the collector let in just before it grew too old must not be refused here."""


class Message(Protocol):
    """What blocks need of Kafka's message."""

    def offset(self) -> int | None: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is no event, with the field at fault and the reason."""

    offset: int
    key: bytes | None
    value: bytes | None
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """The messages of one partition from offset `first` to `last`: rows to store, and messages refused."""

    partition: Partition
    first: int
    last: int
    rows: pa.Table
    refused: list[Refused] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`topic:partition:first-last`."""
        return f"{self.partition.topic}:{self.partition.number}:{self.first}-{self.last}"


def make_block(partition: Partition, messages: list[Message], *, max_age_days: int) -> Block:
    """Read the messages (at least one, in order of offset) into a block. The same messages make the same block."""
    events: list[tuple[Event, int, int]] = []
    refused: list[Refused] = []
    for message in messages:
        received = message.timestamp()[1]
        try:
            events.append((_read(message, received, max_age_days), received, offset_of(message)))
        except EventRefused as error:
            refused.append(Refused(offset_of(message), message.key(), message.value(), error.field, error.reason))
        except Exception as error:
            # a fault of ours: kept whole, the message can be replayed once that is mended; it must not stop the stage
            log.exception("a message could not be read", partition=partition.number, offset=offset_of(message))
            reason = f"could not be read: {type(error).__name__}: {error}"
            refused.append(Refused(offset_of(message), message.key(), message.value(), "body", reason))
    rows = _rows(events, partition.number)
    return Block(partition, offset_of(messages[0]), offset_of(messages[-1]), rows, refused)


def offset_of(message: Message) -> int:
    """A fetched message's offset, which a message always has."""
    offset = message.offset()
    assert offset is not None
    return offset


def _read(message: Message, received: int, max_age_days: int) -> Event:
    value = message.value()
    if value is None:
        raise EventRefused("body", "an empty message; allowed: an event as a JSON object")
    now = datetime.fromtimestamp(received / 1000, UTC)
    return decode_event(value, now=now, max_age_days=max_age_days + _CLOCK_SLACK_DAYS)


def _rows(events: Iterable[tuple[Event, int, int]], partition: int) -> pa.Table:
    columns: list[list[object]] = [[] for _ in EVENTS_SCHEMA.names]
    for event, received, offset in events:
        row = (
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
            partition,
            offset,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, EVENTS_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=EVENTS_SCHEMA)
