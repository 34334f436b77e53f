"""Blocks: what is inserted at once, made of the messages of one partition between two offsets."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from zlib import crc32

import pyarrow as pa
import structlog

from anmodel.consumer.streams import Row, Stream
from anmodel.errors import MessageRefused

CHUNK = 1000
"""Messages that are read together; where one of them is not plain, those of its chunk are read one by one."""

log = structlog.get_logger()


class Message(Protocol):
    """What blocks need of Kafka's message."""

    def offset(self) -> int | None: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def headers(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that cannot be stored, with the field at fault and the reason."""

    offset: int
    key: bytes | None
    value: bytes | None
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """The messages of one partition from offset `first` to `last`: rows to store, and messages refused.

    `digest` is of all that Kafka gave, so that equal names with another content are told apart.
    """

    partition: Partition
    first: int
    last: int
    rows: pa.Table
    messages: Sequence[Message]
    digest: int
    refused: list[Refused] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`topic:partition:first-last`."""
        return f"{self.partition.topic}:{self.partition.number}:{self.first}-{self.last}"

    def refuse(self, offset: int, field: str, reason: str) -> Refused:
        """The message at an offset, as one that cannot be stored."""
        message = self.messages[bisect_left(self.messages, offset, key=offset_of)]
        return Refused(offset, message.key(), message.value(), field, reason)


def make_block(stream: Stream, partition: Partition, first: int, last: int, messages: Sequence[Message]) -> Block:
    """Read the messages, in order of offset, into a block. The same messages make the same block."""
    values = [message.value() for message in messages]
    offsets = [offset_of(message) for message in messages]
    times = [message.timestamp()[1] for message in messages]
    block = Block(partition, first, last, stream.schema.empty_table(), messages, _digest(values, times))
    tables = []
    for at in range(0, len(messages), CHUNK):
        piece = slice(at, at + CHUNK)
        columns = _read_together(stream, values[piece], times[piece])
        if columns is None:
            tables.append(_read_singly(stream, block, values[piece], times[piece], offsets[piece]))
        else:
            tables.append(_placed(stream, columns, partition.number, offsets[piece]))
    rows = pa.concat_tables(tables).combine_chunks() if tables else block.rows
    return replace(block, rows=rows)


def offset_of(message: Message) -> int:
    """A fetched message's offset, which a message always has."""
    offset = message.offset()
    assert offset is not None
    return offset


def size_of(message: Message) -> int:
    """Bytes of a message: its body, its key and its headers."""
    size = len(message.value() or b"") + len(message.key() or b"")
    if headers := message.headers():
        size += sum(len(name) + len(value or b"") for name, value in headers)
    return size


def _digest(values: Sequence[bytes | None], times: Sequence[int]) -> int:
    return crc32(array("q", times).tobytes(), crc32(b"\n".join(value or b"" for value in values)))


def _read_together(stream: Stream, values: Sequence[bytes | None], times: Sequence[int]) -> Sequence[pa.Array] | None:
    if stream.read_many is None:
        return None
    try:
        return stream.read_many(values, times)
    except Exception:
        log.exception("messages could not be read together")  # a fault of ours; each by itself they may be
        return None


def _placed(stream: Stream, columns: Sequence[pa.Array], partition: int, offsets: Sequence[int]) -> pa.Table:
    """Columns read together, with those of their place."""
    places = [pa.repeat(pa.scalar(partition, pa.int32()), len(offsets)), pa.array(offsets, pa.int64())]
    return pa.Table.from_arrays([*columns, *places], schema=stream.schema)


def _read_singly(
    stream: Stream, block: Block, values: Sequence[bytes | None], times: Sequence[int], offsets: Sequence[int]
) -> pa.Table:
    """The rows of messages read one by one; those refused go to the block's."""
    rows: list[Row] = []
    for value, time, offset in zip(values, times, offsets, strict=True):
        try:
            rows.append((*_read(stream, value, time), block.partition.number, offset))
        except MessageRefused as error:
            block.refused.append(block.refuse(offset, error.field, error.reason))
        except Exception as error:
            # a fault of ours: kept whole, the message can be replayed once that is mended; it must not stop the stage
            log.exception("a message could not be read", block=block.name, offset=offset)
            reason = f"could not be read: {type(error).__name__}: {error}"
            block.refused.append(block.refuse(offset, "body", reason))
    return pa.Table.from_arrays(list(_columns(stream, rows)), schema=stream.schema)


def _read(stream: Stream, value: bytes | None, time: int) -> Row:
    if value is None:
        raise MessageRefused("body", "an empty message; allowed: a JSON object")
    return stream.read(value, time)


def _columns(stream: Stream, rows: Sequence[Row]) -> Iterator[pa.Array]:
    for index, column in enumerate(stream.schema):
        yield pa.array([row[index] for row in rows], column.type)
