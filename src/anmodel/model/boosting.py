"""The model's trees: a LightGBM booster with parameters that follow the size of the data, and what stands in for it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from anmodel.errors import SettingError
from anmodel.model.encoding import Matrix
from anmodel.model.openmp import provide_openmp

provide_openmp()
try:
    import lightgbm
except OSError as error:
    raise SettingError(
        f"LightGBM does not load: {error}. It needs OpenMP from the system: `apt install libgomp1` on Debian "
        "and Ubuntu, `brew install libomp` on macOS."
    ) from error

Array = npt.NDArray[np.float64]

LEAST_BUYERS = 30
"""Fewer positive rows (or rows at all) than this teach trees nothing but noise; a constant is used instead."""

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Recipe:
    """What every booster of one model shares."""

    seed: int
    threads: int
    max_trees: int
    learning_rate: float
    category_positions: list[int] = field(default_factory=list)

    def parameters(self, rows: int) -> dict[str, Any]:
        """Small data gets small trees; the same rows and seed give the same trees whatever the threads."""
        leaves = 7 if rows < 2_000 else 15 if rows < 20_000 else 31
        return {
            "num_leaves": leaves,
            "min_data_in_leaf": int(np.clip(rows // 200, 10, 100)),
            "min_data_per_group": int(np.clip(rows // 100, 10, 100)),
            "learning_rate": self.learning_rate,
            "feature_fraction": 0.8,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


class Constant:
    """Answers one value for every row."""

    trees = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, matrix: Matrix, threads: int = 0) -> Array:
        return np.full(len(matrix), self.value)


class Trees:
    """A fitted booster."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        self.booster = booster

    @property
    def trees(self) -> int:
        return int(self.booster.num_trees())

    def predict(self, matrix: Matrix, threads: int = 0) -> Array:
        """One value a row. Few rows run on one thread: starting more costs more than the work."""
        if not len(matrix):
            return np.zeros(0)
        return np.asarray(
            self.booster.predict(matrix, num_threads=1 if len(matrix) < 512 else threads), dtype=np.float64
        )

    def gain(self) -> Array:
        """How much each feature's splits have lowered the loss."""
        return np.asarray(self.booster.feature_importance("gain"), dtype=np.float64)

    def contributions(self, matrix: Matrix, threads: int = 0) -> Array:
        """Rows × (features + 1): what each feature adds to the raw score, then the base (Lundberg et al. 2018)."""
        return np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=threads), dtype=np.float64)


def grow(
    recipe: Recipe,
    objective: dict[str, Any],
    matrix: Matrix,
    target: Array,
    *,
    validation: tuple[Matrix, Array] | None = None,
    **override: Any,
) -> Trees:
    """Fit a booster of at most so many `trees`; with validation rows it stops once 30 more did not help there."""
    trees = int(override.pop("trees", recipe.max_trees if validation else min(recipe.max_trees, 100)))
    parameters = {**recipe.parameters(len(matrix)), **objective, **override}
    data = lightgbm.Dataset(matrix, target, categorical_feature=recipe.category_positions, free_raw_data=True)
    if validation is None:
        return Trees(lightgbm.train(parameters, data, num_boost_round=trees))
    held_out = lightgbm.Dataset(*validation, reference=data)
    stop = lightgbm.early_stopping(30, first_metric_only=True, verbose=False)
    booster = lightgbm.train(parameters, data, num_boost_round=trees, valid_sets=[held_out], callbacks=[stop])
    # Only the trees up to the best round are kept, so that the file is small and serving walks no useless tree.
    kept = booster.model_to_string(num_iteration=max(1, booster.best_iteration))
    return Trees(lightgbm.Booster(model_str=kept))
