"""Our own event format in a file: NDJSON, CSV, Parquet.

CSV and Parquet have the wire form's fields as columns; what an event is about stands in `properties` (JSON, or a struct
of Parquet) or in columns `item_id` and `price`. In Parquet `timestamp` (or `ts`) may be a text or a time; one without a
zone is UTC.
"""

import csv
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from anmodel.errors import InputError
from anmodel.replay.records import Record, Records, make_event, read_event

if TYPE_CHECKING:
    import pyarrow.parquet as pq

FIELDS = ("event_id", "event_type", "timestamp", "session_id", "user_id", "region")
_OPTIONAL = ("properties", "item_id", "price")
_ROWS = 5_000


def read_ndjson(path: Path) -> Records:
    """One event a line; empty lines do not count as faults, nor does a byte order mark."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if raw := line.removeprefix(BOM_UTF8 if number == 1 else b"").strip():
                yield read_event(number, raw)


def read_csv(path: Path) -> Records:
    """A header, then one event a row."""
    for number, row in csv_rows(path):
        if not row:
            yield Record(number, None, "body: no row: a field without an end; is a quote open?")
            continue
        yield _of_row(number, {name: value for name, value in row.items() if value not in ("", None)} | _region(row))


def read_parquet(path: Path) -> Records:
    """One event a row, read block by block. Raises `InputError` when the file is damaged."""
    number = 0
    with parquet_file(path) as file:
        names = [name for name in file.schema_arrow.names if name in (*FIELDS, *_OPTIONAL, "ts")]
        for batch in file.iter_batches(_ROWS, columns=names):
            for row in batch.to_pylist():
                number += 1
                yield _of_row(number, row)


def csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of a CSV file in UTF-8 with a header. NULs and bad UTF-8 become visible, and are refused later. What
    can be no row (its end is not found) is empty."""
    with path.open(encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        rows = csv.DictReader(file)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error:
                row = {}
            yield rows.line_num, row


@contextmanager
def parquet_file(path: Path) -> "Iterator[pq.ParquetFile]":
    """The opened file; raises `InputError` when it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is no whole Parquet file: {str(error).splitlines()[0]}") from error


def _region(row: dict[str, Any]) -> dict[str, str]:
    """An empty region is a region; an absent column is none."""
    return {"region": row["region"]} if row.get("region") is not None else {}


def _of_row(number: int, row: dict[str, Any]) -> Record:
    wire = {name: row[name] for name in FIELDS if row.get(name) is not None}
    at = row.get("timestamp", row.get("ts"))
    if isinstance(at, datetime):
        wire["timestamp"] = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    elif at is not None:
        wire["timestamp"] = at
    try:
        wire["properties"] = _properties(row)
    except ValueError as error:
        return Record(number, None, f"properties: {error}")
    return make_event(number, wire)


def _properties(row: dict[str, Any]) -> Any:
    text, found = row.get("properties"), {}
    if isinstance(text, dict):  # a struct of Parquet has all its fields in every row
        found = {name: value for name, value in text.items() if value is not None}
    elif text is not None:
        try:
            found = msgspec.json.decode(text)
        except (msgspec.MsgspecError, TypeError) as error:
            raise ValueError(f"not JSON: {error}") from error
        if not isinstance(found, dict):
            return found  # refused with the right words by the event contract
    if row.get("item_id") is not None:
        found["item_id"] = row["item_id"]
    if row.get("price") is not None:
        try:
            found["price"] = float(row["price"])
        except ValueError as error:
            raise ValueError(f"price is {row['price']!r}; allowed: a number") from error
    return found
