"""Forecasts whose horizon has passed, against what happened: read from ClickHouse."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.findings import Finding, finding
from anmodel.model.evaluation import Array, calibration_noise, chance_metrics, lift
from anmodel.warehouse import Warehouse

LEAST_BUYERS = 30
"""Fewer buyers or others than this say nothing of a ranking; fewer buyers both expected and found, of a ratio."""

LEAST_BUYERS_OF_LIFT = 100
"""Buyers from which the likeliest tenth's are judged: ten are there by chance, and thrice as many told from that."""

MOST_BUYING = 0.5
"""Share of buyers up to which lift is judged: past it even a perfect list has less than twice the share of all."""


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
    return [FinishedRun(**row | {"snapshot_time": row["snapshot_time"].replace(tzinfo=UTC)}) for row in rows]


def outcomes(warehouse: Warehouse, run: FinishedRun) -> list[Finding]:
    """How good the run was, and the chances that `/predict` gave to named users within the day after its instant.

    A purchase counts from the snapshot's instant (of `/predict`, from the answer) on and before the end of the horizon,
    as in training. [] of `/predict` while no such horizon has passed.
    """
    asked = _joined_online(warehouse, run)
    return _measured("live", *_joined(warehouse, run)) + (_measured("live_online", *asked) if len(asked[0]) else [])


def _measured(prefix: str, proba: Array, bought: Array) -> list[Finding]:
    """Ranking, calibration and totals, each where enough users bought and did not."""
    found = [finding(f"{prefix}_users", len(proba)), finding(f"{prefix}_buyers", bought.sum())]
    measured = chance_metrics(bought, proba)
    if not measured:
        return found
    found += [finding(f"{prefix}_{name}", measured[name]) for name in ("brier", "log_loss", "ece")]
    if LEAST_BUYERS <= bought.sum() <= len(bought) - LEAST_BUYERS:
        rate = measured["positive_rate"]
        excess = max(0.0, measured["ece"] - calibration_noise(proba)) / rate
        found.append(finding(f"{prefix}_ece_excess", excess))
        found.append(finding(f"{prefix}_roc_auc", measured["roc_auc"]))
        found.append(finding(f"{prefix}_brier_skill", 1 - measured["brier"] / (rate * (1 - rate))))
        found.append(_lift(f"{prefix}_lift_10", proba, bought))
    if max(proba.sum(), bought.sum()) >= LEAST_BUYERS:  # many expected and nobody came is the worst news of all
        found.append(finding(f"{prefix}_predicted_to_actual", proba.sum() / max(bought.sum(), 0.5)))
    return found


def _lift(metric: str, proba: Array, bought: Array) -> Finding:
    """For reading only where the tenth is too small to judge, or so many buy that no list can be much better."""
    value = lift(bought, proba)
    if bought.sum() < LEAST_BUYERS_OF_LIFT or bought.mean() > MOST_BUYING:
        return Finding(metric, "", value, "ok")
    return finding(metric, value)


def _joined(warehouse: Warehouse, run: FinishedRun) -> tuple[Array, Array]:
    """Chance and outcome (0 or 1) of each user of the run."""
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
    return _read(warehouse, sql, run)


def _joined_online(warehouse: Warehouse, run: FinishedRun) -> tuple[Array, Array]:
    """The same of `/predict`: the first answer about each user named within the day after the run's instant, so that
    who is asked about often counts once."""
    sql = f"""
        SELECT asked.purchase_proba AS purchase_proba,
            first.ts >= asked.at AND first.ts < asked.at + toIntervalDay({{horizon:UInt16}}) AS bought
        FROM (
            SELECT user_id, min(predicted_at) AS at, argMin(purchase_proba, predicted_at) AS purchase_proba
            FROM {warehouse.db}.predictions FINAL
            WHERE service = {{model:String}} AND model_version = {{version:String}} AND user_id != ''
              AND predicted_at >= {{time:DateTime64(3, 'UTC')}}
              AND predicted_at < {{time:DateTime64(3, 'UTC')}} + toIntervalDay(1)
            GROUP BY user_id
            HAVING at + toIntervalDay({{horizon:UInt16}})
                <= (SELECT least(max(ts), now64(3)) FROM {warehouse.db}.events_raw)
        ) AS asked
        GLOBAL ASOF LEFT JOIN (
            SELECT user_id, ts FROM {warehouse.db}.events_raw
            WHERE event_type = 'purchase' AND ts >= {{time:DateTime64(3, 'UTC')}}
              AND ts < {{time:DateTime64(3, 'UTC')}} + toIntervalDay({{horizon:UInt16}} + 1)
        ) AS first ON asked.user_id = first.user_id AND asked.at <= first.ts
        """
    return _read(warehouse, sql, run)


def _read(warehouse: Warehouse, sql: str, run: FinishedRun) -> tuple[Array, Array]:
    parameters: dict[str, Any] = {
        "time": run.snapshot_time,
        "model": run.model_name,
        "version": run.model_version,
        "horizon": run.horizon_days,
    }
    with warehouse.stream(sql, parameters, format="Parquet") as file:
        table = pq.read_table(pa.BufferReader(file.read()))
    proba, bought = (table[name].to_numpy().astype(np.float64) for name in ("purchase_proba", "bought"))
    return proba, bought
