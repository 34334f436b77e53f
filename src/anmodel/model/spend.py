"""What a user spends within the horizon, in two numbers: a median for one typical user, a mean to add up."""

import numpy as np

from anmodel.model.boosting import LEAST_BUYERS, Array, Constant, Recipe, Trees, grow
from anmodel.model.encoding import Matrix

_MEAN = {"objective": "tweedie", "tweedie_variance_power": 1.3, "metric": "tweedie"}
"""A sum of many zeros and skewed amounts (Jørgensen & de Souza 1994)."""
_MEDIAN = {"objective": "l1", "metric": "l1"}
_FACTOR = 2.0
_LEARNING_RATE = 0.1
"""Half the trees of the classifier's rate for the same error: every user is asked about them."""


class SpendHeads:
    """Two boosters over all rows, those who buy nothing included.

    Most users of a week spend nothing, so most medians are 0, and medians do not add up to a total; means do. The means
    are scaled so that on the validation rows their total is what was spent, by a factor between 1/2 and 2.
    """

    def fit(
        self, recipe: Recipe, matrix: Matrix, spend: Array, validation: tuple[Matrix, Array] | None
    ) -> "SpendHeads":
        """Learn from rows whose spend is known. Few who spent: everybody's median and mean; no rows: nothing."""
        self.factor = 1.0
        self.constant = int((spend > 0).sum()) < LEAST_BUYERS
        self.heads: tuple[Trees | Constant, Trees | Constant]
        if self.constant:
            known = spend if len(spend) else np.zeros(1)
            self.heads = Constant(float(np.median(known))), Constant(float(known.mean()))
            return self
        held_out = validation if validation is not None and len(validation[1]) else None
        median, mean = (
            grow(recipe, objective, matrix, spend, validation=held_out, learning_rate=_LEARNING_RATE)
            for objective in (_MEDIAN, _MEAN)
        )
        self.heads = median, mean
        if held_out is not None and held_out[1].sum() > 0:
            total = float(mean.predict(held_out[0]).sum())
            self.factor = float(np.clip(held_out[1].sum() / total, 1 / _FACTOR, _FACTOR))
        return self

    def median(self, matrix: Matrix, threads: int = 0) -> Array:
        """As likely more as less is spent."""
        return np.maximum(self.heads[0].predict(matrix, threads), 0.0)

    def mean(self, matrix: Matrix, threads: int = 0) -> Array:
        """What is spent on average by users like this one."""
        return np.maximum(self.heads[1].predict(matrix, threads), 0.0) * self.factor
