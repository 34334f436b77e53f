"""The chance, by the generator's own rules, that a shopper buys within a horizon.

The visits of the horizon are given (planned, or drawn anew); what a shopper does in them is a Markov chain, so the
chance is computed, not counted: a visit's first event may be a purchase if a cart is open, a later one only after an
add_to_cart.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NEVER = -np.inf
ADD_TO_CART, PURCHASE, KINDS = 2, 3, 6
OPEN_CART_MS = 7 * DAY_MS
EVENT_MS, BURST_EVENT_MS = 455_000, 52_500
"""Mean time from one event of a visit to the next."""
MOST_EVENTS = 40
"""Longer visits count as this long: a purchase is as good as certain."""
BURST_STEPS, PROMO_EVERY_DAYS, SPELL_CONTINUES, PROMO_VISITS = 4, 60, 0.65, 3


class Walks:
    """How the frozen generator walks through visits, by boost: chances that no purchase comes, and where that ends.

    `new[boost, cart, events, carted]`: no purchase in a new visit of so many events, begun without or with an open
    cart, and whether it put something into one. `going_on[boost, kind, events, carted]`: the same of what is left of a
    visit under way whose newest event is of a kind.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.options = dict(described)
        self._boosts = np.array(sorted(map(float, described["boosts"])))
        walks = [described["boosts"][str(boost)] for boost in self._boosts]
        nexts = [np.array(walk["next"]) for walk in walks]
        self.going_on = np.array([[_walked(_at(kind), after) for kind in range(KINDS)] for after in nexts])
        self.new = np.array(
            [
                [_begun(np.array(first), after) for first in walk["first"]]
                for walk, after in zip(walks, nexts, strict=True)
            ]
        )
        self._clock, self._shop = np.array(described["clock"], float), np.array(described["shop"], float)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """As `bench/generator_plans.py` left them."""
        return cls(json.loads((folder / "walk.json").read_text()))

    def place(self, boost: Numbers) -> Whole:
        """Where a boost is in the tables."""
        return np.asarray(np.abs(boost[..., None] - self._boosts).argmin(axis=-1), dtype=np.int64)

    def in_promo(self, at: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether a promotion is open at these times."""
        ago = self.options["now"] - np.asarray(at, dtype=np.float64)
        return np.asarray(ago % (PROMO_EVERY_DAYS * DAY_MS) < self.options["promo_days"] * DAY_MS)

    def to_shop(self, clock: Numbers | float) -> Numbers:
        """Shop time of times on the clock: straight within an hour."""
        return np.asarray(np.interp(clock, self._clock, self._shop), dtype=np.float64)

    def to_clock(self, shop: Numbers) -> Numbers:
        """Undoes `to_shop`; what lies past the snapshot date stays past it."""
        return np.asarray(np.interp(shop, self._shop, self._clock), dtype=np.float64)


def _at(kind: int) -> Numbers:
    """The shopper's newest event is of this kind, nothing was carted in this visit."""
    start = np.zeros((KINDS, 2))
    start[kind, 0] = 1.0
    return start


def _walked(start: Numbers, after: Numbers) -> Numbers:
    """No purchase after 0, 1, 2, … events more, without and with a new cart; `start` is by kind and cart."""
    told = [start.sum(axis=0)]
    for _ in range(MOST_EVENTS):
        start = _step(np.einsum("kc,kn->nc", start, after))
        told.append(start.sum(axis=0))
    return np.array(told)


def _begun(first: Numbers, after: Numbers) -> Numbers:
    """The same from a visit's beginning."""
    start = _step(np.stack([first, np.zeros(KINDS)], axis=1))
    return np.concatenate([[[1.0, 0.0]], _walked(start, after)[:-1]])


def _step(reached: Numbers) -> Numbers:
    """Leave out who bought; who put something into the cart has a new one."""
    reached[PURCHASE] = 0.0
    reached[ADD_TO_CART] = [0.0, reached[ADD_TO_CART].sum()]
    return reached


@dataclass(frozen=True)
class States:
    """Of each row, at `now` (ms, the same for all): what the generator carries. Times are ms since the epoch.

    `cart_at` and `bought_at` are NEVER where there is none; `kind` is the newest event's of a visit under way, `rest`
    its events to come (0: none is under way). `ordinary_at` is the newest ordinary visit's start; `bursts` are those to
    come; `promo_seen`, `promo_events` and `promo_at` are the visits to the promotion that is open, their events and the
    newest one's start.
    """

    start: Numbers
    end: Numbers
    boost: Numbers
    promo_boost: Numbers
    promo: npt.NDArray[np.bool_]
    events: Whole
    session_extra: Numbers
    shrunk: Numbers
    pause: Numbers
    cart_at: Numbers
    bought_at: Numbers
    kind: Whole
    rest: Whole
    ordinary_at: Numbers
    bursts: Whole
    promo_seen: Whole
    promo_events: Whole
    promo_at: Numbers

    def repeated(self, times: int) -> "States":
        """Each row so many times, one after another."""
        return States(**{field.name: np.repeat(getattr(self, field.name), times) for field in fields(self)})

    def part(self, rows: slice) -> "States":
        """Some of the rows."""
        return States(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True)
class Visits:
    """Visits to come, one after another: whose (`row`), `start` in ms, `size` in events, and whether it is a burst."""

    row: Whole
    start: Numbers
    size: Whole
    burst: npt.NDArray[np.bool_]

    @classmethod
    def none(cls) -> Self:
        """No visit."""
        return cls(np.empty(0, dtype=int), np.empty(0), np.empty(0, dtype=int), np.empty(0, dtype=bool))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All of these."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def where(self, chosen: npt.NDArray[Any]) -> "Visits":
        """Some of them, by a mask or by their places."""
        return Visits(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def turns(self) -> Iterator["Visits"]:
        """The first visit of each row that has one, then the second, and so on in order of time."""
        ordered = self.where(np.lexsort((self.start, self.row)))
        _, firsts, counts = np.unique(ordered.row, return_index=True, return_counts=True)
        for turn in range(int(counts.max(initial=0))):
            yield ordered.where(firsts[counts > turn] + turn)


def chances(walks: Walks, states: States, visits: Visits, now: float, days: int) -> Numbers:
    """The chance of a purchase in [now, now + days) of each row, given its visits; days at most those of a cart."""
    until = now + days * DAY_MS
    boosts = np.stack([walks.place(states.boost), walks.place(states.promo_boost)])
    rows = np.arange(len(states))
    none = walks.going_on[boosts[int(walks.in_promo(now)), rows], states.kind, np.minimum(states.rest, MOST_EVENTS)]
    without, carted = none[:, 0].copy(), none[:, 1].copy()
    for turn in visits.where(visits.start < until).turns():
        row = turn.row
        forced = turn.burst & (turn.start - states.bought_at[row] > walks.options["burst_rest_days"] * DAY_MS)
        fitting = 1 + (until - turn.start) // np.where(forced, BURST_EVENT_MS, EVENT_MS)
        events = np.minimum(np.minimum(turn.size, fitting), MOST_EVENTS).astype(int)
        boost = boosts[walks.in_promo(turn.start).astype(int), row]
        kept = (turn.start - states.cart_at[row] <= OPEN_CART_MS).astype(int)
        by_old = np.where(forced[:, None], _burst(events), walks.new[boost, kept, events])
        by_new = np.where(forced, _burst(events).sum(axis=1), walks.new[boost, 1, events].sum(axis=1))
        carted[row] = without[row] * by_old[:, 1] + carted[row] * by_new
        without[row] = without[row] * by_old[:, 0]
    return np.asarray(1.0 - without - carted, dtype=np.float64)


def _burst(events: Whole) -> Numbers:
    """search, product_view, product_view, add_to_cart, purchase: no purchase, without and with a new cart."""
    return np.stack([events < BURST_STEPS, events == BURST_STEPS], axis=1).astype(np.float64)


def drawn_chances(
    walks: Walks, states: States, now: float, days: int, *, draws: int, random: np.random.Generator
) -> Numbers:
    """The same where nobody knows the visits to come: the mean over so many futures, drawn by the generator's rules."""
    found = np.empty(len(states))
    rows = max(1, 60_000 // draws)
    for first in range(0, len(states), rows):
        part = slice(first, first + rows)
        many = states.part(part).repeated(draws)
        visits = draw_visits(walks, many, now, days, random)
        found[part] = chances(walks, many, visits, now, days).reshape(-1, draws).mean(axis=1)
    return found


def draw_visits(walks: Walks, states: States, now: float, days: int, random: np.random.Generator) -> Visits:
    """Visits of the days to come, given each row's state: ordinary ones, bursts and those to a promotion."""
    visits = Visits.joined(
        [
            *_ordinary(walks, states, now, days, random),
            *_bursts(walks, states, now, random),
            *_promotions(walks, states, now, days, random),
        ]
    )
    return visits.where(visits.start < states.end[visits.row])


def _ordinary(walks: Walks, states: States, now: float, days: int, random: np.random.Generator) -> Iterator[Visits]:
    """From the newest ordinary visit on by gaps, the first of them longer than what has passed of it."""
    until = walks.to_shop(np.minimum(now + days * DAY_MS, states.end))
    passed = walks.to_shop(now) - walks.to_shop(states.ordinary_at)
    at = walks.to_shop(states.ordinary_at) + _longer_gap(walks, states, passed, random)
    row = np.flatnonzero(at < until)
    while len(row):
        size = 1 + random.exponential(states.session_extra[row]).astype(int)
        yield _visits(row, walks.to_clock(at[row]), size)
        at[row] += _gap(walks, states.shrunk[row], states.pause[row], random)
        row = row[at[row] < until[row]]


def _visits(row: Whole, start: Numbers, size: Whole, *, burst: bool = False) -> Visits:
    return Visits(row, start, size, np.full(len(row), burst))


def _gap(walks: Walks, shrunk: Numbers, pause: Numbers, random: np.random.Generator) -> Numbers:
    """From one ordinary visit to the next, in shop time: within a spell, or a pause."""
    count = len(shrunk)
    within = random.integers(0, walks.options["gap_days"] + 1, count) * DAY_MS + random.uniform(0, 6 * HOUR_MS, count)
    return np.where(random.random(count) < SPELL_CONTINUES, within * shrunk, random.exponential(pause))


def _longer_gap(walks: Walks, states: States, passed: Numbers, random: np.random.Generator) -> Numbers:
    """A gap of which so much has passed: a part of the mixture by how likely each lasts that long, and its rest."""
    days = np.arange(walks.options["gap_days"] + 1)
    low = days * DAY_MS * states.shrunk[:, None]
    width = 6 * HOUR_MS * states.shrunk[:, None]
    lasting = np.clip((low + width - passed[:, None]) / width, 0, 1) * (SPELL_CONTINUES / len(days))
    # The least chance keeps a pause possible where the plan moved a visit by more than rounding.
    pausing = np.maximum((1 - SPELL_CONTINUES) * np.exp(-passed / states.pause), 1e-300)
    weights = np.concatenate([lasting, pausing[:, None]], axis=1).cumsum(axis=1)
    chosen = (random.random(len(states)) * weights[:, -1])[:, None] > weights
    part = np.minimum(chosen.sum(axis=1), len(days))
    rows, number = np.arange(len(states)), np.minimum(part, len(days) - 1)
    from_ = np.maximum(low[rows, number], passed)
    within = from_ + (low[rows, number] + width[:, 0] - from_) * random.random(len(states))
    return np.where(part == len(days), passed + random.exponential(states.pause), within)


def _bursts(walks: Walks, states: States, now: float, random: np.random.Generator) -> Iterator[Visits]:
    """Those to come lie anywhere in what is left of the active time."""
    low, high = walks.to_shop(now), walks.to_shop(states.end)
    for number in range(int(states.bursts.max(initial=0))):
        row = np.flatnonzero(number < states.bursts)
        at = walks.to_clock(low + (high[row] - low) * random.random(len(row)))
        buys = random.random(len(row)) < walks.options["burst_buys"]
        yield _visits(row, at, BURST_STEPS + buys.astype(int), burst=True)


def promotion(walks: Walks, now: float, days: int) -> tuple[float, float]:
    """The first promotion that is open at some time in [now, now + days); (inf, inf) when there is none."""
    end = walks.options["now"] - (walks.options["now"] - now) // (PROMO_EVERY_DAYS * DAY_MS) * PROMO_EVERY_DAYS * DAY_MS
    end += 0 if end > now else PROMO_EVERY_DAYS * DAY_MS
    start = end - walks.options["promo_days"] * DAY_MS
    return (start, end) if start < now + days * DAY_MS and end <= walks.options["now"] else (np.inf, np.inf)


def _promotions(walks: Walks, states: States, now: float, days: int, random: np.random.Generator) -> Iterator[Visits]:
    """One to three visits to a promotion, a day apart at most; those seen already tell how many may come."""
    opened, closed = promotion(walks, now, days)
    low, high = np.maximum(max(opened, now), states.start), np.minimum(closed, states.end)
    row = np.flatnonzero(states.promo & (low < high))
    if not len(row):
        return
    seen, last, count = states.promo_seen[row], states.promo_at[row], len(row)
    shortest, longest = HOUR_MS, walks.options["promo_gap_days"] * DAY_MS
    gap = np.maximum(shortest, np.where(seen > 0, now - last, 0.0))
    first = low[row] + (high[row] - low[row]) * random.random(count)
    at = np.where(seen > 0, last + gap + (longest - gap) * random.random(count), first)
    total = _promo_visits(seen, np.clip((longest - gap) / (longest - shortest), 0, 1), random)
    budget = states.events[row] // 2 - states.promo_events[row]
    for number in range(PROMO_VISITS):
        size = random.integers(3, 9, count)
        comes = (seen + number < total) & (at < high[row])
        paid = comes & (size <= budget)
        yield _visits(row[paid], at[paid], size[paid])
        budget = budget - np.where(paid, size, 0)
        at = at + random.uniform(shortest, longest, count)


def _promo_visits(seen: Whole, lasts: Numbers, random: np.random.Generator) -> Whole:
    """How many visits a promotion gets, one to three alike often, when so many were seen; `lasts` is the chance that
    the gap to another one is as long as what has passed since."""
    totals = np.arange(1, PROMO_VISITS + 1)
    likely = np.where(totals > seen[:, None], np.where(seen > 0, lasts, 1.0)[:, None], totals == seen[:, None])
    weights = likely.cumsum(axis=1)
    past = (random.random(len(seen)) * weights[:, -1])[:, None] > weights[:, :-1]
    return np.asarray(1 + past.sum(axis=1), dtype=np.int64)
