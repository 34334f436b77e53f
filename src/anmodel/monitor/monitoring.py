"""Measure drift and outcomes, keep the findings in ClickHouse. Safe to repeat: a finding replaces its like."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import structlog

from anmodel.errors import ContractError, NotReadyError
from anmodel.lake import Lake
from anmodel.monitor.drift import drift
from anmodel.monitor.levels import Finding
from anmodel.monitor.outcomes import finished_runs, outcomes
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


def monitor(lake: Lake, registry: Registry, warehouse: Warehouse, *, runs: int) -> list[Report]:
    """Drift of the newest daily snapshot under the champion, and outcomes of the newest `runs` whose horizon is over.

    What cannot be measured yet (no champion, no snapshot, no run old enough) is logged and left out.
    """
    reports = [*_drift(lake, registry), *_outcomes(registry, warehouse, runs)]
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
        warehouse.insert_arrow("monitor_reports", pa.Table.from_pylist(rows, schema=_SCHEMA))
    return reports


_INSTANT = pa.timestamp("ms", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("snapshot_time", _INSTANT),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("metric", pa.string()),
        ("feature", pa.string()),
        ("value", pa.float64()),
        ("level", pa.string()),
        ("made_at", _INSTANT),
    ]
)


def _drift(lake: Lake, registry: Registry) -> list[Report]:
    try:
        snapshot, champion = DailySnapshot.newest(lake), registry.champion()
        if champion is None:
            raise NotReadyError(f"Model {registry.name} has no version in use.")
        loaded = registry.load(champion)
        snapshot.check(loaded.contract, f"{registry.name} version {champion.version}")
    except (NotReadyError, ContractError) as error:
        log.warning("drift not measured", reason=str(error))
        return []
    return [Report(snapshot.instant, registry.name, champion.version, drift(loaded.model, snapshot))]


def _outcomes(registry: Registry, warehouse: Warehouse, runs: int) -> list[Report]:
    finished = finished_runs(warehouse, registry.name, runs)
    if not finished:
        log.info("outcomes not measured", reason="no forecast's horizon has passed yet")
    return [Report(run.snapshot_time, run.model_name, run.model_version, outcomes(warehouse, run)) for run in finished]
