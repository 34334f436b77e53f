"""The manifest of the lake's events: which days there are, how much of each, and up to when."""

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

import msgspec

EVENTS_SCHEMA_VERSION = 1
"""Version of the columns of `events/`; a day of another version is exported anew."""


class DayEntry(msgspec.Struct, frozen=True):
    """One day of events: its file's size and checksum, its newest event, and the fingerprint of the table's rows."""

    rows: int
    bytes: int
    sha256: str
    fingerprint: str
    newest: datetime
    schema_version: int = EVENTS_SCHEMA_VERSION


class EventsManifest(msgspec.Struct, frozen=True):
    """What `events/` holds, and up to when: the `watermark`, None when there are no events.

    It is just after the newest event (its time + 1 ms), but never after the export: a visitor's clock may be a day
    fast, and one event from tomorrow must not make today look like a day without purchases.

    `repeated_ids` counts the event ids that came again with another user, time or content; all are kept.
    """

    days: dict[date, DayEntry] = {}
    watermark: datetime | None = None
    exported_at: datetime | None = None
    repeated_ids: int = 0

    @classmethod
    def of(cls, days: dict[date, DayEntry], *, exported_at: datetime, repeated_ids: int) -> Self:
        """The manifest of these days, with their watermark."""
        newest = max((entry.newest for entry in days.values()), default=None)
        watermark = min(newest + timedelta(milliseconds=1), exported_at) if newest else None
        ordered = {day: days[day] for day in sorted(days)}
        return cls(days=ordered, watermark=watermark, exported_at=exported_at, repeated_ids=repeated_ids)

    @property
    def rows(self) -> int:
        """Events in all days."""
        return sum(day.rows for day in self.days.values())

    @property
    def fingerprint(self) -> str:
        """A hash equal for equal events, whenever and however they were written."""
        text = json.dumps(
            [[day.isoformat(), self.days[day].rows, self.days[day].fingerprint] for day in sorted(self.days)]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def within(self, since: datetime | None = None, until: datetime | None = None) -> dict[date, DayEntry]:
        """The days that touch [since, until), oldest first."""
        first = since.astimezone(UTC).date() if since else date.min
        last = (until.astimezone(UTC) - timedelta(microseconds=1)).date() if until else date.max
        return {day: self.days[day] for day in sorted(self.days) if first <= day <= last}


def events_path(day: date) -> str:
    """The file of one UTC day of events, relative to the lake."""
    return f"events/date={day.isoformat()}/part-0.parquet"


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """A UTC day as instants [start, end)."""
    start = datetime.combine(day, time.min, tzinfo=UTC)
    return start, start + timedelta(days=1)
