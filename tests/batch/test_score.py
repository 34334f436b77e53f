"""score: every user of the daily snapshot gets a forecast in a real ClickHouse."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from anmodel.errors import ContractError, LakeError, NotReadyError, WarehouseError
from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.registry import Registry
from anmodel.score.scoring import score
from anmodel.snapshots import FEATURE_NAMES, contract
from anmodel.snapshots.daily import DailySnapshot
from anmodel.warehouse import Warehouse
from batch.histories import own_warehouse
from batch.synthetic import feature_rows, write_daily
from clickhouse_process import ClickHouseProcess

INSTANT = datetime(2026, 5, 14, 23, 59, 44, 458_000, tzinfo=UTC)
USERS = 12_000  # more than one block


@pytest.fixture(scope="module")
def model() -> ContextAwareModel:
    model = ContextAwareModel(max_trees=30, learning_rate=0.1, n_jobs=1)
    return model.fit(*feature_rows(1500, seed=1), validation=feature_rows(700, seed=2), contract=contract(7))


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, registry_of: Callable[[str], Registry], model: ContextAwareModel
) -> Registry:
    registry = registry_of("test_score")
    files = tmp_path_factory.mktemp("files")
    registry.set_champion(registry.log(model, contract=contract(7), metrics={}, params={}, files=files, inputs={}))
    return registry


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    return feature_rows(USERS, seed=5)[0]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory, features: pd.DataFrame) -> DailySnapshot:
    lake = Lake(str(tmp_path_factory.mktemp("score")))
    write_daily(lake, features, INSTANT)
    return DailySnapshot.newest(lake)


@pytest.fixture
def warehouse(clickhouse: ClickHouseProcess) -> Warehouse:
    return own_warehouse(clickhouse)


def forecasts(warehouse: Warehouse) -> pd.DataFrame:
    rows = warehouse.query(f"SELECT * FROM {warehouse.db}.forecasts FINAL ORDER BY user_id")
    return pd.DataFrame(rows)


def test_every_user_gets_what_the_model_says_and_the_run_is_told_last(
    snapshot: DailySnapshot, registry: Registry, warehouse: Warehouse, model: ContextAwareModel, features: pd.DataFrame
) -> None:
    run = score(snapshot, registry, warehouse, reasons_users=500)
    found = forecasts(warehouse)

    assert run["users"] == len(found) == USERS
    expected = pd.concat([model.predict(features), model.predict_intervals(features)], axis=1)
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_dtype=False)
    assert set(found["snapshot_time"].dt.tz_localize(None)) == {INSTANT.replace(tzinfo=None)}
    assert set(found["region"]) == {"UA-40"}
    assert [row["users"] for row in warehouse.query(f"SELECT users FROM {warehouse.db}.forecast_runs FINAL")] == [USERS]


def test_percentile_segment_reasons_and_features_are_there(
    snapshot: DailySnapshot, registry: Registry, warehouse: Warehouse, features: pd.DataFrame
) -> None:
    score(snapshot, registry, warehouse, reasons_users=500)
    found = forecasts(warehouse)

    likeliest = found.sort_values("purchase_proba", ascending=False)
    assert likeliest.iloc[0]["percentile"] == 100
    assert found["percentile"].corr(found["purchase_proba"], method="spearman") == pytest.approx(1.0)
    assert set(found["segment"]) <= {"hot", "warm", "cold", "ignore"}
    explained = found["reasons"] != "[]"
    assert explained.sum() == 500
    assert found.loc[explained, "purchase_proba"].min() >= found.loc[~explained, "purchase_proba"].max()
    assert {"feature", "value", "effect", "text"} == set(json.loads(likeliest.iloc[0]["reasons"])[0])
    document = json.loads(found.iloc[7]["features"])
    assert set(document) == {*FEATURE_NAMES, "snapshot_date"}
    assert document["snapshot_date"] == "2026-05-14"
    assert document["trend_popularity_mean"] is None
    assert document["total_spent"] == features.iloc[7]["total_spent"]


def test_scoring_again_leaves_the_same_rows(snapshot: DailySnapshot, registry: Registry, warehouse: Warehouse) -> None:
    score(snapshot, registry, warehouse, reasons_users=10)
    first = forecasts(warehouse)
    score(snapshot, registry, warehouse, reasons_users=10)

    pd.testing.assert_frame_equal(forecasts(warehouse).drop(columns="scored_at"), first.drop(columns="scored_at"))
    assert len(warehouse.query(f"SELECT * FROM {warehouse.db}.forecast_runs FINAL")) == 1


class CutShort(Warehouse):
    """Takes one block and then is away."""

    blocks = 0

    def insert_arrow(self, table: str, rows: pa.Table, **given: Any) -> None:
        self.blocks += 1
        if self.blocks > 1:
            raise WarehouseError("gone")
        super().insert_arrow(table, rows, **given)


def test_a_run_cut_short_is_not_seen_and_the_next_one_completes_it(
    snapshot: DailySnapshot, registry: Registry, warehouse: Warehouse
) -> None:
    with pytest.raises(WarehouseError):
        score(snapshot, registry, CutShort(warehouse.client, warehouse.db), reasons_users=0)
    assert len(forecasts(warehouse)) == 10_000
    assert warehouse.query(f"SELECT * FROM {warehouse.db}.forecast_runs") == []

    score(snapshot, registry, warehouse, reasons_users=0)
    assert len(forecasts(warehouse)) == USERS


def test_a_snapshot_of_another_version_is_refused_with_the_columns_that_differ(
    registry: Registry, warehouse: Warehouse, tmp_path: Path, features: pd.DataFrame
) -> None:
    lake = Lake(str(tmp_path))
    write_daily(lake, features.head(10).rename(columns={"total_spent": "spent_total"}), INSTANT)
    with pytest.raises(ContractError, match=r"missing total_spent; unknown spent_total"):
        score(DailySnapshot.newest(lake), registry, warehouse, reasons_users=0)

    write_daily(lake, features.head(10), INSTANT)
    (pointer,) = lake.sizes("daily_features/latest")
    lake.write_json(pointer, {**lake.read_json(pointer), "version": "0" * 12})
    with pytest.raises(ContractError, match="the daily snapshot has 000000000000"):
        score(DailySnapshot.newest(lake), registry, warehouse, reasons_users=0)
    assert len(forecasts(warehouse)) == 0


def test_rows_left_by_a_snapshot_run_that_was_cut_short_are_not_forecast(
    registry: Registry, warehouse: Warehouse, features: pd.DataFrame, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path))
    write_daily(lake, features, INSTANT)
    snapshot = DailySnapshot.newest(lake)
    lake.write_table(snapshot.path, lake.read_table(snapshot.path).slice(1))
    with pytest.raises(LakeError, match="anmodel snapshot daily"):
        score(snapshot, registry, warehouse, reasons_users=0)
    assert forecasts(warehouse).empty


def test_without_a_champion_or_a_snapshot_it_says_what_to_run(
    snapshot: DailySnapshot, registry_of: Callable[[str], Registry], warehouse: Warehouse, tmp_path: Path
) -> None:
    empty = registry_of("test_score_empty")

    with pytest.raises(NotReadyError, match="anmodel register"):
        score(snapshot, empty, warehouse, reasons_users=0)
    with pytest.raises(NotReadyError, match="holds no daily snapshot yet"):
        DailySnapshot.newest(Lake(str(tmp_path)))


def test_equal_chances_share_a_percentile() -> None:
    from anmodel.score.rows import percentiles

    assert percentiles(np.array([0.1, 0.5, 0.5, 0.9])).tolist() == [25.0, 75.0, 75.0, 100.0]
    assert percentiles(np.zeros(0)).tolist() == []
