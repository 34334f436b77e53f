"""Which instants a training snapshot has, and which of them train, validate and test. Pure computing.

Time runs left to right; every label of one part ends before the first instant of the next::

    first event    train           embargo   val      embargo   test        watermark
    |--- warm-up ---|----- 70 % -----|-- H --|-- 15 % --|-- H --|-- 15 % --|-- H --|

A history too short for that (less than three horizons and the warm-up) is split by users instead: same instants, each
user in one part only.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from anmodel.errors import InputError
from anmodel.lake.manifest import day_bounds

PARTS = ("train", "val", "test")
SHARES = (0.70, 0.15, 0.15)
_DAY = timedelta(days=1)
_WARM_UP_MIN, _WARM_UP_MAX = timedelta(days=1), timedelta(days=30)
_STRAY = 0.01


class Plan(msgspec.Struct, frozen=True):
    """The instants of each part, oldest first. Split by "users", all parts have the same instants."""

    split: Literal["time", "users"]
    step_days: int
    instants: dict[str, list[datetime]]

    @property
    def all_instants(self) -> list[datetime]:
        """Every instant once, oldest first."""
        return sorted({instant for part in self.instants.values() for instant in part})

    def known_until(self, watermark: datetime) -> list[datetime]:
        """For each of all instants, until when its row may know what happened: the next part begins then."""
        if self.split == "users":
            return [watermark] * len(self.all_instants)
        ends = [*(self.instants[part][0] for part in PARTS[1:]), watermark]
        return [end for part, end in zip(PARTS, ends, strict=True) for _ in self.instants[part]]


def beginning(first: datetime, watermark: datetime, events: Mapping[date, int]) -> datetime:
    """When the shop's history begins: with its first event, unless that is one of a few from long before.

    A visitor's clock may be years slow. If the oldest hundredth of the events takes more than a tenth of the time, it
    begins after them. `events` are those of each UTC day that is over at the watermark.
    """
    left = _STRAY * sum(events.values())
    for day in sorted(events):
        left -= events[day]
        if left < 0:
            start, _ = day_bounds(day)
            return start if start - first > (watermark - first) / 10 else first
    return first


def plan(first: datetime, watermark: datetime, *, horizon_days: int, most_instants: int) -> Plan:
    """Lay instants over a history from its first event to just after its last.

    The newest is the watermark less the horizon, the last whose labels are complete; the others lie whole days before
    it, so that all have the time of day that a daily snapshot taken now would have. Raises `InputError` when the
    history is no longer than the horizon and a day.
    """
    horizon = timedelta(days=horizon_days)
    length = watermark - first
    if length < horizon + _DAY:
        raise InputError(
            f"the lake's events span {length / _DAY:.1f} days, from {first:%Y-%m-%d} to {watermark:%Y-%m-%d}; training "
            f"on a horizon of {horizon_days} days needs at least {horizon_days + 1}. Collect for longer, or set "
            "HORIZON_DAYS lower"
        )
    warm_up = min(max(length / 10, _WARM_UP_MIN), _WARM_UP_MAX)
    free = length - warm_up - 3 * horizon
    if free < timedelta(0):
        return _by_users(first + warm_up, watermark - horizon, most_instants)
    return _by_time(free, watermark - horizon, horizon, most_instants)


def _by_time(free: timedelta, last: datetime, horizon: timedelta, most_instants: int) -> Plan:
    step = _step(-(-free // _DAY), most_instants - len(PARTS))
    instants: dict[str, list[datetime]] = {}
    for part, share in reversed(list(zip(PARTS, SHARES, strict=True))):
        instants[part] = _back_from(last, int(share * (free / _DAY)), step)
        last = instants[part][0] - horizon
    return Plan(split="time", step_days=step, instants={part: instants[part] for part in PARTS})


def _by_users(first: datetime, last: datetime, most_instants: int) -> Plan:
    days = max((last - first) // _DAY, 0)
    step = _step(days, most_instants - 1)
    instants = _back_from(last, days, step)
    return Plan(split="users", step_days=step, instants=dict.fromkeys(PARTS, instants))


def _step(days: int, gaps: int) -> int:
    """Whole days between instants, at least one, never whole weeks: every weekday shall occur."""
    step = max(1, -(-days // max(gaps, 1)))
    return step + 1 if step % 7 == 0 else step


def _back_from(last: datetime, days: int, step: int) -> list[datetime]:
    """`last` and every `step` days before it, over at most `days` days; oldest first."""
    return [last - timedelta(days=back) for back in range(0, days + 1, step)][::-1]
