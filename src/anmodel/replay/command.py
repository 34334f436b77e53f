"""`anmodel replay`."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from anmodel.errors import InputError
from anmodel.settings import GeneratorSettings, LaptopSettings
from anmodel.telemetry import configure_logging

if TYPE_CHECKING:
    from anmodel.client import CollectorClient
    from anmodel.events import Event
    from anmodel.replay.records import Faults, Record
    from anmodel.users import UsersTable

_NEW_USERS = 1000

log = structlog.get_logger()


def command(
    source: Annotated[
        str, typer.Argument(metavar="FILE|completejourney", help="A file of events, or a data set's name.")
    ],
    url: Annotated[str | None, typer.Option(help="The collector's /collect; default COLLECTOR_URL.")] = None,
    format: Annotated[
        str, typer.Option(help="ndjson, csv, parquet (our own), retailrocket, rees46, otto; empty: see.")
    ] = "",
    shift_to_now: Annotated[
        bool, typer.Option("--shift-to-now", help="Move all events by whole days to end now.")
    ] = False,
    shift_to: Annotated[str, typer.Option(help="Move all events by whole days to end at this ISO time (UTC).")] = "",
    rate: Annotated[float | None, typer.Option(min=0.01, help="Events a second at most.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Events in a request.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 4,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many lines.")] = None,
    add_users: Annotated[bool, typer.Option(help="Add unknown users to the users table.")] = True,
) -> None:
    """Send the events of a file through the collector, in the file's order.

    Events keep their ids, so replaying again changes nothing, unless --shift-to-now gives them other times: to repeat
    on another day what you replayed before, give the same --shift-to. completejourney is moved to end now if nothing
    else is said, since its events are from 2017.

    Lines that hold no event are reported, the rest goes on; ends with 1 if there were any, or if the collector refused
    or did not confirm an event.
    """
    from anmodel.replay.completejourney import NAME, PROVENANCE, fetch
    from anmodel.replay.formats import READERS, count_rows, detect_format

    settings = GeneratorSettings.load(collector_url=url)
    configure_logging(settings)
    if source == NAME:
        typer.echo(PROVENANCE)
        path, kind = fetch(LaptopSettings.load().anmodel_cache), NAME
    else:
        path = Path(source)
        kind = format or detect_format(path)
    if kind not in READERS:
        raise InputError(f"--format is {kind!r}; allowed: {', '.join(READERS)}")
    if not path.is_file():
        raise InputError(f"{path} is no file; give a file, or the name {NAME}")
    end = _end(shift_to, shift_to_now or kind == NAME)
    shift = _shift(islice(READERS[kind](path), limit), end) if end else timedelta(0)
    users = _users(settings) if add_users else None
    total = min(count_rows(path, kind) or 0, limit or 1 << 62) or None
    client = _client(settings, batch, concurrency, rate)
    _replay(islice(READERS[kind](path), limit), shift, users, total, client)


def _client(settings: GeneratorSettings, batch: int, concurrency: int, rate: float | None) -> "CollectorClient":
    from anmodel.client import CollectorClient, SendOptions

    key = settings.collector_key.get_secret_value()
    return CollectorClient(settings.collector_url, SendOptions(batch, concurrency, rate=rate, key=key))


def _replay(
    records: "Iterable[Record]",
    shift: timedelta,
    users: "UsersTable | None",
    total: int | None,
    client: "CollectorClient",
) -> None:
    from anmodel.events import encode_event
    from anmodel.progress import ProgressLine
    from anmodel.replay.records import Faults
    from anmodel.replay.shifting import shifted

    faults = Faults()
    events = shifted(_sound(records, faults), shift)
    if users is not None:
        events = _noting_users(events, users)
    with ProgressLine("replaying", total) as progress:
        report = client.send_all(map(encode_event, events), lambda now: progress.show(now.accepted, now.note))
    typer.echo(report.summary())
    if faults.count:
        typer.echo(faults.summary())
    if faults.count or not report.complete:
        raise typer.Exit(1)


def _sound(records: "Iterable[Record]", faults: "Faults") -> "Iterator[Event]":
    """The events; lines without one are counted."""
    for record in records:
        if record.event is None:
            faults.add(record)
        else:
            yield record.event


def _noting_users(events: "Iterable[Event]", table: "UsersTable") -> "Iterator[Event]":
    """The events unchanged; whoever is in them is added to the table before the stream ends."""
    known: set[str] = set()
    new: list[tuple[str, str]] = []
    added = 0
    for event in events:
        if event.user_id not in known:
            known.add(event.user_id)
            new.append((event.user_id, event.region))
            if len(new) >= _NEW_USERS:
                added += table.add(new)
                new.clear()
        yield event
    added += table.add(new)
    log.info("users noted", seen=len(known), added=added)


def _users(settings: GeneratorSettings) -> "UsersTable":
    from anmodel.users import UsersTable

    table = UsersTable.of(settings)
    table.create()
    return table


def _shift(records: "Iterable[Record]", end: datetime) -> timedelta:
    from anmodel.replay.shifting import last_instant, shift_to

    last = last_instant(records)
    shift = shift_to(end, last) if last else timedelta(0)
    log.info("events moved in time", days=shift.days, last_event=str(last + shift) if last else "none")
    return shift


def _end(text: str, to_now: bool) -> datetime | None:
    """Where the events shall end; None: where they do."""
    if not text:
        return datetime.now(UTC) if to_now else None
    try:
        end = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--shift-to is {text!r}; allowed: YYYY-MM-DD or an ISO 8601 time") from error
    return end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)
