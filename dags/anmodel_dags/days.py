"""Which days a run exports, in which pieces, and of which instant a forecast may then be."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

MOST_PIECES = 1000
"""Pods that one run may be mapped to; Airflow itself refuses more than 1024."""


@dataclass(frozen=True)
class Days:
    """The days from `first` to `last`, both included."""

    first: date
    last: date


def days_asked(first_day: str | None, last_day: str | None, *, late_days: int, last: date, today: date) -> Days:
    """The days that a form asks for; a day left empty: `last`, and `late_days` days before the last one.

    Raises ValueError for what is no day, for days in the wrong order, and for days that have not begun.
    """
    end = _day("last_day", last_day) if last_day else last
    begin = _day("first_day", first_day) if first_day else end - timedelta(days=late_days)
    if begin > end:
        raise ValueError(f"first_day {begin} is after last_day {end}; give them the other way round")
    if end > today:
        raise ValueError(f"last_day {end} has not begun; allowed is {today} (UTC) at most")
    return Days(begin, end)


def pieces(days: Days, size: int) -> list[Days]:
    """The days in pieces of `size` days, the oldest first; the last piece may be shorter. Raises ValueError."""
    count = -(-((days.last - days.first).days + 1) // size)
    if count > MOST_PIECES:
        raise ValueError(f"days_a_task {size} makes {count} tasks; allowed are {MOST_PIECES}, so give more days a task")
    begins = [days.first + timedelta(days=size * number) for number in range(count)]
    return [Days(begin, min(begin + timedelta(days=size - 1), days.last)) for begin in begins]


def export_arguments(days: Days, size: int, *, force: bool, remove: bool) -> list[list[str]]:
    """The arguments of each export. The users' table is a task of its own: it is the same whatever the days."""
    options = ["--no-users", *(["--force"] if force else []), *(["--remove"] if remove else [])]
    return [_export(piece, *options) for piece in pieces(days, size)]


def _export(piece: Days, *options: str) -> list[str]:
    until = piece.last + timedelta(days=1)  # the command's --until is the day to stop before
    return ["export", "--from", piece.first.isoformat(), "--until", until.isoformat(), *options]


def as_of(days: Days, today: date) -> str:
    """The midnight after the last day, ISO 8601; empty when that is today, whose end is not known yet.

    The earliest instant that a forecast with these days may be of: after days of the past it is of a later one, that of
    the snapshot before (`forecasts.snapshot_arguments`).
    """
    if days.last >= today:
        return ""
    return datetime.combine(days.last + timedelta(days=1), time(), UTC).isoformat()


def newest(instants: Iterable[str]) -> str:
    """The newest of what `as_of` gave, where empty is newer than any; empty, too, when there is none."""
    given = list(instants)
    return "" if not given or "" in given else max(given, key=instant)


def instant(text: str) -> datetime:
    """An instant of a form; a date or a time without a zone is UTC. Raises ValueError."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"as_of {text!r}: allowed is ISO 8601, as 2026-01-31 or 2026-01-31T09:30:00+00:00") from error
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{name} {text!r}: allowed is a day as 2026-01-31") from error
