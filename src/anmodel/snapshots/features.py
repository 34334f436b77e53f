"""The features: name, kind, unit, meaning and SQL of each, written once.

A feature's SQL is a ClickHouse expression. A number's and a category's SQL see, for one user and one instant t:

- `latest(x)`, the value of a running column x of `history.HISTORY` at the user's newest event before t, however old;
- `within(x, 7d)`, by how much a running count or sum x grew in [t − 7 d, t), for each window of `WINDOWS`;
- the names of other features, and `t_ms`, t itself in milliseconds;
- `trends.mean` and `trends.max`, what was published of search interest in the user's region before t.

Money is in whole 1/10000 of the currency: whole numbers add up to the same sum in any order.

An order is a session with a purchase, and counts from its first one; a basket of ten lines is ten purchases, one order.
"""

from typing import Literal

import msgspec

from anmodel.snapshots.history import DECAY_DAYS

Kind = Literal["number", "category"]

WINDOWS = {
    name: round(hours * 3_600_000)
    for name, hours in {"1h": 1, "1d": 24, "3d": 72, "7d": 168, "30d": 720, "90d": 2160}.items()
}
"""How far back `within` sees, in milliseconds."""


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
    _number("volume", "total_carts", "carts", "items put into the cart ever", "latest(carts)"),
    _number("volume", "total_purchases", "purchases", "items bought ever", "latest(purchases)"),
    _number("volume", "total_orders", "orders", "orders ever", "latest(orders)"),
    _number("volume", "distinct_items", "items", "different items seen", "latest(items)"),
    _number("volume", "events_last_3d", "events", "events in the last 3 days", "within(events, 3d)"),
    _number("volume", "events_last_7d", "events", "events in the last 7 days", "within(events, 7d)"),
    _number("volume", "events_last_30d", "events", "events in the last 30 days", "within(events, 30d)"),
    _number("volume", "events_last_90d", "events", "events in the last 90 days", "within(events, 90d)"),
    _number(
        "volume",
        "active_days_last_30d",
        "days",
        "calendar days (UTC) whose first event lies in the last 30 days",
        "within(days, 30d)",
    ),
    _number(
        "volume",
        "purchases_last_3d",
        "purchases",
        "items bought in the last 3 days",
        "within(purchases, 3d)",
    ),
    _number(
        "volume",
        "purchases_last_7d",
        "purchases",
        "items bought in the last 7 days",
        "within(purchases, 7d)",
    ),
    _number(
        "volume",
        "purchases_last_30d",
        "purchases",
        "items bought in the last 30 days",
        "within(purchases, 30d)",
    ),
    _number("volume", "orders_last_7d", "orders", "orders in the last 7 days", "within(orders, 7d)"),
    _number("volume", "orders_last_30d", "orders", "orders in the last 30 days", "within(orders, 30d)"),
    _number("volume", "orders_last_90d", "orders", "orders in the last 90 days", "within(orders, 90d)"),
)

_SPEND = (
    _number("spend", "total_spent", "money", "spent ever", "latest(spent_total) / 10000"),
    _number("spend", "spent_last_3d", "money", "spent in the last 3 days", "within(spent_total, 3d) / 10000"),
    _number("spend", "spent_last_7d", "money", "spent in the last 7 days", "within(spent_total, 7d) / 10000"),
    _number("spend", "spent_last_30d", "money", "spent in the last 30 days", "within(spent_total, 30d) / 10000"),
    _number("spend", "spent_last_90d", "money", "spent in the last 90 days", "within(spent_total, 90d) / 10000"),
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
        "within(carts, 7d)",
    ),
    _number(
        "carts",
        "carts_since_purchase",
        "carts",
        "items put into the cart since the newest purchase, if any",
        "latest(carts) - latest(carts_at_purchase)",
    ),
    *(
        _number(
            "carts",
            f"open_carts_last_{days}d",
            "carts",
            f"items put into the cart in the last {'day' if days == 1 else f'{days} days'}, no purchase since",
            f"least(within(carts, {days}d), carts_since_purchase)",
        )
        for days in (1, 3)
    ),
)

_MICRO = (
    _number("micro-trends", "events_last_1h", "events", "events in the last hour", "within(events, 1h)"),
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
    _number(
        "micro-trends",
        "quarter_event_growth",
        "ratio",
        "events a day, last 30 days over last 90: 1 is steady, more is growth",
        _growth("events_last_30d", 30, "events_last_90d", 90),
    ),
    _number(
        "micro-trends",
        "quarter_order_growth",
        "ratio",
        "orders a day, last 30 days over last 90: 1 is steady, more is growth",
        _growth("orders_last_30d", 30, "orders_last_90d", 90),
    ),
)

