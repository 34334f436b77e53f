"""The features once more, from their meaning and in plain Python: slow, obvious, and written apart from the SQL."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import pstdev
from typing import Any

DAY = timedelta(days=1)
Row = dict[str, Any]


def features_as_of(events: Sequence[Row], t: datetime) -> Row | None:
    """One user's features; None when nothing happened before t. `events` may hold the future: it is not looked at."""
    past = sorted((event for event in events if event["ts"] < t), key=lambda event: (event["ts"], event["event_id"]))
    if not past:
        return None
    row: Row = {"region": past[-1]["region"]}
    _volume(row, past, t)
    _spend(row, past, t)
    _recency(row, past, t)
    _carts(row, past, t)
    _ratios(row)
    _sequence(row, past, t)
    _sessions(row, past, t)
    _items(row, past)
    _search(row, past, t)
    row["trend_popularity_mean"] = row["trend_popularity_max"] = None
    return row


def targets_from(events: Sequence[Row], t: datetime, horizon_days: int, known_until: datetime) -> Row:
    """What a user bought in [t, t + horizon), and when first, if within 30 days and before `known_until`."""
    bought = sorted(_of(events, "purchase"), key=lambda event: (event["ts"], event["event_id"]))
    end = min(known_until, t + max(30, horizon_days) * DAY)
    first = next((event["ts"] for event in bought if t <= event["ts"] < end), None)
    within = [event for event in bought if t <= event["ts"] < t + horizon_days * DAY]
    prices = [e["price"] for e in within if e["session_id"] == within[0]["session_id"] and e["price"] is not None]
    return {
        "will_purchase": int(bool(within)),
        "days_to_next_purchase": (first - t) / DAY if first else None,
        "days_observed": (end - t) / DAY,
        "next_purchase_amount": sum(prices) if prices else None,
        "horizon_spend": sum(event["price"] or 0 for event in within),
    }


def same(one: Any, other: Any) -> bool:
    """Equal values; numbers up to the last bits of a float."""
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-9)
    return bool(one == other)


def _of(events: Sequence[Row], kind: str) -> list[Row]:
    return [event for event in events if event["event_type"] == kind]


def _last(events: Sequence[Row], days: float, t: datetime) -> list[Row]:
    return [event for event in events if event["ts"] >= t - days * DAY]


def _orders(events: Sequence[Row]) -> list[Row]:
    """The first purchase of each session."""
    seen: dict[str, Row] = {}
    for event in _of(events, "purchase"):
        seen.setdefault(event["session_id"], event)
    return list(seen.values())


def _volume(row: Row, past: list[Row], t: datetime) -> None:
    row["total_events"] = len(past)
    row["active_days"] = len({event["ts"].date() for event in past})
    row["total_sessions"] = len({event["session_id"] for event in past})
    row["distinct_items"] = len({event["item_id"] for event in past} - {""})
    names = {
        "total_clicks": "click",
        "total_carts": "add_to_cart",
        "total_purchases": "purchase",
    }
    for name, kind in names.items():
        row[name] = len(_of(past, kind))
    row["events_last_1h"] = len(_last(past, 1 / 24, t))
    for days in (3, 7, 30, 90):
        row[f"events_last_{days}d"] = len(_last(past, days, t))
    first_of_day = {event["ts"].date(): event for event in reversed(past)}.values()
    row["active_days_last_30d"] = len(_last(list(first_of_day), 30, t))
    for days in (3, 7, 30):
        row[f"purchases_last_{days}d"] = len(_last(_of(past, "purchase"), days, t))
    row["total_orders"] = len(_orders(past))
    for days in (7, 30, 90):
        row[f"orders_last_{days}d"] = len(_last(_orders(past), days, t))


def _spend(row: Row, past: list[Row], t: datetime) -> None:
    bought = _of(past, "purchase")

    def spent(events: list[Row]) -> float:
        return sum(event["price"] or 0 for event in events)

    row["total_spent"] = spent(bought)
    for days in (3, 7, 30, 90):
        row[f"spent_last_{days}d"] = spent(_last(bought, days, t))
    row["avg_order_value"] = row["total_spent"] / row["total_orders"] if row["total_orders"] else None
    row["avg_order_value_30d"] = row["spent_last_30d"] / max(1, row["orders_last_30d"])
    row["avg_spend_per_event"] = row["total_spent"] / len(past)
    row["last_purchase_price"] = (bought[-1]["price"] or 0) if bought else None


def _recency(row: Row, past: list[Row], t: datetime) -> None:
    def since(events: list[Row]) -> float | None:
        return (t - events[-1]["ts"]) / DAY if events else None

    row["days_since_first"] = (t - past[0]["ts"]) / DAY
    row["days_since_last"] = since(past)
    row["days_since_last_purchase"] = since(_of(past, "purchase"))
    row["days_since_last_cart"] = since(_of(past, "add_to_cart"))
    row["days_since_last_view"] = since(_of(past, "product_view"))
    row["recency_score"] = 1 / (1 + row["days_since_last"])
    orders = _orders(past)
    gap = (orders[-1]["ts"] - orders[0]["ts"]) / DAY / (len(orders) - 1) if len(orders) > 1 else None
    row["days_between_orders"] = gap
    row["order_overdue"] = (t - orders[-1]["ts"]) / DAY / gap if gap else None
    _rhythm(row, past, t)


