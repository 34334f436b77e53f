"""The snapshot contract: which columns a snapshot has, what they mean, and the one query that makes them.

A row says what was known of a user at an instant t, and in training what came after:

- features see events with ts < t only. "The last 7 days" is [t − 7 d, t), instants, not calendar days.
- targets see purchases with t ≤ ts < t + horizon only. The amount is what the first order of that time costs: all
  purchases of its session within the horizon.
- trends see what was published by t (`known_from` ≤ t).

Training and daily rows come from the same query with other bounds, one user's row as of now from the same expressions
(`evaluator`); `source` is any table of ClickHouse
with the columns of `events_raw`, without repeats: the table with FINAL, or `file(…)` over the lake.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from anmodel.errors import ContractError
from anmodel.snapshots.features import FEATURES, OF_EVENTS, OF_TRENDS, WINDOWS, Feature
from anmodel.snapshots.history import HISTORY, histories_sql

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
META = ("user_id", "snapshot_time", "region")
TARGETS = ("will_purchase", "days_to_next_purchase", "days_observed", "next_purchase_amount", "horizon_spend")
"""0 or 1, within the horizon; days from t to the first purchase, null when none came within the days observed; days
after t of which it is known what happened; the first order's cost and what all purchases cost, within the horizon.
Without a purchase within the horizon: 0, …, …, null, 0."""

OBSERVED_DAYS = 30
"""How far past an instant training looks for the next purchase, if the horizon is not longer."""

ACTIVE_DAYS = 180
"""A user silent for longer gives no training row; the daily snapshot has them all the same."""

TRENDS_DAYS = 30
"""Search interest published longer ago than this is not used."""

_DAY_MS = 86_400_000
_LONG_AGO_MS = -9_000_000_000_000_000
_LATEST = re.compile(r"latest\((\w+)\)")
_WITHIN = re.compile(r"within\((\w+), (\w+)\)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def snapshot_version(horizon_days: int) -> str:
    """12 hex digits that change with any name, kind, SQL, target or the horizon: what a model must agree on."""
    described = [[feature.name, feature.kind, feature.sql] for feature in FEATURES]
    query = training_sql("events", [0], [0], horizon_days=horizon_days, trends="trends")
    return hashlib.sha256(json.dumps([described, TARGETS, query]).encode()).hexdigest()[:12]


def contract(horizon_days: int) -> dict[str, Any]:
    """The contract as JSON, to be stored with a snapshot and a model."""
    return {
        "version": snapshot_version(horizon_days),
        "horizon_days": horizon_days,
        "features": [
            {
                "name": feature.name,
                "kind": feature.kind,
                "unit": feature.unit,
                "meaning": feature.meaning,
                "block": feature.block,
            }
            for feature in FEATURES
        ],
        "targets": list(TARGETS),
    }


def check_features(columns: Iterable[str], *, expected: Sequence[str]) -> None:
    """Raise `ContractError` naming missing and unknown columns; their order does not matter."""
    given = list(columns)
    missing = [name for name in expected if name not in set(given)]
    unknown = [name for name in given if name not in set(expected)]
    faults = [f"{word} {', '.join(names)}" for word, names in (("missing", missing), ("unknown", unknown)) if names]
    if faults:
        raise ContractError(
            f"features: {'; '.join(faults)}. Allowed: exactly the {len(expected)} features of the snapshot"
        )


def training_sql(
    source: str,
    instants: Sequence[int],
    known_until: Sequence[int],
    *,
    horizon_days: int,
    where: str = "1",
    trends: str | None = None,
) -> str:
    """Features and targets of every active user at each instant (milliseconds since 1970), in order of time and user.

    `known_until` are as many, none nearer than the horizon: purchases of an instant's row from then on do not count.
    `where` restricts the events, by user only. `trends` is a table with the columns of trends.parquet; without it, the
    trends' features are null.
    """
    longest = max(OBSERVED_DAYS, horizon_days) * _DAY_MS
    ends = [min(end, t + longest) for t, end in zip(instants, known_until, strict=True)]
    end = f"transform(rows.t_ms, {_array(instants)}, {_array(ends)})"
    return f"""\
{_with(source, instants, where, trends)},
purchases AS (
    SELECT user_id, toUnixTimestamp64Milli(ts) AS ts_ms, event_id, session_id, round(price * 10000) AS price
    FROM {source} WHERE event_type = 'purchase' AND {where}
),
baskets AS (
    SELECT user_id, t_ms, min((ts_ms, event_id)) AS first, sum(price) AS total
    FROM purchases
        ARRAY JOIN arrayFilter(t -> ts_ms >= t AND ts_ms < t + {horizon_days * _DAY_MS}, instants) AS t_ms
    GROUP BY user_id, t_ms, session_id
),
targets AS (
    SELECT user_id, t_ms, 1 AS bought,
        argMin(tuple(total), first).1 / 10000 AS amount, ifNull(sum(total), 0) / 10000 AS spend
    FROM baskets GROUP BY user_id, t_ms
)
SELECT {_columns()},
    toUInt8(ifNull(targets.bought, 0)) AS will_purchase,
    if(next.ts_ms >= rows.t_ms AND next.ts_ms < {end}, toNullable((next.ts_ms - rows.t_ms) / {_DAY_MS}), NULL)
        AS days_to_next_purchase,
    ({end} - rows.t_ms) / {_DAY_MS} AS days_observed,
    if(targets.bought, targets.amount, NULL) AS next_purchase_amount,
    if(targets.bought, targets.spend, 0) AS horizon_spend
