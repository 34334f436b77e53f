"""The test rows by kind of user: is the model as good for all of them?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anmodel.model.evaluation import (
    Array,
    UserBootstrap,
    WeightedAuc,
    calibration_error,
    log_losses,
)
from anmodel.snapshots.samples import Sample

LEAST_KIND = 20
"""Buyers, and others, that a ROC AUC of a segment needs."""
LEAST_ROWS = 200
"""Rows that a calibration error of a segment needs: fewer give one by chance alone."""
_LEAST_OF_REGION = 50
_MOST_REGIONS = 12

_BANDS: dict[str, tuple[str, tuple[float, ...], tuple[str, ...]]] = {
    "Known for": (
        "days_since_first",
        (30, 90, 365),
        ("under 30 days", "30 to 90 days", "90 days to a year", "a year or more"),
    ),
    "Orders before": ("total_orders", (1, 2, 5), ("never bought", "one", "two to four", "five or more")),
    "Last seen": ("days_since_last", (1, 7, 30), ("within a day", "within a week", "within 30 days", "longer ago")),
}
"""Feature, bounds (a value at a bound is in the higher band), and the bands' names."""


@dataclass(frozen=True)
class Segment:
    """Some of the test rows: how many buy, how many were said to, and how well they are told apart.

    NaN is what too few rows cannot tell.
    """

    name: str
    rows: int
    users: int
    buyers: int
    share: float
    said: float
    log_loss: float
    ece: float
    roc_auc: float
    low: float
    high: float


@dataclass(frozen=True)
class Overlap:
    """Test rows whose users are in the training rows too, and those whose users are new to the model."""

    users: int
    known_users: int
    rows: int
    known_rows: int
    measured: list[Segment]


def segments(test: Sample, proba: Array) -> dict[str, list[Segment]]:
    """By region, tenure, orders and how lately seen: a segment for each value that occurs."""
    labels = {"Region": _regions(test)}
    for title, (feature, bounds, names) in _BANDS.items():
        if feature in test.features:
            values = test.features[feature].to_numpy(dtype=np.float64, na_value=np.nan)
            labels[title] = np.asarray(names, dtype=object)[np.digitize(values, bounds)]
    order = {name: place for _, _, names in _BANDS.values() for place, name in enumerate(names)}
    return {
        title: sorted(_measured(test, proba, of), key=lambda segment: (order.get(segment.name, 0), -segment.rows))
        for title, of in labels.items()
    }


def overlap(train: Sample, test: Sample, proba: Array) -> Overlap:
    """How many of the test rows' users the model has learnt from at earlier instants, and how it does with the rest."""
    known = np.isin(test.users, train.users)
    labels = np.where(known, "in training too", "new to the model").astype(object)
    users = len(np.unique(test.users))
    return Overlap(
        users, len(np.unique(test.users[known])), len(known), int(known.sum()), _measured(test, proba, labels)
    )


def _regions(test: Sample) -> npt.NDArray[Any]:
    """Regions with rows enough, the largest ones; the rest together."""
    named = np.array([region or "not known" for region in test.regions], dtype=object)
    names, counts = np.unique(named.astype(str), return_counts=True)
    largest = names[np.argsort(-counts, kind="stable")[:_MOST_REGIONS]]
    kept = set(largest) & set(names[counts >= _LEAST_OF_REGION])
    if len(rest := set(names) - kept) < 2:
        return named
    return np.array([name if name in kept else f"{len(rest)} others" for name in named], dtype=object)


def _measured(test: Sample, proba: Array, labels: npt.NDArray[Any]) -> list[Segment]:
    names, of = np.unique(labels.astype(str), return_inverse=True)
    return [_segment(name, test, proba, of == number) for number, name in enumerate(names)]


def _segment(name: str, test: Sample, proba: Array, inside: npt.NDArray[np.bool_]) -> Segment:
    bought, said, users = test.bought[inside], proba[inside], test.users[inside]
    rows, buyers = len(bought), int(bought.sum())
    auc = low = high = float("nan")
    if min(buyers, rows - buyers) >= LEAST_KIND:
        measure = WeightedAuc(bought, said)
        auc, (low, high) = measure(np.ones(rows)), UserBootstrap(users).interval(measure)
    return Segment(
        name=str(name),
        rows=rows,
        users=len(np.unique(users)),
        buyers=buyers,
        share=float(bought.mean()),
        said=float(said.mean()),
        log_loss=float(log_losses(bought, said).mean()),
        ece=calibration_error(bought, said) if rows >= LEAST_ROWS else float("nan"),
        roc_auc=auc,
        low=low,
        high=high,
    )
