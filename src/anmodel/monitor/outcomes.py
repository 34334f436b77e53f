"""Forecasts whose horizon has passed, against what happened: read from ClickHouse."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.model.evaluation import chance_metrics
from anmodel.monitor.levels import Finding, finding
from anmodel.warehouse import Warehouse

LEAST_BUYERS = 30
"""Fewer buyers or others than this say nothing of a ranking; fewer buyers both expected and found, of a ratio."""


@dataclass(frozen=True)
class FinishedRun:
    """A score run whose horizon has passed."""

    snapshot_time: datetime
    model_name: str
    model_version: str
    horizon_days: int


def finished_runs(warehouse: Warehouse, model_name: str, newest: int) -> list[FinishedRun]:
    """The newest runs of the model whose horizon ended before the newest event, the newest first.

    Judged by the events: what did not arrive yet cannot have happened. And by the clock: a visitor's may be a day fast.
    """
    rows = warehouse.query(
        f"""
        SELECT snapshot_time, model_name, model_version, horizon_days FROM {warehouse.db}.forecast_runs FINAL
        WHERE model_name = {{model:String}}
          AND snapshot_time + toIntervalDay(horizon_days)
              <= (SELECT least(max(ts), now64(3)) FROM {warehouse.db}.events_raw)
        ORDER BY snapshot_time DESC, scored_at DESC LIMIT {{newest:UInt32}}
        """,
        {"model": model_name, "newest": newest},
    )
    return [FinishedRun(**row) for row in rows]


def outcomes(warehouse: Warehouse, run: FinishedRun) -> list[Finding]:
    """How good the run was: AUC, Brier score and its skill against the share of buyers, and predicted to actual buyers.

    A purchase counts from the snapshot's instant on and before the end of the horizon, as in training.
    """
    table = _joined(warehouse, run)
    proba, bought = (table[name].to_numpy().astype(np.float64) for name in ("purchase_proba", "bought"))
    measured = chance_metrics(bought, proba)
    found = [finding("live_users", len(proba)), finding("live_buyers", bought.sum())]
    if not measured:
        return found
    found += [finding(f"live_{name}", measured[name]) for name in ("brier", "log_loss", "ece")]
    if LEAST_BUYERS <= bought.sum() <= len(bought) - LEAST_BUYERS:
        rate = measured["positive_rate"]
        found.append(finding("live_roc_auc", measured["roc_auc"]))
        found.append(finding("live_brier_skill", 1 - measured["brier"] / (rate * (1 - rate))))
    if max(proba.sum(), bought.sum()) >= LEAST_BUYERS:  # many expected and nobody came is the worst news of all
        found.append(finding("live_predicted_to_actual", proba.sum() / max(bought.sum(), 0.5)))
    return found


def _joined(warehouse: Warehouse, run: FinishedRun) -> pa.Table:
    """purchase_proba and bought (0 or 1) of each user of the run."""
    parameters: dict[str, Any] = {
        "time": run.snapshot_time,
        "model": run.model_name,
        "version": run.model_version,
        "horizon": run.horizon_days,
    }
    sql = f"""
        SELECT purchase_proba, user_id GLOBAL IN (
            SELECT user_id FROM {warehouse.db}.events_raw
            WHERE event_type = 'purchase' AND ts >= {{time:DateTime64(3, 'UTC')}}
              AND ts < {{time:DateTime64(3, 'UTC')}} + toIntervalDay({{horizon:UInt16}})
        ) AS bought
        FROM {warehouse.db}.forecasts FINAL
        WHERE snapshot_time = {{time:DateTime64(3, 'UTC')}} AND model_name = {{model:String}}
          AND model_version = {{version:String}} AND horizon_days = {{horizon:UInt16}}
        """
    with warehouse.stream(sql, parameters, format="Parquet") as file:
        return pq.read_table(pa.BufferReader(file.read()))
