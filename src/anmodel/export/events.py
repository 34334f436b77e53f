"""Bring the lake's days of events to what the table holds."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime

import msgspec
import pyarrow.parquet as pq
import structlog

from anmodel.errors import LakeError
from anmodel.export.table import EventsTable, TableDay
from anmodel.lake import Lake
from anmodel.lake.manifest import EVENTS_SCHEMA_VERSION, DayEntry, EventsManifest, events_path

log = structlog.get_logger()

_CHECKPOINT_SECONDS = 20.0


class Exported(msgspec.Struct, frozen=True):
    """What an export did. `written` are days, `rows` and `bytes` those written, `repeated_ids` of the whole range."""

    written: list[date]
    removed: list[date]
    unchanged: int
    rows: int
    bytes: int
    repeated_ids: int


class Plan(msgspec.Struct, frozen=True):
    """Days to write anew and days to remove."""

    write: list[date]
    remove: list[date]


def plan(table: dict[date, TableDay], manifest: EventsManifest, sizes: dict[date, int], *, force: bool = False) -> Plan:
    """Compare the table's days with the lake's: its manifest, and the sizes of the files that are there.

    All three are of the same range of days.
    """

    def stands(day: date) -> bool:
        entry = manifest.days.get(day)
        return (
            entry is not None
            and entry.fingerprint == table[day].fingerprint
            and entry.schema_version == EVENTS_SCHEMA_VERSION
            and sizes.get(day) == entry.bytes
        )

    return Plan(
        write=[day for day in sorted(table) if force or not stands(day)],
        remove=sorted((manifest.days.keys() | sizes.keys()) - table.keys()),
    )


def export_events(
    table: EventsTable,
    lake: Lake,
    *,
    since: date,
    until: date | None,
    force: bool,
    progress: Callable[[int, str], None],
) -> Exported:
    """Write the days of [since, until) that changed, remove those the table no longer has, and write the manifest.

    Days outside the range stay as they are. Killed anywhere, the next run ends in the same files: a day's entry is
    written after its file, and carries the fingerprint from before the file was read. `progress` is told rows done and
    how far that is.
    """
    lake.sweep()
    held, before = table.days(since, until), _manifest(lake, force=force)
    known = EventsManifest(days={day: entry for day, entry in before.days.items() if _in(day, since, until)})
    planned = plan(held, known, _sizes(lake, since, until), force=force)
    days, done, size = dict(before.days), 0, 0
    total, saved = sum(held[day].rows for day in planned.write), time.monotonic()
    for day in planned.write:
        days[day] = _write_day(table, lake, day, held[day])
        done, size = done + days[day].rows, size + days[day].bytes
        progress(done, f"of {total:,}, {day}")
        if time.monotonic() - saved > _CHECKPOINT_SECONDS:
            _save(lake, days, before.repeated_ids)
            saved = time.monotonic()
    for day in planned.remove:
        days.pop(day, None)
        lake.delete(events_path(day))
    changed = bool(planned.write or planned.remove)
    repeated = table.repeated_ids(since, until) if changed else before.repeated_ids
    if changed or before.exported_at is None:
        _save(lake, days, repeated)
    if repeated:
        log.warning("event ids used more than once", ids=repeated, kept="all; they differ in user or time")
    return Exported(
        written=planned.write,
        removed=planned.remove,
        unchanged=len(held) - len(planned.write),
        rows=done,
        bytes=size,
        repeated_ids=repeated,
    )


def _manifest(lake: Lake, *, force: bool) -> EventsManifest:
    """The lake's manifest; by `force` a damaged one counts as none, and is written anew."""
    try:
        return lake.events_manifest()
    except LakeError as error:
        if not force:
            raise
        log.warning("manifest made anew", reason=str(error))
        return EventsManifest()


def _write_day(table: EventsTable, lake: Lake, day: date, held: TableDay) -> DayEntry:
    relative = events_path(day)
    with table.parquet(day) as source:
        written = lake.write_file(relative, source)
    with lake.open(relative) as file:
        rows = pq.read_metadata(file).num_rows
    if rows != held.rows:
        log.info("day changed while it was exported", day=day.isoformat(), rows=rows, rows_before=held.rows)
    return DayEntry(
        rows=rows, bytes=written.bytes, sha256=written.sha256, fingerprint=held.fingerprint, newest=held.newest
    )


def _save(lake: Lake, days: dict[date, DayEntry], repeated_ids: int) -> None:
    now = datetime.now(UTC)
    lake.write_events_manifest(EventsManifest.of(days, exported_at=now, repeated_ids=repeated_ids))


def _sizes(lake: Lake, since: date, until: date | None) -> dict[date, int]:
    """Bytes of each day's file that is there, in the range; other files are none of ours."""
    found: dict[date, int] = {}
    for name, size in lake.sizes("events").items():
        folder = name.split("/")[1].removeprefix("date=")
        try:
            day = date.fromisoformat(folder)
        except ValueError:
            continue
        if name == events_path(day) and _in(day, since, until):
            found[day] = size
    return found


def _in(day: date, since: date, until: date | None) -> bool:
    return since <= day and (until is None or day < until)
