"""All that the evaluation page tells of a version beyond its metrics, measured on the test rows."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from anmodel.model.evaluation import Array, UserBootstrap, lift
from anmodel.snapshots.samples import Sample
from anmodel.train import bgnbd
from anmodel.train.certainty import Gain, Total, chance_gains, chance_intervals, error_gain, total
from anmodel.train.deciles import Decile, deciles
from anmodel.train.segments import LEAST_KIND, LEAST_ROWS, Overlap, Segment, overlap, segments

_FEW_USERS = 100
_OUTCOMES = {
    "days": ("days_to_next_purchase", "days_to_next_pred"),
    "amount": ("next_purchase_amount", "next_purchase_amount_pred"),
}


@dataclass(frozen=True)
class Evaluation:
    """What the test rows say.

    `intervals` are those of the model's own metrics, `errors` mean absolute errors: days and amount of buyers, spend of
    every row.
    """

    rows: int
    users: int
    buyers: int
    intervals: dict[str, tuple[float, float]]
    gains: list[Gain]
    errors: list[Gain]
    totals: dict[str, Total]
    lift: float
    deciles: list[Decile]
    segments: dict[str, list[Segment]]
    overlap: Overlap
    unmeasured: list[str]

    def best(self, metric: str) -> Gain | None:
        """The gain over the baseline that is the best in `metric`."""
        return min((gain for gain in self.gains if gain.metric == metric), key=lambda gain: gain.gain, default=None)

    def metrics(self) -> dict[str, float]:
        """Of the figures, those that MLflow lists: what is saved against the best baseline, totals, the top tenth."""
        found = {}
        if "roc_auc" in self.intervals:
            found["test_roc_auc_low"], found["test_roc_auc_high"] = self.intervals["roc_auc"]
        if saved := self.best("log_loss"):
            found["test_log_loss_saved"] = saved.gain
            found |= {"test_log_loss_saved_low": saved.low, "test_log_loss_saved_high": saved.high}
        for name, of in self.totals.items():
            found |= {f"test_{name}_total": of.ratio, f"test_{name}_total_low": of.low}
            found[f"test_{name}_total_high"] = of.high
        found["test_lift_10"] = self.lift
        return {name: value for name, value in found.items() if np.isfinite(value)}


def evaluate(train: Sample, test: Sample, forecast: pd.DataFrame, baselines: dict[str, Array]) -> Evaluation:
    """Measure `forecast`, all that the model says of the test rows, against the baselines' chances and medians.

    Nothing is an error: what the rows are too few for is left out and said in `unmeasured`.
    """
    draws = UserBootstrap(test.users)
    proba = forecast["purchase_proba"].to_numpy(dtype=np.float64)
    errors, totals = _spend(draws, train, test, forecast)
    if test.bought.any():
        totals = {"buyers": total(draws, proba, test.bought)} | totals
    made = Evaluation(
        rows=len(proba),
        users=len(np.unique(test.users)),
        buyers=int(test.bought.sum()),
        intervals=chance_intervals(draws, test.bought, proba),
        gains=chance_gains(draws, test.bought, proba, baselines),
        errors=_outcome_errors(train, test, forecast) + errors,
        totals=totals,
        lift=lift(test.bought, proba) if test.bought.any() else float("nan"),
        deciles=deciles(test.bought, proba),
        segments=segments(test, proba),
        overlap=overlap(train, test, proba),
        unmeasured=[],
    )
    return replace(made, unmeasured=_unmeasured(made, train, baselines))


def _outcome_errors(train: Sample, test: Sample, forecast: pd.DataFrame) -> list[Gain]:
    """Of buyers: the model's error of days and amount against that of training's median buyer."""
    found = []
    for name, (target, output) in _OUTCOMES.items():
        before, outcome = _known(train, target)[train.bought > 0], _known(test, target)
        inside = np.isfinite(outcome) & (test.bought > 0)
        if inside.any() and np.isfinite(before).any():
            said, happened = forecast[output].to_numpy(dtype=np.float64)[inside], outcome[inside]
            off, other = np.abs(happened - said), np.abs(happened - np.nanmedian(before))
            found.append(error_gain(UserBootstrap(test.users[inside]), f"mae_{name}", "median buyer", off, other))
    return found


def _spend(
    draws: UserBootstrap, train: Sample, test: Sample, forecast: pd.DataFrame
) -> tuple[list[Gain], dict[str, Total]]:
    """Of every row: the median's error against training's median spend, and the total of the means."""
    before, spent = _known(train, "horizon_spend"), _known(test, "horizon_spend")
    if not (np.isfinite(before).any() and np.isfinite(spent).all()):
        return [], {}
    median, mean = (forecast[name].to_numpy(dtype=np.float64) for name in ("spend_median", "spend_mean"))
    off, other = np.abs(spent - median), np.abs(spent - np.nanmedian(before))
    gain = error_gain(draws, "mae_spend", "median user", off, other)
    return [gain], {"spend": total(draws, mean, spent)} if spent.any() else {}


def _known(sample: Sample, target: str) -> Array:
    return sample.targets[target].to_numpy(dtype=np.float64, na_value=np.nan)


def _unmeasured(made: Evaluation, train: Sample, baselines: dict[str, Array]) -> list[str]:
    """What this page cannot tell, and why."""
    told = []
    if not 0 < made.buyers < made.rows:
        kind = "a buyer" if made.buyers == 0 else "anyone who did not buy"
        told.append(f"ROC AUC, PR AUC, gain and lift: the {made.rows} test rows are without {kind}.")
    if missing := [name for name in ("days", "amount") if f"mae_{name}" not in {gain.metric for gain in made.errors}]:
        told.append(f"Errors of {' and '.join(missing)}: no purchase in the test rows, or none in training.")
    if "spend" not in made.totals:
        told.append("The total of spend: nothing was spent in the test rows, or it is not known.")
    if not 0 < train.bought.sum() < len(train.bought):
        told.append("Baselines other than the prevalence: training has users of one kind only.")
    elif "bgnbd" not in baselines:
        told.append(
            f"BG/NBD as a baseline: fewer than {bgnbd.LEAST_USERS} users have ordered, or it could not be fitted."
            if bgnbd.available()
            else "BG/NBD as a baseline: the package anmodel[bgnbd] is not installed where this was trained."
        )
    if made.users < _FEW_USERS:
        told.append(f"Intervals are rough: they rest on {made.users} users, {_FEW_USERS} would be few.")
    groups = [*made.segments.values(), made.overlap.measured]
    if any(not np.isfinite(segment.roc_auc) for group in groups for segment in group):
        told.append(
            f"Segments where a figure is missing: a ROC AUC needs {LEAST_KIND} buyers and as many others, a "
            f"calibration error {LEAST_ROWS} rows."
        )
    return told
