"""What is said of a user of whom nothing is known: what is so of all users."""

import numpy as np
import pandas as pd

from anmodel.forecasts import CHANCES, HORIZONS
from anmodel.model.boosting import QUANTILES, Array
from anmodel.model.frames import AMOUNT, DAYS, SPEND, WILL
from anmodel.model.horizons import Watched
from anmodel.model.quantiles import QuantileHeads


def prior(
    outcome: pd.DataFrame, watched: Watched, own: int, days: QuantileHeads, amount: QuantileHeads
) -> dict[str, float]:
    """Every output but the yes or no, from what happened to all users of the rows; `own` is the model's horizon."""
    numbers = {name: outcome[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in outcome.columns}
    bought = numbers[WILL] > 0
    share = float((bought.sum() + 1) / (len(bought) + 2))
    said = {"purchase_proba": share} | _within(watched.days, watched.observed, own, share)
    for name, target, head in (("days_to_next", DAYS, days), ("next_purchase_amount", AMOUNT, amount)):
        known = numbers[target][bought & np.isfinite(numbers[target])]
        low, typical, high = np.quantile(known, QUANTILES) if len(known) else head.default
        said |= {f"{name}_pred": float(typical), f"{name}_low": float(low), f"{name}_high": float(high)}
    spent = numbers[SPEND][np.isfinite(numbers[SPEND])]
    said["spend_median"] = float(np.median(spent)) if len(spent) else 0.0
    said["spend_mean"] = float(spent.mean()) if len(spent) else 0.0
    return said


def _within(days: Array, observed: Array, own: int, share: float) -> dict[str, float]:
    """The share of buyers within each horizon, of the rows watched for that long, never falling; without such rows as
    if buyers came at a steady rate."""
    found = {}
    for horizon in HORIZONS:
        watched = observed >= horizon
        steady = 1 - (1 - share) ** (horizon / own)
        found[horizon] = float((days[watched] < horizon).mean()) if watched.any() else steady
    bounded = [min(found[h], share) if h < own else share if h == own else max(found[h], share) for h in HORIZONS]
    return dict(zip(CHANCES.values(), map(float, np.maximum.accumulate(bounded)), strict=True))
