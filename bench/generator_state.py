"""What the frozen generator knows of shoppers at an instant, row by row: from its plans and the events so far."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bench.true_chance import (
    ADD_TO_CART,
    DAY_MS,
    KINDS,
    NEVER,
    PURCHASE,
    Numbers,
    States,
    Visits,
    Walks,
    promotion,
)

ORDINARY, PROMO, BURST = range(3)
TYPES = ("page_view", "product_view", "add_to_cart", "purchase", "search", "click")


@dataclass(frozen=True)
class Plans:
    """Of a shop: `shoppers` by user_id, their `visits` and `events` in order of time, and the walk within a visit."""

    shoppers: pd.DataFrame
    visits: pd.DataFrame
    events: pd.DataFrame
    walks: Walks

    def buyers(self, now: float, days: int) -> set[str]:
        """Who buys in [now, now + days)."""
        bought = self.events[self.events["kind"] == PURCHASE]
        return set(bought["user_id"][(bought["at"] >= now) & (bought["at"] < now + days * DAY_MS)])

    @cached_property
    def ordinary(self) -> pd.DataFrame:
        """The ordinary visits alone."""
        return self.visits[self.visits["kind"] == ORDINARY]


def shop_plans(folder: Path) -> Plans:
    """As `bench/generator_plans.py` and the generator left them in a folder."""
    events = pd.read_parquet(folder / "events.parquet", columns=["user_id", "timestamp", "event_type"])
    at = events["timestamp"].astype("int64")
    kind = pd.Categorical(events["event_type"], categories=TYPES).codes
    return Plans(
        pd.read_parquet(folder / "shoppers.parquet").set_index("user_id"),
        pd.read_parquet(folder / "visits.parquet"),
        pd.DataFrame({"user_id": events["user_id"], "at": at, "kind": kind}),
        Walks.read(folder),
    )


def states_at(plans: Plans, users: pd.Series, now: float) -> States:
    """The state of each of these users just before `now` (ms)."""
    order = pd.Index(users)

    def per_user(found: pd.Series, otherwise: float) -> Numbers:
        return found.reindex(order).fillna(otherwise).to_numpy(dtype=np.float64)

    past = plans.events[plans.events["at"] < now]
    bought = past[past["kind"] == PURCHASE].groupby("user_id")["at"].max()
    carted = past[past["kind"] == ADD_TO_CART].groupby("user_id")["at"].max()
    cart_at = np.where(per_user(carted, NEVER) > per_user(bought, NEVER), per_user(carted, NEVER), NEVER)
    begun = plans.visits[plans.visits["start"] < now].groupby("user_id")
    coming = plans.visits[plans.visits["start"] >= now]
    ordinary = plans.ordinary[plans.ordinary["start"] < now].groupby("user_id")["start"].max()
    opened, _ = promotion(plans.walks, now, 1)
    seen = plans.visits[(plans.visits["kind"] == PROMO) & plans.visits["start"].between(opened, now, "left")]
    rest = begun["size"].sum().sub(past.groupby("user_id").size(), fill_value=0)
    traits = plans.shoppers.reindex(order)
    return States(
        **{name: traits[name].to_numpy() for name in ("start", "end", "boost", "promo_boost", "promo")},
        **{name: traits[name].to_numpy() for name in ("events", "session_extra", "shrunk", "pause")},
        cart_at=cart_at,
        bought_at=per_user(bought, NEVER),
        kind=per_user(past.groupby("user_id")["kind"].last(), KINDS - 1).astype(int),
        rest=per_user(rest, 0).astype(int),
        ordinary_at=np.maximum(per_user(ordinary, 0), traits["start"].to_numpy()),
        bursts=per_user(coming[coming["kind"] == BURST].groupby("user_id").size(), 0).astype(int),
        promo_seen=per_user(seen.groupby("user_id").size(), 0).astype(int),
        promo_events=per_user(seen.groupby("user_id")["size"].sum(), 0).astype(int),
        promo_at=per_user(seen.groupby("user_id")["start"].max(), now).astype(float),
    )


def visits_planned(plans: Plans, users: pd.Series, now: float, days: int) -> Visits:
    """The visits in [now, now + days) that the plan holds for each of these users."""
    order = pd.Index(users)
    inside = plans.visits[plans.visits["start"].between(now, now + days * DAY_MS, "left")]
    inside = inside[inside["user_id"].isin(order)]
    return Visits(
        order.get_indexer(pd.Index(inside["user_id"])),
        inside["start"].to_numpy(dtype=np.float64),
        inside["size"].to_numpy(),
        (inside["kind"] == BURST).to_numpy(),
    )
