"""Lift and gain: whom the model puts first, tenth by tenth."""

from dataclasses import dataclass

import numpy as np

from anmodel.model.evaluation import Array

TENTHS = 10


@dataclass(frozen=True)
class Decile:
    """A tenth of the rows, the highest chances first.

    `lift` is its share of buyers over everyone's, `gain` the share of all buyers in it and the tenths before; both NaN
    without buyers. `buyers` may be a fraction: rows of the same chance on both sides of a border share theirs.
    """

    number: int
    rows: int
    lowest: float
    said: float
    buyers: float
    share: float
    lift: float
    gain: float


def deciles(bought: Array, proba: Array) -> list[Decile]:
    """Ten tenths, fewer when there are fewer rows."""
    order = np.argsort(-proba, kind="stable")
    chance, buyers = proba[order], shared(bought, proba)[order]
    everyone, found = bought.sum(), 0.0
    made = []
    for number, rows in enumerate(np.array_split(np.arange(len(proba)), min(TENTHS, len(proba)) or 1), 1):
        if not len(rows):
            continue
        inside = float(buyers[rows].sum())
        found += inside
        share = inside / len(rows)
        lift, gain = (share / bought.mean(), found / everyone) if everyone else (float("nan"), float("nan"))
        of = chance[rows]
        made.append(Decile(number, len(rows), float(of[-1]), float(of.mean()), inside, share, float(lift), float(gain)))
    return made


def gain_curve(bought: Array, proba: Array) -> tuple[Array, Array]:
    """The share of rows taken, the highest chances first, and the share of all buyers among them; both from 0 to 1."""
    order = np.argsort(-proba, kind="stable")
    found = np.concatenate([[0.0], np.cumsum(shared(bought, proba)[order])])
    return np.linspace(0, 1, len(proba) + 1), found / found[-1]


def shared(bought: Array, proba: Array) -> Array:
    """Of each row, the share of buyers among the rows of its chance: their order says nothing."""
    _, group = np.unique(proba, return_inverse=True)
    return np.asarray((np.bincount(group, bought) / np.bincount(group))[group], dtype=np.float64)
