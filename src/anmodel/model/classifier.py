"""A chance of yes or no: boosted trees, calibrated on later rows."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from anmodel.model.boosting import LEAST_BUYERS, Array, Constant, Recipe, Trees, grow
from anmodel.model.calibration import Calibrator, Identity, fit_calibrator
from anmodel.model.encoding import Matrix

BINARY = {"objective": "binary"}
_FOLDS = 3

Users = tuple[npt.NDArray[Any], npt.NDArray[Any]]
Labelled = tuple[Matrix, Array]
"""Rows × features, and of each row 0 or 1."""

TUNED = ("learning_rate", "num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2")
"""Parameters of its trees that tuning may change; `ContextAwareModel` has them by these names."""


class Classifier:
    """The chance of a 1. Where either label is rare in training, everyone gets the share of ones (Laplace-smoothed)."""

    def fit(
        self,
        recipe: Recipe,
        matrix: Matrix,
        labels: Array,
        validation: Labelled | None,
        users: Users | None = None,
        **override: Any,
    ) -> Array:
        """Learn; returns the chances of the validation rows (of all rows, if there are none).

        Validation rows stop the growing and calibrate. With `users`, those of the rows and of the validation rows, the
        booster is then grown again on both, as large: it shall know the newest. Its calibration is learnt from
        validation rows as boosters see them that have not learnt from their users. `override` changes parameters of
        the booster.
        """
        self.booster: Trees | Constant
        self.calibrate: Calibrator = Identity()
        self.constant = rarer(labels) < LEAST_BUYERS
        if self.constant:
            self.booster = Constant((labels.sum() + 1) / (len(labels) + 2))
            return self.chances(matrix if validation is None else validation[0])
        checked = validation if validation is not None and rarer(validation[1]) >= LEAST_BUYERS else None
        self.booster = grow(recipe, BINARY, matrix, labels, validation=checked, **override)
        if validation is None:
            return self.chances(matrix)
        raw = self.booster.predict(validation[0], recipe.threads)
        if checked is not None and users is not None and len(np.unique(np.concatenate(users))) >= _FOLDS:
            given = {**override, "trees": self.booster.trees}
            rows = np.concatenate((matrix, validation[0])), np.concatenate((labels, validation[1]))
            raw = _unseen(recipe, rows, np.concatenate(users), given)[len(labels) :]
            self.booster = grow(recipe, BINARY, *rows, **given)
        self.calibrate = fit_calibrator(raw, validation[1])
        return self.calibrate(raw)

    def chances(self, matrix: Matrix, threads: int = 0) -> Array:
        """One a row."""
        return self.calibrate(self.booster.predict(matrix, threads))


def _unseen(recipe: Recipe, rows: Labelled, users: npt.NDArray[Any], given: dict[str, Any]) -> Array:
    """The raw chance of each row by a booster of other users' rows."""
    found = np.zeros(len(users))
    for others, mine in GroupKFold(_FOLDS).split(users, groups=users):
        booster = grow(recipe, BINARY, rows[0][others], rows[1][others], **given)
        found[mine] = booster.predict(rows[0][mine], recipe.threads)
    return found


def rarer(labels: Array) -> int:
    """How many rows have the label that fewer have."""
    ones = int(np.sum(labels))
    return min(ones, len(labels) - ones)
