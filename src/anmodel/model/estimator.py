"""ContextAwareModel: who buys within the horizon, when, and for how much. Train, score and predictor share it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from anmodel.model.boosting import LEAST_BUYERS, Array, Constant, Recipe, Trees, grow
from anmodel.model.calibration import Calibrator, Identity, best_f1_threshold, expected_f1_threshold, fit_calibrator
from anmodel.model.distribution import FeatureDistribution, distribution, distributions
from anmodel.model.encoding import FrameEncoder, Kind, Matrix
from anmodel.model.frames import AMOUNT, DAYS, SPEND, WILL, feature_frame, known_rows, target_frame
from anmodel.model.quantiles import QuantileHeads
from anmodel.model.reasons import Reason, describe
from anmodel.model.spend import SpendHeads
from anmodel.snapshots import check_features

HeldOut = tuple[Matrix, pd.DataFrame] | None


class ContextAwareModel(BaseEstimator):  # type: ignore[misc]
    """Forecasts a shopper's next purchase from features as of an instant.

    Four parts share one encoding of the features: a LightGBM classifier of buying within the horizon, calibrated on
    later, held-out rows; and quantile LightGBM regressions, learnt from buyers alone, of the days until the purchase
    and of its amount. Days and amount therefore answer "if they buy": a shopper who did not buy within the horizon
    teaches the regressions nothing and is never given a made-up number of days. What is spent within the horizon has a
    median and a mean, over those who buy nothing too.

    Parameters
    ----------
    horizon_days : int
        Days ahead the forecast speaks of; days are between 0 and it.
    random_state : int
        Seed of row and column sampling. The same rows and seed give the same model, whatever `n_jobs` is.
    n_jobs : int
        Threads for fitting and predicting; 0 takes as many as there are cores.
    max_trees : int
        Trees of the classifier at most; fewer when validation rows stop improving.
    learning_rate : float
        Share of each tree's correction that is taken.
    max_categories : int
        Values of a category that are told apart, the most frequent ones; the rest counts as missing.
    min_category_rows : int
        Rows a value must occur in to be told apart.

    Attributes
    ----------
    feature_names_in_ : ndarray of str
        Columns `predict` needs, in the order of `fit`.
    categories_ : dict of str to list of str
        Values told apart, for each category.
    feature_importance_ : Series
        Share of the classifier's gain by feature, falling; all 0 when there is no classifier.
    feature_medians_ : dict
        A typical value of each feature: the median, or the most frequent category; None when it was never known.
    feature_distribution_ : dict of str to FeatureDistribution
        What each feature looked like in the newest rows that `fit` saw (the validation rows, if any); the monitor
        compares with it. The medians are of these rows, too.
    proba_distribution_ : FeatureDistribution
        The same for the probabilities.
    optimal_threshold_ : float
        Probability from which `will_purchase_pred` is 1: the best F1 on validation rows.
    calibration_ : str
        `isotonic`, `platt` or `none`: how raw probabilities were calibrated.
    trees_ : int
        Trees of the classifier; 0 when it is a constant.
    contract_ : dict
        The snapshot's contract, as given to `fit`; {} without one.
    notes_ : list of str
        What the data was too small for, in words; empty when all is learnt. Never an error: a young shop gets a
        forecast.

    Notes
    -----
    Early stopping, calibration and threshold use the same validation rows, so metrics on them are flattering; judge by
    rows later than validation. Fewer than 30 buyers or non-buyers in training: everyone gets the share of buyers
    (Laplace-smoothed). Fewer than 30 known days or amounts: everyone gets the quantiles of those.
    No validation rows, or fewer than 20 buyers or non-buyers in them: no calibration.

    Examples
    --------
    >>> model = ContextAwareModel(horizon_days=7).fit(features, targets, validation=(later, later_targets))
    >>> model.predict(today)[["purchase_proba", "days_to_next_pred"]]
    """

    def __init__(
        self,
        horizon_days: int = 7,
        random_state: int = 42,
        n_jobs: int = 0,
        max_trees: int = 400,
        learning_rate: float = 0.05,
        max_categories: int = 100,
        min_category_rows: int = 20,
    ) -> None:
        self.horizon_days = horizon_days
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.max_trees = max_trees
        self.learning_rate = learning_rate
        self.max_categories = max_categories
        self.min_category_rows = min_category_rows

    def fit(
        self,
        features: Any,
        targets: Any,
        *,
        validation: tuple[Any, Any] | None = None,
        contract: Mapping[str, Any] | None = None,
    ) -> "ContextAwareModel":
        """Learn from `features` (rows × features) and `targets`; `validation` is the same of a later time.

        `targets` has the columns will_purchase, days_to_next_purchase and next_purchase_amount (null where nobody
        bought) and horizon_spend, or is the one column will_purchase. `contract` is the snapshot's: names, kinds,
        meanings of features.
        """
        frame = feature_frame(features)
        outcome = target_frame(targets, len(frame))
        self.contract_ = dict(contract or {})
        self.notes_: list[str] = []
        described = self.contract_.get("features", [])
        kinds: dict[str, Kind] | None = {item["name"]: item["kind"] for item in described} or None
        if kinds is not None:
            check_features(map(str, frame.columns), expected=list(kinds))
            frame = frame[list(kinds)]
        self.encoder_ = FrameEncoder(self.max_categories, self.min_category_rows).fit(frame, kinds)
        self.feature_names_in_ = np.asarray(self.encoder_.names, dtype=object)
        self.n_features_in_ = len(self.encoder_.names)
        self.categories_ = self.encoder_.categories
        matrix = self.encoder_.transform(frame)
        held_out = self._held_out(validation)
        self._recipe = Recipe(
            self.random_state, self.n_jobs, self.max_trees, self.learning_rate, self.encoder_.category_positions
        )
        self._fit_classifier(matrix, outcome[WILL].to_numpy(dtype=np.float64), held_out)
        self._fit_heads(matrix, outcome, held_out)
        self._describe(matrix if held_out is None else held_out[0])
        return self

    def predict(self, features: Any) -> pd.DataFrame:
        """One row each: purchase_proba, will_purchase_pred (0 or 1), days_to_next_pred, next_purchase_amount_pred.

        Days and amount are what to expect if the user buys within the horizon. Columns may come in any order; a
        missing or unknown column raises ContractError. No rows give no rows.
        """
        matrix, index = self._matrix(features)
        proba = self._proba(matrix)
        return pd.DataFrame(
            {
                "purchase_proba": proba,
                "will_purchase_pred": (proba >= self.optimal_threshold_).astype(np.uint8),
                "days_to_next_pred": self._days.typical(matrix, self.n_jobs),
                "next_purchase_amount_pred": self._amount.typical(matrix, self.n_jobs),
            },
            index=index,
        )

    def chances(self, features: Any) -> Array:
        """`predict`'s purchase_proba alone, in a third of the time."""
        return self._proba(self._matrix(features)[0])

    def predict_intervals(self, features: Any) -> pd.DataFrame:
        """Bounds that hold four of five outcomes: days_to_next_low/high and next_purchase_amount_low/high."""
        matrix, index = self._matrix(features)
        bounds: dict[str, Array] = {}
        for name, head in (("days_to_next", self._days), ("next_purchase_amount", self._amount)):
            low, high = head.interval(matrix, head.typical(matrix, self.n_jobs), self.n_jobs)
            bounds |= {f"{name}_low": low, f"{name}_high": high}
        return pd.DataFrame(bounds, index=index)

    def predict_spend(self, features: Any) -> pd.DataFrame:
        """spend_median and spend_mean: what each user spends within the horizon, typically and on average."""
        matrix, index = self._matrix(features)
        return pd.DataFrame(
            {
                "spend_median": self._spend.median(matrix, self.n_jobs),
                "spend_mean": self._spend.mean(matrix, self.n_jobs),
            },
            index=index,
        )

    def explain(self, features: Any, top: int = 3) -> list[list[Reason]]:
        """For each row the `top` features that moved its chance most, in words; [] a row when there is no classifier.

        `effect` is what the feature adds to the log-odds of buying, before calibration, against the average user.
        """
        matrix, _ = self._matrix(features)
        if not len(matrix) or not isinstance(self._classifier, Trees):
            return [[] for _ in range(len(matrix))]
        effects = self._classifier.contributions(matrix, self.n_jobs)[:, :-1]
        return describe(feature_frame(features), effects, list(self.encoder_.names), self.contract_, top)

    def _proba(self, matrix: Matrix) -> Array:
        return self._calibrate(self._classifier.predict(matrix, self.n_jobs))

    def _matrix(self, features: Any) -> tuple[Matrix, pd.Index]:
        check_is_fitted(self, "encoder_")
        frame = feature_frame(features)
        if not isinstance(features, pd.DataFrame) and frame.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {frame.shape[1]} features, "
                f"but ContextAwareModel is expecting {self.n_features_in_} features as input"
            )
        check_features(map(str, frame.columns), expected=self.encoder_.names)
        return self.encoder_.transform(frame), frame.index

    def _held_out(self, validation: tuple[Any, Any] | None) -> HeldOut:
        if validation is None or not len(validation[0]):
            self.notes_.append("No validation rows: the chance is not calibrated.")
            return None
        frame = feature_frame(validation[0])
        check_features(map(str, frame.columns), expected=self.encoder_.names)
        return self.encoder_.transform(frame), target_frame(validation[1], len(frame))

    def _fit_classifier(self, matrix: Matrix, labels: Array, held_out: HeldOut) -> None:
        buyers, rows = int(labels.sum()), len(labels)
        self._classifier: Trees | Constant
        self._calibrate: Calibrator = Identity()
        if min(buyers, rows - buyers) < LEAST_BUYERS:
            self.notes_.append(
                f"{buyers} of {rows} training rows are of buyers; {LEAST_BUYERS} buyers and as many others are needed "
                "to tell users apart. Everyone gets the same chance."
            )
            self._classifier = Constant((buyers + 1) / (rows + 2))
        else:
            checked = None
            if held_out is not None and LEAST_BUYERS <= held_out[1][WILL].sum() <= len(held_out[0]) - LEAST_BUYERS:
                checked = (held_out[0], held_out[1][WILL].to_numpy(dtype=np.float64))
            self._classifier = grow(self._recipe, {"objective": "binary"}, matrix, labels, validation=checked)
        self.trees_ = self._classifier.trees
        self._calibrate_on(held_out)
        if held_out is None:
            self.optimal_threshold_ = expected_f1_threshold(self._proba(matrix))

    def _calibrate_on(self, held_out: HeldOut) -> None:
        if held_out is not None:
            raw = self._classifier.predict(held_out[0], self.n_jobs)
            bought = held_out[1][WILL].to_numpy(dtype=np.float64)
            if isinstance(self._classifier, Trees):
                self._calibrate = fit_calibrator(raw, bought)
                if isinstance(self._calibrate, Identity):
                    self.notes_.append("Too few buyers or others in the validation rows: the chance is not calibrated.")
            self.optimal_threshold_ = best_f1_threshold(self._calibrate(raw), bought)
        self.calibration_ = self._calibrate.name

    def _fit_heads(self, matrix: Matrix, outcome: pd.DataFrame, held_out: HeldOut) -> None:
        horizon = float(self.horizon_days)
        self._days = QuantileHeads(0.0, horizon, log=False, default=(0.0, horizon / 2, horizon))
        self._amount = QuantileHeads(0.0, np.inf, log=True, default=(0.0, 0.0, 0.0))
        for head, target in ((self._days, DAYS), (self._amount, AMOUNT)):
            rows, known = known_rows(matrix, outcome, target)
            head.fit(self._recipe, rows, known, known_rows(*held_out, target) if held_out else None)
            if head.constant:
                self.notes_.append(
                    f"{len(known)} training rows have a {target}; {LEAST_BUYERS} are needed. Everyone gets the same."
                )

        self._fit_spend(matrix, outcome, held_out)

    def _fit_spend(self, matrix: Matrix, outcome: pd.DataFrame, held_out: HeldOut) -> None:
        rows, known = _with_spend(matrix, outcome)
        self._spend = SpendHeads().fit(self._recipe, rows, known, _with_spend(*held_out) if held_out else None)
        if self._spend.constant:
            self.notes_.append(
                f"{int((known > 0).sum())} training rows spent something; {LEAST_BUYERS} are needed. Everyone gets the "
                "same spend."
            )

    def _describe(self, newest: Matrix) -> None:
        names = list(self.encoder_.names)
        gain = np.zeros(len(names))
        if isinstance(self._classifier, Trees):
            gain = self._classifier.booster.feature_importance("gain")
        share = gain / gain.sum() if gain.sum() > 0 else gain
        importance = pd.Series(share, index=names, name="importance")
        self.feature_importance_ = importance.sort_values(ascending=False, kind="stable")
        self.proba_distribution_ = distribution(self._proba(newest), None)
        self.feature_distribution_: dict[str, FeatureDistribution] = distributions(newest, self.encoder_)
        self.feature_medians_: dict[str, float | str | None] = {
            name: seen.typical for name, seen in self.feature_distribution_.items()
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _with_spend(matrix: Matrix, outcome: pd.DataFrame) -> tuple[Matrix, Array]:
    """The rows whose spend is known, and what it was."""
    spend = outcome[SPEND].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(spend)
    return matrix[known], spend[known]
