"""What a shop could do without us: the simple forecasts that the model must beat on the same rows."""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from anmodel.model.evaluation import Array, chance_metrics, errors
from anmodel.snapshots.samples import Sample
from anmodel.train import bgnbd

COLUMNS: dict[str, tuple[str, ...]] = {
    "recency": ("days_since_last",),
    "frequency": ("orders_last_30d",),
    "rfm": ("days_since_last_purchase", "total_orders", "total_spent"),
}
"""Logistic regressions on few columns: how lately seen; orders of late; recency, frequency and money of purchases."""


def baseline_chances(train: Sample, test: Sample, horizon_days: int) -> dict[str, Array]:
    """Chances for the test rows by each baseline: the share of buyers in training, the regressions, and BG/NBD.

    A regression is left out when training knows one kind of user only, BG/NBD when it is not installed too.
    """
    chances = {"prevalence": np.full(len(test.bought), (train.bought.sum() + 1) / (len(train.bought) + 2))}
    if not 0 < train.bought.sum() < len(train.bought):
        return chances
    for name, columns in COLUMNS.items():
        known = [column for column in columns if column in train.features.columns]
        if known:
            chances[name] = _regression(train, test, known)
    if (said := bgnbd.chances(train, test, horizon_days)) is not None:
        chances["bgnbd"] = said
    return chances


def _regression(train: Sample, test: Sample, columns: list[str]) -> Array:
    regression = make_pipeline(
        # A purchase that never was is as long ago as any.
        SimpleImputer(strategy="constant", fill_value=3650.0),
        FunctionTransformer(np.log1p),
        StandardScaler(),
        LogisticRegression(max_iter=500),
    )
    regression.fit(_numbers(train.features, columns), train.bought)
    return np.asarray(regression.predict_proba(_numbers(test.features, columns))[:, 1], dtype=np.float64)


def _numbers(features: pd.DataFrame, columns: list[str]) -> Array:
    return features[columns].to_numpy(dtype=np.float64, na_value=np.nan).clip(min=0)


def baseline_metrics(train: Sample, test: Sample, chances: dict[str, Array]) -> dict[str, float]:
    """`baseline_NAME_METRIC` on the test rows; days and amount against the median buyer of training."""
    measured = {
        f"baseline_{name}_{metric}": value
        for name, proba in chances.items()
        for metric, value in chance_metrics(test.bought, proba).items()
        if metric in ("roc_auc", "pr_auc", "log_loss", "brier")
    }
    for short, target in (("days", "days_to_next_purchase"), ("amount", "next_purchase_amount")):
        before, after = (part.targets.loc[part.bought > 0, target].dropna().to_numpy() for part in (train, test))
        if len(before) and len(after):
            median = float(np.median(before))
            measured |= {f"baseline_median_{name}": value for name, value in errors(short, after, median).items()}
    return measured
