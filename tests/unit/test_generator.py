"""What the generator makes: reproducible, in order, from the past, and worth forecasting."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice, pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from anmodel.errors import InputError
from anmodel.events import Event, decode_event, encode_event
from anmodel.generator.behaviour import COHORTS, SHARES
from anmodel.generator.catalogue import ITEMS, Catalogue
from anmodel.generator.chance import chance_of
from anmodel.generator.options import Options
from anmodel.generator.outputs import write_events
from anmodel.generator.plan import plan_visits
from anmodel.generator.shoptime import DAY_MS, to_clock, to_shop
from anmodel.generator.stream import Crowd
from anmodel.progress import ProgressLine
from anmodel.users import seeded_users

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
USERS = list(islice(seeded_users(42), 400))


def options(**changes: object) -> Options:
    return Options(**({"snapshot_date": NOW, "events_per_user": 50} | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return Crowd(USERS, options())


@pytest.fixture(scope="module")
def events(crowd: Crowd) -> list[Event]:
    return list(crowd.events())


def by_user(events: list[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[event.user_id].append(event)
    return found


def digest(crowd: Crowd) -> str:
    return sha256(b"\n".join(map(encode_event, crowd.events()))).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_any_order_of_users_and_another_seed_others(crowd: Crowd) -> None:
    assert digest(Crowd(reversed(USERS), options())) == digest(crowd)
    assert digest(Crowd(USERS, options(seed=43))) != digest(crowd)


def test_the_same_seed_gives_the_same_bytes_in_every_process_and_release() -> None:
    known = "66af2362c88aef57bc19f56ef8d7faed960ac5cb9670871dd3b7a46b8f710d87"
    program = """
