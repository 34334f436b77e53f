"""Why a user's chance is what it is, in words a marketer reads."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from anmodel.snapshots.features import STEP_MEANINGS
from anmodel.snapshots.history import DECAY_DAYS


class Reason(TypedDict):
    """One feature's share in a forecast; `value` is None when the feature is not known for the user."""

    feature: str
    value: float | str | None
    effect: float
    text: str


Row = Mapping[str, Any]


def describe(
    frame: pd.DataFrame,
    effects: npt.NDArray[np.float64],
    names: list[str],
    contract: Mapping[str, Any],
    top: int,
) -> list[list[Reason]]:
    """The `top` strongest effects of each row as reasons, strongest first.

    A feature without effect is no reason, nor is one that would say the same as a stronger one.
    """
    described = {item["name"]: item for item in contract.get("features", [])}
    order = np.argsort(-np.abs(effects), axis=1, kind="stable")
    return [
        _reasons(cast(Row, row), [(names[place], float(effect[place])) for place in places], described, top)
        for row, places, effect in zip(frame[names].to_dict("records"), order, effects, strict=True)
    ]


def _reasons(
    row: Row, ranked: list[tuple[str, float]], described: Mapping[str, Mapping[str, Any]], top: int
) -> list[Reason]:
    chosen: dict[str, Reason] = {}
    for name, effect in ranked:
        if len(chosen) == top or effect == 0:
            break
        text = text_of(name, row, described.get(name, {}))
        chosen.setdefault(text, {"feature": name, "value": _plain(row[name]), "effect": round(effect, 4), "text": text})
    return list(chosen.values())


def _plain(value: Any) -> float | str | None:
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)) or value == "":
        return None
    return str(value) if isinstance(value, str) else float(value)


def text_of(name: str, row: Row, feature: Mapping[str, Any]) -> str:
    """A phrase about one feature of a row, made of its meaning, unit and value: `3 events in the last 7 days`."""
    value, meaning = _plain(row[name]), _wording(name, feature)
    if value is None:
        return _ABSENT.get(name, f"{meaning}: not known")
    if isinstance(value, str):
        return f"{meaning}: {value.replace('_', ' ') if name.endswith('event_type') else value}"
    if name in _SPECIAL:
        return _SPECIAL[name](value)
    if meaning.startswith("days since "):
        return f"{meaning.removeprefix('days since ').removeprefix('the ')}: {_ago(value)}"
    return _counted(value, meaning) if _COUNTABLE.match(meaning) else _measured(value, meaning, feature.get("unit"))


def _wording(name: str, feature: Mapping[str, Any]) -> str:
    """The meaning without its footnote, or the name."""
    meaning = str(feature.get("meaning") or name.replace("_", " "))
    short = meaning.split(":")[0].removesuffix(", 0 without one")
    return re.sub(r" ever\b", " so far", short).replace("_", " ")


def number(value: float) -> str:
    """A number as people write it: no needless decimals."""
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.2g}"


_COUNTABLE = re.compile(
    r"((?:different |product |calendar )?)(event|session|click|view|search|purchase|order|item|day)(e?s)\b"
)


def _counted(value: float, meaning: str) -> str:
    """`no events in the last day`, `1 event in …`, `12 events in …`."""
    if value == 1:
        meaning = _COUNTABLE.sub(lambda found: found[1] + found[2], meaning, count=1)
    return f"{'no' if value == 0 else number(value)} {meaning}"


def _ago(days: float) -> str:
    if days < 1 / 24:
        return "within the last hour"
    amount, unit = (int(days * 24), "hour") if days < 1 else (round(days), "day")
    return f"{amount:,} {unit}{'' if amount == 1 else 's'} ago"


def _measured(value: float, meaning: str, unit: object) -> str:
    """`average order: 210`, `share of events that are purchases: 12 %`, `1,240 spent in the last 30 days`."""
    if unit == "share":
        return f"{meaning}: {number(round(100 * value, 1))} %"
    if unit == "money" and meaning.startswith("spent"):
        return f"{'nothing' if value == 0 else number(value)} {meaning}"
    return f"{meaning}: {number(value)}"


