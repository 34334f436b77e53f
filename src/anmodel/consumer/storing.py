"""Puts blocks into their table, each row exactly once, whatever is killed in between.

Three lines of defence, from the cheapest to the surest:

1. A block is inserted with a token; the engine ignores the same block again. A token lives as long as the consumer's
   assignment (its *epoch*): the engine records a token before the part is in place, so a token of a former life may
   be known although its rows are gone.
2. When an insert's outcome is unknown (an error, a time-out), and for every block that a former consumer may have
   tried (offsets up to the highest one found in the table), the offsets that are in the table decide: the missing
   rows are inserted, the others are not. Before looking, inserts of the same partition that still run are ended.
   The engine keeps one row of a key, even within an insert: a row whose key is there is not missing.
3. A repeat that slips through has the same key (an event's: user, instant, id) and is invisible through FINAL.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import pyarrow as pa
import structlog

from anmodel.consumer.blocks import Block, Partition
from anmodel.consumer.streams import Stream
from anmodel.errors import WarehouseError
from anmodel.warehouse import Warehouse

MAX_PAUSE_SECONDS = 10.0
WHOLE_TRIES = 2  # with a block's own token; after that the engine may know it although the rows are not in
T = TypeVar("T")

log = structlog.get_logger()


class Stopped(Exception):
    """The consumer is ending; the block stays uncommitted and comes again."""


class Storage:
    """Stores a stream's blocks. `pause(seconds)` sleeps and answers True when the consumer is to stop."""

    def __init__(self, warehouse: Warehouse, stream: Stream, pause: Callable[[float], bool]) -> None:
        self._warehouse = warehouse
        self._stream = stream
        self._table = f"{warehouse.db}.{stream.table}"
        self._pause = pause
        self._lock = threading.Lock()
        self._epochs: dict[Partition, _Epoch] = {}

    def begin(self, partition: Partition, start: int) -> None:
        """A partition was assigned and continues at offset `start`: what lies behind it is not known yet."""
        with self._lock:
            self._epochs[partition] = _Epoch(start)

    def store(self, block: Block) -> None:
        """Return once every row of the block is in the table; raises only `Stopped`."""
        if not block.rows.num_rows:
            return
        epoch = self._epochs[block.partition]
        doubtful = block.first <= self._persistently(lambda: epoch.horizon(self._highest, block.partition))
        attempt = 0
        while True:
            rows = self._persistently(lambda: self._missing(block)) if doubtful else block.rows
            if not rows.num_rows:
                return
            repairs = attempt >= WHOLE_TRIES or rows.num_rows < block.rows.num_rows
            try:
                self._insert(block, rows, epoch.repair_token(block) if repairs else epoch.token(block))
            except WarehouseError as error:
                log.warning("insert not confirmed", block=block.name, error=str(error), attempt=attempt)
                doubtful = True
                self._wait(attempt)
                self._persistently(lambda: self._end_inserts(_comment(block)))
            else:
                # rows under a token that the engine never saw are in; of one it may know, the table must tell
                if repairs or not doubtful:
                    return
            attempt += 1

    def _insert(self, block: Block, rows: pa.Table, token: str) -> None:
        self._warehouse.insert_arrow(self._stream.table, rows, token=token, comment=_comment(block))

    def _highest(self, partition: Partition, start: int) -> int:
        """The highest offset in the table from `start` on, -1 if none; no insert of the partition runs any more."""
        self._end_inserts(_prefix(partition))
        rows = self._warehouse.query(
            f"SELECT maxOrNull(offset) AS highest FROM {self._table}"
            " WHERE partition = {partition:Int32} AND offset >= {start:Int64}",
            {"partition": partition.number, "start": start},
        )
        highest = rows[0]["highest"]
        return -1 if highest is None else int(highest)

    def _missing(self, block: Block) -> pa.Table:
        """The block's rows that are not in the table between the block's offsets. A row is known by its key, since a
        topic made anew counts its offsets from 0 again, and of a block's repeats the table keeps one only."""
        found = self._warehouse.query(
            f"SELECT {', '.join(self._asked_key())} FROM {self._table}"
            " WHERE partition = {partition:Int32} AND offset BETWEEN {first:Int64} AND {last:Int64}",
            {"partition": block.partition.number, "first": block.first, "last": block.last},
        )
        present = {tuple(row.values()) for row in found}
        if not present:
            return block.rows
        return block.rows.filter(pa.array([key not in present for key in self._keys(block.rows)], pa.bool_()))

    def _asked_key(self) -> Iterator[str]:
        """The columns of the key as ClickHouse is asked for them: instants in milliseconds since 1970."""
        for name in self._stream.key:
            instant = pa.types.is_timestamp(self._stream.schema.field(name).type)
            yield f"toUnixTimestamp64Milli({name})" if instant else name

    def _keys(self, rows: pa.Table) -> Iterator[tuple[object, ...]]:
        """The key of each row, in the same form."""
        columns = (rows[name] for name in self._stream.key)
        plain = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in columns)
        return zip(*(column.to_pylist() for column in plain), strict=True)

    def _end_inserts(self, comment: str) -> None:
        """End the inserts that the engine may still run, so that what the table shows is final."""
        while self._warehouse.end_statements(comment):
            if self._pause(0.1):
                raise Stopped

    def _persistently(self, ask: Callable[[], T]) -> T:
        """What `ask` answers, asked again until ClickHouse answers."""
        attempt = 0
        while True:
            try:
                return ask()
            except WarehouseError as error:
                log.warning("ClickHouse does not answer", error=str(error), attempt=attempt)
                self._wait(attempt)
                attempt += 1

    def _wait(self, attempt: int) -> None:
        if self._pause(min(MAX_PAUSE_SECONDS, 0.1 * 2 ** min(attempt, 10))):
            raise Stopped


class _Epoch:
    """One assignment of a partition: its own tokens, and how far a former consumer may have come."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._name = uuid.uuid4().hex[:12]
        self._horizon: int | None = None
        self._lock = threading.Lock()

    def horizon(self, highest: Callable[[Partition, int], int], partition: Partition) -> int:
        """The highest offset of a former consumer, found once."""
        with self._lock:
            if self._horizon is None:
                self._horizon = highest(partition, self._start)
            return self._horizon

    def token(self, block: Block) -> str:
        """The token of the whole block, the same at each call."""
        return f"{block.name}:{self._name}"

    def repair_token(self, block: Block) -> str:
        """A token that the engine has never seen, for rows that the table was found to lack."""
        return f"{block.name}:{self._name}:{uuid.uuid4().hex[:8]}"


def _prefix(partition: Partition) -> str:
    """How the comments of a partition's inserts begin."""
    return f"anmodel-consumer:{partition.topic}:{partition.number}:"


def _comment(block: Block) -> str:
    return f"{_prefix(block.partition)}{block.first}-{block.last}:"
