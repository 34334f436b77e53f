"""What the estimator takes, as frames: features by name, targets by name, and the rows of buyers."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array

from anmodel.errors import InputError
from anmodel.model.encoding import Matrix
from anmodel.snapshots import TARGETS

WILL, DAYS, OBSERVED, AMOUNT, SPEND = TARGETS


def feature_frame(features: Any) -> pd.DataFrame:
    """The features as a frame; the columns of any other table of numbers are called x0, x1, … (ValueError if none)."""
    if isinstance(features, pd.DataFrame):
        return features
    array = check_array(features, dtype=None, ensure_all_finite=False, estimator="ContextAwareModel")
    return pd.DataFrame(array, columns=[f"x{position}" for position in range(array.shape[1])])


def target_frame(targets: Any, rows: int) -> pd.DataFrame:
    """The targets; one column alone says who bought, and the others are then unknown."""
    if targets is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    if len(targets) != rows:
        raise InputError(f"{rows} rows of features came with {len(targets)} of targets; one each is needed.")
    if isinstance(targets, pd.DataFrame) and WILL in targets.columns:
        return targets.reset_index(drop=True).reindex(columns=list(TARGETS))
    bought = (np.asarray(targets).reshape(rows, -1)[:, 0] > 0).astype(np.uint8)
    return pd.DataFrame({WILL: bought}).reindex(columns=list(TARGETS))


def known_rows(matrix: Matrix, outcome: pd.DataFrame, target: str) -> tuple[Matrix, Matrix]:
    """Rows of buyers whose target is known, and the target."""
    values = outcome[target].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(values) & (outcome[WILL].to_numpy(dtype=np.float64) > 0)
    return matrix[known], values[known]
