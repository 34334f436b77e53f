"""Shoppers and a model made up for the console's tests: the same for the same seed, on every machine."""

import math
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from anmodel.findings import finding
from anmodel.forecasts import HORIZONS, Segment, segment
from anmodel.gateway.answers import DescribedFeature, Importance, ModelInfo, Prediction, Reason, RecentEvent

SNAPSHOT_DATE = "2026-11-24"
MODEL_VERSION = "3"
SNAPSHOT_VERSION = "ab12cd34"
THRESHOLD = 0.41
REGIONS = ("UA-30", "UA-46", "UA-51")
EVENT_TYPES = ("page_view", "product_view", "add_to_cart", "purchase", "search", "click")

# name, unit, meaning, block; the order is the model's.
NUMBERS = (
    ("total_events", "events", "all events up to the snapshot", "activity"),
    ("active_days", "days", "days with at least one event", "activity"),
    ("total_clicks", "events", "all clicks", "activity"),
    ("events_last_7d", "events", "events in the last 7 days", "activity"),
    ("events_last_30d", "events", "events in the last 30 days", "activity"),
    ("carts_last_7d", "events", "items put in the cart in the last 7 days", "activity"),
    ("events_per_day", "events/day", "events per active day", "activity"),
    ("distinct_items", "items", "different items seen", "activity"),
    ("total_purchases", "purchases", "all purchases", "spend"),
    ("total_spent", "money", "paid in all purchases", "spend"),
    ("purchases_last_30d", "purchases", "purchases in the last 30 days", "spend"),
    ("spent_last_30d", "money", "paid in the last 30 days", "spend"),
    ("avg_order_value_30d", "money", "paid per purchase in the last 30 days", "spend"),
    ("avg_spend_per_event", "money", "paid per event", "spend"),
    ("conversion_rate_30d", "share", "share of events that are purchases, last 30 days", "spend"),
    ("purchase_frequency", "purchases/day", "purchases per active day", "spend"),
    ("days_since_first", "days", "days since the first event", "recency"),
    ("days_since_last", "days", "days since the latest event", "recency"),
    ("recency_score", "score", "1 right after an event, towards 0 as days pass", "recency"),
    ("micro_event_growth", "ratio", "event rate of the last 3 days against the last 14", "micro-trends"),
    ("micro_purchase_growth", "ratio", "purchase rate of the last 3 days against the last 14", "micro-trends"),
    ("micro_purchase_ratio", "share", "share of purchases in the events of the last 3 days", "micro-trends"),
    ("micro_spent_growth", "ratio", "spend rate of the last 3 days against the last 14", "micro-trends"),
    *((f"seq_{kind}", "share", f"share of {kind} in the last 50 events", "sequence") for kind in EVENT_TYPES),
)
CATEGORIES = {"last_event_type": EVENT_TYPES, "last_region": REGIONS}
FEATURES = [name for name, *_ in NUMBERS] + list(CATEGORIES)

# What the made-up model weighs: feature, centre, weight per e-fold, how it is said.
TERMS = (
    ("events_last_7d", 6.0, 0.5, "{value:.0f} events in the last 7 days"),
    ("carts_last_7d", 0.8, 0.8, "{value:.0f} carts in the last 7 days"),
    ("days_since_last", 9.0, -0.6, "{value:.0f} days since the last visit"),
    ("purchases_last_30d", 0.7, 0.7, "{value:.0f} purchases in the last 30 days"),
    ("micro_event_growth", 1.0, 1.2, "activity at {value:.1f} times its two-week rate"),
    ("seq_search", 0.15, -3.0, "{value:.0%} of the latest events are searches"),
)


# As train names them.
METRICS = {
    "notes": 1.0,
    "test_roc_auc": 0.832,
    "test_roc_auc_low": 0.811,
    "test_roc_auc_high": 0.851,
    "test_pr_auc": 0.641,
    "test_log_loss": 0.362,
    "test_log_loss_saved": 0.041,
    "test_log_loss_saved_low": 0.027,
    "test_log_loss_saved_high": 0.055,
    "test_f1": 0.598,
    "test_ece": 0.0124,
    "test_mae_days": 2.41,
    "test_rmse_days": 2.87,
    "test_mae_amount": 96.5,
    "test_coverage_days": 0.803,
    "test_positive_rate": 0.217,
    "baseline_rfm_roc_auc": 0.741,
    "baseline_rfm_log_loss": 0.431,
    "baseline_recency_roc_auc": 0.782,
    "baseline_recency_log_loss": 0.403,
    "baseline_prevalence_log_loss": 0.523,
    "baseline_median_mae_days": 2.4,
}
NOTES = ("Only 9 of 12 months were there to learn from.",)


