"""BG/NBD as a baseline: it finds again the shop that was made by its own rules. Needs requirements/bgnbd.txt."""

import numpy as np
import pandas as pd
import pytest

from anmodel.snapshots.samples import Sample
from anmodel.train import bgnbd
from anmodel.train.baselines import baseline_chances

needs_it = pytest.mark.skipif(not bgnbd.available(), reason="requirements/bgnbd.txt is not installed")
HORIZON = 14


def shop(users: int, seed: int, *, alpha: float = 10.0, died: float = 2.5) -> Sample:
    """Users by BG/NBD's own rules (r 0.8, a 0.8), and whether they order within the horizon; a fifth never ordered."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(users):
        if number % 5 == 0:
            rows.append((0, np.nan, np.nan, random.random() < 0.1))
            continue
        rate, leave, age = random.gamma(0.8, 1 / alpha), random.beta(0.8, died), random.uniform(5, 180)
        orders, newest, at, bought = 1, 0.0, 0.0, False
        while True:
            at += random.exponential(1 / rate)
            if at > age:
                bought = at <= age + HORIZON
                break
            orders, newest = orders + 1, at
            if random.random() < leave:
                break
        rows.append((orders, newest / (orders - 1) if orders > 1 else np.nan, age - newest, bought))
    features = pd.DataFrame([row[:3] for row in rows], columns=list(bgnbd.NEEDED))
    targets = pd.DataFrame({"will_purchase": [int(row[3]) for row in rows]})
    return Sample(features, targets, np.arange(users), np.zeros(users), np.full(users, "A"))


@needs_it
def test_its_chances_are_calibrated_where_its_assumptions_hold() -> None:
    train, test = shop(4000, 1), shop(4000, 2)
    said = baseline_chances(train, test, HORIZON)["bgnbd"]

    for orders in (test.features["total_orders"] == 1, test.features["total_orders"] > 1):
        rows = orders.to_numpy()
        assert said[rows].mean() == pytest.approx(test.bought[rows].mean(), abs=0.03)
    likely = said > np.median(said[test.features["total_orders"].to_numpy() > 0])
    assert said[likely].mean() == pytest.approx(test.bought[likely].mean(), abs=0.03)


@needs_it
def test_who_never_ordered_gets_the_share_of_buyers_among_them() -> None:
    train, test = shop(500, 3), shop(500, 4)
    said = baseline_chances(train, test, HORIZON)["bgnbd"]
    never = train.features["total_orders"].to_numpy() == 0

    assert set(said[test.features["total_orders"].to_numpy() == 0]) == {(train.bought[never].sum() + 1) / 102}


@needs_it
def test_a_shop_with_few_orders_does_without() -> None:
    assert "bgnbd" not in baseline_chances(shop(30, 5), shop(100, 6), HORIZON)
