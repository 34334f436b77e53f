"""How the model in use is doing, by the monitor's findings: the SQL that reads them, and the answer made of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from anmodel.findings import METRICS, WORST, Level, limits_said, said, severity
from anmodel.gateway.answers import MeasuredFinding, ModelHealth, PastRun

NOTHING_MEASURED = "nothing has been measured of this version yet: run `anmodel monitor`"

_OUTCOME = "startsWith(metric, 'live_')"
_ONLINE = "startsWith(metric, 'live_online_')"


def findings_sql(db: str) -> str:
    """Findings about the version bound as `model_version`: of its newest snapshot, and of its newest run that is over.

    Columns: metric, feature, value, level, snapshot_date, measured_at."""
    return f"""\
SELECT metric, feature, value, level, toString(toDate(snapshot_time)) AS snapshot_date,
    concat(replaceOne(toString(made_at), ' ', 'T'), 'Z') AS measured_at
FROM {db}.monitor_reports FINAL
WHERE model_name = {{model_name:String}} AND model_version = {{model_version:String}}
QUALIFY snapshot_time = max(snapshot_time) OVER (PARTITION BY {_OUTCOME})"""


def past_runs_sql(db: str) -> str:
    """The newest runs that are over, by any version: snapshot_date, model_version, levels, and values by metric."""
    return f"""\
SELECT toString(toDate(snapshot_time)) AS snapshot_date, model_version,
    groupUniqArray(level) AS levels, groupArray((metric, value)) AS measured
FROM {db}.monitor_reports FINAL
WHERE model_name = {{model_name:String}} AND {_OUTCOME} AND NOT {_ONLINE}
GROUP BY snapshot_time, model_version
ORDER BY snapshot_time DESC, max(made_at) DESC LIMIT {{runs:UInt32}}"""


def health(
    service: str, version: str, findings: Sequence[dict[str, Any]], past_runs: Sequence[dict[str, Any]]
) -> ModelHealth:
    """The answer, of rows of both; findings under a name that this version of the code does not know are left out."""
    known = [row for row in findings if row["metric"] in METRICS]
    shown = [_shown(row) for row in sorted(known, key=_worst_first) if row["level"] != "ok" or not row["feature"]]
    return ModelHealth(
        service=service,
        model_version=version,
        level=_worst(row["level"] for row in known),
        measured_at=max((row["measured_at"] for row in known), default=None),
        findings=shown,
        well=sum(row["level"] == "ok" for row in known),
        past_runs=[_past_run(row) for row in reversed(past_runs)],
        reason=None if known else NOTHING_MEASURED,
    )


def no_health(service: str, reason: str) -> ModelHealth:
    """The answer before the first forecasts."""
    return ModelHealth(
        service=service,
        model_version=None,
        level=None,
        measured_at=None,
        findings=[],
        well=0,
        past_runs=[],
        reason=reason,
    )


def _worst_first(row: dict[str, Any]) -> tuple[int, float, str, str]:
    return WORST[row["level"]], -severity(row["metric"], row["value"]), row["metric"], row["feature"]


def _shown(row: dict[str, Any]) -> MeasuredFinding:
    metric, value, level = row["metric"], row["value"], row["level"]
    known = METRICS[metric]
    return MeasuredFinding(
        metric=metric,
        kind=known.kind,
        feature=row["feature"] or None,
        level=level,
        value=value,
        text=said(metric, value, level),
        limits=limits_said(metric) or None,
        advice=known.advice if level != "ok" else None,
        snapshot_date=row["snapshot_date"],
    )


def _past_run(row: dict[str, Any]) -> PastRun:
    measured = dict(row["measured"])
    return PastRun(
        snapshot_date=row["snapshot_date"],
        model_version=row["model_version"],
        level=_worst(row["levels"]) or "ok",
        users=int(measured["live_users"]),
        buyers=int(measured["live_buyers"]),
        roc_auc=measured.get("live_roc_auc"),
        lift_10=measured.get("live_lift_10"),
        calibration_error=measured.get("live_ece"),
        predicted_to_actual=measured.get("live_predicted_to_actual"),
    )


def _worst(levels: Iterable[Level]) -> Level | None:
    return min(levels, key=WORST.__getitem__, default=None)