@dataclass(frozen=True)
class Shopper:
    user_id: str
    region: str
    features: dict[str, float | str]
    prediction: Prediction
    percentile: float
    segment: Segment


def effects(features: dict[str, Any]) -> list[tuple[str, float]]:
    """What each term adds to the log-odds of a purchase."""
    return [
        (name, weight * (math.log1p(float(features[name])) - math.log1p(centre))) for name, centre, weight, _ in TERMS
    ]


def predict(features: dict[str, Any]) -> Prediction:
    """The made-up model: it answers any complete record, and moves as a person would expect."""
    proba = 1 / (1 + math.exp(1.3 - sum(effect for _, effect in effects(features))))
    amount = 180 + 0.8 * float(features["avg_order_value_30d"])
    return Prediction(
        purchase_proba=round(proba, 4),
        will_purchase_pred=int(proba >= THRESHOLD),
        days_to_next_pred=round(0.5 + 28 * (1 - proba) ** 1.6, 1),
        next_purchase_amount_pred=round(amount, 2),
        **{f"purchase_proba_{days}d": round(1 - (1 - proba) ** (days / 7), 4) for days in HORIZONS},
        spend_median=round(amount, 2) if proba > 0.5 else 0.0,
        spend_mean=round(proba * amount, 2),
    )


def reasons(features: dict[str, Any]) -> list[Reason]:
    """The terms that moved this forecast most, in words."""
    said = {name: text for name, _, _, text in TERMS}
    ranked = sorted(effects(features), key=lambda item: -abs(item[1]))
    return [
        Reason(feature=n, value=features[n], effect=round(e, 3), text=said[n].format(value=features[n]))
        for n, e in ranked[:5]
    ]