from datetime import UTC, datetime; from hashlib import sha256; from itertools import islice
from anmodel.events import encode_event; from anmodel.generator.options import Options
from anmodel.generator.stream import Crowd; from anmodel.users import seeded_users
options = Options(snapshot_date=datetime(2026, 11, 24, 12, tzinfo=UTC), events_per_user=50)
events = Crowd(islice(seeded_users(42), 20), options).events()
print(sha256(b"\\n".join(map(encode_event, events))).hexdigest())
"""
    env = os.environ | {"PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(Crowd(USERS[:20], options())) == known


def test_more_users_change_nobody(events: list[Event]) -> None:
    few = by_user(list(Crowd(USERS[:30], options()).events()))
    assert few == {uid: found for uid, found in by_user(events).items() if uid in few}


def test_events_go_out_in_the_order_of_time_and_each_users_strictly(events: list[Event]) -> None:
    assert all(one.ts <= other.ts for one, other in pairwise(events))
    assert all(one.ts < other.ts for found in by_user(events).values() for one, other in pairwise(found))


def test_every_event_passes_the_contract_and_none_is_from_the_future(events: list[Event]) -> None:
    for event in events:
        assert decode_event(encode_event(event), now=NOW, max_age_days=366) == event
        assert event.ts < NOW


def test_ids_are_unique_and_a_session_is_one_users_short_visit(events: list[Event]) -> None:
    assert len({event.event_id for event in events}) == len(events)
    sessions: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        sessions[event.session_id].append(event)
    for visit in sessions.values():
        assert len({event.user_id for event in visit}) == 1
        assert all(other.ts - one.ts <= timedelta(seconds=900) for one, other in pairwise(visit))


def test_every_chosen_user_is_active_and_has_one_region_their_own(events: list[Event]) -> None:
    regions = {uid: {event.region for event in found} for uid, found in by_user(events).items()}
    assert regions == {uid: {region} for uid, region in USERS}


def test_the_mean_is_what_was_asked_and_a_total_is_exact(crowd: Crowd, events: list[Event]) -> None:
    assert crowd.total == len(events)
    many = Crowd(islice(seeded_users(1), 3000), options(events_per_user=20))
    assert many.total / 3000 == pytest.approx(20, rel=0.06)
    exact = Crowd(USERS, options(total_events=12_345))
    assert exact.total == sum(1 for _ in exact.events()) == 12_345


def test_fewer_events_than_users_are_refused() -> None:
    with pytest.raises(InputError, match="at least one for each of the 400 users"):
        Crowd(USERS, options(total_events=399))


def test_cohorts_have_their_shares_and_their_spans(crowd: Crowd) -> None:
    many = Crowd(islice(seeded_users(2), 4000), options()).shoppers
    counts = Counter(shopper.cohort.name for shopper in many)
    for cohort in COHORTS:
        assert counts[cohort.name] / len(many) == pytest.approx(cohort.share / SHARES, abs=0.03)
    for shopper in many:
        low, high = shopper.cohort.span_days
        assert low <= (shopper.end + 1 - shopper.start) / DAY_MS <= high + 1e-6
    assert not any(shopper.promo or shopper.burst for shopper in many if shopper.cohort.name == "one_time")


def test_most_shoppers_last_to_the_end_and_some_have_left_long_ago(events: list[Event]) -> None:
    crowd = Crowd(USERS, options())
    here = sum(shopper.end >= int(NOW.timestamp() * 1000) - 1 for shopper in crowd.shoppers)
    assert 0.5 < here / len(USERS) < 0.75
    last = [found[-1].ts for found in by_user(events).values()]
    assert sum(NOW - at > timedelta(days=30) for at in last) > 0.2 * len(USERS)


def test_nothing_piles_up_at_the_end(events: list[Event]) -> None:
    per_day = Counter((NOW - event.ts).days for event in events)
    last_week, before = (sum(per_day[day] for day in days) / len(days) for days in (range(7), range(7, 60)))
    assert last_week < 1.6 * before
    assert last_week * 7 < 0.08 * len(events)
    assert max(per_day.values()) < 0.02 * len(events)


def test_a_purchase_follows_its_cart_and_buys_what_is_in_it(events: list[Event]) -> None:
    bought = 0
    for found in by_user(events).values():
        cart: Event | None = None
        for event in found:
            if event.event_type == "add_to_cart":
                cart = event
            elif event.event_type == "purchase":
                assert cart is not None
                assert event.properties == cart.properties
                assert event.ts - cart.ts < timedelta(days=7, hours=12)
                cart, bought = None, bought + 1
    assert 0.05 < bought / len(events) < 0.15


def test_shoppers_drawn_by_promotions_buy_more_while_one_is_on(crowd: Crowd, events: list[Event]) -> None:
    promo = {shopper.user_uid for shopper in crowd.shoppers if shopper.promo}
    assert 0.1 < len(promo) / len(USERS) < 0.25
    theirs = [event for event in events if event.user_id in promo]
    on = [event for event in theirs if (NOW - event.ts).total_seconds() % (60 * 86_400) < 10 * 86_400]
    off = [event for event in theirs if (NOW - event.ts).total_seconds() % (60 * 86_400) >= 10 * 86_400]

    def purchases_a_cart(some: list[Event]) -> float:
        counts = Counter(event.event_type for event in some)
        return counts["purchase"] / counts["add_to_cart"]

    assert purchases_a_cart(on) > 1.2 * purchases_a_cart(off)
    assert len(on) / 10 > 1.2 * len(off) / 50


def test_bursts_can_buy() -> None:
    crowd = Crowd(USERS[:100], options(burst_share=1.0, promo_share=0.0, burst_force_purchase_prob=1.0))
    sessions: dict[str, list[str]] = defaultdict(list)
    for event in crowd.events():
        sessions[event.session_id].append(event.event_type)
    chain = ["search", "product_view", "product_view", "add_to_cart", "purchase"]
    assert sum(kinds == chain for kinds in sessions.values()) > 50


def test_bursts_without_forced_purchases_and_no_bursts_at_all_are_possible() -> None:
    assert Crowd(USERS[:50], options(burst_share=1.0, burst_force_purchase_prob=0.0)).total > 0
    assert not any(shopper.burst for shopper in Crowd(USERS, options(burst_share=0.0)).shoppers)


def test_recent_activity_tells_who_will_buy(events: list[Event]) -> None:
    """The chance to buy in the next 7 days, among those seen in the last 7 and those not, 14 days before the end."""
    then = NOW - timedelta(days=14)
    seen = {event.user_id for event in events if event.ts < then}
    lately = {event.user_id for event in events if then - timedelta(days=7) <= event.ts < then}
    buyers = {
        event.user_id
        for event in events
        if event.event_type == "purchase" and then <= event.ts < then + timedelta(days=7)
    }
    assert len(buyers & lately) / len(lately) > 2 * len(buyers & (seen - lately)) / len(seen - lately)


def test_popular_items_are_not_the_dear_ones_and_prices_stay_near_their_own() -> None:
    catalogue, chance = Catalogue(42), chance_of(42, "test")
    picked: dict[str, list[float]] = defaultdict(list)
    for _ in range(20_000):
        item, price = catalogue.pick(chance)
        picked[item].append(price)
    assert max(picked, key=lambda item: len(picked[item])) == "item_1"
    assert all(max(prices) <= 1.51 * min(prices) for prices in picked.values())
    means = [sum(picked[f"item_{rank}"]) / len(picked[f"item_{rank}"]) for rank in range(1, 41)]
    ranks = sorted(range(40), key=means.__getitem__)
    moved = sum(abs(place - rank) for place, rank in enumerate(ranks)) / 40
    assert 8 < moved < 17  # 0 or 20 were price in order of popularity, 13 is no order at all
    assert len(picked) > ITEMS / 2


@pytest.mark.parametrize("events_per_user", [1, 1500])
def test_very_few_and_very_many_events_fit_into_the_active_time(events_per_user: int) -> None:
    crowd = Crowd(USERS[:12], options(events_per_user=events_per_user, promo_share=1.0, burst_share=1.0))
    for shopper in crowd.shoppers:
        visits = plan_visits(shopper, options(events_per_user=events_per_user, promo_share=1.0, burst_share=1.0))
        assert sum(visit.size for visit in visits) == shopper.events
        assert shopper.start <= visits[0].start
        assert visits[-1].start < shopper.end
        assert all(one.start < other.start for one, other in pairwise(visits))
    found = by_user(list(crowd.events()))
    for shopper in crowd.shoppers:
        times = [int(event.ts.timestamp() * 1000) for event in found[shopper.user_uid]]
        assert shopper.start <= times[0]
        assert times[-1] <= shopper.end


def test_visits_begin_with_the_active_time_and_prefer_evenings(crowd: Crowd, events: list[Event]) -> None:
    hours = Counter(event.ts.hour for event in events)
    assert sum(hours[hour] for hour in (17, 18, 19, 20)) > 2 * sum(hours[hour] for hour in (1, 2, 3, 4, 5))
    ordinary = [shopper for shopper in crowd.shoppers if not (shopper.promo or shopper.burst)]
    first = {uid: found[0].ts for uid, found in by_user(events).items()}
    assert all(abs(first[s.user_uid].timestamp() * 1000 - s.start) <= 2 for s in ordinary)


@pytest.mark.parametrize("clock", [0.0, 1.79e12, 1.7951e12 + 12_345, 1.7e12 + 7 * DAY_MS - 1])
def test_shop_time_can_be_undone(clock: float) -> None:
    assert to_clock(to_shop(clock)) == pytest.approx(clock, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"promo_share": 1.5}, "--promo-share is 1.5; allowed: a share from 0 to 1"),
        ({"min_span_days": 0}, "--min-span-days is 0"),
        ({"min_span_days": 30, "max_span_days": 20}, "--max-span-days is 20"),
        ({"events_per_user": 0.5}, "--events-per-user is 0.5"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused_by_name(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        options(**changes)


def test_ndjson_and_parquet_hold_the_same_events(tmp_path: Path) -> None:
    crowd = Crowd(USERS[:20], options())
    for name in ("out.ndjson", "out.parquet"):
        with ProgressLine("generating", crowd.total) as progress:
            assert write_events(crowd.events(), tmp_path / name, progress) == crowd.total
    lines = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [line["event_id"] for line in lines] == [row["event_id"] for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert datetime.fromisoformat(line["timestamp"]) == row["timestamp"]
        assert line["properties"] == json.loads(row["properties"])
        assert line["properties"].get("price") == row["price"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.ndjson", "out.parquet"]


def test_an_output_of_another_kind_or_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"allowed: a name that ends in \.ndjson"):
        write_events([], tmp_path / "out.xml", ProgressLine("generating"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_events([], tmp_path / "file" / "out.ndjson", ProgressLine("generating"))
