"""A user's events as running columns, in SQL: what was so far, at each event. Features are read off these.

All events of a user are put in order (ts, then event_id) and become arrays; a running column is an array as long,
whose n-th place holds the value up to and with the n-th event. No array function here is worse than linear in the
events of a user; a lambda that captured an array would be. The columns are made in layers, each reading those above it
by name: a name in its own layer is an expression, which the engine would analyse anew wherever it is read.
"""

from collections.abc import Mapping

from anmodel.events import EVENT_TYPES

DECAY_DAYS = (7, 21, 60)
"""Half-lives of decayed counts."""

_NEVER_MS = "toInt64(9000000000000000)"

TRANSITIONS = {
    "search_to_view": ("search", "product_view"),
    "view_to_cart": ("product_view", "add_to_cart"),
    "cart_to_purchase": ("add_to_cart", "purchase"),
    "view_to_leave": ("product_view", None),
    "cart_to_leave": ("add_to_cart", None),
}
"""Steps from an event to the next one of its session; None: to a next one that is of another session."""


def _worth(days: int) -> str:
    """Of each event: twice as much for every so many days that it lies after the first event.

    A sum of these, divided by what an instant is worth, is a count in which all lose half their worth in that time. A
    double holds a thousand half-lives.
    """
    return f"arrayMap(ms -> exp2((ms - first_ms) / {days * 86_400_000}), ts_ms)"


def _decayed(values: str, days: int) -> str:
    return f"arrayCumSum(arrayMap((x, w) -> x * w, {values}, worth_{days}))"


def _transition(before: str, after: str | None) -> str:
    """Such steps so far, decayed by the shortest half-life; a step is there from its second event on."""
    step = "NOT same" if after is None else f"same AND x = '{after}'"
    return (
        f"arrayCumSum(arrayMap((b, x, same, w) -> if(b = '{before}' AND {step}, w, 0), "
        f"previous_type, type, same_session, worth_{DECAY_DAYS[0]}))"
    )


def _first_times(values: str) -> str:
    """1 where a value occurs for the first time."""
    return f"arrayMap(n -> toUInt8(n = 1), arrayEnumerateUniq({values}))"


def _newest(value: str, flag: str) -> str:
    """The value at the newest event that has the flag, null before the first."""
    kept = f"arrayFill((v, f) -> f = 1, {value}, {flag})"
    return f"arrayMap((v, n) -> if(n > 0, toNullable(v), NULL), {kept}, arrayCumSum({flag}))"


def _at_newest(value: str, flag: str) -> str:
    """The same of a count, 0 before the first."""
    return f"arrayMap(x -> ifNull(x, 0), {_newest(value, flag)})"


_FLAGS = {
    **{f"is_{event_type}": f"arrayMap(x -> toUInt8(x = '{event_type}'), type)" for event_type in EVENT_TYPES},
    "new_order": (
        "arrayMap((x, n) -> toUInt8(x = 'purchase' AND n = 1), type, "
        "arrayEnumerateUniq(session_id, arrayMap(x -> x = 'purchase', type)))"
    ),
    "new_session": _first_times("session_id"),
    "has_item": "arrayMap(x -> toUInt8(x != ''), item_id)",
    "previous_type": "arrayShiftRight(type, 1, '')",
    "same_session": "arrayMap((x, before) -> toUInt8(x = before), session_id, arrayShiftRight(session_id, 1, ''))",
    **{f"worth_{days}": _worth(days) for days in DECAY_DAYS},
}
"""One value an event."""

_SUMS = {
    "sum_carts": "arrayCumSum(is_add_to_cart)",
    "sum_sessions": "arrayCumSum(new_session)",
    "sum_cart_value": "arrayCumSum(arrayMap((x, p) -> if(x, ifNull(p, 0), 0), is_add_to_cart, price))",
    "ordered_ms": _newest("ts_ms", "new_order"),
    "spent": "arrayMap((x, p) -> if(x, ifNull(p, 0), 0), is_purchase, price)",
    "view_has_price": "arrayMap((x, p) -> toUInt8(x AND p IS NOT NULL), is_product_view, price)",
}
"""Values that several running columns are made of."""