FROM rows LEFT JOIN trends ON trends.region = rows.region AND trends.t_ms = rows.t_ms
    LEFT JOIN targets ON targets.user_id = rows.user_id AND targets.t_ms = rows.t_ms
    ASOF LEFT JOIN purchases AS next ON next.user_id = rows.user_id AND next.ts_ms >= rows.t_ms
WHERE rows.days_since_last <= {ACTIVE_DAYS}
ORDER BY rows.t_ms, rows.user_id"""


def daily_sql(source: str, as_of: datetime, *, where: str = "1", trends: str | None = None) -> str:
    """Features of every user with an event before `as_of`, in order of user."""
    instant = milliseconds(as_of)
    return f"""\
WITH {_array([instant])} AS instants,
{_at_one(source, str(instant), where)},
trends AS ({_trends(trends)})
SELECT {_columns()}
FROM rows LEFT JOIN trends ON trends.region = rows.region AND trends.t_ms = rows.t_ms
ORDER BY rows.user_id"""


def users_events_sql(source: str) -> str:
    """The events of the users bound as `user_ids` before the instant bound as `as_of_ms` (see `users_parameters`).

    Columns: user_id, and `event`, a tuple as `evaluator.Event` is, of which it makes features; in order of user and
    time, at most as many a user as is bound as `most`.
    """
    return f"""\
SELECT user_id, (toUnixTimestamp64Milli(ts), event_id, toString(event_type), session_id, toString(region), item_id,
    price) AS event
FROM {source}
WHERE user_id IN {{user_ids:Array(String)}} AND ts < fromUnixTimestamp64Milli({{as_of_ms:Int64}}, 'UTC')
ORDER BY user_id, ts, event_id LIMIT {{most:UInt32}} BY user_id"""


def users_parameters(user_ids: Sequence[str], as_of: datetime, most: int) -> dict[str, Any]:
    """What `users_events_sql` is bound to."""
    return {"user_ids": list(user_ids), "as_of_ms": milliseconds(as_of), "most": most}


def milliseconds(instant: datetime) -> int:
    """An aware datetime as whole milliseconds since 1970; a finer part is cut."""
    if instant.tzinfo is None:
        raise ValueError(f"got {instant}: an instant needs a zone")
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def _columns() -> str:
    """The outermost columns: what a snapshot file has, every number a Float64 that may be null."""
    features = (
        f"toNullable(toFloat64({_outer(feature)})) AS {feature.name}"
        if feature.kind == "number"
        else f"toString(rows.{feature.name}) AS {feature.name}"
        for feature in FEATURES
    )
    instant = "fromUnixTimestamp64Milli(rows.t_ms, 'UTC') AS snapshot_time"
    return ",\n    ".join(("rows.user_id AS user_id", instant, "rows.region AS region", *features))


def _outer(feature: Feature) -> str:
    return feature.sql if feature in OF_TRENDS else f"rows.{feature.name}"


def _with(source: str, instants: Sequence[int], where: str, trends: str | None) -> str:
    """The common table expressions down to `rows` (features of user × instant) and `trends` (region × instant)."""
    running = ", ".join(f"at_{name}" for name in HISTORY)
    held = [f"anyIf(at_{name}, back = 0) AS now_{name}" for name in HISTORY]
    held += [f"anyIf(at_{name}, back = {WINDOWS[window]}) AS {name}_{window}_ago" for name, window in windowed()]
    return f"""\
