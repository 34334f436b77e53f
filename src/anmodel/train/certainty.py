"""Figures with their 95 % intervals: what the model gains over each baseline, and totals. Users are drawn, not rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anmodel.model.evaluation import (
    Array,
    UserBootstrap,
    WeightedAuc,
    central_interval,
    log_losses,
    weighted_mean,
)

Statistic = Callable[[Array], float]
_NAN = float("nan")


@dataclass(frozen=True)
class Gain:
    """One metric of the model and of a baseline on the same rows.

    `gain` is the difference in the direction that is better, so above 0 the model is better; `low` and `high` bound it
    by draws that both share.
    """

    metric: str
    baseline: str
    model: float
    other: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class Total:
    """What was forecast in total over what happened: 1 is right. NaN when nothing happened."""

    said: float
    happened: float
    ratio: float
    low: float
    high: float


def chance_intervals(draws: UserBootstrap, bought: Array, proba: Array) -> dict[str, tuple[float, float]]:
    """Of ROC AUC (where both kinds of user are), log loss and Brier score."""
    return {metric: draws.interval(score) for metric, score in _scores(bought, proba).items()}


def chance_gains(draws: UserBootstrap, bought: Array, proba: Array, baselines: dict[str, Array]) -> list[Gain]:
    """Gains in ROC AUC (where both kinds of user are), log loss and Brier score over each baseline."""
    models = _scores(bought, proba)
    of_model = {metric: draws.values(score) for metric, score in models.items()}
    ones = np.ones(len(bought))
    return [
        _gain(metric, name, (models[metric](ones), score(ones)), (of_model[metric], draws.values(score)))
        for name, chance in baselines.items()
        for metric, score in _scores(bought, chance).items()
    ]


def error_gain(draws: UserBootstrap, metric: str, baseline: str, off: Array, other: Array) -> Gain:
    """The gain in the mean of `off`, the model's error of each row, against `other`, the baseline's."""
    statistics = weighted_mean(off), weighted_mean(other)
    ones = np.ones(len(off))
    model, base = statistics
    return _gain(metric, baseline, (model(ones), base(ones)), (draws.values(model), draws.values(base)))


def total(draws: UserBootstrap, said: Array, happened: Array) -> Total:
    """The total of `said` over that of `happened`."""

    def ratio(weights: Array) -> float:
        of = float((weights * happened).sum())
        return float((weights * said).sum()) / of if of else _NAN

    low, high = draws.interval(ratio)
    return Total(float(said.sum()), float(happened.sum()), ratio(np.ones(len(said))), low, high)


def _scores(bought: Array, proba: Array) -> dict[str, Statistic]:
    scores: dict[str, Statistic] = {}
    if 0 < bought.sum() < len(bought):
        scores["roc_auc"] = WeightedAuc(bought, proba)
    scores["log_loss"] = weighted_mean(log_losses(bought, proba))
    scores["brier"] = weighted_mean((proba - bought) ** 2)
    return scores


def _gain(metric: str, baseline: str, at: tuple[float, float], drawn: tuple[Array, Array]) -> Gain:
    better = 1.0 if metric == "roc_auc" else -1.0
    low, high = central_interval(better * (drawn[0] - drawn[1]))
    return Gain(metric, baseline, at[0], at[1], better * (at[0] - at[1]), low, high)
