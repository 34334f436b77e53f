"""Forecasts of 200,000 users: all outputs but reasons, and reasons alone, users a second on one core.

Of shoppers of the generator; the daily snapshot is theirs many times over. `score` runs whole, from the snapshot's file
to rows in ClickHouse, which has the other core; only the reading of the model is not counted.
"""

import argparse
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.registry import Registry
from anmodel.score.finishing import finish
from anmodel.score.plan import champion, make_plan
from anmodel.score.scoring import REASONS, forecast_shard
from anmodel.settings import ScoreSettings
from anmodel.snapshots.daily import DailySnapshot
from bench.cores import SERVER, pin_self
from bench.filled import Engine, clickhouse
from bench.generator import fill_lake
from bench.result import Row, report
from bench.running import workspace

SHOPPERS = 2_000
EXPLAINED = 2_000
ENDS = "2026-06-01"


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench score", description=__doc__)
    parser.add_argument("--users", type=int, default=200_000)
    options = parser.parse_args(arguments)
    with workspace() as folder:
        variables = {"PARQUET_OUT": f"{folder}/lake", "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        _train(folder, variables)
        with clickhouse(folder) as engine:
            pin_self(SERVER)
            used = {name.lower(): value for name, value in {**variables, **engine.variables}.items()}
            settings = ScoreSettings.load(**used)
            snapshot = _many(DailySnapshot.newest(Lake(settings.parquet_out)), options.users)
            registry = Registry(settings)
            model = registry.load(champion(registry)).model
            model.set_params(n_jobs=1)
            rows = [
                Row("score", _scored(snapshot, registry, engine, model), "users/s", 30_000, 100_000),
                Row("score.model", _forecast(snapshot, model), "users/s", 30_000, 100_000),
                Row("score.reasons", _explained(snapshot, model), "users/s", 400, 1_000),
            ]
    return report(rows, users=options.users, trees=model.trees_)


def _train(folder: Path, variables: dict[str, str]) -> None:
    """A champion that learnt from shoppers of the generator, and their daily snapshot."""
    file = folder / "events.parquet"
    users = {"USERS_URL": f"sqlite:///{folder}/users.db"}
    _run(variables | users, "generator", "--users", str(SHOPPERS), "--snapshot-date", ENDS, "--out", str(file))
    fill_lake(Lake(variables["PARQUET_OUT"]), pq.read_table(file))
    for words in (("snapshot", "train"), ("train",), ("register",), ("snapshot", "daily")):
        _run(variables, *words)


def _many(one: DailySnapshot, users: int) -> DailySnapshot:
    """A snapshot of so many users: those of the other one over and over, each time by other names."""
    with one.lake.open(one.path) as file:
        table = pq.read_table(file)
    place = table.schema.get_field_index("user_id")
    copies = []
    for number in range(-(-users // len(table))):
        names = pa.array([f"{user}-{number}" for user in table["user_id"].to_pylist()])
        copies.append(table.set_column(place, "user_id", names))
    many = pa.concat_tables(copies).slice(0, users).sort_by("user_id")
    folder = one.path.rpartition("/")[0]
    written = one.lake.add_table(folder, "many", many)
    return DailySnapshot(
        one.lake, written.path(folder, "many"), one.instant, one.version, one.horizon_days, users, written
    )


def _scored(snapshot: DailySnapshot, registry: Registry, engine: Engine, model: ContextAwareModel) -> float:
    loaded = registry.load(champion(registry))
    loaded.model.set_params(n_jobs=model.n_jobs)
    began = time.monotonic()
    plan = make_plan("", snapshot, loaded.version, shards=1, reasons_users=0, scored_at=datetime.now(UTC))
    forecast_shard(plan, 0, snapshot, loaded, engine.warehouse)
    done: dict[str, Any] = finish(plan, engine.warehouse)
    return float(done["users"]) / (time.monotonic() - began)


def _forecast(snapshot: DailySnapshot, model: ContextAwareModel) -> float:
    """The model alone."""
    spent = 0.0
    for block in snapshot.blocks(list(model.feature_names_in_)):
        frame = block.to_pandas()
        began = time.monotonic()
        model.forecast(frame)
        spent += time.monotonic() - began
    return snapshot.users / spent


def _explained(snapshot: DailySnapshot, model: ContextAwareModel) -> float:
    frame = next(snapshot.blocks(list(model.feature_names_in_))).to_pandas().head(EXPLAINED)
    began = time.monotonic()
    model.explain(frame, top=REASONS)
    return len(frame) / (time.monotonic() - began)


def _run(variables: dict[str, str], *words: str) -> None:
    print(f"anmodel {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "anmodel", *words], env={**os.environ, **variables}, check=True)
