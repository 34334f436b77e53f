import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anmodel.errors import ContractError, InputError
from anmodel.snapshot.engine import events_source
from anmodel.snapshot.plan import PARTS, beginning, plan
from anmodel.snapshots import (
    FEATURE_NAMES,
    FEATURES,
    META,
    TARGETS,
    check_features,
    contract,
    milliseconds,
    snapshot_version,
    users_events_sql,
)
from anmodel.snapshots.history import HISTORY

SHOWN_BY_THE_CONSOLE = [
    "total_events",
    "active_days",
    "total_clicks",
    "total_purchases",
    "total_spent",
    "distinct_items",
    "events_last_7d",
    "events_last_30d",
    "purchases_last_30d",
    "spent_last_30d",
    "conversion_rate_30d",
    "avg_order_value_30d",
    "purchase_frequency",
    "avg_spend_per_event",
    "days_since_first",
    "days_since_last",
    "events_per_day",
    "recency_score",
    "last_event_type",
    "micro_event_growth",
    "micro_purchase_growth",
    "micro_purchase_ratio",
    "micro_spent_growth",
    "trend_popularity_mean",
]


def test_the_features_that_others_name_are_there_once() -> None:
    assert set(SHOWN_BY_THE_CONSOLE) <= set(FEATURE_NAMES)
    assert len(set(FEATURE_NAMES) | set(META) | set(TARGETS)) == len(FEATURE_NAMES) + len(META) + len(TARGETS)


def test_every_feature_is_described() -> None:
    for feature in FEATURES:
        assert all((feature.meaning, feature.block, feature.kind in ("number", "category"))), feature
        assert bool(feature.unit) == (feature.kind == "number"), feature


def test_a_feature_reads_only_running_columns_that_exist() -> None:
    read = {name for feature in FEATURES for name in re.findall(r"(?:latest|within)\((\w+)[,)]", feature.sql)}
    assert read <= HISTORY.keys()
    assert HISTORY.keys() - read == {"region"}


def test_the_contract_is_the_same_every_time_and_belongs_to_a_horizon() -> None:
    assert contract(7) == contract(7)
    assert contract(7)["version"] == snapshot_version(7) != snapshot_version(14)
    assert re.fullmatch("[0-9a-f]{12}", snapshot_version(7))
    assert [feature["name"] for feature in contract(7)["features"]] == list(FEATURE_NAMES)


def test_columns_in_any_order_agree() -> None:
    check_features(reversed(FEATURE_NAMES), expected=FEATURE_NAMES)


def test_columns_that_differ_are_named_both_ways() -> None:
    with pytest.raises(ContractError, match="missing b; unknown c, d"):
        check_features(["a", "c", "d"], expected=["a", "b"])


def test_users_query_takes_users_and_instant_as_parameters() -> None:
    assert "user_id IN {user_ids:Array(String)}" in users_events_sql("events")
    assert "ts < fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')" in users_events_sql("events")


def test_an_instant_is_whole_milliseconds_and_needs_a_zone() -> None:
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 1, 2999, tzinfo=UTC)) == 1002
    assert milliseconds(datetime(2026, 1, 1, 12, 0, 0, 7000, tzinfo=UTC)) % 1000 == 7
    with pytest.raises(ValueError, match="zone"):
        milliseconds(datetime(2026, 1, 1))


START = datetime(2026, 1, 1, 13, 7, tzinfo=UTC)


@given(days=st.floats(min_value=8.5, max_value=4000), horizon=st.integers(1, 90), most=st.integers(3, 400))
def test_labels_of_a_part_end_before_the_next_part_begins(days: float, horizon: int, most: int) -> None:
    watermark = START + timedelta(days=days)
    try:
        planned = plan(START, watermark, horizon_days=horizon, most_instants=most)
    except InputError:
        assert days < horizon + 1
        return
    instants = planned.all_instants
    assert instants[0] > START
    assert instants[-1] == watermark - timedelta(days=horizon)
    assert 1 <= len(instants) <= most
    if planned.split == "time":
        train, val, test = (planned.instants[part] for part in PARTS)
        assert train[-1] + timedelta(days=horizon) <= val[0]
        assert val[-1] + timedelta(days=horizon) <= test[0]
        assert len(train) >= len(val)
        assert len(train) >= len(test)


def test_instants_fall_on_every_weekday_over_a_long_history() -> None:
    for years in range(1, 10):
        planned = plan(START, START + timedelta(days=365 * years), horizon_days=7, most_instants=60)
        assert {instant.weekday() for instant in planned.instants["train"]} == set(range(7)), years


def test_a_history_between_one_horizon_and_three_is_split_by_users() -> None:
    assert plan(START, START + timedelta(days=8), horizon_days=7, most_instants=60).split == "users"
    assert plan(START, START + timedelta(days=30), horizon_days=7, most_instants=60).split == "time"
    with pytest.raises(InputError, match="HORIZON_DAYS"):
        plan(START, START + timedelta(days=7), horizon_days=7, most_instants=60)


def test_paths_with_quotes_are_quoted_and_those_the_engine_would_expand_are_refused() -> None:
    from anmodel.errors import LakeError

    days = [f"/it's/events/date=2026-01-{day:02}/part-0.parquet" for day in (1, 2, 13)]
    assert "'/it\\'s/events/date=2026-01-{01,02,13}/part-0.parquet'" in events_source(days)
    with pytest.raises(LakeError, match="PARQUET_OUT"):
        events_source(["/lake*/x.parquet"])


def test_a_history_begins_after_the_few_events_from_long_before_it() -> None:
    first, watermark = datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 5, 1, 9, tzinfo=UTC)
    ordinary = {first.date() + timedelta(days=number): 50 for number in range(120)}
    assert beginning(first, watermark, ordinary) == first
    growing = {day: number + 1 for number, day in enumerate(ordinary)}
    assert beginning(first, watermark, growing) == first
    stray = datetime(2021, 5, 4, 7, tzinfo=UTC)
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert beginning(stray, watermark, {stray.date(): 50} | ordinary) == after
    assert beginning(stray, watermark, {stray.date(): 70} | ordinary) == stray  # over a hundredth: a history of its own
    assert beginning(first, first + timedelta(hours=3), {}) == first
