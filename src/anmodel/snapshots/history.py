"""A user's events as running columns, in SQL: what was so far, at each event. Features are read off these.

All events of a user are put in order (ts, then event_id) and become arrays; a running column is an array as long,
whose n-th place holds the value up to and with the n-th event. No array function here is worse than linear in the
events of a user; a lambda that captured an array would be.
"""

from anmodel.events import EVENT_TYPES

SEQUENCE_LENGTH = 50
"""Events the sequence embedding looks back."""

_NEVER_MS = "toInt64(9000000000000000)"

_FLAGS = {
    **{f"is_{event_type}": f"arrayMap(x -> toUInt8(x = '{event_type}'), type)" for event_type in EVENT_TYPES},
    "new_order": "arrayMap((x, n) -> toUInt8(x AND n = 1), is_purchase, arrayEnumerateUniq(session_id, is_purchase))",
    "spent": "arrayMap((x, p) -> if(x, ifNull(p, 0), 0), is_purchase, price)",
    "count_carts": "arrayCumSum(is_add_to_cart)",
}
"""One value an event; each may use those above it."""


DECAY_DAYS = (7, 21, 60)
"""Half-lives of decayed counts."""


def _decayed(values: str, days: int) -> str:
    """Their sum, each worth twice as much for every so many days that it lies after the first event.

    Divided by what an instant is worth, it is the sum of values that lose half their worth in that time. A double holds
    a thousand half-lives.
    """
    worth = f"exp2((ms - first) / {days * 86_400_000})"
    return f"arrayCumSum(arrayMap((x, ms, first) -> x * {worth}, {values}, ts_ms, at_first_ms))"


def _first_times(values: str) -> str:
    """How many different values so far."""
    return f"arrayCumSum(arrayMap(n -> n = 1, arrayEnumerateUniq({values})))"


def _newest(value: str, flag: str) -> str:
    """The value at the newest event that has the flag, null before the first."""
    kept = f"arrayFill(x -> x.1 = 1, arrayMap((f, v) -> (f, v), {flag}, {value}))"
    return f"arrayMap(x -> if(x.1 = 1, toNullable(x.2), NULL), {kept})"


def _sequence() -> str:
    """At each event, how many of its last SEQUENCE_LENGTH events were of each type, as EVENT_TYPES orders them."""
    sums = [f"arrayCumSum(is_{event_type})" for event_type in EVENT_TYPES]
    recent = [f"arrayMap((now, before) -> now - before, {s}, arrayShiftRight({s}, {SEQUENCE_LENGTH}, 0))" for s in sums]
    names = ", ".join("abcdef"[: len(EVENT_TYPES)])
    return f"arrayMap(({names}) -> [{names}], {', '.join(recent)})"


HISTORY = {
    "events": "arrayEnumerate(ts_ms)",
    "days": _first_times("arrayMap(x -> intDiv(x, 86400000), ts_ms)"),
    "sessions": _first_times("session_id"),
    "items": "arrayCumSum(arrayMap((x, n) -> x != '' AND n = 1, item_id, arrayEnumerateUniq(item_id)))",
    "clicks": "arrayCumSum(is_click)",
    "views": "arrayCumSum(is_product_view)",
    "searches": "arrayCumSum(is_search)",
    "carts": "count_carts",
    "purchases": "arrayCumSum(is_purchase)",
    "orders": "arrayCumSum(new_order)",
    "spent_total": "arrayCumSum(spent)",
    "carts_at_purchase": f"arrayMap(x -> ifNull(x, 0), {_newest('count_carts', 'is_purchase')})",
    "last_price": _newest("spent", "is_purchase"),
    "ts_ms": "ts_ms",
    "first_ms": "arrayWithConstant(length(ts_ms), ts_ms[1])",
    "bought_ms": _newest("ts_ms", "is_purchase"),
    "carted_ms": _newest("ts_ms", "is_add_to_cart"),
    "viewed_ms": _newest("ts_ms", "is_product_view"),
    "ordered_ms": _newest("ts_ms", "new_order"),
    "first_order_ms": (
        "arrayMap((n, first) -> if(n > 0, toNullable(first), NULL), arrayCumSum(new_order), "
        "arrayWithConstant(length(ts_ms), ts_ms[indexOf(new_order, 1)]))"
    ),
    **{f"orders_decay_{days}": _decayed("new_order", days) for days in DECAY_DAYS},
    f"spent_decay_{DECAY_DAYS[1]}": _decayed("spent", DECAY_DAYS[1]),
    "gap_squares": (
        "arrayCumSum(arrayMap((x, ms, before) -> if(x AND before > 0, pow((ms - before) / 86400000, 2), 0), "
        "new_order, ts_ms, arrayShiftRight(arrayMap(ms -> ifNull(ms, 0), at_ordered_ms), 1, toInt64(0))))"
    ),
    "sequence": _sequence(),
    "type": "type",
    "previous_type": "arrayShiftRight(type, 1, '')",
    "region": "region",
    "last_item": "arrayFill(x -> x != '', item_id)",
}
"""The running columns and the SQL of each; `latest(x)` in a feature names one.

Counts and sums run from the user's first event; `…_ms` are instants in milliseconds since 1970, null if never.
"""


def histories_sql(source: str, where: str, before_ms: int) -> str:
    """CTEs `events_of` and `histories`: one row a user, arrays in order of time, of events before the given instant."""
    flags = "".join(f",\n        {sql} AS {name}" for name, sql in _FLAGS.items())
    running = "".join(f",\n        {sql} AS at_{name}" for name, sql in HISTORY.items())
    return f"""\
events_of AS (
    SELECT user_id, arraySort(groupArray((toUnixTimestamp64Milli(ts), event_id, toString(event_type), session_id,
        toString(region), item_id, round(price * 10000)))) AS events
    FROM {source} WHERE ts < fromUnixTimestamp64Milli({before_ms}, 'UTC') AND {where}
    GROUP BY user_id
),
histories AS (
    SELECT user_id, events.1 AS ts_ms, events.3 AS type, events.4 AS session_id, events.5 AS region,
        events.6 AS item_id, events.7 AS price, arrayShiftLeft(ts_ms, 1, {_NEVER_MS}) AS next_ms{flags}{running}
    FROM events_of
)"""
