"""The forecast contract: what AnModel says about a user, and the segments a marketer works with."""

from typing import Literal, get_args

import pyarrow as pa

Segment = Literal["hot", "warm", "cold", "ignore"]
SEGMENTS: tuple[str, ...] = get_args(Segment)

OUTPUTS = ("purchase_proba", "will_purchase_pred", "days_to_next_pred", "next_purchase_amount_pred")
"""What the model answers for one user: a probability, 0 or 1, days, and an amount in the shop's currency."""

HORIZONS = (1, 7, 14, 30)
"""Days within which a chance is given, whatever the horizon of the model; it never falls from one to the next."""

CHANCES: dict[int, str] = {days: f"purchase_proba_{days}d" for days in HORIZONS}
"""The column of each horizon's chance."""

SPEND = ("spend_median", "spend_mean")
"""What a user spends within the model's horizon, 0 included: typically, and on average (means add up to a total)."""

FORECAST_OUTPUTS = (
    *OUTPUTS,
    "days_to_next_low",
    "days_to_next_high",
    "next_purchase_amount_low",
    "next_purchase_amount_high",
    *CHANCES.values(),
    *SPEND,
)
"""All that the model answers for one user; low and high hold four outcomes of five."""

_INSTANT = pa.timestamp("ms", tz="UTC")

FORECASTS_SCHEMA = pa.schema(
    [
        pa.field("snapshot_time", _INSTANT, nullable=False),
        pa.field("model_name", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("snapshot_version", pa.string(), nullable=False),
        pa.field("horizon_days", pa.uint16(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("region", pa.string(), nullable=False),
        pa.field("purchase_proba", pa.float64(), nullable=False),
        pa.field("will_purchase_pred", pa.uint8(), nullable=False),
        pa.field("days_to_next_pred", pa.float64(), nullable=False),
        pa.field("days_to_next_low", pa.float64(), nullable=False),
        pa.field("days_to_next_high", pa.float64(), nullable=False),
        pa.field("next_purchase_amount_pred", pa.float64(), nullable=False),
        pa.field("next_purchase_amount_low", pa.float64(), nullable=False),
        pa.field("next_purchase_amount_high", pa.float64(), nullable=False),
        *(pa.field(name, pa.float64()) for name in (*CHANCES.values(), *SPEND)),
        pa.field("percentile", pa.float64(), nullable=False),
        pa.field("segment", pa.string(), nullable=False),
        pa.field("reasons", pa.string(), nullable=False),
        pa.field("features", pa.string(), nullable=False),
        pa.field("scored_at", _INSTANT, nullable=False),
    ]
)
"""Columns of the `forecasts` table. `reasons` is a JSON list, `features` a JSON object; low and high bound 80 %.
Chances within other horizons and spend are null in rows that are older than these columns."""

FORECAST_COLUMNS: tuple[str, ...] = tuple(FORECASTS_SCHEMA.names)


def segment(purchase_proba: float, days_since_last: float, events_last_7d: float) -> Segment:
    """The marketer's group of a user: hot, warm, cold or ignore.

    hot: likely (p ≥ 0.7) and seen in the last 30 days; warm: p ≥ 0.3 and active (3 events in 7 days, or seen in the
    last 14 days); cold: p ≥ 0.1; ignore: the rest.
    """
    if purchase_proba >= 0.7 and days_since_last <= 30:
        return "hot"
    if purchase_proba >= 0.3 and (events_last_7d >= 3 or days_since_last <= 14):
        return "warm"
    return "cold" if purchase_proba >= 0.1 else "ignore"