HISTORY = {
    "events": "arrayEnumerate(ts_ms)",
    "days": f"arrayCumSum({_first_times('arrayMap(x -> intDiv(x, 86400000), ts_ms)')})",
    "sessions": "sum_sessions",
    "sessions_at_purchase": _at_newest("sum_sessions", "is_purchase"),
    "session_ms": "arrayFill((ms, new) -> new = 1, ts_ms, new_session)",
    "session_events": (
        "arrayMap((n, began) -> n - began + 1, arrayEnumerate(ts_ms), "
        "arrayFill((n, new) -> new = 1, arrayEnumerate(ts_ms), new_session))"
    ),
    "items": f"arrayCumSum(arrayMap((x, new) -> x * new, has_item, {_first_times('item_id')}))",
    "item_events": "arrayCumSum(has_item)",
    "last_item_events": _newest("arrayEnumerateUniq(item_id)", "has_item"),
    "clicks": "arrayCumSum(is_click)",
    "searches": "arrayCumSum(is_search)",
    "searches_viewed": (
        "arrayCumSum(arrayMap((b, x, same) -> toUInt8(b = 'search' AND x AND same), "
        "previous_type, is_product_view, same_session))"
    ),
    "carts": "sum_carts",
    "carts_at_purchase": _at_newest("sum_carts", "is_purchase"),
    "cart_value": "sum_cart_value",
    "cart_value_at_purchase": _at_newest("sum_cart_value", "is_purchase"),
    "purchases": "arrayCumSum(is_purchase)",
    "orders": "arrayCumSum(new_order)",
    "spent_total": "arrayCumSum(spent)",
    "last_price": _newest("spent", "is_purchase"),
    "viewed_total": "arrayCumSum(arrayMap((x, p) -> if(x, ifNull(p, 0), 0), view_has_price, price))",
    "viewed_priced": "arrayCumSum(view_has_price)",
    "last_viewed_price": _newest("arrayMap(p -> ifNull(p, 0), price)", "view_has_price"),
    "ts_ms": "ts_ms",
    "first_ms": "arrayWithConstant(length(ts_ms), first_ms)",
    "bought_ms": _newest("ts_ms", "is_purchase"),
    "carted_ms": _newest("ts_ms", "is_add_to_cart"),
    "viewed_ms": _newest("ts_ms", "is_product_view"),
    "searched_ms": _newest("ts_ms", "is_search"),
    "ordered_ms": "ordered_ms",
    "first_order_ms": (
        "arrayMap((n, first) -> if(n > 0, toNullable(first), NULL), arrayCumSum(new_order), "
        "arrayWithConstant(length(ts_ms), ts_ms[indexOf(new_order, 1)]))"
    ),
    **{f"orders_decay_{days}": _decayed("new_order", days) for days in DECAY_DAYS},
    f"spent_decay_{DECAY_DAYS[1]}": _decayed("spent", DECAY_DAYS[1]),
    "gap_squares": (
        "arrayCumSum(arrayMap((x, ms, before) -> if(x AND before > 0, pow((ms - before) / 86400000, 2), 0), "
        "new_order, ts_ms, arrayShiftRight(arrayMap(ms -> ifNull(ms, 0), ordered_ms), 1, toInt64(0))))"
    ),
    **{f"{name}_decay_{DECAY_DAYS[0]}": _transition(*step) for name, step in TRANSITIONS.items()},
    "type": "type",
    "previous_type": "previous_type",
    "region": "region",
}
"""The running columns and the SQL of each; `latest(x)` in a feature names one.

Counts and sums run from the user's first event; `…_ms` are instants in milliseconds since 1970, null if never.
"""


def layers() -> list[dict[str, str]]:
    """The columns of each layer and their SQL, the last of them the running ones as `at_…`."""
    return [_FLAGS, _SUMS, {f"at_{name}": sql for name, sql in HISTORY.items()}]


def histories_sql(source: str, where: str, before_ms: str) -> str:
    """CTEs down to `histories`: one row a user, arrays in order of time, of events before an instant (SQL)."""
    flagged, summed, running = layers()
    return f"""\
events_of AS (
    SELECT user_id, arraySort(groupArray((toUnixTimestamp64Milli(ts), event_id, toString(event_type), session_id,
        toString(region), item_id, round(price * 10000)))) AS events
    FROM {source} WHERE ts < fromUnixTimestamp64Milli({before_ms}, 'UTC') AND {where}
    GROUP BY user_id
),
ordered AS (
    SELECT user_id, events.1 AS ts_ms, events.3 AS type, events.4 AS session_id, events.5 AS region,
        events.6 AS item_id, events.7 AS price, events[1].1 AS first_ms,
        arrayShiftLeft(events.1, 1, {_NEVER_MS}) AS next_ms
    FROM events_of
),
{_layer("flagged", "ordered", flagged)},
{_layer("summed", "flagged", summed)},
{_layer("histories", "summed", running)}"""


def _layer(name: str, below: str, columns: Mapping[str, str]) -> str:
    added = "".join(f",\n        {sql} AS {column}" for column, sql in columns.items())
    return f"{name} AS (\n    SELECT *{added}\n    FROM {below}\n)"
