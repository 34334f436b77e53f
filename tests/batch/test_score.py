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
from typer.testing import CliRunner

from anmodel.cli import app
from anmodel.errors import ContractError, LakeError, NoChampionError, NotReadyError, WarehouseError
from anmodel.forecasts import FORECAST_OUTPUTS
from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.registry import Registry
from anmodel.score.finishing import finish
from anmodel.score.plan import (
    SHARD,
    Plan,
    champion,
    keep_plan,
    make_plan,
    planned_model,
    read_plan,
    shards_of,
)
from anmodel.score.scoring import forecast_shard, score
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
    expected = model.forecast(features)
    assert tuple(expected.columns) == FORECAST_OUTPUTS
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


class CutInTheMiddle(Warehouse):
    """Takes half of a block and then is away."""

    def insert_arrow(self, table: str, rows: pa.Table, **given: Any) -> None:
        super().insert_arrow(table, rows.slice(0, rows.num_rows // 2), **given)
        raise WarehouseError("gone")


def plan_of(
    snapshot: DailySnapshot, registry: Registry, shards: int, run: str = "r1", reasons_users: int = 500
) -> Plan:
    version = champion(registry)
    now = datetime.now(UTC)
    return make_plan(run, snapshot, version, shards=shards, reasons_users=reasons_users, scored_at=now)


def forecast(plan: Plan, shard: int, lake: Lake, registry: Registry, warehouse: Warehouse) -> int:
    return forecast_shard(plan, shard, plan.snapshot(lake), planned_model(registry, plan), warehouse)


def test_shards_write_what_one_run_over_all_users_would_row_for_row(
    snapshot: DailySnapshot, registry: Registry, warehouse: Warehouse, clickhouse: ClickHouseProcess
) -> None:
    score(snapshot, registry, warehouse, reasons_users=500)
    whole = forecasts(warehouse)
    other = own_warehouse(clickhouse)
    plan = keep_plan(snapshot.lake, plan_of(snapshot, registry, 3))
    written = [forecast(plan, shard, snapshot.lake, registry, other) for shard in (2, 0, 1)]
    run = finish(plan, other)

    assert written == [plan.shard_users[shard] for shard in (2, 0, 1)]
    assert min(written) > USERS / 4
    found = forecasts(other)
    pd.testing.assert_frame_equal(found.drop(columns="scored_at"), whole.drop(columns="scored_at"))
    assert {moment.to_pydatetime().replace(tzinfo=UTC) for moment in found["scored_at"]} == {plan.scored_at}
    assert (run["users"], run["scored_at"]) == (USERS, plan.scored_at)
    for _ in range(2):  # again, also out of order: the same rows
        forecast(plan, 1, snapshot.lake, registry, other)
        finish(plan, other)
    pd.testing.assert_frame_equal(forecasts(other), found)
    assert len(other.query(f"SELECT * FROM {other.db}.forecast_runs FINAL")) == 1


def test_a_run_is_not_finished_before_the_last_shard_and_says_which_are_missing(
    snapshot: DailySnapshot, registry: Registry, warehouse: Warehouse
) -> None:
    plan = plan_of(snapshot, registry, 3)
    forecast(plan, 0, snapshot.lake, registry, warehouse)
    with pytest.raises(WarehouseError):
        forecast(plan, 2, snapshot.lake, registry, CutInTheMiddle(warehouse.client, warehouse.db))
    written = len(forecasts(warehouse)) - plan.shard_users[0]
    assert 0 < written < plan.shard_users[2]
    left = plan.shard_users[2] - written
    with pytest.raises(
        NotReadyError,
        match=rf"shard 1 \({plan.shard_users[1]:,} users\), shard 2 \({left:,} users\).*--run r1 --shard 1",
    ):
        finish(plan, warehouse)
    assert warehouse.query(f"SELECT * FROM {warehouse.db}.forecast_runs") == []
    for shard in (1, 2):
        forecast(plan, shard, snapshot.lake, registry, warehouse)
    assert finish(plan, warehouse)["users"] == len(forecasts(warehouse)) == USERS


def test_a_champion_of_meanwhile_changes_nothing_for_shards_that_are_planned(
    snapshot: DailySnapshot, registry_of: Callable[[str], Registry], warehouse: Warehouse, tmp_path: Path
) -> None:
    registry = registry_of("test_score_meanwhile")
    models = [ContextAwareModel(max_trees=trees, learning_rate=0.1, n_jobs=1) for trees in (5, 9)]
    for number, model in enumerate(models):
        model.fit(*feature_rows(500, seed=number), validation=feature_rows(300, seed=9), contract=contract(7))
    log = {"contract": contract(7), "metrics": {}, "params": {}, "files": tmp_path, "inputs": {}}
    registry.set_champion(registry.log(models[0], **log))
    lake = snapshot.lake
    plan = keep_plan(lake, plan_of(snapshot, registry, 2, "meanwhile"))
    forecast(plan, 0, lake, registry, warehouse)
    assert keep_plan(lake, plan_of(snapshot, registry, 2, "meanwhile")) == plan, "a retry of the plan keeps it"
    registry.set_champion(registry.log(models[1], **log))
    forecast(read_plan(lake, "meanwhile"), 1, lake, registry, warehouse)
    finish(plan, warehouse)
    assert set(forecasts(warehouse)["model_version"]) == {"1"}
    anew = keep_plan(lake, plan_of(snapshot, registry, 2, "meanwhile"))
    assert (anew.model_version, read_plan(lake, "meanwhile")) == ("2", anew)
    with pytest.raises(NotReadyError, match="shard 0"):
        finish(anew, warehouse)


@pytest.mark.parametrize("shards", [1, 2])
def test_forecasts_of_users_who_are_gone_go_with_the_next_run_of_the_same_snapshot(
    registry: Registry, warehouse: Warehouse, features: pd.DataFrame, tmp_path: Path, shards: int
) -> None:
    lake = Lake(str(tmp_path))
    for users in (300, 200):
        write_daily(lake, features.head(users), INSTANT)
        plan = plan_of(DailySnapshot.newest(lake), registry, shards)
        for shard in range(shards):
            forecast(plan, shard, lake, registry, warehouse)
        assert finish(plan, warehouse)["users"] == users
        assert len(forecasts(warehouse)) == users


def test_a_snapshot_that_was_replaced_long_ago_is_to_be_planned_anew(
    registry: Registry, features: pd.DataFrame, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path))
    write_daily(lake, features.head(20), INSTANT)
    plan = plan_of(DailySnapshot.newest(lake), registry, 2)
    lake.delete(plan.snapshot_path)
    with pytest.raises(NotReadyError, match="score plan --run r1 --shards 2"):
        plan.snapshot(lake)


def test_shards_are_those_that_clickhouse_counts_by(warehouse: Warehouse) -> None:
    users = ["user-1", "", "☂ ü", "a" * 300]
    listed = ", ".join(f"'{user}'" for user in users)
    rows = warehouse.query(f"SELECT {SHARD.format(shards=7)} AS shard FROM (SELECT arrayJoin([{listed}]) AS user_id)")
    assert [row["shard"] for row in rows] == shards_of(users, 7).tolist()


def test_the_commands_plan_forecast_and_finish_a_run(
    snapshot: DailySnapshot,
    registry: Registry,
    warehouse: Warehouse,
    clickhouse: ClickHouseProcess,
    mlflow_variables: dict[str, str],
) -> None:
    environment = {
        **mlflow_variables,
        "MODEL_NAME": registry.name,
        "PARQUET_OUT": snapshot.lake.url,
        "CLICKHOUSE_PORT": str(clickhouse.port),
        "CLICKHOUSE_USER": clickhouse.user,
        "CLICKHOUSE_PASSWORD": clickhouse.password,
        "CLICKHOUSE_DB": warehouse.db,
    }

    def said(*words: str) -> str:
        done = CliRunner().invoke(app, ["score", *words], env=environment)
        return done.stdout if done.exit_code == 0 else str(done.exception)

    assert "has no plan" in said("finish", "--run", "c-1")
    assert "allowed are letters" in said("plan", "--run", "../x", "--shards", "2")
    assert "snapshot_date=2026-01-01" in said("plan", "--run", "c-1", "--shards", "2", "--date", "2026-01-01")
    assert "12,000 users" in said("plan", "--run", "c-1", "--shards", "2", "--date", "2026-05-14")
    assert "numbered from 0" in said("shard", "--run", "c-1", "--shard", "2")
    for shard in ("0", "1"):
        assert f"users of shard {shard} forecast" in said("shard", "--run", "c-1", "--shard", shard)
    assert "12,000 users forecast" in said("finish", "--run", "c-1")
    assert "12,000 users forecast" in said()


def test_only_a_missing_champion_ends_a_plan_with_the_exit_code_on_which_a_forecast_is_left_out(
    snapshot: DailySnapshot, registry_of: Callable[[str], Registry], mlflow_variables: dict[str, str]
) -> None:
    nobody = {"CLICKHOUSE_USER": "nobody", "CLICKHOUSE_PASSWORD": "none"}
    environment = {**mlflow_variables, **nobody, "MODEL_NAME": registry_of("test_score_none").name}

    def fault(lake: str, *options: str) -> type[BaseException]:
        words = ["score", "plan", "--run", "n-1", "--shards", "2", *options]
        return type(CliRunner().invoke(app, words, env=environment | {"PARQUET_OUT": lake}).exception)

    assert fault(snapshot.lake.url) is NoChampionError
    assert fault(snapshot.lake.url, "--date", "2026-01-01") is NotReadyError
    assert fault(f"{snapshot.lake.url}-elsewhere") is NotReadyError
    assert NoChampionError.exit_code != NotReadyError.exit_code


def test_equal_chances_share_a_percentile() -> None:
    from anmodel.score.rows import percentiles

    assert percentiles(np.array([0.1, 0.5, 0.5, 0.9])).tolist() == [25.0, 75.0, 75.0, 100.0]
    assert percentiles(np.zeros(0)).tolist() == []
