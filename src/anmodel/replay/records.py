"""What a reader yields: an event, or why there is none, with the line it came from."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from anmodel.errors import EventRefused
from anmodel.events import Event, decode_event

KEPT_FAULTS = 10
"""Faults reported one by one."""

# How old an event may be is the collector's to say, and for events about to be shifted it does not matter.
_ANY_AGE_DAYS = 100_000


class Record(NamedTuple):
    """`line` counts from 1 (a row's number in Parquet). Exactly one of `event` and `fault` is set."""

    line: int
    event: Event | None
    fault: str = ""


Records = Iterator[Record]


class Faults:
    """Counts lines that hold no event, and keeps the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[tuple[int, str]] = []
        self.kinds: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Count a record with a fault."""
        self.count += 1
        self.kinds[record.fault.partition(":")[0]] += 1
        if len(self.first) < KEPT_FAULTS:
            self.first.append((record.line, record.fault))

    def summary(self) -> str:
        """What to tell at the end."""
        kinds = ", ".join(f"{count:,} × {kind}" for kind, count in self.kinds.most_common())
        lines = [f"{self.count:,} lines hold no event ({kinds}):"]
        lines += [f"  line {line}: {fault}" for line, fault in self.first]
        return "\n".join(lines + (["  …"] if self.count > len(self.first) else []))


def read_event(line: int, raw: bytes) -> Record:
    """The record of one event's JSON, judged as the collector judges it, but for its age."""
    try:
        return Record(line, decode_event(raw, now=datetime.now(UTC), max_age_days=_ANY_AGE_DAYS))
    except EventRefused as refused:
        return Record(line, None, str(refused))


def make_event(line: int, wire: dict[str, Any]) -> Record:
    """The record of an event given as the values of its wire form."""
    try:
        return read_event(line, msgspec.json.encode(wire))
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        return Record(line, None, f"body: {error}")