def _decayed(t: datetime, values: Iterable[tuple[Row, float]], days: int) -> float:
    return sum(value * 0.5 ** ((t - event["ts"]) / DAY / days) for event, value in values)


def _rhythm(row: Row, past: list[Row], t: datetime) -> None:
    orders = _orders(past)
    for days in (7, 21, 60):
        row[f"orders_decayed_{days}d"] = _decayed(t, ((order, 1.0) for order in orders), days)
    row["spent_decayed_21d"] = _decayed(t, ((event, event["price"] or 0) for event in _of(past, "purchase")), 21)
    gaps = [(later["ts"] - order["ts"]) / DAY for order, later in pairwise(orders)]
    row["days_between_orders_spread"] = pstdev(gaps) if len(gaps) > 1 else None


def _carts(row: Row, past: list[Row], t: datetime) -> None:
    carts = _of(past, "add_to_cart")
    row["carts_last_7d"] = len(_last(carts, 7, t))
    open_carts: list[Row] = []
    for event in past:
        if event["event_type"] == "purchase":
            open_carts = []
        elif event["event_type"] == "add_to_cart":
            open_carts.append(event)
    row["carts_since_purchase"] = len(open_carts)
    for days in (1, 3):
        row[f"open_carts_last_{days}d"] = len(_last(open_carts, days, t))


def _ratios(row: Row) -> None:
    row["conversion_rate_30d"] = row["purchases_last_30d"] / max(1, row["events_last_30d"])
    row["purchase_frequency"] = row["total_purchases"] / row["active_days"]
    row["events_per_day"] = row["total_events"] / row["active_days"]
    for name, column, short, long in (
        ("micro_event_growth", "events", 3, 7),
        ("micro_purchase_growth", "purchases", 3, 7),
        ("micro_spent_growth", "spent", 3, 7),
        ("month_event_growth", "events", 7, 30),
        ("quarter_event_growth", "events", 30, 90),
        ("quarter_order_growth", "orders", 30, 90),
    ):
        base = row[f"{column}_last_{long}d"] / long
        row[name] = row[f"{column}_last_{short}d"] / short / base if base else None
    row["micro_purchase_ratio"] = row["purchases_last_3d"] / row["events_last_3d"] if row["events_last_3d"] else None


def _sequence(row: Row, past: list[Row], t: datetime) -> None:
    row["last_event_type"] = past[-1]["event_type"]
    row["previous_event_type"] = past[-2]["event_type"] if len(past) > 1 else ""
    for name, before, after in (
        ("search_to_view", "search", "product_view"),
        ("view_to_cart", "product_view", "add_to_cart"),
        ("cart_to_purchase", "add_to_cart", "purchase"),
        ("view_to_leave", "product_view", "leave"),
        ("cart_to_leave", "add_to_cart", "leave"),
    ):
        steps = [(second, 1.0) for first, second in pairwise(past) if _step(first, second) == (before, after)]
        row[f"seq_{name}"] = _decayed(t, steps, 7)


def _step(first: Row, second: Row) -> tuple[str, str]:
    together = first["session_id"] == second["session_id"]
    return first["event_type"], second["event_type"] if together else "leave"


def _sessions(row: Row, past: list[Row], t: datetime) -> None:
    began: dict[str, Row] = {}
    for event in past:
        began.setdefault(event["session_id"], event)
    starts = list(began.values())
    for days in (7, 30):
        row[f"sessions_last_{days}d"] = len(_last(starts, days, t))
    since = past
    for place, event in enumerate(past):
        if event["event_type"] == "purchase":
            since = past[place + 1 :]
    row["sessions_since_purchase"] = sum(any(event is start for event in since) for start in starts)
    newest = next(place for place, event in enumerate(past) if event is starts[-1])
    row["session_events"] = len(past[newest:])
    row["session_minutes"] = (past[-1]["ts"] - starts[-1]["ts"]) / timedelta(minutes=1)
    row["events_per_session"] = len(past) / len(starts)
    gaps = [(later["ts"] - start["ts"]) / DAY for start, later in pairwise(starts)]
    row["days_between_sessions"] = sum(gaps) / len(gaps) if gaps else None


def _items(row: Row, past: list[Row]) -> None:
    prices = [event["price"] for event in _of(past, "product_view") if event["price"] is not None]
    viewed = row["avg_price_viewed"] = sum(prices) / len(prices) if prices else None
    row["last_price_viewed"] = prices[-1] if prices else None
    bought = row["total_spent"] / row["total_purchases"] if row["total_purchases"] else None
    row["price_bought_to_viewed"] = bought / viewed if bought is not None and viewed else None
    items = [event["item_id"] for event in past if event["item_id"]]
    known = [item for place, item in enumerate(items) if item in items[:place]]
    row["known_item_share"] = len(known) / len(items) if items else None
    row["last_item_events"] = items.count(items[-1]) if items else None
    value = 0.0
    for event in past:
        value += (event["price"] or 0) if event["event_type"] == "add_to_cart" else 0
        value = 0.0 if event["event_type"] == "purchase" else value
    row["open_cart_value"] = value


def _search(row: Row, past: list[Row], t: datetime) -> None:
    searches = _of(past, "search")
    row["searches_last_7d"] = len(_last(searches, 7, t))
    row["days_since_last_search"] = (t - searches[-1]["ts"]) / DAY if searches else None
    followed = [first for first, second in pairwise(past) if _step(first, second) == ("search", "product_view")]
    row["search_follow_through"] = len(followed) / len(searches) if searches else None
