"""The tables' DDL, in versions. `Warehouse.migrate` applies those that are missing, in order.

A version that has been released is never edited; a change is a new version. `{db}` is the database and `{ttl}` the
retention of events. Each statement may run again after a migration that was cut short.
"""

EVENTS_RAW = """
CREATE TABLE IF NOT EXISTS {db}.events_raw (
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
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (user_id, ts, event_id)
SETTINGS non_replicated_deduplication_window = 1000
"""

FORECASTS = """
CREATE TABLE IF NOT EXISTS {db}.forecasts (
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
ENGINE = ReplacingMergeTree(scored_at)
PARTITION BY toYYYYMM(snapshot_time)
ORDER BY (snapshot_time, model_name, model_version, horizon_days, user_id)
SETTINGS index_granularity = 256 -- the gateway reads one user, or a page of them
"""

FORECAST_RUNS = """
CREATE TABLE IF NOT EXISTS {db}.forecast_runs (
    snapshot_time    DateTime64(3, 'UTC'),
    model_name       LowCardinality(String),
    model_version    String,
    snapshot_version String,
    horizon_days     UInt16,
    users            UInt64,
    scored_at        DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(scored_at)
ORDER BY (snapshot_time, model_name, model_version, horizon_days)
COMMENT 'finished runs of score: readers look only at forecasts of a run named here'
"""

MONITOR_REPORTS = """
CREATE TABLE IF NOT EXISTS {db}.monitor_reports (
    snapshot_time DateTime64(3, 'UTC'),
    model_name    LowCardinality(String),
    model_version String,
    metric        LowCardinality(String),
    feature       String,
    value         Float64,
    level         LowCardinality(String) COMMENT 'ok, warn or alarm',
    made_at       DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(made_at)
ORDER BY (snapshot_time, model_name, model_version, metric, feature)
"""

VERSIONS: tuple[tuple[str, ...], ...] = ((EVENTS_RAW, FORECASTS, FORECAST_RUNS, MONITOR_REPORTS),)
"""Version n is VERSIONS[n - 1]."""

SCHEMA_VERSIONS = """
CREATE TABLE IF NOT EXISTS {db}.schema_versions (version UInt32, applied_at DateTime64(3, 'UTC'))
ENGINE = ReplacingMergeTree ORDER BY version
"""
