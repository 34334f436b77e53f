"""The features: name, kind, unit, meaning and SQL of each, written once.

A feature's SQL is a ClickHouse expression. A number's and a category's SQL see, for one user and one instant t:

- `age`, the days from an event back to t, over the user's events of the last 90 days before t, for aggregates:
  `countIf(age <= 7)` counts those in [t − 7 d, t);
- an event's `type`, `spent` (its price if it is a purchase, else 0, in whole 1/10000 of the currency: whole numbers
  add up to the same sum in any order) and `new_order` (whether it is an order's first purchase);
- `latest(x)`, the value of a running column x of `history.HISTORY` at the user's newest event before t, however old;
- the names of other features, and `t_ms`, t itself in milliseconds;
- `trends.mean` and `trends.max`, what was published of search interest in the user's region before t.

An order is a session with a purchase, and counts from its first one; a basket of ten lines is ten purchases, one order.
"""

from typing import Literal

import msgspec

from anmodel.events import EVENT_TYPES
from anmodel.snapshots.history import DECAY_DAYS, SEQUENCE_LENGTH

Kind = Literal["number", "category"]

WINDOW_DAYS = 90
"""How far back aggregates over `age` see."""


class Feature(msgspec.Struct, frozen=True):
    """One column of a snapshot. A number is null where it has no value, a category is "" there."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    block: str
    sql: str


def _number(block: str, name: str, unit: str, meaning: str, sql: str) -> Feature:
    return Feature(name=name, kind="number", unit=unit, meaning=meaning, block=block, sql=sql)


def _category(block: str, name: str, meaning: str, sql: str) -> Feature:
    return Feature(name=name, kind="category", unit="", meaning=meaning, block=block, sql=sql)


def _days_since(column: str) -> str:
    return f"(t_ms - latest({column})) / 86400000"


def _decayed(column: str, days: int) -> str:
    return f"latest({column}_decay_{days}) / exp2((t_ms - latest(first_ms)) / {days * 86_400_000})"


def _growth(short: str, short_days: int, long: str, long_days: int) -> str:
    """The short window's daily rate over the long one's: 1 is steady, null when the long window is empty."""
    return f"({short} / {short_days}) / (nullIf({long}, 0) / {long_days})"


_VOLUME = (
    _number("volume", "total_events", "events", "events ever", "latest(events)"),
    _number("volume", "active_days", "days", "calendar days (UTC) with an event", "latest(days)"),
    _number("volume", "total_sessions", "sessions", "sessions ever", "latest(sessions)"),
    _number("volume", "total_clicks", "clicks", "clicks ever", "latest(clicks)"),
    _number("volume", "total_views", "views", "product views ever", "latest(views)"),
    _number("volume", "total_searches", "searches", "searches ever", "latest(searches)"),
    _number("volume", "total_carts", "carts", "items put into the cart ever", "latest(carts)"),
    _number("volume", "total_purchases", "purchases", "items bought ever", "latest(purchases)"),
    _number("volume", "total_orders", "orders", "orders ever", "latest(orders)"),
    _number("volume", "distinct_items", "items", "different items seen", "latest(items)"),
    _number("volume", "events_last_1d", "events", "events in the last day", "countIf(age <= 1)"),
    _number("volume", "events_last_3d", "events", "events in the last 3 days", "countIf(age <= 3)"),
    _number("volume", "events_last_7d", "events", "events in the last 7 days", "countIf(age <= 7)"),
    _number("volume", "events_last_30d", "events", "events in the last 30 days", "countIf(age <= 30)"),
    _number("volume", "events_last_90d", "events", "events in the last 90 days", "countIf(age <= 90)"),
    _number(
        "volume",
        "active_days_last_30d",
        "days",
        "of the last 30 spans of 24 hours, those with an event",
        "bitCount(groupBitOrIf(bitShiftLeft(toUInt64(1), toUInt8(least(ceil(age) - 1, 63))), age <= 30))",
    ),
    _number(
        "volume",
        "views_last_7d",
        "views",
        "product views in the last 7 days",
        "countIf(type = 'product_view' AND age <= 7)",
    ),
    _number(
        "volume", "searches_last_7d", "searches", "searches in the last 7 days", "countIf(type = 'search' AND age <= 7)"
    ),
    _number(
        "volume",
        "purchases_last_3d",
        "purchases",
        "items bought in the last 3 days",
        "countIf(type = 'purchase' AND age <= 3)",
    ),
    _number(
        "volume",
        "purchases_last_7d",
        "purchases",
        "items bought in the last 7 days",
        "countIf(type = 'purchase' AND age <= 7)",
    ),
    _number(
        "volume",
        "purchases_last_30d",
        "purchases",
        "items bought in the last 30 days",
        "countIf(type = 'purchase' AND age <= 30)",
    ),
    _number(
        "volume",
        "purchases_last_90d",
        "purchases",
        "items bought in the last 90 days",
        "countIf(type = 'purchase' AND age <= 90)",
    ),
    _number("volume", "orders_last_7d", "orders", "orders in the last 7 days", "countIf(new_order AND age <= 7)"),
    _number("volume", "orders_last_30d", "orders", "orders in the last 30 days", "countIf(new_order AND age <= 30)"),
    _number("volume", "orders_last_90d", "orders", "orders in the last 90 days", "countIf(new_order AND age <= 90)"),
)

_SPEND = (
    _number("spend", "total_spent", "money", "spent ever", "latest(spent_total) / 10000"),
    _number("spend", "spent_last_3d", "money", "spent in the last 3 days", "sumIf(spent, age <= 3) / 10000"),
    _number("spend", "spent_last_7d", "money", "spent in the last 7 days", "sumIf(spent, age <= 7) / 10000"),
    _number("spend", "spent_last_30d", "money", "spent in the last 30 days", "sumIf(spent, age <= 30) / 10000"),
    _number("spend", "spent_last_90d", "money", "spent in the last 90 days", "sumIf(spent, age <= 90) / 10000"),
    _number("spend", "avg_order_value", "money", "average order", "total_spent / nullIf(total_orders, 0)"),
    _number(
        "spend",
        "avg_order_value_30d",
        "money",
        "average order of the last 30 days, 0 without one",
        "spent_last_30d / greatest(orders_last_30d, 1)",
    ),
    _number("spend", "avg_spend_per_event", "money", "spent an event", "total_spent / greatest(total_events, 1)"),
    _number("spend", "last_purchase_price", "money", "price of the newest purchase", "latest(last_price) / 10000"),
)

_RECENCY = (
    _number("recency", "days_since_first", "days", "days since the first event", _days_since("first_ms")),
    _number("recency", "days_since_last", "days", "days since the newest event", _days_since("ts_ms")),
    _number("recency", "days_since_last_purchase", "days", "days since the newest purchase", _days_since("bought_ms")),
    _number(
        "recency", "days_since_last_cart", "days", "days since an item was put into the cart", _days_since("carted_ms")
    ),
    _number("recency", "days_since_last_view", "days", "days since the newest product view", _days_since("viewed_ms")),
    _number("recency", "recency_score", "score", "1 just now, falling to 0 with time", "1 / (1 + days_since_last)"),
    _number(
        "recency",
        "days_between_orders",
        "days",
        "average days from one order to the next",
        "(latest(ordered_ms) - latest(first_order_ms)) / 86400000 / nullIf(total_orders - 1, 0)",
    ),
    _number(
        "recency",
        "order_overdue",
        "ratio",
        "days since the newest order over the average days between orders: 1 is due, more is late",
        f"{_days_since('ordered_ms')} / nullIf(days_between_orders, 0)",
    ),
)

_RATES = (
    _number(
        "rates",
        "conversion_rate",
        "share",
        "share of events that are purchases",
        "total_purchases / greatest(total_events, 1)",
    ),
    _number(
        "rates",
        "conversion_rate_30d",
        "share",
        "share of the last 30 days' events that are purchases",
        "purchases_last_30d / greatest(events_last_30d, 1)",
    ),
    _number(
        "rates",
        "purchase_frequency",
        "purchases",
        "items bought an active day",
        "total_purchases / greatest(active_days, 1)",
    ),
    _number("rates", "events_per_day", "events", "events an active day", "total_events / greatest(active_days, 1)"),
    _number(
        "rates",
        "cart_conversion",
        "ratio",
        "items bought per item put into the cart",
        "total_purchases / nullIf(total_carts, 0)",
    ),
)

_RHYTHM = (
    *(
        _number(
            "rhythm",
            f"orders_decayed_{days}d",
            "orders",
            f"orders, each worth half as much for every {days} days since",
            _decayed("orders", days),
        )
        for days in DECAY_DAYS
    ),
    _number(
        "rhythm",
        f"spent_decayed_{DECAY_DAYS[1]}d",
        "money",
        f"spent, each purchase worth half as much for every {DECAY_DAYS[1]} days since",
        f"{_decayed('spent', DECAY_DAYS[1])} / 10000",
    ),
    _number(
        "rhythm",
        "days_between_orders_spread",
        "days",
        "standard deviation of the days from one order to the next, known from the third order on",
        "if(total_orders > 2, "
        "sqrt(greatest(0, latest(gap_squares) / (total_orders - 1) - pow(days_between_orders, 2))), NULL)",
    ),
)

_CARTS = (
    _number(
        "carts",
        "carts_last_7d",
        "carts",
        "items put into the cart in the last 7 days",
        "countIf(type = 'add_to_cart' AND age <= 7)",
    ),
    _number(
        "carts",
        "carts_since_purchase",
        "carts",
        "items put into the cart since the newest purchase",
        "latest(carts) - latest(carts_at_purchase)",
    ),
    *(
        _number(
            "carts",
            f"open_carts_last_{days}d",
            "carts",
            f"items put into the cart in the last {'day' if days == 1 else f'{days} days'}, no purchase since",
            f"least(countIf(type = 'add_to_cart' AND age <= {days}), carts_since_purchase)",
        )
        for days in (1, 3, 7)
    ),
)

_MICRO = (
    _number(
        "micro-trends",
        "micro_event_growth",
        "ratio",
        "events a day, last 3 days over last 7: 1 is steady, more is growth",
        _growth("events_last_3d", 3, "events_last_7d", 7),
    ),
    _number(
        "micro-trends",
        "micro_purchase_growth",
        "ratio",
        "purchases a day, last 3 days over last 7: 1 is steady, more is growth",
        _growth("purchases_last_3d", 3, "purchases_last_7d", 7),
    ),
    _number(
        "micro-trends",
        "micro_spent_growth",
        "ratio",
        "money a day, last 3 days over last 7: 1 is steady, more is growth",
        _growth("spent_last_3d", 3, "spent_last_7d", 7),
    ),
    _number(
        "micro-trends",
        "micro_purchase_ratio",
        "share",
        "share of the last 3 days' events that are purchases",
        "purchases_last_3d / nullIf(events_last_3d, 0)",
    ),
    _number(
        "micro-trends",
        "month_event_growth",
        "ratio",
        "events a day, last 7 days over last 30: 1 is steady, more is growth",
        _growth("events_last_7d", 7, "events_last_30d", 30),
    ),
)

_SEQUENCE = (
    *(
        _number(
            "sequence",
            f"seq_{event_type}",
            "share",
            f"share of {event_type} in the last {SEQUENCE_LENGTH} events",
            f"latest(sequence)[{place}] / least(total_events, {SEQUENCE_LENGTH})",
        )
        for place, event_type in enumerate(EVENT_TYPES, 1)
    ),
    _category("sequence", "last_event_type", "newest event", "latest(type)"),
    _category("sequence", "previous_event_type", "event before the newest", "latest(previous_type)"),
)

_PLACE = (
    _category("place", "last_region", "region of the newest event", "latest(region)"),
    _category("place", "last_item", "newest item", "latest(last_item)"),
)

_TRENDS = (
    _number(
        "trends", "trend_popularity_mean", "score", "search interest in the region, mean of the terms", "trends.mean"
    ),
    _number(
        "trends", "trend_popularity_max", "score", "search interest in the region, highest of the terms", "trends.max"
    ),
)

FEATURES: tuple[Feature, ...] = (
    *_VOLUME,
    *_SPEND,
    *_RECENCY,
    *_RATES,
    *_RHYTHM,
    *_CARTS,
    *_MICRO,
    *_SEQUENCE,
    *_PLACE,
    *_TRENDS,
)
"""Every feature, in the order of the snapshot's columns; an order the model and the console keep."""
