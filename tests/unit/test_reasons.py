"""Reasons read like words of a person, for every feature and every kind of value."""

import re

import numpy as np
import pandas as pd
import pytest

from anmodel.model.reasons import describe, text_of
from anmodel.snapshots import FEATURE_NAMES, contract

DESCRIBED = {feature["name"]: feature for feature in contract(7)["features"]}


@pytest.mark.parametrize(
    ("feature", "value", "text"),
    [
        ("open_carts_last_3d", 3.0, "3 items put into the cart in the last 3 days, no purchase since"),
        ("events_last_7d", 1.0, "1 event in the last 7 days"),
        ("events_last_7d", 0.0, "no events in the last 7 days"),
        ("searches_last_7d", 1.0, "1 search in the last 7 days"),
        ("total_events", 1234.0, "1,234 events so far"),
        ("days_since_last", 0.5, "newest event: 12 hours ago"),
        ("days_since_last_purchase", 21.3, "newest purchase: 21 days ago"),
        ("days_since_last_purchase", float("nan"), "nothing bought yet"),
        ("spent_last_30d", 1240.4, "1,240 spent in the last 30 days"),
        ("spent_last_30d", 0.0, "nothing spent in the last 30 days"),
        ("search_follow_through", 0.123, "share of searches that a product view followed at once: 12 %"),
        ("seq_view_to_cart", 1.26, "from a product view into the cart: 1.3 of late, older ones counted less"),
        ("quarter_order_growth", 0.5, "orders falling: last 30 days 0.5 times the daily rate of the last 90 days"),
        ("sessions_since_purchase", 3.0, "3 sessions begun since the newest purchase, if any"),
        ("open_cart_value", 120.0, "120 worth of items put into the cart, no purchase since"),
        ("last_item_events", 1.0, "newest item seen once"),
        ("micro_event_growth", 1.75, "activity growing: last 3 days 1.8 times the daily rate of the last 7 days"),
        ("micro_event_growth", 0.4, "activity falling: last 3 days 0.4 times the daily rate of the last 7 days"),
        ("order_overdue", 1.2, "120 % of the usual time between orders has passed, an order is due"),
        ("last_event_type", "add_to_cart", "newest event: add to cart"),
        ("trend_popularity_mean", None, "search interest in the region, mean of the terms: not known"),
    ],
)
def test_a_feature_and_its_value_make_a_phrase(feature: str, value: float | str | None, text: str) -> None:
    assert text_of(feature, {feature: value}, DESCRIBED[feature]) == text


@pytest.mark.parametrize("feature", FEATURE_NAMES)
def test_every_feature_has_words_for_every_value(feature: str) -> None:
    values = [0.0, 1.0, 0.04, 7.0, 123456.789, float("nan"), None]
    for value in values if DESCRIBED[feature]["kind"] == "number" else ["click", "", None]:
        text = text_of(feature, {feature: value}, DESCRIBED[feature])
        assert not re.search(r"nan|None|_|\b1 \w+s\b(?! like)", text.replace("add_to_cart", "")), text


def test_a_feature_that_the_contract_does_not_describe_is_told_by_its_name() -> None:
    assert text_of("visits_by_bus", {"visits_by_bus": 2.0}, {}) == "visits by bus: 2"


def test_the_strongest_come_first_and_none_says_the_same_twice() -> None:
    names = ["recency_score", "days_since_last", "events_last_7d", "total_events"]
    frame = pd.DataFrame([[0.25, 3.0, 5.0, 9.0]], columns=names)
    reasons = describe(frame, np.array([[0.5, -0.9, 0.1, 0.0]]), names, contract(7), top=4)[0]

    assert [reason["feature"] for reason in reasons] == ["days_since_last", "events_last_7d"]
    assert reasons[0] == {
        "feature": "days_since_last",
        "value": 3.0,
        "effect": -0.9,
        "text": "newest event: 3 days ago",
    }
