"""What the topic of model events is told of drift."""

from datetime import UTC, datetime
from typing import Any

from anmodel.monitor.levels import Finding

OF_DRIFT = frozenset({"psi", "null_share_change", "new_category_share", "chance_psi"})
"""Metrics that speak of the users of today, and not of forecasts that have come true or not."""


def drift_alarms(findings: list[Finding]) -> list[Finding]:
    """The findings for which the model should learn anew, the worst first."""
    found = [item for item in findings if item.level == "alarm" and item.metric in OF_DRIFT]
    return sorted(found, key=lambda item: -item.value)


def drift_message(model: str, version: str, instant: datetime, alarms: list[Finding]) -> dict[str, Any]:
    """The message, of type `drift`; it starts a training where Airflow listens."""
    return {
        "type": "drift",
        "model": model,
        "version": version,
        "snapshot_time": instant.isoformat(timespec="milliseconds"),
        "findings": [{"metric": item.metric, "feature": item.feature, "value": item.value} for item in alarms],
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
