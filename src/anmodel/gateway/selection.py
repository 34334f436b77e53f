"""Which users are asked for, in which order: the query string, and the SQL over `forecasts` that answers it."""

from dataclasses import dataclass
from typing import Any, Literal

from anmodel.forecasts import CHANCES, OUTPUTS, SPEND, Segment
from anmodel.gateway.answers import SortKey

_IN_FEATURES = frozenset({"total_spent", "days_since_last", "events_last_7d"})
"""Sort keys that are features; the others are columns of `forecasts`."""

SHOWN = (*OUTPUTS, *CHANCES.values(), *SPEND)
"""Columns that are shown among a user's features."""

USER_COLUMNS = ("user_id", "region", "segment", "percentile", *SHOWN, "features")
DETAIL_COLUMNS = (
    *USER_COLUMNS,
    "days_to_next_low",
    "days_to_next_high",
    "next_purchase_amount_low",
    "next_purchase_amount_high",
    "reasons",
)


@dataclass(frozen=True)
class Selection:
    """Filters, order and page. `limit` None: all that the filters let through, from `offset` on."""

    limit: int | None = None
    offset: int = 0
    search: str = ""
    sort: SortKey = "purchase_proba"
    order: Literal["asc", "desc"] = "desc"
    segment: Segment | None = None
    region: str | None = None
    min_proba: float | None = None
    max_proba: float | None = None

    @property
    def needs_forecasts(self) -> bool:
        """Whether a filter asks about forecasts, which a list without them cannot answer."""
        return any(value is not None for value in (self.segment, self.min_proba, self.max_proba))


@dataclass(frozen=True)
class Run:
    """One finished run of score: the forecasts that are shown. Instants are ms since 1970 UTC."""

    snapshot_ms: int
    scored_ms: int
    snapshot_date: str
    model_name: str
    model_version: str
    horizon_days: int

    def parameters(self) -> dict[str, Any]:
        """Values of `RUN_SCOPE`."""
        return {
            "snapshot_ms": self.snapshot_ms,
            "scored_ms": self.scored_ms,
            "model_name": self.model_name,
            "model_version": self.model_version,
            "horizon_days": self.horizon_days,
        }


RUN_SCOPE = (
    "snapshot_time = fromUnixTimestamp64Milli({snapshot_ms:Int64}, 'UTC') AND model_name = {model_name:String}"
    " AND model_version = {model_version:String} AND horizon_days = {horizon_days:UInt16}"
    " AND scored_at >= fromUnixTimestamp64Milli({scored_ms:Int64}, 'UTC')"
)
"""Condition on `forecasts`: the rows of one run, a prefix of the table's order. Rows that an earlier run of the same
snapshot left for users who are gone are older; those of a run under way are newer, and equal."""


def newest_run_sql(db: str) -> str:
    """The columns of `Run` for the newest finished run of the model bound as `model_name`."""
    return f"""\
SELECT toUnixTimestamp64Milli(snapshot_time) AS snapshot_ms, toUnixTimestamp64Milli(scored_at) AS scored_ms,
    toString(toDate(snapshot_time)) AS snapshot_date, model_name, model_version, horizon_days
FROM {db}.forecast_runs FINAL WHERE model_name = {{model_name:String}}
ORDER BY snapshot_time DESC, scored_at DESC LIMIT 1"""


def filters(selection: Selection) -> tuple[str, dict[str, Any]]:
    """Conditions after `RUN_SCOPE`, and the values they take."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if selection.search:
        conditions.append("positionCaseInsensitiveUTF8(user_id, {search:String}) > 0")
        values["search"] = selection.search
    for column in ("segment", "region"):
        wanted = getattr(selection, column)
        if wanted is not None:
            conditions.append(f"{column} = {{{column}:String}}")
            values[column] = wanted
    for name, comparison in (("min_proba", ">="), ("max_proba", "<=")):
        bound = getattr(selection, name)
        if bound is not None:
            conditions.append(f"purchase_proba {comparison} {{{name}:Float64}}")
            values[name] = bound
    return "".join(f" AND {condition}" for condition in conditions), values


def ordering(selection: Selection) -> str:
    """The ORDER BY list; users of equal value stand by user_id, so that pages never overlap."""
    key: str = selection.sort
    if key in _IN_FEATURES:
        key = f"JSONExtract(features, '{key}', 'Nullable(Float64)')"
    direction = "DESC" if selection.order == "desc" else "ASC"
    return f"{key} {direction} NULLS LAST" + ("" if key == "user_id" else ", user_id ASC")


def page_sql(db: str, selection: Selection) -> tuple[str, dict[str, Any]]:
    """The users of a page, in order. `Run.parameters` must be added to the values."""
    conditions, values = filters(selection)
    order = ordering(selection)
    scope = f"FROM {db}.forecasts FINAL WHERE {RUN_SCOPE}{conditions}"
    columns = ", ".join(USER_COLUMNS)
    if selection.limit is None and not selection.offset:
        return f"SELECT {columns} {scope} ORDER BY {order}", values
    # Which users first, so that the wide columns of only those are read.
    values["offset"] = selection.offset
    slice_ = "OFFSET {offset:UInt64} ROWS"
    if selection.limit is not None:
        values["limit"] = selection.limit
        slice_ = "LIMIT {limit:UInt64} OFFSET {offset:UInt64}"
    chosen = f"SELECT user_id {scope} ORDER BY {order} {slice_}"
    return f"SELECT {columns} {scope} AND user_id GLOBAL IN ({chosen}) ORDER BY {order}", values


def count_sql(db: str, selection: Selection) -> tuple[str, dict[str, Any]]:
    """How many users the filters let through."""
    conditions, values = filters(selection)
    return f"SELECT count() AS total FROM {db}.forecasts FINAL WHERE {RUN_SCOPE}{conditions}", values
