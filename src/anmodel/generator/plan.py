"""When a shopper visits, and how long: promo visits and bursts first, ordinary visits with what is left.

Ordinary visits come in spells of interest: a few days apart within a spell, then a pause. Spells and pauses fill the
shopper's active time from its first moment on; where the events are too many for it, all gaps shrink alike.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from anmodel.generator.behaviour import PROMO_EVERY_DAYS
from anmodel.generator.chance import between, chance_of, exponential, whole
from anmodel.generator.options import Options
from anmodel.generator.shopper import Shopper
from anmodel.generator.shoptime import DAY_MS, HOUR_MS, to_clock, to_shop

ORDINARY, PROMO, BURST = range(3)

SPELL_CONTINUES = 0.65
"""Chance that a visit belongs to the spell of the one before: about three visits a spell."""

SPELLS_SHARE = 0.6
"""Share of the active time that spells take at most; the rest is pauses."""

BURST_EVERY_DAYS = 60
BURST_STEPS = 4
"""Events of a burst before its purchase."""

EVENT_ROOM_MS = 5_000
"""Least time an event is given between two visits, where the active time has that much."""


class Visit(NamedTuple):
    """`start` in milliseconds since the epoch; `size` in events."""

    start: int
    size: int
    kind: int


def promo_windows(shopper: Shopper, options: Options) -> Iterator[tuple[int, int]]:
    """The promo windows within the shopper's active time, newest first."""
    end = int(options.snapshot_date.timestamp() * 1000)
    while end > shopper.start:
        start = end - options.promo_window_days * DAY_MS
        if start < shopper.end:
            yield max(start, shopper.start), min(end, shopper.end)
        end -= PROMO_EVERY_DAYS * DAY_MS


def in_promo(at: int, options: Options) -> bool:
    """Whether a promo window is open at that time."""
    before_now = int(options.snapshot_date.timestamp() * 1000) - at
    return before_now % (PROMO_EVERY_DAYS * DAY_MS) < options.promo_window_days * DAY_MS


def plan_visits(shopper: Shopper, options: Options) -> list[Visit]:
    """The shopper's visits in order; their sizes sum to `shopper.events`, and there is room for each."""
    chance = chance_of(options.seed, shopper.user_uid, "visits")
    special = list(_special(shopper, options, chance)) if shopper.promo or shopper.burst else []
    left = shopper.events - sum(visit.size for visit in special)
    visits = special + _ordinary(shopper, options, chance, left)
    visits.sort()
    return _with_room(visits, shopper)


def _special(shopper: Shopper, options: Options, chance: Random) -> Iterator[Visit]:
    """Promo visits and bursts, in all at most half of the events."""
    budget = shopper.events // 2
    candidates = []
    if shopper.promo:
        candidates += [visit for window in promo_windows(shopper, options) for visit in _promo(window, options, chance)]
    if shopper.burst:
        candidates += list(_bursts(shopper, options, chance))
    for visit in candidates:
        if visit.size <= budget:
            budget -= visit.size
            yield visit


def _promo(window: tuple[int, int], options: Options, chance: Random) -> Iterator[Visit]:
    """1 to 3 visits of 3 to 8 events, at most `promo_max_session_gap_days` apart."""
    start, end = window
    at = between(chance, start, end)
    for _ in range(whole(chance, 1, 3)):
        if at >= end:
            return
        yield Visit(int(at), whole(chance, 3, 8), PROMO)
        at += between(chance, HOUR_MS, max(options.promo_max_session_gap_days, 0.25) * DAY_MS)


def _bursts(shopper: Shopper, options: Options, chance: Random) -> Iterator[Visit]:
    """Bursts, one in two months; most (`burst_force_purchase_prob`) have a purchase at their end."""
    low, high = to_shop(shopper.start), to_shop(shopper.end)
    for _ in range(1 + (shopper.end - shopper.start) // (BURST_EVERY_DAYS * DAY_MS)):
        buys = chance.random() < options.burst_force_purchase_prob
        yield Visit(int(to_clock(between(chance, low, high))), BURST_STEPS + buys, BURST)


def _ordinary(shopper: Shopper, options: Options, chance: Random, events: int) -> list[Visit]:
    sizes = []
    while events > 0:
        sizes.append(min(1 + int(exponential(chance, shopper.cohort.session_extra)), events))
        events -= sizes[-1]
    low, high = to_shop(shopper.start), to_shop(shopper.end)
    starts = _spread(len(sizes), high - low, options, chance)
    return [Visit(int(to_clock(low + at)), size, ORDINARY) for at, size in zip(starts, sizes, strict=True)]


def _spread(count: int, room: float, options: Options, chance: Random) -> list[float]:
    """`count` times from 0 on that leave a pause before `room`."""
    steps: list[tuple[float, float]] = []  # (days within a spell, weight of a pause)
    for _ in range(count - 1):
        if chance.random() < SPELL_CONTINUES:
            gap = whole(chance, 0, options.max_session_gap_days) * DAY_MS + between(chance, 0, 6 * HOUR_MS)
            steps.append((gap, 0.0))
        else:
            steps.append((0.0, exponential(chance, 1.0)))
    spells = sum(gap for gap, _ in steps)
    pauses = sum(weight for _, weight in steps) + exponential(chance, 1.0)
    shrunk = min(1.0, SPELLS_SHARE * room / spells) if spells else 1.0
    pause = (room - spells * shrunk) / pauses
    times = [0.0]
    for gap, weight in steps:
        times.append(times[-1] + gap * shrunk + weight * pause)
    return times


def _with_room(visits: list[Visit], shopper: Shopper) -> list[Visit]:
    """Move visits as little as needed, so that each has time for its events before the next one or the end."""
    events = sum(visit.size for visit in visits)
    each = min(EVENT_ROOM_MS, (shopper.end - shopper.start) // (2 * events))
    starts, free = [], shopper.start
    for visit in visits:
        starts.append(max(visit.start, free))
        free = starts[-1] + visit.size * each
    free = shopper.end
    for at in reversed(range(len(visits))):
        free = starts[at] = min(starts[at], free - visits[at].size * each)
    return [visit._replace(start=start) for visit, start in zip(visits, starts, strict=True)]
