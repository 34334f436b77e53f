"""monitor: drift of the daily snapshot, and forecasts against what happened, in a real ClickHouse."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from anmodel.findings import Finding
from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.monitor.command import table
from anmodel.monitor.drift import drift
from anmodel.monitor.monitoring import monitor
from anmodel.monitor.stability import stability_index
from anmodel.predictions import PREDICTIONS_SCHEMA
from anmodel.registry import Registry
from anmodel.score.scoring import score
from anmodel.snapshots import contract
from anmodel.snapshots.daily import DailySnapshot
from anmodel.warehouse import EVENTS_SCHEMA, Warehouse
from batch.histories import own_warehouse
from batch.synthetic import feature_rows, write_daily
from clickhouse_process import ClickHouseProcess

INSTANT = datetime(2026, 5, 14, tzinfo=UTC)


@pytest.fixture(scope="module")
def model() -> ContextAwareModel:
    model = ContextAwareModel(max_trees=30, learning_rate=0.1, n_jobs=1)
    return model.fit(*feature_rows(1500, seed=1), validation=feature_rows(1500, seed=2), contract=contract(7))


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, registry_of: Callable[[str], Registry], model: ContextAwareModel
) -> Registry:
    registry = registry_of("test_monitor")
    files = tmp_path_factory.mktemp("files")
    registry.set_champion(registry.log(model, contract=contract(7), metrics={}, params={}, files=files, inputs={}))
    return registry


@pytest.fixture
def warehouse(clickhouse: ClickHouseProcess) -> Warehouse:
    return own_warehouse(clickhouse)


def daily(folder: Path, features: pd.DataFrame) -> DailySnapshot:
    lake = Lake(str(folder))
    write_daily(lake, features, INSTANT)
    return DailySnapshot.newest(lake)


def ignore(message: dict[str, Any]) -> None:
    """For tests that ask nothing of the topic."""


def by_name(findings: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(item.metric, item.feature): item for item in findings}


def test_users_like_those_of_training_raise_no_alarm(model: ContextAwareModel, tmp_path: Path) -> None:
    found = drift(model, daily(tmp_path, feature_rows(1500, seed=9)[0]))

    assert {item.level for item in found} == {"ok"}
    assert len(found) > 100


def test_a_feature_that_moved_is_found_and_only_an_important_one_alarms(
    model: ContextAwareModel, tmp_path: Path
) -> None:
    moved = feature_rows(1500, seed=9)[0]
    moved["days_since_last"] += 6
    moved["seq_search_to_view"] += 6
    found = by_name(drift(model, daily(tmp_path, moved)))

    assert model.feature_importance_["days_since_last"] > 0.01 > model.feature_importance_["seq_search_to_view"]
    assert found["psi", "days_since_last"].level == "alarm"
    assert found["psi", "seq_search_to_view"].level == "warn"
    assert found["psi", "total_spent"].level == "ok"
    assert found["chance_psi", ""].level == "alarm"


def test_lost_values_and_new_categories_are_found(model: ContextAwareModel, tmp_path: Path) -> None:
    moved = feature_rows(1500, seed=9)[0]
    moved.loc[moved.index[:600], "open_carts_last_3d"] = np.nan
    moved.loc[moved.index[:150], "last_event_type"] = "never seen"
    found = by_name(drift(model, daily(tmp_path, moved)))

    assert found["null_share_change", "open_carts_last_3d"].value == pytest.approx(0.4)
    assert found["null_share_change", "open_carts_last_3d"].level == "alarm"
    assert found["new_category_share", "last_event_type"].value == pytest.approx(0.1)
    assert found["new_category_share", "last_event_type"].level == "warn"


def test_users_silent_for_so_long_that_training_left_them_out_are_no_drift(
    model: ContextAwareModel, tmp_path: Path
) -> None:
    awake, asleep = feature_rows(1500, seed=9)[0], feature_rows(800, seed=10)[0].assign(days_since_last=200.0)

    assert drift(model, daily(tmp_path, pd.concat([awake, asleep], ignore_index=True))) == drift(
        model, daily(tmp_path, awake)
    )


def test_few_users_say_nothing_of_drift(model: ContextAwareModel, tmp_path: Path) -> None:
    assert drift(model, daily(tmp_path, feature_rows(50, seed=9)[0])) == []


def store_purchases(warehouse: Warehouse, users: list[str], at: datetime) -> None:
    rows = [
        {
            "event_id": f"{user}-{at.isoformat()}",
            "event_type": "purchase",
            "ts": at,
            "session_id": "s",
            "user_id": user,
            "region": "UA-40",
            "item_id": "item_1",
            "price": 10.0,
            "properties": "{}",
            "received_at": at,
            "partition": 0,
            "offset": number,
        }
        for number, user in enumerate(users)
    ]
    warehouse.insert_arrow("events_raw", pa.Table.from_pylist(rows, schema=EVENTS_SCHEMA))


def test_past_forecasts_are_compared_with_purchases_within_their_horizon(
    model: ContextAwareModel, registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    features, targets = feature_rows(1000, seed=9)
    snapshot = daily(tmp_path, features)
    score(snapshot, registry, warehouse, reasons_users=0)
    bought = targets["will_purchase"].to_numpy() > 0
    buyers = [f"user-{row:05}" for row in np.flatnonzero(bought)]
    others = [f"user-{row:05}" for row in np.flatnonzero(~bought)]
    store_purchases(warehouse, buyers[::2], INSTANT)
    store_purchases(warehouse, buyers[1::2], INSTANT + timedelta(days=7, milliseconds=-1))
    store_purchases(warehouse, others, INSTANT - timedelta(milliseconds=1))
    lake = Lake(str(tmp_path))
    assert all(
        not item.metric.startswith("live")
        for item in monitor(lake, registry, warehouse, runs=5, tell=ignore)[0].findings
    )
    assert len(monitor(lake, registry, warehouse, runs=5, tell=ignore)) == 1

    store_purchases(warehouse, others, INSTANT + timedelta(days=7))
    for _ in range(2):
        reports = monitor(lake, registry, warehouse, runs=5, tell=ignore)
    found = by_name(reports[1].findings)

    proba = model.predict(features)["purchase_proba"]
    assert found["live_roc_auc", ""].value == pytest.approx(roc_auc_score(bought, proba))
    assert found["live_brier", ""].value == pytest.approx(brier_score_loss(bought, proba))
    assert found["live_predicted_to_actual", ""].value == pytest.approx(proba.sum() / bought.sum())
    likeliest = np.argsort(-proba.to_numpy())[:100]
    assert found["live_lift_10", ""].value == pytest.approx(bought[likeliest].mean() / bought.mean())
    judged = ("live_roc_auc", "live_lift_10", "live_ece_excess", "live_brier_skill", "live_predicted_to_actual")
    assert {found[name, ""].level for name in judged} == {"ok"}
    kept = warehouse.query(
        f"SELECT value, level FROM {warehouse.db}.monitor_reports FINAL WHERE metric = 'live_roc_auc' AND feature = ''"
    )
    assert [row["value"] for row in kept] == [found["live_roc_auc", ""].value]
    assert "live_roc_auc" in table(reports[1], every=False)


def chances(warehouse: Warehouse) -> "pd.Series[float]":
    """By user, the likeliest first."""
    rows = warehouse.query(f"SELECT user_id, purchase_proba FROM {warehouse.db}.forecasts FINAL")
    return pd.Series({row["user_id"]: row["purchase_proba"] for row in rows}).sort_values(ascending=False)


def test_a_list_turned_upside_down_is_an_alarm_and_told_once(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    score(daily(tmp_path, feature_rows(1000, seed=9)[0]), registry, warehouse, reasons_users=0)
    store_purchases(warehouse, list(chances(warehouse).index[-250:]), INSTANT + timedelta(days=1))
    store_purchases(warehouse, ["a stranger"], INSTANT + timedelta(days=8))
    told: list[dict[str, Any]] = []
    for _ in range(2):
        report = monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=told.append)[1]

    found = by_name(report.findings)
    assert found["live_lift_10", ""] == Finding("live_lift_10", "", 0.0, "alarm")
    assert found["live_roc_auc", ""].level == "alarm"
    (message,) = told
    assert (message["type"], message["version"]) == ("forecasts_worse", "1")
    assert datetime.fromisoformat(message["snapshot_time"]) == INSTANT
    assert {"live_lift_10", "live_roc_auc"} <= {item["metric"] for item in message["findings"]}


def test_lift_of_few_buyers_is_no_alarm(registry: Registry, warehouse: Warehouse, tmp_path: Path) -> None:
    score(daily(tmp_path, feature_rows(1000, seed=9)[0]), registry, warehouse, reasons_users=0)
    store_purchases(warehouse, list(chances(warehouse).index[-50:]), INSTANT + timedelta(days=1))
    store_purchases(warehouse, ["a stranger"], INSTANT + timedelta(days=8))

    found = by_name(monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=ignore)[1].findings)
    assert found["live_lift_10", ""] == Finding("live_lift_10", "", 0.0, "ok")


@pytest.mark.parametrize(("meant", "level"), [(True, "ok"), (False, "alarm")])
def test_chances_that_sum_up_but_mean_nothing_are_found_by_their_calibration(
    registry: Registry, warehouse: Warehouse, tmp_path: Path, meant: bool, level: str
) -> None:
    score(daily(tmp_path, feature_rows(1000, seed=9)[0]), registry, warehouse, reasons_users=0)
    proba = chances(warehouse)
    bought = np.random.default_rng(3).random(len(proba)) < (proba if meant else proba.mean())
    store_purchases(warehouse, list(proba.index[bought]), INSTANT + timedelta(days=1))
    store_purchases(warehouse, ["a stranger"], INSTANT + timedelta(days=8))

    found = by_name(monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=ignore)[1].findings)
    assert found["live_predicted_to_actual", ""].level == "ok"
    assert found["live_ece_excess", ""].level == level


@pytest.mark.parametrize(("longer_silent", "level"), [(0, "ok"), (6, "alarm")])
def test_chances_that_jump_from_one_run_to_the_next_are_told_as_a_shift(
    registry: Registry, warehouse: Warehouse, tmp_path: Path, longer_silent: float, level: str
) -> None:
    features = feature_rows(1000, seed=9)[0]
    score(daily(tmp_path, features), registry, warehouse, reasons_users=0)
    assert ("previous_chance_psi", "") not in by_name(
        monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=ignore)[0].findings
    )

    features["days_since_last"] += longer_silent
    write_daily(Lake(str(tmp_path)), features, INSTANT + timedelta(days=1))
    score(DailySnapshot.newest(Lake(str(tmp_path))), registry, warehouse, reasons_users=0)
    told: list[dict[str, Any]] = []
    for _ in range(2):
        report = monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=told.append)[0]

    found = by_name(report.findings)
    assert (found["previous_chance_psi", ""].level, found["previous_chance_ratio", ""].level) == (level, level)
    by_day = warehouse.query(
        f"SELECT avg(purchase_proba) AS mean FROM {warehouse.db}.forecasts FINAL GROUP BY snapshot_time ORDER BY"
        " snapshot_time"
    )
    assert found["previous_chance_ratio", ""].value == pytest.approx(by_day[1]["mean"] / by_day[0]["mean"])
    assert [message["type"] for message in told if message["type"] != "drift"] == (
        ["forecasts_shifted"] if level == "alarm" else []
    )

    write_daily(Lake(str(tmp_path)), features, INSTANT + timedelta(days=2))
    unscored = by_name(monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=ignore)[0].findings)
    assert ("previous_chance_psi", "") not in unscored


def test_the_run_of_another_version_says_nothing_of_a_jump(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    snapshot = daily(tmp_path, feature_rows(1000, seed=9)[0])
    score(snapshot, registry, warehouse, reasons_users=0)
    lake = Lake(str(tmp_path))
    copy_run(warehouse, days_before=1, version="0")
    found = by_name(monitor(lake, registry, warehouse, runs=5, tell=ignore)[0].findings)
    assert ("previous_chance_psi", "") not in found

    copy_run(warehouse, days_before=2, version="1")
    found = by_name(monitor(lake, registry, warehouse, runs=5, tell=ignore)[0].findings)
    assert found["previous_chance_psi", ""].value == 0


def copy_run(warehouse: Warehouse, *, days_before: int, version: str) -> None:
    """The run as of INSTANT again, as if an earlier day's or another version's."""
    for name in ("forecasts", "forecast_runs"):
        warehouse.command(
            f"INSERT INTO {warehouse.db}.{name} SELECT * REPLACE(snapshot_time - toIntervalDay({days_before}) AS"
            f" snapshot_time, '{version}' AS model_version) FROM (SELECT * FROM {warehouse.db}.{name}"
            " WHERE snapshot_time = {instant:DateTime64(3, 'UTC')})",
            parameters={"instant": INSTANT},
        )


def store_predictions(
    warehouse: Warehouse, registry: Registry, chances: Sequence[float], at: datetime, users: Sequence[str] = ()
) -> None:
    rows = [
        {
            "prediction_id": f"{at.isoformat()}-{number}",
            "service": registry.name,
            "model_version": "1",
            "user_id": users[number] if users else "",
            "predicted_at": at,
            "purchase_proba": float(proba),
            "will_purchase_pred": int(proba > 0.5),
            "days_to_next_pred": 1.0,
            "next_purchase_amount_pred": 1.0,
            "features": "{}",
            "partition": 0,
            "offset": number,
        }
        for number, proba in enumerate(chances)
    ]
    warehouse.insert_arrow("predictions", pa.Table.from_pylist(rows, schema=PREDICTIONS_SCHEMA))


@pytest.mark.parametrize(("share", "level"), [(1.0, "ok"), (0.3, "alarm")])
def test_what_was_asked_online_is_compared_with_the_week_before(
    model: ContextAwareModel, registry: Registry, warehouse: Warehouse, tmp_path: Path, share: float, level: str
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    features = feature_rows(1500, seed=9)[0]
    proba = model.predict(features)["purchase_proba"].to_numpy()
    lake = Lake(str(tmp_path))
    daily(tmp_path, features)
    store_predictions(warehouse, registry, share * proba[:999], now - timedelta(hours=2))
    few = by_name(monitor(lake, registry, warehouse, runs=5, tell=ignore)[0].findings)
    assert ("online_records", "") not in few

    store_predictions(warehouse, registry, share * proba[999:], now - timedelta(hours=3))
    alone = by_name(monitor(lake, registry, warehouse, runs=5, tell=ignore)[0].findings)
    assert alone["online_records", ""].value == 1500
    assert alone["online_mean_chance", ""].value == pytest.approx(share * proba.mean())
    assert ("online_chance_psi", "") not in alone

    store_predictions(warehouse, registry, proba, now - timedelta(days=3))
    told: list[dict[str, Any]] = []
    found = by_name(monitor(lake, registry, warehouse, runs=5, tell=told.append)[0].findings)
    assert found["online_chance_psi", ""].level == level
    assert [message["type"] for message in told] == (["forecasts_shifted"] if level == "alarm" else [])


def test_answers_about_named_users_are_compared_with_their_purchases_from_the_answer_on(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    score(daily(tmp_path, feature_rows(300, seed=9)[0]), registry, warehouse, reasons_users=0)
    random = np.random.default_rng(5)
    users, proba = [f"asked-{number:03}" for number in range(400)], random.uniform(0.05, 0.6, 400)
    bought = random.random(400) < proba
    asked = INSTANT + timedelta(hours=5)
    store_predictions(warehouse, registry, proba, asked, users)
    store_predictions(warehouse, registry, 1 - proba, asked + timedelta(minutes=1), users)
    store_predictions(warehouse, registry, [0.5] * 400, asked - timedelta(minutes=1))
    buyers = [user for user, did in zip(users, bought, strict=True) if did]
    others = [user for user, did in zip(users, bought, strict=True) if not did]
    store_purchases(warehouse, users, asked - timedelta(milliseconds=1))
    store_purchases(warehouse, buyers[::2], asked)
    store_purchases(warehouse, buyers[1::2], asked + timedelta(days=7, milliseconds=-1))
    lake = Lake(str(tmp_path))
    store_purchases(warehouse, ["a stranger"], INSTANT + timedelta(days=7, hours=4))
    early = by_name(monitor(lake, registry, warehouse, runs=5, tell=ignore)[1].findings)
    assert "live_users" in {metric for metric, _ in early}
    assert not any(metric.startswith("live_online") for metric, _ in early)

    store_purchases(warehouse, others[::2], asked + timedelta(days=7))
    found = by_name(monitor(lake, registry, warehouse, runs=5, tell=ignore)[1].findings)
    assert found["live_online_users", ""].value == 400
    assert found["live_online_roc_auc", ""].value == pytest.approx(roc_auc_score(bought, proba))
    assert found["live_online_brier", ""].value == pytest.approx(brier_score_loss(bought, proba))
    assert found["live_online_roc_auc", ""].level == "ok"


def test_the_luck_of_few_buyers_is_no_fault_of_calibration(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    score(daily(tmp_path, feature_rows(300, seed=9)[0]), registry, warehouse, reasons_users=0)
    random = np.random.default_rng(5)
    users, proba = [f"asked-{number:04}" for number in range(2000)], random.uniform(0.005, 0.035, 2000)
    bought = random.random(2000) < proba
    store_predictions(warehouse, registry, proba, INSTANT + timedelta(hours=5), users)
    store_purchases(warehouse, [users[place] for place in np.flatnonzero(bought)], INSTANT + timedelta(days=1))
    store_purchases(warehouse, ["a stranger"], INSTANT + timedelta(days=8))

    found = by_name(monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=ignore)[1].findings)
    assert found["live_online_ece", ""].value / bought.mean() > 0.3
    assert found["live_online_ece_excess", ""].level == "ok"


def test_many_buyers_forecast_and_none_seen_is_an_alarm(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    score(daily(tmp_path, feature_rows(1000, seed=9)[0]), registry, warehouse, reasons_users=0)
    store_purchases(warehouse, ["a stranger"], INSTANT + timedelta(days=8))

    found = by_name(monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=ignore)[1].findings)
    assert found["live_buyers", ""].value == 0
    assert found["live_predicted_to_actual", ""].level == "alarm"


def test_a_horizon_is_not_over_because_one_clock_is_fast(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    lake = Lake(str(tmp_path))
    write_daily(lake, feature_rows(300, seed=9)[0], now - timedelta(days=6, hours=20))
    score(DailySnapshot.newest(lake), registry, warehouse, reasons_users=0)
    store_purchases(warehouse, ["a stranger"], now + timedelta(hours=20))

    assert len(monitor(lake, registry, warehouse, runs=5, tell=ignore)) == 1


def test_without_anything_to_measure_there_is_no_report(
    registry_of: Callable[[str], Registry], warehouse: Warehouse, tmp_path: Path
) -> None:
    assert monitor(Lake(str(tmp_path)), registry_of("test_monitor_empty"), warehouse, runs=5, tell=ignore) == []


def test_the_stability_index_is_the_textbooks() -> None:
    assert stability_index([0.5, 0.5], [0.5, 0.5]) == 0
    assert stability_index([0.5, 0.5], [0.8, 0.2]) == pytest.approx(0.3 * np.log(1.6) - 0.3 * np.log(0.4))
    assert np.isfinite(stability_index([1.0, 0.0], [0.0, 1.0]))


def test_an_alarm_of_drift_is_told_once_a_version_and_day(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    moved = feature_rows(1500, seed=9)[0]
    moved["days_since_last"] += 6
    daily(tmp_path, moved)
    told: list[dict[str, Any]] = []
    for _ in range(2):
        monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=told.append)

    (message,) = told
    assert (message["type"], message["model"], message["version"]) == ("drift", registry.name, "1")
    assert datetime.fromisoformat(message["snapshot_time"]) == INSTANT
    assert ("psi", "days_since_last") in [(item["metric"], item["feature"]) for item in message["findings"]]

    write_daily(Lake(str(tmp_path)), moved, INSTANT + timedelta(days=1))
    monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=told.append)
    assert len(told) == 2


def test_users_like_those_of_training_are_told_to_nobody(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    daily(tmp_path, feature_rows(1500, seed=9)[0])
    told: list[dict[str, Any]] = []
    monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=told.append)

    assert told == []


def test_drift_that_could_not_be_told_is_told_by_the_next_run(
    registry: Registry, warehouse: Warehouse, tmp_path: Path
) -> None:
    moved = feature_rows(1500, seed=9)[0]
    moved["days_since_last"] += 6
    daily(tmp_path, moved)

    def cut_short(message: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=cut_short)
    told: list[dict[str, Any]] = []
    monitor(Lake(str(tmp_path)), registry, warehouse, runs=5, tell=told.append)
    assert len(told) == 1
