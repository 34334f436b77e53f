"""The end of a run: all users are there, so readers may look at it, and what it did not replace goes."""

from typing import Any

import pyarrow as pa
import structlog

from anmodel.errors import NotReadyError
from anmodel.schema import FORECASTS
from anmodel.score.plan import SHARD, Plan
from anmodel.warehouse import Warehouse

log = structlog.get_logger()

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


def finish(plan: Plan, warehouse: Warehouse) -> dict[str, Any]:
    """Write the run's row, which lets readers see it, and return it. Safe to repeat.

    NotReadyError, and no row, while forecasts of any shard are missing; it names the shards. Then rows go which an
    earlier run of the same snapshot and version left for users who are no longer in the snapshot.
    """
    warehouse.settle(FORECASTS)
    found = _found(plan, warehouse)
    missing = {
        shard: users - found.get(shard, 0)
        for shard, users in enumerate(plan.shard_users)
        if users > found.get(shard, 0)
    }
    if missing:
        listed = ", ".join(f"shard {shard} ({users:,} users)" for shard, users in missing.items())
        shard = next(iter(missing))
        again = f"score shard --run {plan.run} --shard {shard}" if plan.run else "score"
        raise NotReadyError(
            f"{sum(missing.values()):,} of {plan.users:,} forecasts are missing: {listed}. Run `anmodel {again}`"
            + (" and so each of these, then `finish` again" if plan.run else "")
        )
    finished = {**plan.row, "users": plan.users}
    warehouse.insert_arrow("forecast_runs", pa.Table.from_pylist([finished], schema=RUNS_SCHEMA))
    _remove_former(plan, warehouse)
    log.info("forecasts finished", users=plan.users, version=plan.model_version)
    return finished


def _found(plan: Plan, warehouse: Warehouse) -> dict[int, int]:
    """Users of each shard who have a forecast of this run, or of a later one of the same snapshot and version."""
    rows = warehouse.query(
        f"SELECT {SHARD.format(shards=len(plan.shard_users))} AS shard, count() AS users "
        f"FROM {warehouse.db}.forecasts FINAL WHERE {_scope(plan)} AND scored_at >= {_instant(plan, 'scored_at')} "
        "GROUP BY shard"
    )
    return {int(row["shard"]): int(row["users"]) for row in rows}


def _remove_former(plan: Plan, warehouse: Warehouse) -> None:
    former = f"{_scope(plan)} AND scored_at < {_instant(plan, 'scored_at')}"
    sql = f"SELECT count() AS users FROM {warehouse.db}.forecasts FINAL WHERE {former}"
    if users := int(warehouse.query(sql)[0]["users"]):
        warehouse.delete_rows(FORECASTS, former, partition=f"{plan.snapshot_time:%Y%m}")
        log.info("forecasts of users who are gone removed", users=users)


def _scope(plan: Plan) -> str:
    """The rows of this snapshot and version, as a prefix of the table's order."""
    return (
        f"snapshot_time = {_instant(plan, 'snapshot_time')} AND model_name = {_quoted(plan.model_name)} "
        f"AND model_version = {_quoted(plan.model_version)} AND horizon_days = {plan.horizon_days}"
    )


def _instant(plan: Plan, name: str) -> str:
    return f"toDateTime64('{getattr(plan, name):%Y-%m-%d %H:%M:%S.%f}', 3, 'UTC')"


def _quoted(text: str) -> str:
    """As an SQL string: a statement for all servers of a cluster takes no parameters."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
