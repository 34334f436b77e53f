"""Which rows of a block are in the table. Asks ClickHouse, and changes nothing."""

from collections.abc import Iterator
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc

from anmodel.consumer.blocks import Block, Partition
from anmodel.consumer.streams import Stream
from anmodel.warehouse import Warehouse

Key = tuple[object, ...]
_LONGEST_STATEMENT = 64 << 20  # bytes; ClickHouse takes 256 kB by default


class Present:
    """Looks into a stream's table.

    A row is known by its key. A topic made anew counts its offsets from 0 again, so an offset alone does not tell; and
    of rows with one key the table keeps the one that was inserted last, wherever it came from.
    """

    def __init__(self, warehouse: Warehouse, stream: Stream) -> None:
        self._warehouse = warehouse
        self._stream = stream
        self._table = f"{warehouse.db}.{stream.table}"

    def highest(self, partition: Partition, start: int) -> int:
        """The highest offset of the partition in the table, from `start` on; -1 if there is none."""
        rows = self._warehouse.query(
            f"SELECT maxOrNull(offset) AS highest FROM {self._table}"
            " WHERE partition = {partition:Int32} AND offset >= {start:Int64}",
            {"partition": partition.number, "start": start},
        )
        highest = rows[0]["highest"]
        return -1 if highest is None else int(highest)

    def missing(self, block: Block, rows: pa.Table) -> pa.Table:
        """Those of the block's rows that are not there: neither in the block's own range nor behind it, where a later
        repeat may have taken their place."""
        rows = self._without(rows, self._between(block))
        if not rows.num_rows or self.highest(block.partition, block.last + 1) < 0:
            return rows
        return self._without(rows, self._behind(block, rows))

    def _without(self, rows: pa.Table, present: set[Key]) -> pa.Table:
        if not present:
            return rows
        return rows.filter(pa.array([key not in present for key in self._keys(rows)], pa.bool_()))

    def _between(self, block: Block) -> set[Key]:
        found = self._warehouse.query(
            f"SELECT DISTINCT {self._asked()} FROM {self._table}"
            " WHERE partition = {partition:Int32} AND offset BETWEEN {first:Int64} AND {last:Int64}",
            {"partition": block.partition.number, "first": block.first, "last": block.last},
        )
        return {tuple(row.values()) for row in found}

    def _behind(self, block: Block, rows: pa.Table) -> set[Key]:
        """The keys that lie behind the block and may be of its rows: it is asked by a hash of the key's
        last column, a text: few bytes a row.

        In one pass: rows of many users lie all over the table, and a look for each by its key would read it many
        times.
        """
        name, time = self._stream.key[-1], self._stream.time
        hashes = ",".join(str(crc32(value.encode())) for value in rows[name].to_pylist())
        bounds = pc.min_max(rows[time].cast(pa.int64())).as_py()
        found = self._warehouse.query(
            f"SELECT DISTINCT {self._asked()} FROM {self._table}"
            " WHERE partition = {partition:Int32} AND offset > {last:Int64}"
            f" AND {time} BETWEEN fromUnixTimestamp64Milli({bounds['min']}, 'UTC')"
            f" AND fromUnixTimestamp64Milli({bounds['max']}, 'UTC') AND CRC32({name}) IN ({hashes})",
            {"partition": block.partition.number, "last": block.last},
            {"max_query_size": _LONGEST_STATEMENT},
        )
        return {tuple(row.values()) for row in found}

    def _asked(self) -> str:
        """The columns of the key as ClickHouse is asked for them: instants in milliseconds since 1970."""
        names = (f"toUnixTimestamp64Milli({name})" if self._is_instant(name) else name for name in self._stream.key)
        return ", ".join(names)

    def _keys(self, rows: pa.Table) -> Iterator[Key]:
        """The key of each row, in the same form."""
        columns = ((rows[name], self._is_instant(name)) for name in self._stream.key)
        plain = (column.cast(pa.int64()) if instant else column for column, instant in columns)
        return zip(*(column.to_pylist() for column in plain), strict=True)

    def _is_instant(self, name: str) -> bool:
        return bool(pa.types.is_timestamp(self._stream.schema.field(name).type))
