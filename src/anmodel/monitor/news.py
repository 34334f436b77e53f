"""What the topic of model events is told of alarms: a message a kind, once a version and day of the snapshot."""

from datetime import UTC, datetime
from typing import Any, Final

from anmodel.findings import METRICS, Finding, Kind, severity

TYPES: Final[dict[Kind, str]] = {"drift": "drift", "shift": "forecasts_shifted", "outcome": "forecasts_worse"}
"""Type of the message of each kind. That of drift alone starts a training, where Airflow listens."""


def metrics_of(kind: Kind) -> list[str]:
    """Names of a kind's metrics, sorted."""
    return sorted(name for name, metric in METRICS.items() if metric.kind == kind)


def alarms_of(kind: Kind, findings: list[Finding]) -> list[Finding]:
    """The alarms of a kind, the worst first."""
    found = [item for item in findings if item.level == "alarm" and METRICS[item.metric].kind == kind]
    return sorted(found, key=lambda item: -severity(item.metric, item.value))


def message(kind: Kind, model: str, version: str, instant: datetime, alarms: list[Finding]) -> dict[str, Any]:
    """What is told of them."""
    return {
        "type": TYPES[kind],
        "model": model,
        "version": version,
        "snapshot_time": instant.isoformat(timespec="milliseconds"),
        "findings": [{"metric": item.metric, "feature": item.feature, "value": item.value} for item in alarms],
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
