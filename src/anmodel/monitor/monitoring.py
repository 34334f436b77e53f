"""Measure drift and outcomes, keep the findings in ClickHouse. Safe to repeat: a finding replaces its like."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import structlog

from anmodel.errors import ContractError, NotReadyError
from anmodel.findings import REPORTS_SCHEMA, Finding, Kind
from anmodel.lake import Lake
from anmodel.monitor.drift import drift
from anmodel.monitor.news import TYPES, alarms_of, message, metrics_of
from anmodel.monitor.outcomes import finished_runs, outcomes
from anmodel.monitor.shifts import Shifts
from anmodel.registry import Registry
from anmodel.snapshots.daily import DailySnapshot
from anmodel.warehouse import Warehouse

log = structlog.get_logger()


@dataclass(frozen=True)
class Report:
    """Findings about one model version as of one snapshot."""

    snapshot_time: datetime
    model_name: str
    model_version: str
    findings: list[Finding]


def monitor(
    lake: Lake, registry: Registry, warehouse: Warehouse, *, runs: int, tell: Callable[[dict[str, Any]], None]
) -> list[Report]:
    """Drift of the newest daily snapshot under the champion, how its chances shifted since the run before, and outcomes
    of the newest `runs` whose horizon is over.

    Alarms of a kind go to `tell`, once a version and day. What cannot be measured yet (no champion, no snapshot, no run
    old enough) is logged and left out.
    """
    reports = [*_today(lake, registry, warehouse), *_outcomes(registry, warehouse, runs)]
    for report in reports:
        for kind in TYPES:
            alarms = alarms_of(kind, report.findings)
            # before it is kept: cut short, it is told again rather than never
            if alarms and not _told(warehouse, report, kind):
                tell(message(kind, report.model_name, report.model_version, report.snapshot_time, alarms))
    made_at = datetime.now(UTC)
    rows = [
        {
            "snapshot_time": report.snapshot_time,
            "model_name": report.model_name,
            "model_version": report.model_version,
            "metric": item.metric,
            "feature": item.feature,
            "value": item.value,
            "level": item.level,
            "made_at": made_at,
        }
        for report in reports
        for item in report.findings
    ]
    if rows:
        warehouse.insert_arrow("monitor_reports", pa.Table.from_pylist(rows, schema=REPORTS_SCHEMA))
    return reports


def _told(warehouse: Warehouse, report: Report, kind: Kind) -> bool:
    """Whether an alarm of the kind is kept already, of this version and the snapshot's day."""
    rows = warehouse.query(
        f"""
        SELECT count() AS alarms FROM {warehouse.db}.monitor_reports FINAL
        WHERE model_name = {{model:String}} AND model_version = {{version:String}} AND level = 'alarm'
          AND metric IN {{metrics:Array(String)}} AND toDate(snapshot_time) = toDate({{time:DateTime64(3, 'UTC')}})
        """,
        {
            "model": report.model_name,
            "version": report.model_version,
            "metrics": metrics_of(kind),
            "time": report.snapshot_time,
        },
    )
    return bool(rows[0]["alarms"])


def _today(lake: Lake, registry: Registry, warehouse: Warehouse) -> list[Report]:
    """Drift of the newest snapshot, and shifts of the chances made of it and answered since."""
    try:
        snapshot, champion = DailySnapshot.newest(lake), registry.champion()
        if champion is None:
            raise NotReadyError(f"Model {registry.name} has no version in use.")
        loaded = registry.load(champion)
        snapshot.check(loaded.contract, f"{registry.name} version {champion.version}")
    except (NotReadyError, ContractError) as error:
        log.warning("drift not measured", reason=str(error))
        return []
    shifts = Shifts(warehouse, registry.name, champion.version, loaded.model.proba_distribution_)
    found = [
        *drift(loaded.model, snapshot),
        *shifts.of_run(snapshot.instant, snapshot.horizon_days),
        *shifts.online(),
    ]
    return [Report(snapshot.instant, registry.name, champion.version, found)]


def _outcomes(registry: Registry, warehouse: Warehouse, runs: int) -> list[Report]:
    finished = finished_runs(warehouse, registry.name, runs)
    if not finished:
        log.info("outcomes not measured", reason="no forecast's horizon has passed yet")
    return [Report(run.snapshot_time, run.model_name, run.model_version, outcomes(warehouse, run)) for run in finished]
