"""The generator's own chance of a purchase, against its visits walked many times; and what it is compared with."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from anmodel.generator.behaviour import COHORTS
from anmodel.generator.catalogue import Catalogue
from anmodel.generator.options import Options
from anmodel.generator.plan import BURST, ORDINARY, Visit
from anmodel.generator.session import Memory, visit_events
from anmodel.generator.shopper import Shopper
from anmodel.snapshots.samples import Sample
from bench.generator import frozen
from bench.generator_judged import best_feature
from bench.generator_plans import walk_of
from bench.true_chance import DAY_MS, HOUR_MS, NEVER, States, Visits, Walks, chances, draw_visits

OPTIONS = Options(snapshot_date=datetime(2026, 6, 1, tzinfo=UTC))
ENDS = int(OPTIONS.snapshot_date.timestamp() * 1000)
WALKS = Walks(walk_of(OPTIONS))
IN_PROMO, BEFORE_PROMO = ENDS - 7 * DAY_MS, ENDS - 28 * DAY_MS
DAYS, TIMES = 7, 1000


def _shopper(cohort: int, *, promo: bool) -> Shopper:
    return Shopper("user", "UA-30", COHORTS[cohort], promo, True, ENDS - 100 * DAY_MS, ENDS, 1.0, 200)


def _state(shopper: Shopper, rows: int = 1, **more: object) -> States:
    boost = shopper.cohort.purchase_boost
    known = {
        "start": float(shopper.start),
        "end": float(shopper.end),
        "boost": boost,
        "promo_boost": boost * (OPTIONS.promo_purchase_boost if shopper.promo else 1.0),
        "promo": shopper.promo,
        "events": shopper.events,
        "session_extra": shopper.cohort.session_extra,
        "shrunk": 0.5,
        "pause": 4.0 * DAY_MS,
        "cart_at": NEVER,
        "bought_at": NEVER,
        "kind": 0,
        "rest": 0,
        "ordinary_at": float(shopper.start),
        "bursts": 0,
        "promo_seen": 0,
        "promo_events": 0,
        "promo_at": float(shopper.start),
    }
    return States(**{name: np.full(rows, value) for name, value in (known | more).items()})


@pytest.mark.parametrize(
    ("cohort", "promo", "now", "cart_days", "bought_days", "visits"),
    [
        (1, False, BEFORE_PROMO, None, None, [(1, 4, ORDINARY), (30, 1, ORDINARY), (60, 6, ORDINARY)]),
        (2, False, BEFORE_PROMO, 6.0, None, [(2, 1, ORDINARY), (40, 1, ORDINARY)]),
        (0, True, IN_PROMO, 0.1, None, [(1, 2, ORDINARY), (50, 3, ORDINARY)]),
        (1, False, BEFORE_PROMO, None, None, [(1, 4, BURST), (20, 1, ORDINARY)]),
        (1, False, BEFORE_PROMO, None, None, [(1, 5, BURST)]),
        (1, False, BEFORE_PROMO, None, 3.0, [(1, 5, BURST)]),
    ],
    ids=[
        "no cart",
        "a cart that grows too old",
        "a promotion",
        "a burst that leaves a cart",
        "a burst that buys",
        "no burst of who bought lately",
    ],
)
def test_the_chance_of_given_visits_is_the_share_of_walks_with_a_purchase(
    cohort: int,
    promo: bool,
    now: int,
    cart_days: float | None,
    bought_days: float | None,
    visits: list[tuple[int, int, int]],
) -> None:
    shopper, catalogue = _shopper(cohort, promo=promo), Catalogue(1)
    cart = None if cart_days is None else ("item_1", 9.5)
    cart_at, bought_at = (-(10**15) if days is None else int(now - days * DAY_MS) for days in (cart_days, bought_days))
    planned = [Visit(now + hours * HOUR_MS, size, kind) for hours, size, kind in visits]

    def buys(seed: int) -> bool:
        memory = Memory(cart, cart_at, bought_at)
        options = replace(OPTIONS, seed=seed)
        walked = [
            visit_events(shopper, options, catalogue, number, visit, visit.start + 12 * HOUR_MS, memory)
            for number, visit in enumerate(planned)
        ]
        return any(event.event_type == "purchase" for events in walked for _, event in events)

    share = float(np.mean([buys(seed) for seed in range(TIMES)]))
    given = Visits(
        np.zeros(len(planned), dtype=int),
        np.array([visit.start for visit in planned], dtype=float),
        np.array([visit.size for visit in planned]),
        np.array([visit.kind == BURST for visit in planned]),
    )
    state = _state(shopper, cart_at=float(cart_at), bought_at=float(bought_at))
    found = float(chances(WALKS, state, given, now, DAYS)[0])
    assert found == pytest.approx(share, abs=3 * (found * (1 - found) / TIMES) ** 0.5 + 1e-12)


def test_the_rest_of_a_visit_under_way_may_buy_only_after_a_cart() -> None:
    shopper = _shopper(1, promo=False)
    now, none = BEFORE_PROMO, Visits.none()
    carted, viewed, over = (
        float(chances(WALKS, _state(shopper, kind=kind, rest=rest), none, now, DAYS)[0])
        for kind, rest in ((2, 1), (1, 1), (2, 0))
    )
    assert (viewed, over) == pytest.approx((0.0, 0.0))
    assert carted == pytest.approx(0.45)


@pytest.mark.parametrize("passed_days", [0.05, 1.1, 9.0])
def test_the_next_visit_comes_as_one_that_has_not_come_yet(passed_days: float) -> None:
    """Gaps drawn on the condition that they last, against gaps thrown away unless they do."""
    rows, random = 10_000, np.random.default_rng(7)
    now = BEFORE_PROMO
    last = float(WALKS.to_clock(WALKS.to_shop(now) - passed_days * DAY_MS))
    state = _state(_shopper(1, promo=False), rows, ordinary_at=last)
    visits = draw_visits(WALKS, state, now, 21, random)
    first = WALKS.to_shop(next(visits.turns()).start) - WALKS.to_shop(last)

    count = 100_000
    within = (random.integers(0, 6, count) + random.uniform(0, 0.25, count)) * 0.5
    gaps = np.where(random.random(count) < 0.65, within, random.exponential(4.0, count))
    until = float(WALKS.to_shop(now + 21 * DAY_MS) - WALKS.to_shop(last)) / DAY_MS
    expected = gaps[(gaps > passed_days) & (gaps < until)]
    assert ks_2samp(first / DAY_MS, expected).statistic < 0.03


def test_the_best_feature_is_chosen_with_its_direction_and_the_place_of_who_has_none() -> None:
    bought = [1, 1, 1, 0, 0, 0]
    features = pd.DataFrame({"noise": [1, 2, 1, 2, 1, 2], "days": [1.0, 2, 3, 9, np.nan, 8], "word": list("abcabc")})
    sample = Sample(
        features,
        pd.DataFrame({"will_purchase": bought}),
        np.arange(6),
        np.zeros(6, "datetime64[ms]"),
        np.array(["A"] * 6),
    )
    best = best_feature(sample, sample)
    assert (best.name, best.sign) == ("days", -1.0)
    assert best.scores(features).argsort()[0] == 4


def test_a_history_without_the_frozen_generator_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"not in the history here.*unshallow"):
        frozen(tmp_path / "frozen", history=tmp_path)
