"""How good a forecast was, once it is known what happened. Train, register and monitor measure alike."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from anmodel.forecasts import CHANCES

Array = npt.NDArray[np.float64]
_EDGE = 1e-6


def chance_metrics(bought: Array, proba: Array) -> dict[str, float]:
    """positive_rate, log_loss, brier, ece; roc_auc and pr_auc where both kinds are there. {} without rows."""
    if not len(bought):
        return {}
    measured = {
        "positive_rate": float(bought.mean()),
        "log_loss": float(log_losses(bought, proba).mean()),
        "brier": float(np.mean((proba - bought) ** 2)),
        "ece": calibration_error(bought, proba),
    }
    if 0 < bought.sum() < len(bought):
        measured["roc_auc"] = float(roc_auc_score(bought, proba))
        measured["pr_auc"] = float(average_precision_score(bought, proba))
    return measured


def forecast_metrics(targets: pd.DataFrame, forecast: pd.DataFrame) -> dict[str, float]:
    """Of `ContextAwareModel.forecast`: metrics of the chance and f1 at the model's threshold; of buyers alone, errors
    of days and amount, mean absolute (`mae_`) and root mean square (`rmse_`), and the share of outcomes inside their
    interval (`coverage_`, aim 0.8); of the spend of all; and of the chance within each other horizon."""
    bought = targets["will_purchase"].to_numpy(dtype=np.float64)
    measured = chance_metrics(bought, forecast["purchase_proba"].to_numpy(dtype=np.float64))
    measured["f1"] = _f1(bought, forecast["will_purchase_pred"].to_numpy(dtype=np.float64))
    for short, target, output in (
        ("days", "days_to_next_purchase", "days_to_next"),
        ("amount", "next_purchase_amount", "next_purchase_amount"),
    ):
        outcome = targets[target].to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.isfinite(outcome) & (bought > 0)
        if known.any():
            columns = (forecast[f"{output}_{kind}"] for kind in ("pred", "low", "high"))
            predicted, low, high = (column.to_numpy(dtype=np.float64)[known] for column in columns)
            measured |= errors(short, outcome[known], predicted)
            inside = (outcome[known] >= low) & (outcome[known] <= high)
            measured[f"coverage_{short}"] = float(inside.mean())
    return measured | _spend_metrics(targets, forecast) | _horizon_metrics(targets, forecast)


def _spend_metrics(targets: pd.DataFrame, forecast: pd.DataFrame) -> dict[str, float]:
    """Of spend within the horizon: mean absolute error of the median, root mean square error of the mean, and the
    total of the means over what was spent (1 is right)."""
    spent = targets["horizon_spend"].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(spent)
    if not known.any():
        return {}
    median, mean = (forecast[name].to_numpy(dtype=np.float64)[known] for name in ("spend_median", "spend_mean"))
    measured = {
        "mae_spend": float(np.abs(spent[known] - median).mean()),
        "rmse_spend": float(np.sqrt(np.mean((spent[known] - mean) ** 2))),
    }
    if total := float(spent[known].sum()):
        measured["spend_total"] = float(mean.sum() / total)
    return measured


def _horizon_metrics(targets: pd.DataFrame, forecast: pd.DataFrame) -> dict[str, float]:
    """`roc_auc_1d` and so on, `ece_1d`, and `buyers_1d`, predicted over actual ones: of rows watched for that long."""
    days, observed = (
        targets[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("days_to_next_purchase", "days_observed")
    )
    measured: dict[str, float] = {}
    for horizon, column in CHANCES.items():
        watched = observed >= horizon
        bought = (days[watched] < horizon).astype(np.float64)
        proba = forecast[column].to_numpy(dtype=np.float64)[watched]
        found = chance_metrics(bought, proba)
        measured |= {f"{name}_{horizon}d": found[name] for name in ("roc_auc", "ece") if name in found}
        if bought.any():
            measured[f"buyers_{horizon}d"] = float(proba.sum() / bought.sum())
    return measured


def errors(name: str, outcome: Array, predicted: Array | float) -> dict[str, float]:
    """mae_NAME and rmse_NAME."""
    off = outcome - predicted
    return {f"mae_{name}": float(np.abs(off).mean()), f"rmse_{name}": float(np.sqrt(np.mean(off**2)))}


def log_losses(bought: Array, proba: Array) -> Array:
    """Of each row: minus the logarithm of the chance that was given to what happened."""
    given = np.clip(np.where(bought > 0, proba, 1 - proba), _EDGE, 1.0)
    return np.asarray(-np.log(given), dtype=np.float64)


def calibration_error(bought: Array, proba: Array) -> float:
    """Expected calibration error: mean distance of chance and share of buyers over ten bins of as many rows each."""
    return WeightedCalibrationError(bought, proba)(np.ones(len(proba)))


def calibration_noise(proba: Array) -> float:
    """The calibration error to expect by luck, were every chance exactly right: in each of the same ten bins the mean
    distance of a normal sum, sqrt(2 / pi) times its standard deviation. Rows count as independent."""
    bins = np.array_split(np.sort(proba), 10)
    return float(sum(np.sqrt(2 / np.pi * (rows * (1 - rows)).sum()) for rows in bins) / len(proba))


def lift(bought: Array, proba: Array, share: float = 0.1) -> float:
    """Share of buyers among the likeliest `share` of the rows over that of all; equal chances at its border count in
    part. At least one row must have bought."""
    size = share * len(proba)
    border = np.sort(proba)[::-1][int(np.ceil(size)) - 1]
    above, tied = proba > border, proba == border
    buyers = bought[above].sum() + (size - above.sum()) * bought[tied].mean()
    return float(buyers / size / bought.mean())


def _f1(bought: Array, said: Array) -> float:
    hits = float((bought * said).sum())
    total = float(bought.sum() + said.sum())
    return 2 * hits / total if total else 0.0


class UserBootstrap:
    """Draws users, not rows, with replacement: rows of one user are alike, and rows alone would look too certain."""

    def __init__(self, users: npt.ArrayLike, *, resamples: int = 200, seed: int = 42) -> None:
        _, self._user = np.unique(np.asarray(users), return_inverse=True)
        count = int(self._user.max()) + 1 if len(self._user) else 0
        random = np.random.default_rng(seed)
        self._draws = (
            np.bincount(random.integers(0, count, count), minlength=count) for _ in range(resamples if count else 0)
        )
        self._weights = [draw.astype(np.float64) for draw in self._draws]

    def values(self, statistic: Callable[[Array], float]) -> Array:
        """A statistic of row weights in each draw. The draws are the same every time: differences of two are paired."""
        return np.array([statistic(weights[self._user]) for weights in self._weights], dtype=np.float64)

    def interval(self, statistic: Callable[[Array], float]) -> tuple[float, float]:
        """`central_interval` of a statistic of row weights; (nan, nan) without rows."""
        return central_interval(self.values(statistic))


def central_interval(values: Array) -> tuple[float, float]:
    """2.5 and 97.5 % quantiles of the finite values; (nan, nan) when there is none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return (float("nan"), float("nan"))
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)


