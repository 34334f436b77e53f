"""Moves events in time by whole days, so that the last one falls just before a given end. Hours stay as they were."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from anmodel.errors import InputError
from anmodel.events import Event
from anmodel.replay.records import Record

_DAY = timedelta(days=1)


def last_instant(records: Iterable[Record]) -> datetime | None:
    """The newest event's time, None when there is no event."""
    return max((record.event.ts for record in records if record.event is not None), default=None)


def shift_to(end: datetime, last: datetime) -> timedelta:
    """Whole days that bring `last` to at most a day before `end`, never past it."""
    return (end - last) // _DAY * _DAY


def shifted(events: Iterable[Event], shift: timedelta) -> Iterator[Event]:
    """The events, each moved by `shift`."""
    for event in events:
        try:
            yield msgspec.structs.replace(event, ts=event.ts + shift)
        except OverflowError as error:
            raise InputError(f"event {event.event_id} of {event.ts} cannot be moved by {shift.days} days") from error
