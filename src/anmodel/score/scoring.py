"""Forecast every user of the newest daily snapshot. Safe to repeat: the same rows are replaced by equal ones."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import structlog

from anmodel.errors import NotReadyError
from anmodel.model import ContextAwareModel
from anmodel.progress import ProgressLine
from anmodel.registry import LoadedModel, Registry
from anmodel.schema import FORECASTS
from anmodel.score.rows import Array, forecast_table, percentiles
from anmodel.snapshots.daily import DailySnapshot
from anmodel.warehouse import Warehouse

log = structlog.get_logger()

REASONS = 3


def score(snapshot: DailySnapshot, registry: Registry, warehouse: Warehouse, *, reasons_users: int) -> dict[str, Any]:
    """Write a forecast for every user, block by block, then the run's row; returns that row.

    Readers look only at runs whose row is there, so a run that was cut short is not seen, and running it again replaces
    what it left. Reasons go to all users, or, when they are more than `reasons_users`, to so many of the likeliest.
    """
    loaded = _champion(registry)
    snapshot.check(loaded.contract, f"{registry.name} version {loaded.version.version}")
    run = _run(snapshot, loaded)
    names = list(loaded.model.feature_names_in_)
    forecasts = _forecasts(snapshot, loaded.model, names)
    proba = forecasts["purchase_proba"].to_numpy(dtype=np.float64)
    explained = _explained(proba, reasons_users)
    ranks = percentiles(proba)
    done = 0
    with ProgressLine("forecasts written", len(proba), unit="users") as progress:
        for block in snapshot.blocks():
            rows = slice(done, done + block.num_rows)
            table = _block(block, loaded.model, names, forecasts.iloc[rows], ranks[rows], explained[rows], run)
            warehouse.insert_arrow("forecasts", table)
            done += block.num_rows
            progress.show(done)
    warehouse.settle(FORECASTS)
    finished = {**run, "users": done}
    warehouse.insert_arrow("forecast_runs", pa.Table.from_pylist([finished], schema=RUNS_SCHEMA))
    log.info("forecasts finished", users=done, explained=int(explained.sum()), version=loaded.version.version)
    return finished


RUNS_SCHEMA = pa.schema(
    [
        pa.field("snapshot_time", pa.timestamp("ms", tz="UTC")),
        pa.field("model_name", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("snapshot_version", pa.string()),
        pa.field("horizon_days", pa.uint16()),
        pa.field("users", pa.uint64()),
        pa.field("scored_at", pa.timestamp("ms", tz="UTC")),
    ]
)


def _champion(registry: Registry) -> LoadedModel:
    champion = registry.champion()
    if champion is None:
        raise NotReadyError(f"Model {registry.name} has no version in use. Run `anmodel train` and `anmodel register`.")
    return registry.load(champion)


def _run(snapshot: DailySnapshot, loaded: LoadedModel) -> dict[str, Any]:
    return {
        "snapshot_time": snapshot.instant,
        "model_name": loaded.version.name,
        "model_version": loaded.version.version,
        "snapshot_version": snapshot.version,
        "horizon_days": snapshot.horizon_days,
        "scored_at": datetime.now(UTC),
    }


def _forecasts(snapshot: DailySnapshot, model: ContextAwareModel, names: list[str]) -> pd.DataFrame:
    """What the model says of all users, four numbers each: ranks need them all before the first row is written."""
    blocks = [model.predict(block.to_pandas()[names]) for block in snapshot.blocks(names)]
    return pd.concat(blocks, ignore_index=True) if blocks else model.predict(pd.DataFrame(columns=names))


def _explained(proba: Array, most: int) -> "np.typing.NDArray[np.bool_]":
    """Which users get reasons."""
    if len(proba) <= most:
        return np.ones(len(proba), dtype=bool)
    log.warning("reasons only for the likeliest users", users=len(proba), explained=most, setting="REASONS_USERS")
    chosen = np.zeros(len(proba), dtype=bool)
    chosen[np.argsort(-proba, kind="stable")[:most]] = True
    return chosen


def _block(
    block: pa.RecordBatch,
    model: ContextAwareModel,
    names: list[str],
    forecast: pd.DataFrame,
    percentile: Array,
    explained: "np.typing.NDArray[np.bool_]",
    run: dict[str, Any],
) -> pa.Table:
    frame = block.to_pandas()
    features = frame[names]
    reasons = iter(model.explain(features[explained], top=REASONS))
    said = pd.concat([forecast.reset_index(drop=True), model.predict_intervals(features)], axis=1)
    return forecast_table(
        frame[["user_id", "region"]],
        features,
        said,
        percentile,
        [next(reasons) if known else [] for known in explained],
        run,
    )
