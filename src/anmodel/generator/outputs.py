"""Writes events to a file: NDJSON in the wire form, or Parquet with one column a field.

Parquet's columns: event_id, event_type, timestamp (ms, UTC), session_id, user_id, region, item_id, price, properties
(JSON). A file appears under its name only once it is whole.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from anmodel.errors import InputError
from anmodel.events import Event, encode_event, encode_properties
from anmodel.progress import ProgressLine

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 20_000


def write_events(events: Iterable[Event], path: Path, progress: ProgressLine) -> int:
    """Write all events, replacing the file; the number written. `path` ends in .ndjson, .jsonl or .parquet."""
    writers = {".ndjson": _write_ndjson, ".jsonl": _write_ndjson, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise InputError(f"--out is {path}; allowed: a name that ends in {', '.join(writers)}")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        written = 0
        for written in writers[path.suffix](_blocks(events), unfinished):
            progress.show(written)
        unfinished.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"--out is {path}, which cannot be written: {error}")


def _blocks(events: Iterable[Event]) -> Iterator[list[Event]]:
    rest = iter(events)
    while block := list(islice(rest, _BLOCK)):
        yield block


def _write_ndjson(blocks: Iterable[list[Event]], path: Path) -> Iterator[int]:
    written = 0
    with path.open("wb") as file:
        for block in blocks:
            file.writelines(encode_event(event) + b"\n" for event in block)
            written += len(block)
            yield written


def _write_parquet(blocks: Iterable[list[Event]], path: Path) -> Iterator[int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [(name, pa.string()) for name in ("event_id", "event_type")]
        + [("timestamp", pa.timestamp("ms", "UTC"))]
        + [(name, pa.string()) for name in ("session_id", "user_id", "region", "item_id")]
        + [("price", pa.float64()), ("properties", pa.string())]
    )
    written = 0
    with pq.ParquetWriter(path, schema) as writer:
        for block in blocks:
            writer.write_batch(_batch(block, schema))
            written += len(block)
            yield written


def _batch(block: list[Event], schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    columns = [[getattr(event, "ts" if name == "timestamp" else name) for event in block] for name in schema.names[:6]]
    columns.append([event.item_id or None for event in block])
    columns.append([event.price for event in block])
    columns.append([encode_properties(event) for event in block])
    return pa.record_batch(columns, schema=schema)
