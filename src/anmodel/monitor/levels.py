"""What counts as ok, a warning or an alarm. Each limit is a rule of thumb, said where it is used."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Level = Literal["ok", "warn", "alarm"]


@dataclass(frozen=True)
class Finding:
    """One measured value; `feature` is empty for what concerns all forecasts."""

    metric: str
    feature: str
    value: float
    level: Level


LIMITS: dict[str, tuple[float, float]] = {
    "psi": (0.1, 0.25),  # the usual reading of a population stability index
    "null_share_change": (0.1, 0.3),
    "new_category_share": (0.05, 0.2),
    "chance_psi": (0.1, 0.25),
    "live_brier_skill": (0.0, -0.05),  # below 0: the share of buyers, said of everyone, would have been closer
    "live_roc_auc": (0.6, 0.5),
    "live_predicted_to_actual": (1.25, 1.5),  # or its inverse
}
"""Metric → where a warning and where an alarm begins; falling pairs are for values that should be high."""


def finding(metric: str, value: float, feature: str = "") -> Finding:
    """A value with its level; metrics without limits are for reading only."""
    return Finding(metric, feature, float(value), level_of(metric, value))


def level_of(metric: str, value: float) -> Level:
    """ok, warn or alarm; a ratio counts alike above and below 1."""
    if metric not in LIMITS:
        return "ok"
    warn, alarm = LIMITS[metric]
    if metric == "live_predicted_to_actual":
        value = max(value, 1 / value) if value > 0 else float("inf")
    rising = warn < alarm
    if value >= alarm if rising else value < alarm:
        return "alarm"
    return "warn" if (value >= warn if rising else value < warn) else "ok"


def stability_index(before: npt.ArrayLike, after: npt.ArrayLike) -> float:
    """Population stability index of two shares over the same bins: 0 is equal; empty bins count as one in ten thousand.

    Sum of (after - before) · ln(after / before).
    """
    old, new = (np.clip(np.asarray(shares, dtype=np.float64), 1e-4, None) for shares in (before, after))
    return float(((new - old) * np.log(new / old)).sum())
