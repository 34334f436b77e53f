"""Build the daily snapshot: every user's features as of an instant."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import structlog

from anmodel.errors import NotReadyError
from anmodel.lake import Lake
from anmodel.snapshot.engine import Engine, quoted, split_by_users
from anmodel.snapshot.sources import fingerprint, known_events, open_events, open_trends
from anmodel.snapshots import contract, daily_sql, snapshot_version
from anmodel.snapshots.daily import DailySnapshot, day_folder, point, pointers

log = structlog.get_logger()

_EVENTS_A_CHUNK = 2_000_000


def build_daily(
    lake: Lake,
    engine: Engine,
    scratch: Path,
    *,
    as_of: datetime | None,
    horizon_days: int,
    progress: Callable[[int, str], None],
) -> dict[str, Any]:
    """Write the day's snapshot and its manifest, replacing the one before, and return the manifest.

    `as_of` (aware) is by default just after the lake's newest event; then this snapshot is the newest from now on. One
    whose `as_of` was asked for is so only if no other is of a later instant. Of several at once for one day, the one
    that ends last counts.
    """
    former = pointers(lake)
    manifest, watermark = known_events(lake)
    asked, as_of = as_of, (as_of or watermark).astimezone(UTC)
    chunks = max(1, -(-manifest.rows // _EVENTS_A_CHUNK))
    with open_events(lake, engine, manifest, until=as_of) as source, open_trends(lake) as trends:
        created_from = fingerprint(engine, manifest, trends)
        rows = 0
        for done, part in enumerate(split_by_users(engine, source, "1", scratch, chunks), 1):
            chunk = scratch / f"chunk-{done}.parquet"
            engine.write(chunk, daily_sql(part, as_of, trends=trends))
            rows += pq.read_metadata(chunk).num_rows
            progress(rows, f"part {done} of {chunks}")
    target = scratch / "daily.parquet"
    engine.write(target, f"SELECT * FROM file('{quoted(str(scratch))}/chunk-*.parquet', 'Parquet') ORDER BY user_id")
    folder = day_folder(as_of.date())
    users = pq.read_metadata(target).num_rows
    written = lake.add_file(folder, "part", target)
    result = {
        "version": snapshot_version(horizon_days),
        "snapshot_time": as_of.isoformat(),
        "horizon_days": horizon_days,
        "users": users,
        "created_from": created_from,
        "past_events": manifest.fingerprint_before(as_of),
        "contract": contract(horizon_days),
        "folder": folder,
        "files": {"part": msgspec.to_builtins(written)},
    }
    lake.write_json(f"{folder}/manifest.json", result)
    point(lake, result, as_of, instead_of=None if asked else former)
    return result


def newest_instant(lake: Lake) -> datetime | None:
    """The instant of the newest daily snapshot; None before the first."""
    try:
        return DailySnapshot.newest(lake).instant
    except NotReadyError:
        return None
