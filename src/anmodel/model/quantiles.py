"""How many days, how much money: a typical value with an interval, learnt from buyers alone."""

import numpy as np

from anmodel.model.boosting import LEAST_BUYERS, QUANTILES, Array, Constant, Recipe, Trees, grow
from anmodel.model.encoding import Matrix

CONFORMAL_LEAST = 50
"""Validation rows needed before the interval is widened or narrowed to hold what it says."""


class QuantileHeads:
    """10 %, 50 % and 90 % quantiles of one target between `low` and `high`.

    `default` holds the three when nothing is known. `log` learns on log(1 + x), which suits money. With enough
    validation rows the two outer quantiles are moved so that four of five outcomes lie between them (conformalised
    quantile regression, Romano et al. 2019).
    """

    def __init__(self, low: float, high: float, *, log: bool, default: tuple[float, float, float]) -> None:
        self.low, self.high, self.log, self.default = low, high, log, default

    def fit(
        self, recipe: Recipe, matrix: Matrix, target: Array, validation: tuple[Matrix, Array] | None
    ) -> "QuantileHeads":
        """Learn from rows with a known target. Too few rows: quantiles of the rows; none at all: the default."""
        self.margin = 0.0
        self.constant = len(target) < LEAST_BUYERS
        self.heads: list[Trees | Constant]
        if self.constant:
            values = np.quantile(target, QUANTILES) if len(target) else np.asarray(self.default)
            self.heads = [Constant(float(value)) for value in self._forward(values)]
        else:
            self.heads = [self._head(recipe, matrix, target, quantile) for quantile in QUANTILES]
        if validation is not None and len(validation[1]) >= CONFORMAL_LEAST:
            self.margin = self._conformal_margin(*validation)
        return self

    def _head(self, recipe: Recipe, matrix: Matrix, target: Array, quantile: float) -> Trees:
        trees, rate = (40, 0.1) if quantile == 0.5 else (25, 0.15)  # few: every user is asked about all of them
        objective = {"objective": "quantile", "alpha": quantile, "learning_rate": rate}
        leaves = min(15, int(recipe.parameters(len(target))["num_leaves"]))
        return grow(recipe, objective, matrix, self._forward(target), trees=trees, num_leaves=leaves)

    def typical(self, matrix: Matrix, threads: int = 0) -> Array:
        """The median of the target for each row, should the user buy."""
        return self._backward(self.heads[1].predict(matrix, threads))

    def interval(self, matrix: Matrix, typical: Array, threads: int = 0) -> tuple[Array, Array]:
        """Bounds that hold four outcomes of five and enclose `typical`."""
        low = self._backward(self.heads[0].predict(matrix, threads) - self.margin)
        high = self._backward(self.heads[2].predict(matrix, threads) + self.margin)
        return np.minimum(low, typical), np.maximum(high, typical)

    def _conformal_margin(self, matrix: Matrix, target: Array) -> float:
        outcome = self._forward(target)
        outside = np.maximum(self.heads[0].predict(matrix) - outcome, outcome - self.heads[2].predict(matrix))
        rank = min(1.0, (QUANTILES[2] - QUANTILES[0]) * (1 + 1 / len(outcome)))
        return float(np.quantile(outside, rank, method="higher"))

    def _forward(self, values: Array) -> Array:
        return np.asarray(np.log1p(values) if self.log else values, dtype=np.float64)

    def _backward(self, values: Array) -> Array:
        return np.clip(np.expm1(np.minimum(values, 30.0)) if self.log else values, self.low, self.high)
