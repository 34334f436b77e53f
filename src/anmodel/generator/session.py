"""The events of one visit: a walk from step to step, or a burst's fixed chain."""

from bisect import bisect
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from anmodel.events import Event
from anmodel.generator.behaviour import (
    ADD_TO_CART,
    CLICK,
    OPEN_CART_DAYS,
    PAGE_VIEW,
    PRODUCT_VIEW,
    PURCHASE,
    SEARCH,
    TYPES,
    first_step,
    next_step,
)
from anmodel.generator.catalogue import QUERIES, Catalogue
from anmodel.generator.chance import between, chance_of, uuid_of, whole
from anmodel.generator.options import Options
from anmodel.generator.plan import BURST, BURST_STEPS, Visit, in_promo
from anmodel.generator.shopper import Shopper
from anmodel.generator.shoptime import DAY_MS

KEEP_ITEM = {ADD_TO_CART: 0.7, CLICK: 0.5}
"""Chance that an event is about the item looked at last."""

ROOM_USED = 0.9
"""Share of the time to the next visit that a visit may take."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHAIN = (SEARCH, PRODUCT_VIEW, PRODUCT_VIEW, ADD_TO_CART, PURCHASE)
Item = tuple[str, float]


@dataclass(slots=True)
class Memory:
    """What a shopper carries from visit to visit: the cart's item and its time, and the last purchase's time."""

    cart: Item | None = None
    cart_at: int = 0
    bought_at: int = -(10**15)


def visit_events(
    shopper: Shopper, options: Options, catalogue: Catalogue, number: int, visit: Visit, until: int, memory: Memory
) -> list[tuple[int, Event]]:
    """(time in ms, event) of the `number`-th visit, in order and before `until`; moves `memory` on."""
    chance = chance_of(options.seed, shopper.user_uid, "visit", number)
    # A burst is the impatience of someone who has not bought lately; else the visit goes like any other.
    burst = visit.kind == BURST and visit.start - memory.bought_at > options.snapshot_horizon_days * DAY_MS
    if memory.cart and visit.start - memory.cart_at > OPEN_CART_DAYS * DAY_MS:
        memory.cart = None
    times = _times(chance, visit, until, burst)
    kinds_of = _Walk(shopper, options, visit, burst)
    session, item, events, kind = uuid_of(chance), memory.cart, [], -1
    for place, at in enumerate(times):
        kind = kinds_of.step(chance, place, kind, memory.cart is not None)
        if kind == PURCHASE:
            item = memory.cart
        elif kind != PAGE_VIEW and kind != SEARCH and not (item and chance.random() < KEEP_ITEM.get(kind, 0.0)):
            item = catalogue.pick(chance)
        if kind == ADD_TO_CART:
            memory.cart, memory.cart_at = item, at
        elif kind == PURCHASE:
            memory.cart, memory.bought_at = None, at
        events.append((at, _event(chance, kind, at, session, shopper, item)))
    return events


class _Walk:
    """Chooses each event's type."""

    def __init__(self, shopper: Shopper, options: Options, visit: Visit, burst: bool) -> None:
        promo = shopper.promo and in_promo(visit.start, options)
        self._boost = shopper.cohort.purchase_boost * (options.promo_purchase_boost if promo else 1.0)
        self._burst = burst

    def step(self, chance: Random, place: int, previous: int, cart: bool) -> int:
        if self._burst and place <= BURST_STEPS:
            return _CHAIN[place]
        steps = first_step(self._boost, cart) if previous < 0 else next_step(previous, self._boost)
        return min(bisect(steps, chance.random()), len(steps) - 1)


def _times(chance: Random, visit: Visit, until: int, burst: bool) -> list[int]:
    """Strictly rising times: 10 to 900 s apart (15 to 90 in a burst), less where the next visit is near."""
    low, high = (15_000, 90_000) if burst else (10_000, 900_000)
    gaps = [between(chance, low, high) for _ in range(visit.size - 1)]
    squeeze = min(1.0, ROOM_USED * (until - visit.start) / sum(gaps)) if gaps else 1.0
    times, at = [visit.start], float(visit.start)
    for gap in gaps:
        at += gap * squeeze
        times.append(max(int(at), times[-1] + 1))
    return times


def _event(chance: Random, kind: int, at: int, session: str, shopper: Shopper, item: Item | None) -> Event:
    properties: dict[str, object] = {}
    if kind == SEARCH:
        properties = {"query": QUERIES[whole(chance, 0, len(QUERIES) - 1)]}
    elif kind != PAGE_VIEW and item:
        properties = {"item_id": item[0], "price": item[1]}
    ts = _EPOCH + timedelta(milliseconds=at)
    return Event(uuid_of(chance), TYPES[kind], ts, session, shopper.user_uid, shopper.region, properties)  # type: ignore[arg-type]
