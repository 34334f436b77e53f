"""Manifests: which file of a folder counts. The lake's days of events have one each; together they say up to when."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

import msgspec

EVENTS = "events"
EVENTS_SCHEMA_VERSION = 2
"""Version of the columns and the files of `events/`; a day of another version is exported anew."""

FORMER_MANIFEST = f"{EVENTS}/manifest.json"
"""The one manifest of all days that version 1 had; its days have none of their own, and count as not there."""

_DAY = re.compile(rf"{EVENTS}/date=(\d{{4}}-\d\d-\d\d)/")


class Written(msgspec.Struct, frozen=True):
    """A file in the lake as its manifest names it."""

    bytes: int
    sha256: str

    def path(self, folder: str, stem: str) -> str:
        """Where it is, relative to the lake: its name is made of what it holds, so no other content can have it."""
        return f"{folder}/{stem}-{self.sha256[:16]}.parquet"


class OneFile(msgspec.Struct, frozen=True):
    """The files of a folder that has one."""

    part: Written


class DayEntry(msgspec.Struct, frozen=True):
    """The manifest of one day of events: its file, its newest event, and the fingerprint of the table's rows.

    `oldest` is its first event; None in a manifest that was written before that was noted.
    """

    rows: int
    files: OneFile
    fingerprint: str
    newest: datetime
    exported_at: datetime
    schema_version: int = EVENTS_SCHEMA_VERSION
    oldest: datetime | None = None

    def path(self, day: date) -> str:
        """The day's file, relative to the lake."""
        return self.files.part.path(day_folder(day), "part")

    @property
    def watermark(self) -> datetime:
        """Just after the newest event (its time + 1 ms), but never after the export.

        A visitor's clock may be a day fast, and one event from tomorrow must not make today look like a day without
        purchases.
        """
        return min(self.newest + timedelta(milliseconds=1), self.exported_at)


class EventsManifest(msgspec.Struct, frozen=True):
    """What `events/` holds: its days, oldest first."""

    days: dict[date, DayEntry] = {}

    @classmethod
    def of(cls, days: Mapping[date, DayEntry]) -> Self:
        """The manifest of these days."""
        return cls(days={day: days[day] for day in sorted(days)})

    @property
    def watermark(self) -> datetime | None:
        """Up to when events are there; None when there are none."""
        return max((entry.watermark for entry in self.days.values()), default=None)

    @property
    def rows(self) -> int:
        """Events in all days."""
        return sum(day.rows for day in self.days.values())

    @property
    def fingerprint(self) -> str:
        """A hash equal for equal events, whenever and however they were written."""
        return _fingerprint(self.days)

    def fingerprint_before(self, instant: datetime) -> str:
        """The same of the days that are over at an instant: it changes when events of theirs come late."""
        return _fingerprint(self.over(instant))

    def over(self, instant: datetime) -> dict[date, DayEntry]:
        """The days that are over at an instant, oldest first."""
        return self.within(until=day_bounds(instant.astimezone(UTC).date())[0])

    def within(self, since: datetime | None = None, until: datetime | None = None) -> dict[date, DayEntry]:
        """The days that touch [since, until), oldest first."""
        first = since.astimezone(UTC).date() if since else date.min
        last = (until.astimezone(UTC) - timedelta(microseconds=1)).date() if until else date.max
        return {day: self.days[day] for day in sorted(self.days) if first <= day <= last}

    def paths(self, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        """The files of the days that touch [since, until), relative to the lake, oldest first."""
        return [entry.path(day) for day, entry in self.within(since, until).items()]


def _fingerprint(days: Mapping[date, DayEntry]) -> str:
    text = json.dumps([[day.isoformat(), days[day].rows, days[day].fingerprint] for day in sorted(days)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def day_folder(day: date) -> str:
    """The folder of one UTC day of events, relative to the lake."""
    return f"{EVENTS}/date={day.isoformat()}"


def day_of(path: str) -> date | None:
    """The day whose folder a file lies in; None for any other file."""
    found = _DAY.match(path)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """A UTC day as instants [start, end)."""
    start = datetime.combine(day, time.min, tzinfo=UTC)
    return start, start + timedelta(days=1)
