"""monitor: drift of the daily snapshot, and forecasts against what happened, in a real ClickHouse."""

from collections.abc import Callable
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
    moved["seq_search"] += 6
    found = by_name(drift(model, daily(tmp_path, moved)))

    assert model.feature_importance_["days_since_last"] > 0.01 > model.feature_importance_["seq_search"]
    assert found["psi", "days_since_last"].level == "alarm"
    assert found["psi", "seq_search"].level == "warn"
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
    assert found["live_roc_auc", ""].level == "ok"
    kept = warehouse.query(
        f"SELECT value, level FROM {warehouse.db}.monitor_reports FINAL WHERE metric = 'live_roc_auc' AND feature = ''"
    )
    assert [row["value"] for row in kept] == [found["live_roc_auc", ""].value]
    assert "live_roc_auc" in table(reports[1], every=False)


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
