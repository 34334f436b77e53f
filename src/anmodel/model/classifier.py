"""A chance of yes or no: boosted trees, calibrated on later rows."""

import numpy as np

from anmodel.model.boosting import LEAST_BUYERS, Array, Constant, Recipe, Trees, grow
from anmodel.model.calibration import Calibrator, Identity, fit_calibrator
from anmodel.model.encoding import Matrix

Labelled = tuple[Matrix, Array]
"""Rows × features, and of each row 0 or 1."""

TUNED = ("learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2")
"""Parameters of its trees that tuning may change; `ContextAwareModel` has them by these names."""


class Classifier:
    """The chance of a 1. Where either label is rare in training, everyone gets the share of ones (Laplace-smoothed)."""

    def fit(
        self, recipe: Recipe, matrix: Matrix, labels: Array, validation: Labelled | None, **override: float
    ) -> "Classifier":
        """Learn; later rows stop the growing and calibrate. `override` changes parameters of the booster."""
        self.booster: Trees | Constant
        self.calibrate: Calibrator = Identity()
        self.constant = rarer(labels) < LEAST_BUYERS
        if self.constant:
            self.booster = Constant((labels.sum() + 1) / (len(labels) + 2))
            return self
        checked = validation if validation is not None and rarer(validation[1]) >= LEAST_BUYERS else None
        self.booster = grow(recipe, {"objective": "binary"}, matrix, labels, validation=checked, **override)
        if validation is not None:
            self.calibrate = fit_calibrator(self.booster.predict(validation[0], recipe.threads), validation[1])
        return self

    def chances(self, matrix: Matrix, threads: int = 0) -> Array:
        """One a row."""
        return self.calibrate(self.booster.predict(matrix, threads))


def rarer(labels: Array) -> int:
    """How many rows have the label that fewer have."""
    ones = int(np.sum(labels))
    return min(ones, len(labels) - ones)