WITH {_array(sorted(instants))} AS instants,
{_looks(instants)},
{histories_sql(source, where, str(max(instants)))},
running AS (
    SELECT user_id, ts_ms, next_ms, {running} FROM histories ARRAY JOIN ts_ms, next_ms, {running}
),
seen AS (
    SELECT user_id, look.2 AS t_ms, look.3 AS back, {running}
    FROM (SELECT *, {_ended("ts_ms")} AS before, {_ended("next_ms")} AS until FROM running)
    ARRAY JOIN arraySlice(looks, before + 1, until - before) AS look
),
{_rows(held, "seen GROUP BY user_id, t_ms")},
trends AS ({_trends(trends)})"""


def _at_one(source: str, instant: str, where: str) -> str:
    """Those down to `rows` for one instant, an SQL expression: every event is before it, so arrays' last places count.

    The n-th place of a running column holds it at the n-th event; past the ends of an array is what nobody has yet.
    """
    backs = {window: WINDOWS[window] for _, window in windowed()}
    before = ", ".join(f"arrayCount(ms -> ms < {instant} - {back}, ts_ms) AS by_{name}" for name, back in backs.items())
    held = [f"at_{name}[-1] AS now_{name}" for name in HISTORY]
    held += [f"at_{name}[by_{window}] AS {name}_{window}_ago" for name, window in windowed()]
    return f"""\
{histories_sql(source, where, instant)},
{_rows(held, f"(SELECT *, {instant} AS t_ms, {before} FROM histories)")}"""


def _rows(held: Sequence[str], source: str) -> str:
    """Features of user × instant: `held` are the running columns there and at the starts of windows."""
    expanded = {feature.name: expand(feature.sql) for feature in OF_EVENTS}
    features = ",\n        ".join(f"{sql} AS {name}" for name, sql in expanded.items())
    columns = ",\n        ".join(held)
    return f"""\
held AS (
    SELECT user_id, t_ms,
        {columns}
    FROM {source}
),
rows AS (
    SELECT user_id, t_ms, {expand("latest(region)")} AS region,
        {features}
    FROM held
)"""


def _looks(instants: Sequence[int]) -> str:
    """The looks back from all instants as `looks`, in order of where they end; each such place, and how many end by it.

    A look is (where it ends, its instant, how far back that is), in milliseconds; an event is the newest one of those
    that end after it and not after the next event.
    """
    looks = sorted((instant - back, instant, back) for instant in instants for back in (0, *WINDOWS.values()))
    ended = {_LONG_AGO_MS: 0} | {end: number for number, (end, _, _) in enumerate(looks, 1)}
    return (
        f"{[*looks]}::Array(Tuple(Int64, Int64, Int64)) AS looks,\n"
        f"{[*ended]}::Array(Int64) AS ends, {[*ended.values()]}::Array(Int64) AS ended"
    )


def _ended(column: str) -> str:
    """How many looks end at or before an instant: a search by halves, where a filter would try them all."""
    return f"transform(roundDown({column}, ends), ends, ended)"


@cache
def windowed() -> list[tuple[str, str]]:
    """The running columns that features read at the start of a window, each with the window."""
    return sorted({(found[1], found[2]) for feature in FEATURES for found in _WITHIN.finditer(feature.sql)})


def _trends(trends: str | None) -> str:
    """Per region and instant, the newest search interest published by then of each query, averaged and at most."""
    if trends is None:
        null = "NULL::Nullable(Float64)"
        return f"SELECT '' AS region, toInt64(0) AS t_ms, {null} AS mean, {null} AS max WHERE 0"
    return f"""\

    SELECT region, t_ms, avg(newest) AS mean, max(newest) AS max FROM (
        SELECT region, query, argMax(popularity, (period_end, popularity)) AS newest,
            arrayJoin(arrayFilter(t -> known_ms <= t AND t < known_ms + {TRENDS_DAYS * _DAY_MS}, instants)) AS t_ms
        FROM (
            SELECT toString(region) AS region, toString(query) AS query, popularity, period_end,
                toUnixTimestamp64Milli(toDateTime64(known_from, 3, 'UTC')) AS known_ms
            FROM {trends} WHERE popularity IS NOT NULL
        )
        GROUP BY region, query, t_ms
    )
    GROUP BY region, t_ms
"""


def _array(instants: Sequence[int]) -> str:
    return f"[{', '.join(map(str, instants))}]::Array(Int64)"


def expand(sql: str) -> str:
    """`latest(x)` and `within(x, window)` written out."""
    return _WITHIN.sub(r"(now_\1 - \1_\2_ago)", _LATEST.sub(r"now_\1", sql))
