"""Bring the lake's days of events to what the table holds."""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

import msgspec
import pyarrow.parquet as pq
import structlog

from anmodel.export.table import EventsTable, TableDay
from anmodel.lake import DayEntry, Found, Lake, OneFile
from anmodel.lake.manifest import EVENTS, EVENTS_SCHEMA_VERSION, FORMER_MANIFEST, day_folder, day_of
from anmodel.lake.reading import copy_manifests, days_among, manifest_of
from anmodel.lake.sweeping import sweep, sweep_temporary

log = structlog.get_logger()

_CHUNK = 1 << 20


class Exported(msgspec.Struct, frozen=True):
    """What an export did. `written`, `removed` and `kept` are days; `rows` and `bytes` are those written.

    `kept` are days that the lake has, and the table not any more, or a part of them only.

    `repeated_ids` counts the event ids of the range that came again with another user, time or content, all of which
    are kept; None when nothing had changed, and nobody counted.
    """

    written: list[date]
    removed: list[date]
    kept: list[date]
    unchanged: int
    rows: int
    bytes: int
    repeated_ids: int | None


class Plan(msgspec.Struct, frozen=True):
    """Days to write anew, days to remove, and days of the lake to keep although the table has less of them."""

    write: list[date]
    remove: list[date]
    keep: list[date]


def plan(
    table: Mapping[date, TableDay],
    known: Mapping[date, DayEntry],
    sizes: Mapping[str, int],
    *,
    force: bool = False,
    remove: bool = False,
) -> Plan:
    """Compare the table's days with the lake's: their manifests, and the bytes of the files that are there.

    All three are of the same range of days. Nothing is taken from the lake unless `remove`: the table may have less of
    a day because its retention ends there, or because it was made anew, and then the lake is the only copy.
    """
    whole = {day: entry for day, entry in known.items() if sizes.get(entry.path(day)) == entry.files.part.bytes}
    cut = {day for day, entry in whole.items() if day in table and _less(table[day], entry)}
    listed = {day for path in sizes if (day := day_of(path)) and path == manifest_of(day)}
    gone = listed - table.keys()
    changed = {day for day in table if force or day not in whole or not _same(table[day], whole[day])}
    if remove:
        return Plan(write=sorted(changed), remove=sorted(gone), keep=[])
    return Plan(write=sorted(changed - cut), remove=[], keep=sorted(gone | cut))


def _same(held: TableDay, entry: DayEntry) -> bool:
    return entry.fingerprint == held.fingerprint and entry.schema_version == EVENTS_SCHEMA_VERSION


def _less(held: TableDay, entry: DayEntry) -> bool:
    """Whether the table lacks events of the day that the lake has: of what is lost to age, the first go first."""
    return held.rows < entry.rows or (entry.oldest is not None and held.oldest > entry.oldest)


def export_events(
    table: EventsTable,
    lake: Lake,
    *,
    since: date,
    until: date | None,
    force: bool,
    remove: bool = False,
    progress: Callable[[int, str], None],
) -> Exported:
    """Write the days of [since, until) that changed; days of which the table has less than the lake stay.

    With `remove` those are brought to what the table has, too: written anew, or removed. Days outside the range stay as
    they are; any number of exports may run at once. Killed anywhere, the next run ends in the same files: a day's
    manifest is written after its file, and carries the fingerprint from before the file was read. `progress` is told
    rows done and how far that is.
    """
    sweep_temporary(lake)
    found = lake.found(EVENTS)
    former = FORMER_MANIFEST in found
    if former:
        log.warning("lake of a former version: every day is written anew", schema_version=EVENTS_SCHEMA_VERSION)
    there = {path: file for path, file in found.items() if (day := day_of(path)) and _in(day, since, until)}
    sweep(lake, there)
    # The table after the lake: a day that another export writes between the two is none to remove.
    known = days_among(lake, found, wanted=lambda day: _in(day, since, until), lenient=True)
    held = table.days(since, until)
    planned = plan(held, known, _sizes(there), force=force, remove=remove)
    if planned.keep:
        log.warning(
            "days kept that the table no longer has whole",
            days=len(planned.keep),
            first=planned.keep[0].isoformat(),
            last=planned.keep[-1].isoformat(),
            hint="--remove takes from the lake, too, what is missing in the table",
        )
    done, size, total = 0, 0, sum(held[day].rows for day in planned.write)
    for day in planned.write:
        entry = _write_day(table, lake, day, held[day])
        done, size = done + entry.rows, size + entry.files.part.bytes
        progress(done, f"of {total:,}, {day}")
    for day in planned.remove:  # its file is swept later: somebody may be reading it
        lake.delete(manifest_of(day))
    if former and until is None:
        lake.delete(FORMER_MANIFEST)
    changed = bool(planned.write or planned.remove)
    if changed:
        copy_manifests(lake)
    repeated = table.repeated_ids(since, until) if changed else None
    if repeated:
        log.warning("event ids used more than once", ids=repeated, kept="all; they differ in user or time")
    return Exported(
        written=planned.write,
        removed=planned.remove,
        kept=planned.keep,
        unchanged=len(held) - len(planned.write) - len(held.keys() & set(planned.keep)),
        rows=done,
        bytes=size,
        repeated_ids=repeated,
    )


def _write_day(table: EventsTable, lake: Lake, day: date, held: TableDay) -> DayEntry:
    with lake.staging() as made:
        with table.parquet(day) as source, made.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
        rows = pq.read_metadata(made).num_rows
        written = lake.add_file(day_folder(day), "part", made)
    if rows != held.rows:
        log.info("day changed while it was exported", day=day.isoformat(), rows=rows, rows_before=held.rows)
    entry = DayEntry(
        rows=rows,
        files=OneFile(written),
        fingerprint=held.fingerprint,
        oldest=held.oldest,
        newest=held.newest,
        exported_at=datetime.now(UTC),
    )
    lake.write_json(manifest_of(day), msgspec.to_builtins(entry))
    return entry


def _sizes(found: Mapping[str, Found]) -> dict[str, int]:
    return {path: file.bytes for path, file in found.items()}


def _in(day: date, since: date, until: date | None) -> bool:
    return since <= day and (until is None or day < until)
