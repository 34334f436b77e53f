"""From a classifier's raw probability to one that can be read as a chance, and to a yes or no."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

Array = npt.NDArray[np.float64]

ISOTONIC_LEAST = 300
"""Buyers and non-buyers needed, each, before the free-form curve is trusted; fewer get a straight line in log-odds."""
PLATT_LEAST = 20
_EDGE = 1e-6


class Calibrator(Protocol):
    """Maps raw probabilities to calibrated ones and keeps their order."""

    name: str

    def __call__(self, raw: Array) -> Array: ...


class Identity:
    """Leaves probabilities alone."""

    name = "none"

    def __call__(self, raw: Array) -> Array:
        return np.clip(raw, _EDGE, 1 - _EDGE)


class Platt:
    """A logistic curve over the raw log-odds (Platt 1999)."""

    name = "platt"

    def __init__(self, slope: float, intercept: float) -> None:
        self.slope, self.intercept = slope, intercept

    def __call__(self, raw: Array) -> Array:
        return expit(logit(raw) * self.slope + self.intercept)


class CentredIsotonic:
    """Isotonic regression joined through the centres of its blocks, so that different users keep different chances.

    Plain isotonic regression answers in steps: thousands of users would share one probability and no order among them.
    Works in log-odds; past the outermost blocks it follows the raw log-odds. (Oron & Flournoy 2017.)
    """

    name = "isotonic"

    def __init__(self, centres: Array, values: Array) -> None:
        self.centres, self.values = centres, values

    def __call__(self, raw: Array) -> Array:
        x = logit(raw)
        inside = np.interp(x, self.centres, self.values)
        below = np.minimum(x - self.centres[0], 0.0)
        above = np.maximum(x - self.centres[-1], 0.0)
        return expit(inside + below + above)


def fit_calibrator(raw: Array, bought: Array) -> Calibrator:
    """The richest curve that the rarer class has rows for; with too few rows probabilities stay as they are."""
    rarer = int(min(bought.sum(), len(bought) - bought.sum()))
    if rarer < PLATT_LEAST:
        return Identity()
    platt = _fit_platt(raw, bought)
    if rarer < ISOTONIC_LEAST:
        return platt
    return _fit_isotonic(raw, bought) or platt


def _fit_platt(raw: Array, bought: Array) -> Calibrator:
    line = LogisticRegression(C=1e3).fit(logit(raw).reshape(-1, 1), bought)
    slope = float(line.coef_[0, 0])
    # A falling line would turn the order round: the rows say the ranking is worthless, and that is for metrics to tell.
    return Platt(slope, float(line.intercept_[0])) if slope > 0 else Identity()


def _fit_isotonic(raw: Array, bought: Array) -> Calibrator | None:
    """None when the rows show no rise at all."""
    x = logit(raw)
    steps = IsotonicRegression(out_of_bounds="clip").fit_transform(x, bought)
    _, block = np.unique(steps, return_inverse=True)
    rows = np.bincount(block)
    if len(rows) < 3:
        return None
    centres = np.bincount(block, weights=x) / rows
    # Half a buyer is lent to each side, or a block without buyers would claim the impossible: a chance of zero.
    rates = (np.bincount(block, weights=bought) + 0.5) / (rows + 1.0)
    # The loan lifts small blocks over their neighbours: joined again, or one row without a buyer would lift all above.
    levels, joined = np.unique(
        IsotonicRegression().fit_transform(centres, rates, sample_weight=rows + 1.0), return_inverse=True
    )
    centres = np.bincount(joined, weights=centres * rows) / np.bincount(joined, weights=rows)
    return CentredIsotonic(centres, logit(levels))


def best_f1_threshold(proba: Array, bought: Array) -> float:
    """The probability from which saying "will buy" gives the best F1 on these rows; 0.5 when nobody bought."""
    if not bought.any():
        return 0.5
    return _best_f1(proba, bought)


def expected_f1_threshold(proba: Array) -> float:
    """The same without outcomes: the best F1 to expect if the probabilities are true."""
    return _best_f1(proba, proba) if len(proba) else 0.5


def _best_f1(proba: Array, bought: Array) -> float:
    order = np.argsort(-proba, kind="stable")
    hits = np.cumsum(bought[order])
    f1 = 2 * hits / (np.arange(1, len(proba) + 1) + bought.sum())
    ends = np.append(proba[order][1:] < proba[order][:-1], True)  # equal probabilities are taken together
    best = int(np.argmax(np.where(ends, f1, -1.0)))
    return float(proba[order][best])


def logit(proba: Array) -> Array:
    """Log-odds, kept finite."""
    clipped = np.clip(proba, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def expit(log_odds: Array) -> Array:
    """Probability of log-odds, kept off 0 and 1."""
    return np.clip(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))), _EDGE, 1 - _EDGE)
