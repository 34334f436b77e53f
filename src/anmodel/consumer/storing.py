"""Puts blocks into their table, each row exactly once, whatever is killed in between.

1. A block is inserted with a token made of its name, its lineage and its content. The block of a range is always the
   same (`plan.py`), so is its token, and the engine ignores what it has already.
2. That is not enough: the engine notes a token down before the rows are in place. So when an insert's outcome is
   unknown (an error, a time-out), and for every block that a former consumer may have tried, the table decides: the
   rows that are missing in it are inserted, the others are not, until a look finds none missing. Before it looks,
   inserts of the block that the engine still runs are ended.
3. A repeat that slips through has the same key (an event's: user, instant, id) and is invisible through FINAL.

Nothing is given up: a fault is waited out, and only rows that the engine refuses for what they hold, found by halving,
are handed back as refused. docs/decisions/022-blocks-remembered.md has the reasoning.
"""

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from anmodel.consumer.blocks import Block, Partition, Refused
from anmodel.consumer.metrics import ConsumerMetrics
from anmodel.consumer.past import Past
from anmodel.consumer.present import Present
from anmodel.consumer.streams import Stream
from anmodel.errors import InsertTooLarge, RowsRefused, WarehouseError
from anmodel.warehouse import Warehouse

MAX_PAUSE_SECONDS = 10.0
T = TypeVar("T")

log = structlog.get_logger()


class Stopped(Exception):
    """The partition was taken away, or the consumer is ending: the block stays uncommitted and comes again."""


class Storage:
    """Stores a stream's blocks. `gone` is set when the blocks of a partition must not be tried any more."""

    def __init__(self, warehouse: Warehouse, present: Present, stream: Stream, metrics: ConsumerMetrics) -> None:
        self._warehouse = warehouse
        self._present = present
        self._stream = stream
        self._metrics = metrics

    def store(self, block: Block, past: Past, gone: threading.Event) -> list[Refused]:
        """Return once every row of the block is in the table, but for those returned; raises only `Stopped`."""
        if not block.rows.num_rows:
            return []
        storing = _Storing(self._warehouse, self._present, self._stream, self._metrics, block, past, gone)
        return list(storing.put(block.rows, doubtful=storing.is_old()))


class _Storing:
    """One block on its way into the table."""

    def __init__(
        self,
        warehouse: Warehouse,
        present: Present,
        stream: Stream,
        metrics: ConsumerMetrics,
        block: Block,
        past: Past,
        gone: threading.Event,
    ) -> None:
        self._warehouse = warehouse
        self._present = present
        self._stream = stream
        self._metrics = metrics
        self._block = block
        self._past = past
        self._gone = gone

    def is_old(self) -> bool:
        """Whether a former consumer may have tried the block. Its inserts that still run are ended."""
        old = self._persistently(lambda: self._past.reaches(self._block.first, self._highest))
        if old:
            self._persistently(lambda: self._end_inserts(_comment(self._block)))
        return old

    def put(self, rows: pa.Table, piece: str = "", *, doubtful: bool) -> Iterator[Refused]:
        """Insert rows of the block, all or a piece. In doubt the table is asked first, and has the last word too."""
        lost = attempt = 0
        while True:
            if doubtful:
                rows = self._persistently(lambda asked=rows: self._present.missing(self._block, asked))  # type: ignore[misc]
            if not rows.num_rows:
                return
            try:
                self._insert(rows, piece, lost)
            except WarehouseError as error:
                if isinstance(error, RowsRefused) or (isinstance(error, InsertTooLarge) and rows.num_rows > 1):
                    yield from self._halves(rows, piece, error)
                    return
                doubtful = True
                self._wait_out(error, attempt)
                attempt += 1
            else:
                if not doubtful:
                    return
                lost += 1  # should the rows be missing still, the engine knows the token and has lost them

    def _insert(self, rows: pa.Table, piece: str, lost: int) -> None:
        if self._gone.is_set():
            raise Stopped
        token = self._token(piece, lost)
        self._warehouse.insert_arrow(self._stream.table, rows, token=token, comment=_comment(self._block))

    def _token(self, piece: str, lost: int) -> str:
        """Always the same for a piece of a block, also for what is missing of it: the engine holds tokens by month, and
        of a month either all rows are in place or none. Another one, once it has lost rows under this."""
        name = f"{self._block.name}:{self._past.lineage}:{self._block.digest:08x}"
        return name + (f":{piece}" if piece else "") + (f":again{lost}" if lost else "")

    def _halves(self, rows: pa.Table, piece: str, error: WarehouseError) -> Iterator[Refused]:
        """Put each half by itself, in order of time, so that a half spans fewer months. One row is the refused one."""
        if rows.num_rows == 1:
            log.warning("ClickHouse refuses a row", block=self._block.name, error=str(error))
            yield self._block.refuse(rows["offset"][0].as_py(), "row", str(error))
            return
        ordered = rows.take(pc.sort_indices(rows, [(self._stream.time, "ascending"), ("offset", "ascending")]))
        middle = rows.num_rows // 2
        for name, half in (("a", ordered.slice(0, middle)), ("b", ordered.slice(middle))):
            yield from self.put(half, piece + name, doubtful=True)

    def _wait_out(self, error: WarehouseError, attempt: int) -> None:
        log.warning("insert not confirmed", block=self._block.name, error=str(error), attempt=attempt)
        self._metrics.note_fault(str(error), error.code)
        self._wait(attempt)
        self._persistently(lambda: self._end_inserts(_comment(self._block)))

    def _highest(self, partition: Partition, start: int) -> int:
        self._end_inserts(_prefix(partition))
        return self._present.highest(partition, start)

    def _end_inserts(self, comment: str) -> None:
        """End the inserts that the engine may still run, so that what the table shows is final."""
        while self._warehouse.end_statements(comment):
            if self._gone.wait(0.1):
                raise Stopped

    def _persistently(self, ask: Callable[[], T]) -> T:
        """What `ask` answers, asked again until ClickHouse answers."""
        attempt = 0
        while True:
            try:
                return ask()
            except WarehouseError as error:
                log.warning("ClickHouse does not answer", error=str(error), attempt=attempt)
                self._metrics.note_fault(str(error), error.code)
                self._wait(attempt)
                attempt += 1

    def _wait(self, attempt: int) -> None:
        if self._gone.wait(min(MAX_PAUSE_SECONDS, 0.1 * 2 ** min(attempt, 10))):
            raise Stopped


def _prefix(partition: Partition) -> str:
    """How the comments of a partition's inserts begin."""
    return f"anmodel-consumer:{partition.topic}:{partition.number}:"


def _comment(block: Block) -> str:
    return f"{_prefix(block.partition)}{block.first}-{block.last}:"