def draw_features(rng: random.Random) -> dict[str, float | str]:
    """One shopper's features; the parts agree (a week is never more than its month)."""
    zeal = rng.lognormvariate(0, 0.9)
    active = rng.random() < 0.75
    last = rng.randint(0, 6) if active else rng.randint(7, 60)
    week = int(rng.expovariate(0.11 / zeal)) + 1 if active else 0
    month = week + int(rng.expovariate(0.06 / zeal)) * (last < 30)
    total = month + int(rng.expovariate(0.01 / zeal)) + 1
    bought_month = min(month // 6, int(rng.expovariate(0.9 / zeal)))
    bought = bought_month + int(rng.expovariate(0.25 / zeal))
    order = round(rng.uniform(150, 1400), 2)
    spent_month, days = round(order * bought_month, 2), max(1, total // 7)
    spent = round(spent_month + order * (bought - bought_month) * rng.uniform(0.7, 1.2), 2)
    first = last + days + rng.randint(0, 200)
    shares = [rng.random() for _ in EVENT_TYPES]
    drawn: dict[str, float | str] = {
        "total_events": total,
        "active_days": days,
        "total_clicks": total // 5,
        "events_last_7d": week,
        "events_last_30d": month,
        "carts_last_7d": week // 6,
        "events_per_day": round(total / days, 2),
        "distinct_items": min(200, total // 3 + 1),
        "total_purchases": bought,
        "total_spent": spent,
        "purchases_last_30d": bought_month,
        "spent_last_30d": spent_month,
        "avg_order_value_30d": order if bought_month else 0.0,
        "avg_spend_per_event": round(spent / total, 2),
        "conversion_rate_30d": round(bought_month / max(1, month), 4),
        "purchase_frequency": round(bought / days, 3),
        "days_since_first": first,
        "days_since_last": last,
        "recency_score": round(1 / (1 + last), 4),
        "micro_event_growth": round(rng.lognormvariate(0, 0.5), 2) if active else 0.0,
        "micro_purchase_growth": round(rng.lognormvariate(0, 0.6), 2) if bought_month else 0.0,
        "micro_purchase_ratio": round(bought_month / max(6, month), 3),
        "micro_spent_growth": round(rng.lognormvariate(-0.1, 0.6), 2) if bought_month else 0.0,
        "last_event_type": rng.choice(EVENT_TYPES),
        "last_region": rng.choice(REGIONS),
    }
    drawn |= {f"seq_{kind}": round(part / sum(shares), 3) for kind, part in zip(EVENT_TYPES, shares, strict=True)}
    return drawn


def make_shoppers(count: int, seed: int = 7) -> list[Shopper]:
    """`count` shoppers, likeliest buyer first."""
    rng = random.Random(seed)
    drawn = [(str(uuid.UUID(int=rng.getrandbits(128), version=4)), draw_features(rng)) for _ in range(count)]
    made = sorted(((predict(f), uid, f) for uid, f in drawn), key=lambda row: (-row[0].purchase_proba, row[1]))
    return [
        Shopper(
            user_id=uid,
            region=str(features["last_region"]),
            features=features,
            prediction=forecast,
            percentile=round(100 * (1 - rank / count), 1),
            segment=segment(
                forecast.purchase_proba, float(features["days_since_last"]), float(features["events_last_7d"])
            ),
        )
        for rank, (forecast, uid, features) in enumerate(made)
    ]


def recent_events(shopper: Shopper, count: int = 20) -> list[RecentEvent]:
    """The shopper's latest events, newest first."""
    rng = random.Random(shopper.user_id)
    moment = datetime(2026, 11, 24, 9, tzinfo=UTC) - timedelta(days=int(shopper.features["days_since_last"]))
    events = []
    for _ in range(min(count, int(shopper.features["total_events"]))):
        kind = rng.choice(EVENT_TYPES)
        has_item = kind not in ("page_view", "search")
        item = f"item_{rng.randint(1, 200)}" if has_item else None
        price = round(rng.uniform(50, 900), 2) if has_item else None
        events.append(RecentEvent(ts=moment.isoformat(), event_type=kind, item_id=item, price=price))
        moment -= timedelta(minutes=rng.randint(1, 600))
    return events


def findings(level: str) -> list[dict[str, Any]]:
    """What the monitor has found, as the gateway reads it: all well, or what goes wrong when a tracker breaks."""
    moved = {name: 0.31 + 0.01 * place for place, name in enumerate(FEATURES[:6]) if level == "alarm"}
    measured = [finding("psi", moved.get(name, 0.02), name) for name, *_ in NUMBERS]
    measured += [finding("mean_chance", 0.217), finding("live_lift_10", 3.4), finding("live_roc_auc", 0.81)]
    if level == "alarm":
        measured += [finding("null_share_change", 0.18, "last_region"), finding("chance_psi", 0.12)]
        measured += [finding("live_predicted_to_actual", 1.62), finding("previous_chance_ratio", 1.3)]
    at = {"snapshot_date": SNAPSHOT_DATE, "measured_at": f"{SNAPSHOT_DATE}T01:12:00.000Z"}
    return [vars(item) | at for item in measured]


def past_runs() -> list[dict[str, Any]]:
    """Thirty finished runs, the newest first; version 3 came into use for the last twelve."""
    draw = random.Random(4)
    rows = []
    for age in range(30):
        measured = {
            "live_users": 2469.0,
            "live_buyers": 520.0 + draw.randrange(60),
            "live_roc_auc": (0.82 if age < 12 else 0.78) + draw.uniform(-0.01, 0.01),
            "live_lift_10": (3.4 if age < 12 else 2.9) + draw.uniform(-0.2, 0.2),
            "live_ece": 0.012 + draw.uniform(0, 0.012),
            "live_predicted_to_actual": 1 + draw.uniform(-0.1, 0.1),
        }
        day = datetime.fromisoformat(SNAPSHOT_DATE) - timedelta(days=7 + age)
        version = MODEL_VERSION if age < 12 else "2"
        rows.append({"snapshot_date": f"{day:%Y-%m-%d}", "model_version": version, "levels": ["ok"]})
        rows[-1]["measured"] = list(measured.items())
    return rows


def model_info(service: str, shoppers: list[Shopper]) -> ModelInfo:
    """What the made-up model says of itself."""
    middle = len(shoppers) // 2
    medians: dict[str, float | str | None] = {
        name: sorted(float(s.features[name]) for s in shoppers)[middle] for name, *_ in NUMBERS
    }
    described = [
        DescribedFeature(name=name, type="number", unit=unit, meaning=meaning, block=block, categories=None)
        for name, unit, meaning, block in NUMBERS
    ]
    described += [
        DescribedFeature(
            name=name,
            type="category",
            unit="",
            meaning=name.replace("_", " "),
            block="place",
            categories=list(allowed),
        )
        for name, allowed in CATEGORIES.items()
    ]
    top: tuple[str, ...] = (
        "days_since_last",
        "events_last_7d",
        "carts_last_7d",
        "purchases_last_30d",
        "micro_event_growth",
    )
    top += ("avg_order_value_30d", "seq_search", "total_purchases", "last_event_type", "conversion_rate_30d")
    return ModelInfo(
        service=service,
        version=MODEL_VERSION,
        snapshot_version=SNAPSHOT_VERSION,
        horizon_days=7,
        features=FEATURES,
        optimal_threshold=THRESHOLD,
        feature_importance_top10=[
            Importance(feature=n, importance=round(0.24 / (i + 1) ** 0.7, 4)) for i, n in enumerate(top)
        ],
        feature_medians=medians | {name: allowed[0] for name, allowed in CATEGORIES.items()},
        metrics=METRICS,
        notes=list(NOTES),
        described=described,
    )