def _growth(what: str, short: str, long: str) -> Callable[[float], str]:
    """For a rate against a longer window's: 1 is steady."""

    def phrase(value: float) -> str:
        if 0.9 <= value <= 1.1:
            return f"{what} steady: {short} like {long}"
        word = "growing" if value > 1 else "falling"
        return f"{what} {word}: {short} {number(round(value, 1))} times the daily rate of {long}"

    return phrase


def _overdue(value: float) -> str:
    share = number(round(100 * value))
    return f"{share} % of the usual time between orders has passed" + (", an order is due" if value >= 1 else "")


def _days_apart(what: str) -> Callable[[float], str]:
    return lambda value: f"average time between {what}: {_counted(round(value, 1), 'days')}"


def _step(meaning: str) -> Callable[[float], str]:
    return lambda value: f"{meaning}: {number(round(value, 1))} of late, older ones counted less"


_WEEK = ("last 3 days", "the last 7 days")
_QUARTER = ("last 30 days", "the last 90 days")
_SPECIAL: dict[str, Callable[[float], str]] = {
    "micro_event_growth": _growth("activity", *_WEEK),
    "micro_purchase_growth": _growth("purchases", *_WEEK),
    "micro_spent_growth": _growth("spending", *_WEEK),
    "month_event_growth": _growth("activity", "last 7 days", "the last 30 days"),
    "order_overdue": _overdue,
    "recency_score": lambda value: f"newest event: {_ago(1 / value - 1)}" if value > 0 else "newest event: long ago",
    "quarter_event_growth": _growth("activity", *_QUARTER),
    "quarter_order_growth": _growth("orders", *_QUARTER),
    "days_between_orders": _days_apart("orders"),
    "days_between_sessions": _days_apart("sessions"),
    "days_between_orders_spread": lambda value: f"time between orders varies by {_counted(round(value, 1), 'days')}",
    **dict.fromkeys(
        (f"orders_decayed_{days}d" for days in DECAY_DAYS),
        lambda value: f"orders of late, older ones counted less: {number(round(value, 1))}",
    ),
    f"spent_decayed_{DECAY_DAYS[1]}d": lambda value: f"{number(value)} spent of late, older purchases counted less",
    **{f"seq_{name}": _step(meaning) for name, meaning in STEP_MEANINGS.items()},
    "session_minutes": lambda value: f"length of the newest session so far: {number(round(value))} min",
    "price_bought_to_viewed": lambda value: f"items bought cost {number(round(100 * value))} % of those viewed",
    "known_item_share": lambda value: f"{number(round(100 * value))} % of the items seen were known from before",
    "last_item_events": lambda value: f"newest item seen {'once' if value == 1 else f'{number(value)} times'}",
    "open_cart_value": lambda value: (
        f"{number(value)} worth of items put into the cart, no purchase since"
        if value
        else "no item of known price waits in the cart"
    ),
    "active_days_last_30d": lambda value: f"active on {number(value)} of the last 30 days",
}
"""Features whose meaning and number do not make a phrase."""

_ABSENT = {
    "days_since_last_purchase": "nothing bought yet",
    "days_since_last_cart": "nothing put into the cart yet",
    "days_since_last_view": "no product viewed yet",
    "days_between_orders": "fewer than two orders yet",
    "days_between_orders_spread": "fewer than three orders yet",
    "order_overdue": "fewer than two orders yet",
    "avg_order_value": "no order yet",
    "last_purchase_price": "nothing bought yet",
    "micro_event_growth": "no events in the last 7 days",
    "micro_purchase_growth": "nothing bought in the last 7 days",
    "micro_spent_growth": "nothing spent in the last 7 days",
    "micro_purchase_ratio": "no events in the last 3 days",
    "month_event_growth": "no events in the last 30 days",
    "quarter_event_growth": "no events in the last 90 days",
    "quarter_order_growth": "no orders in the last 90 days",
    "days_between_sessions": "one session so far",
    "avg_price_viewed": "no price seen yet",
    "last_price_viewed": "no price seen yet",
    "price_bought_to_viewed": "nothing bought or no price seen yet",
    "known_item_share": "no item seen yet",
    "last_item_events": "no item seen yet",
    "days_since_last_search": "no search yet",
    "search_follow_through": "no search yet",
}
"""What it means for a user that a feature has no value."""