STEP_MEANINGS = {
    "search_to_view": "from a search to a product view",
    "view_to_cart": "from a product view into the cart",
    "cart_to_purchase": "from the cart to a purchase",
    "view_to_leave": "left after a product view",
    "cart_to_leave": "left after putting an item into the cart",
}

_SEQUENCE = (
    *(
        _number(
            "sequence",
            f"seq_{name}",
            "steps",
            f"{meaning}, each time worth half as much for every {DECAY_DAYS[0]} days since",
            _decayed(name, DECAY_DAYS[0]),
        )
        for name, meaning in STEP_MEANINGS.items()
    ),
    _category("sequence", "last_event_type", "newest event", "latest(type)"),
    _category("sequence", "previous_event_type", "event before the newest", "latest(previous_type)"),
)

_SESSIONS = (
    _number("sessions", "sessions_last_7d", "sessions", "sessions begun in the last 7 days", "within(sessions, 7d)"),
    _number("sessions", "sessions_last_30d", "sessions", "sessions begun in the last 30 days", "within(sessions, 30d)"),
    _number(
        "sessions",
        "sessions_since_purchase",
        "sessions",
        "sessions begun since the newest purchase, if any",
        "latest(sessions) - latest(sessions_at_purchase)",
    ),
    _number("sessions", "session_events", "events", "events since the newest session began", "latest(session_events)"),
    _number(
        "sessions",
        "session_minutes",
        "minutes",
        "minutes from the begin of the newest session to the newest event",
        "(latest(ts_ms) - latest(session_ms)) / 60000",
    ),
    _number(
        "sessions", "events_per_session", "events", "events a session", "total_events / greatest(total_sessions, 1)"
    ),
    _number(
        "sessions",
        "days_between_sessions",
        "days",
        "average days from the begin of one session to that of the next",
        "(latest(session_ms) - latest(first_ms)) / 86400000 / nullIf(total_sessions - 1, 0)",
    ),
)

_ITEMS = (
    _number(
        "items",
        "avg_price_viewed",
        "money",
        "average price of the products viewed",
        "latest(viewed_total) / 10000 / nullIf(latest(viewed_priced), 0)",
    ),
    _number(
        "items", "last_price_viewed", "money", "price of the newest product viewed", "latest(last_viewed_price) / 10000"
    ),
    _number(
        "items",
        "price_bought_to_viewed",
        "ratio",
        "average price of the items bought over that of the products viewed",
        "total_spent / nullIf(total_purchases, 0) / nullIf(avg_price_viewed, 0)",
    ),
    _number(
        "items",
        "known_item_share",
        "share",
        "share of events with an item, the item known from before",
        "1 - distinct_items / nullIf(latest(item_events), 0)",
    ),
    _number("items", "last_item_events", "events", "events of the newest item", "latest(last_item_events)"),
    _number(
        "items",
        "open_cart_value",
        "money",
        "value of the items put into the cart since the newest purchase",
        "(latest(cart_value) - latest(cart_value_at_purchase)) / 10000",
    ),
)

_SEARCH = (
    _number("search", "searches_last_7d", "searches", "searches in the last 7 days", "within(searches, 7d)"),
    _number("search", "days_since_last_search", "days", "days since the newest search", _days_since("searched_ms")),
    _number(
        "search",
        "search_follow_through",
        "share",
        "share of searches that a product view followed at once",
        "latest(searches_viewed) / nullIf(latest(searches), 0)",
    ),
)

_TRENDS = (
    _number(
        "trends", "trend_popularity_mean", "score", "search interest in the region, mean of the terms", "trends.mean"
    ),
    _number(
        "trends", "trend_popularity_max", "score", "search interest in the region, highest of the terms", "trends.max"
    ),
)

OF_EVENTS: tuple[Feature, ...] = (
    *_VOLUME,
    *_SPEND,
    *_RECENCY,
    *_RATES,
    *_RHYTHM,
    *_CARTS,
    *_MICRO,
    *_SEQUENCE,
    *_SESSIONS,
    *_ITEMS,
    *_SEARCH,
)
"""Those that a user's events say."""

OF_TRENDS = _TRENDS
"""Those that were published of the user's region."""

FEATURES: tuple[Feature, ...] = (*OF_EVENTS, *OF_TRENDS)
"""Every feature, in the order of the snapshot's columns; an order the model and the console keep."""
