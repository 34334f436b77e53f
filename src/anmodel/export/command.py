"""`anmodel export`."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from anmodel.errors import InputError
from anmodel.settings import ExportSettings
from anmodel.telemetry import configure_logging


def command(
    day: Annotated[str | None, typer.Option(help="Only this day, YYYY-MM-DD (UTC).")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First day. [the newest EXPORT_DAYS days]")] = None,
    until: Annotated[str | None, typer.Option(help="Day to stop before. [none]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write days anew even if they did not change.")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take from the lake, too, what ClickHouse no longer holds of these days.")
    ] = False,
    users: Annotated[bool, typer.Option(help="Export the users table too.")] = True,
) -> None:
    """Bring the lake's days of events to what ClickHouse holds: changed days are written.

    Days that ClickHouse holds no longer, or only in part, stay in the lake unless --remove is given; so do days outside
    the range. Safe to repeat, to kill, and to run several times at once.
    """
    from anmodel.export.events import export_events
    from anmodel.export.table import EventsTable
    from anmodel.export.users import export_users
    from anmodel.lake import Lake
    from anmodel.progress import ProgressLine
    from anmodel.warehouse import Warehouse

    settings = ExportSettings.load()
    configure_logging(settings)
    since, end = days_asked(day, from_, until, today=datetime.now(UTC).date(), export_days=settings.export_days)
    lake = Lake(settings.parquet_out)
    table = EventsTable(Warehouse.connect(settings), rows_a_group=settings.parquet_batch)
    with ProgressLine("export", unit="rows") as line:
        done = export_events(table, lake, since=since, until=end, force=force, remove=remove, progress=line.show)
    kept = f", {len(done.kept)} kept that ClickHouse no longer holds whole" if done.kept else ""
    repeated = "" if done.repeated_ids is None else f"; {done.repeated_ids} event ids stand for more than one event"
    typer.echo(
        f"events: {done.rows} rows in {len(done.written)} days written, {done.unchanged} days unchanged, "
        f"{len(done.removed)} removed{kept}{repeated}"
    )
    if users:
        typer.echo(export_users(settings, lake))


def days_asked(
    day: str | None, first: str | None, until: str | None, *, today: date, export_days: int
) -> tuple[date, date | None]:
    """The range of days [first, until) that the options ask for; `until` None is open."""
    if day and (first or until):
        raise InputError("--day goes alone, without --from and --until")
    if day:
        only = _day("--day", day)
        return only, only + timedelta(days=1)
    since = _day("--from", first) if first else today - timedelta(days=export_days - 1)
    end = _day("--until", until) if until else None
    if end is not None and end <= since:
        raise InputError(f"--until {end} must be after the first day, {since}: it is the day to stop before")
    return since, end


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{option} {text!r}: allowed is a day as 2026-01-31") from error
