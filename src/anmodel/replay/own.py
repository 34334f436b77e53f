"""Our own event format in a file: NDJSON, CSV, Parquet.

CSV and Parquet have the wire form's fields as columns; what an event is about stands in `properties` (JSON) or in
columns `item_id` and `price`. In Parquet `timestamp` (or `ts`) may be a text or a time; one without a zone is UTC.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from anmodel.replay.records import Record, Records, make_event, read_event

FIELDS = ("event_id", "event_type", "timestamp", "session_id", "user_id", "region")
_OPTIONAL = ("properties", "item_id", "price")
_ROWS = 5_000


def read_ndjson(path: Path) -> Records:
    """One event a line; empty lines do not count as faults."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if raw := line.strip():
                yield read_event(number, raw)


def read_csv(path: Path) -> Records:
    """A header, then one event a row."""
    for number, row in csv_rows(path):
        yield _of_row(number, {name: value for name, value in row.items() if value not in ("", None)} | _region(row))


def read_parquet(path: Path) -> Records:
    """One event a row, read block by block."""
    import pyarrow.parquet as pq

    number = 0
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name in (*FIELDS, *_OPTIONAL, "ts")]
        for batch in file.iter_batches(_ROWS, columns=names):
            for row in batch.to_pylist():
                number += 1
                yield _of_row(number, row)


def csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of a CSV file in UTF-8 with a header. NULs and bad UTF-8 become visible, and are refused later."""
    with path.open(encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        rows = csv.DictReader(file)
        for row in rows:
            yield rows.line_num, row


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
    if text is not None:
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
