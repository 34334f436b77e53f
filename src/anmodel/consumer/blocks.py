"""Blocks: what is inserted at once, made of the messages of one partition between two offsets."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import structlog

from anmodel.consumer.streams import Row, Stream
from anmodel.errors import MessageRefused

log = structlog.get_logger()


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
    """A message that breaks its contract, with the field at fault and the reason."""

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


def make_block(stream: Stream, partition: Partition, messages: list[Message]) -> Block:
    """Read the messages (at least one, in order of offset) into a block. The same messages make the same block."""
    rows: list[Row] = []
    refused: list[Refused] = []
    for message in messages:
        offset = offset_of(message)
        try:
            rows.append((*_read(stream, message), partition.number, offset))
        except MessageRefused as error:
            refused.append(Refused(offset, message.key(), message.value(), error.field, error.reason))
        except Exception as error:
            # a fault of ours: kept whole, the message can be replayed once that is mended; it must not stop the stage
            log.exception(
                "a message could not be read", topic=partition.topic, partition=partition.number, offset=offset
            )
            reason = f"could not be read: {type(error).__name__}: {error}"
            refused.append(Refused(offset, message.key(), message.value(), "body", reason))
    return Block(partition, offset_of(messages[0]), offset_of(messages[-1]), _table(stream, rows), refused)


def offset_of(message: Message) -> int:
    """A fetched message's offset, which a message always has."""
    offset = message.offset()
    assert offset is not None
    return offset


def _read(stream: Stream, message: Message) -> Row:
    value = message.value()
    if value is None:
        raise MessageRefused("body", "an empty message; allowed: a JSON object")
    return stream.read(value, message.timestamp()[1])


def _table(stream: Stream, rows: Iterable[Row]) -> pa.Table:
    columns: list[list[object]] = [[] for _ in stream.schema.names]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, stream.schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=stream.schema)