class WeightedAuc:
    """ROC AUC of fixed scores under many weights: sorts once. Equal scores count half."""

    def __init__(self, bought: Array, proba: Array) -> None:
        _, self._group = np.unique(proba, return_inverse=True)
        self._bought = bought

    def __call__(self, weights: Array) -> float:
        """NaN when the weights leave one kind only."""
        size = int(self._group.max()) + 1
        buyers = np.bincount(self._group, weights * self._bought, size)
        others = np.bincount(self._group, weights * (1 - self._bought), size)
        total = buyers.sum() * others.sum()
        if not total:
            return float("nan")
        return float((buyers * (np.cumsum(others) - others / 2)).sum() / total)


class WeightedCalibrationError:
    """Expected calibration error of fixed scores under many weights: sorts once."""

    def __init__(self, bought: Array, proba: Array, bins: int = 10) -> None:
        self._bin = np.empty(len(proba), dtype=np.int64)
        for number, rows in enumerate(np.array_split(np.argsort(proba, kind="stable"), bins)):
            self._bin[rows] = number
        self._off = proba - bought
        self._bins = bins

    def __call__(self, weights: Array) -> float:
        """NaN without weight."""
        off = np.bincount(self._bin, weights * self._off, self._bins)
        return float(np.abs(off).sum() / weights.sum()) if weights.sum() else float("nan")


def weighted_mean(values: Array) -> Callable[[Array], float]:
    """The mean of `values` as a statistic of row weights."""
    return lambda weights: float((weights * values).sum() / weights.sum()) if weights.sum() else float("nan")
