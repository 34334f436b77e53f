"""The tables' DDL, in versions. `Warehouse.migrate` applies those that are missing, in order.

A version that has been released is never edited; a change is a new version. Every statement may run again at any later
time: after a migration that was cut short, and at each migration of a cluster, since a server may have joined it.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """One table. In `ddl`, {table}, {engine} and {tokens} are filled in by the layout (`layouts.py`).

    Of rows with an equal sorting key the one with the highest `newest` stays, or the last inserted. `shard` is an
    expression of the sorting key alone, so that such rows always meet on one server.
    """

    name: str
    shard: str
    ddl: str
    newest: str = ""


@dataclass(frozen=True)
class Columns:
    """Columns that an existing table gets, name to type, behind its column `after`."""

    table: Table
    after: str
    types: Mapping[str, str]

    def within(self, ddl: str) -> str:
        """The statement that makes the table with these columns at once."""
        lines = ddl.split("\n")
        place = next(number for number, line in enumerate(lines) if line.split()[:1] == [self.after]) + 1
        return "\n".join(
            [*lines[:place], *(f"    {name} {kind}," for name, kind in self.types.items()), *lines[place:]]
        )


EVENTS_RAW = Table(
    "events_raw",
    "cityHash64(user_id)",
    """
CREATE TABLE IF NOT EXISTS {table} (
    event_id    String,
    event_type  LowCardinality(String),
    ts          DateTime64(3, 'UTC'),
    session_id  String,
    user_id     String,
    region      LowCardinality(String),
    item_id     String,
    price       Nullable(Float64),
    properties  String CODEC(ZSTD(1)),
    received_at DateTime64(3, 'UTC') COMMENT 'when the broker took the event',
    partition   Int32 COMMENT 'where in the topic the row came from',
    offset      Int64,
    INDEX offsets offset TYPE minmax GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toYYYYMM(ts)
ORDER BY (user_id, ts, event_id)
SETTINGS {tokens} = 1000
""",
)

FORECASTS = Table(
    "forecasts",
    "cityHash64(user_id)",
    """
CREATE TABLE IF NOT EXISTS {table} (
    snapshot_time             DateTime64(3, 'UTC'),
    model_name                LowCardinality(String),
    model_version             String,
    snapshot_version          String,
    horizon_days              UInt16,
    user_id                   String,
    region                    LowCardinality(String),
    purchase_proba            Float64,
    will_purchase_pred        UInt8,
    days_to_next_pred         Float64,
    days_to_next_low          Float64,
    days_to_next_high         Float64,
    next_purchase_amount_pred Float64,
    next_purchase_amount_low  Float64,
    next_purchase_amount_high Float64,
    percentile                Float64,
    segment                   LowCardinality(String),
    reasons                   String CODEC(ZSTD(1)) COMMENT 'JSON list',
    features                  String CODEC(ZSTD(1)) COMMENT 'JSON object',
    scored_at                 DateTime64(3, 'UTC')
)
ENGINE = {engine}
PARTITION BY toYYYYMM(snapshot_time)
ORDER BY (snapshot_time, model_name, model_version, horizon_days, user_id)
SETTINGS index_granularity = 256 -- the gateway reads one user, or a page of them
""",
    newest="scored_at",
)

FORECAST_RUNS = Table(
    "forecast_runs",
    "cityHash64(model_name)",
    """
CREATE TABLE IF NOT EXISTS {table} (
    snapshot_time    DateTime64(3, 'UTC'),
    model_name       LowCardinality(String),
    model_version    String,
    snapshot_version String,
    horizon_days     UInt16,
    users            UInt64,
    scored_at        DateTime64(3, 'UTC')
)
ENGINE = {engine}
ORDER BY (snapshot_time, model_name, model_version, horizon_days)
COMMENT 'finished runs of score: readers look only at forecasts of a run named here'
""",
    newest="scored_at",
)

MONITOR_REPORTS = Table(
    "monitor_reports",
    "cityHash64(model_name)",
    """
CREATE TABLE IF NOT EXISTS {table} (
    snapshot_time DateTime64(3, 'UTC'),
    model_name    LowCardinality(String),
    model_version String,
    metric        LowCardinality(String),
    feature       String,
    value         Float64,
    level         LowCardinality(String) COMMENT 'ok, warn or alarm',
    made_at       DateTime64(3, 'UTC')
)
ENGINE = {engine}
ORDER BY (snapshot_time, model_name, model_version, metric, feature)
""",
    newest="made_at",
)

PREDICTIONS = Table(
    "predictions",
    "cityHash64(prediction_id)",
    """
CREATE TABLE IF NOT EXISTS {table} (
    prediction_id             String,
    service                   LowCardinality(String),
    model_version             LowCardinality(String),
    user_id                   String COMMENT 'empty: the request did not say whose record it was',
    predicted_at              DateTime64(3, 'UTC'),
    purchase_proba            Float64,
    will_purchase_pred        UInt8,
    days_to_next_pred         Float64,
    next_purchase_amount_pred Float64,
    features                  String CODEC(ZSTD(1)) COMMENT 'JSON object: the record that was asked about',
    partition                 Int32 COMMENT 'where in the topic the row came from',
    offset                    Int64,
    INDEX offsets offset TYPE minmax GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toYYYYMM(predicted_at)
ORDER BY (service, predicted_at, prediction_id)
SETTINGS {tokens} = 1000
""",
)

HORIZONS_AND_SPEND = Columns(
    FORECASTS,
    "next_purchase_amount_high",
    dict.fromkeys(
        (
            *("purchase_proba_1d", "purchase_proba_7d", "purchase_proba_14d", "purchase_proba_30d"),
            *("spend_median", "spend_mean"),
        ),
        "Nullable(Float64)",
    ),
)
"""Null in rows that are older than these columns."""

VERSIONS: tuple[tuple[Table | Columns, ...], ...] = (
    (EVENTS_RAW, FORECASTS, FORECAST_RUNS, MONITOR_REPORTS),
    (PREDICTIONS,),
    (HORIZONS_AND_SPEND,),
)
"""Version n is VERSIONS[n - 1]."""

SCHEMA_VERSIONS = Table(
    "schema_versions",
    "version",
    """
CREATE TABLE IF NOT EXISTS {table} (version UInt32, applied_at DateTime64(3, 'UTC'))
ENGINE = {engine} ORDER BY version
""",
)
