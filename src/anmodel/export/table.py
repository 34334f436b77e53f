"""The events table, day by day: what each day holds, and its rows as a Parquet file."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import BinaryIO

import msgspec

from anmodel.lake.manifest import day_bounds
from anmodel.warehouse import Warehouse

# A repeat of an event has its time, and so its partition: FINAL need not look across them.
_FINAL = "do_not_merge_across_partitions_select_final = 1"
_SPILL = "max_bytes_before_external_group_by = 300000000, max_bytes_before_external_sort = 300000000"
_HASHED = "event_id, event_type, ts, session_id, user_id, region, item_id, price IS NULL, ifNull(price, 0), properties"


class TableDay(msgspec.Struct, frozen=True):
    """One UTC day of the table, repeats left out. The fingerprint changes with any of the nine columns of any row."""

    rows: int
    fingerprint: str
    oldest: datetime
    newest: datetime


class EventsTable:
    """`events_raw` as an export reads it."""

    def __init__(self, warehouse: Warehouse, *, rows_a_group: int) -> None:
        self._warehouse = warehouse
        self._table = f"{warehouse.db}.events_raw"
        self._rows_a_group = rows_a_group

    def days(self, since: date, until: date | None) -> dict[date, TableDay]:
        """The days of [since, until) that hold events, oldest first; `until` None is no bound."""
        sql = (
            f"SELECT toDate(ts) AS day, count() AS rows, sum(cityHash64({_HASHED})) AS hash, min(ts) AS oldest, "
            f"max(ts) AS newest FROM {self._table} FINAL WHERE {self._within(since, until)} "
            f"GROUP BY day ORDER BY day SETTINGS {_FINAL}"
        )
        return {
            row["day"]: TableDay(
                rows=row["rows"],
                fingerprint=f"{row['rows']}-{row['hash']:016x}",
                oldest=_aware(row["oldest"]),
                newest=_aware(row["newest"]),
            )
            for row in self._warehouse.query(sql)
        }

    def repeated_ids(self, since: date, until: date | None) -> int:
        """How many event ids stand for more than one event: the same id with another user or time."""
        sql = (
            f"SELECT count() AS ids FROM (SELECT cityHash64(event_id) AS hash FROM {self._table} FINAL "
            f"WHERE {self._within(since, until)} GROUP BY hash HAVING count() > 1) SETTINGS {_FINAL}, {_SPILL}"
        )
        return int(self._warehouse.query(sql)[0]["ids"])

    @contextmanager
    def parquet(self, day: date) -> Iterator[BinaryIO]:
        """A day's rows in order of user, time and id, as a Parquet file the engine writes."""
        start, end = day_bounds(day)
        sql = (
            "SELECT event_id, toString(event_type) AS event_type, ts, session_id, user_id, toString(region) AS region, "
            f"item_id, price, properties FROM {self._table} FINAL WHERE {_from(start)} AND {_before(end)} "
            f"ORDER BY user_id, ts, event_id SETTINGS {_FINAL}, {_SPILL}, "
            f"output_format_parquet_row_group_size = {self._rows_a_group}, "
            "output_format_parquet_compression_method = 'zstd'"
        )
        with self._warehouse.stream(sql, format="Parquet") as file:
            yield file

    @staticmethod
    def _within(since: date, until: date | None) -> str:
        start = _from(day_bounds(since)[0])
        return f"{start} AND {_before(day_bounds(until)[0])}" if until else start


def _from(instant: datetime) -> str:
    return f"ts >= toDateTime64('{instant:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"


def _before(instant: datetime) -> str:
    return f"ts < toDateTime64('{instant:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"


def _aware(instant: datetime) -> datetime:
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
