"""ContextAwareModel: who buys within the horizon, when, and for how much. Train, score and predictor share it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from anmodel.forecasts import CHANCES, HORIZONS
from anmodel.model.boosting import LEAST_BUYERS, Array, Recipe, Trees
from anmodel.model.calibration import Identity, best_f1_threshold, expected_f1_threshold
from anmodel.model.classifier import TUNED, Classifier, Users
from anmodel.model.distribution import FeatureDistribution, distribution, distributions
from anmodel.model.encoding import FrameEncoder, Kind, Matrix
from anmodel.model.frames import AMOUNT, DAYS, OBSERVED, SPEND, WILL, feature_frame, known_rows, target_frame
from anmodel.model.horizons import Horizons, Watched
from anmodel.model.prior import prior
from anmodel.model.quantiles import CONFORMAL_LEAST, QuantileHeads
from anmodel.model.reasons import Reason, describe
from anmodel.model.spend import SpendHeads
from anmodel.snapshots import check_features

HeldOut = tuple[Matrix, pd.DataFrame] | None


class ContextAwareModel(BaseEstimator):  # type: ignore[misc]
    """Forecasts a shopper's next purchase from features as of an instant.

    All parts share one encoding of the features: a LightGBM classifier of buying within the horizon, calibrated on
    later, held-out rows, and small ones that lead from it to other horizons; and quantile LightGBM regressions, learnt
    from buyers alone, of the days until the purchase and of its amount. Days and amount therefore answer "if they buy":
    a shopper who did not buy within the horizon teaches the regressions nothing and is never given a made-up number of
    days. What is spent within the horizon has a median and a mean, over those who buy nothing too.

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
    num_leaves, min_data_in_leaf : int or None
        Size of the classifier's trees; None goes by the number of rows.
    feature_fraction : float
        Share of the features that each of its trees may use.
    lambda_l2 : float
        How strongly its leaves are drawn to zero.
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
    Early stopping, calibration and threshold use the validation rows, and with `users` the classifier learns from them:
    judge by rows later than these. Fewer than 30 buyers or non-buyers in training: everyone gets the share of buyers
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
        num_leaves: int | None = None,
        min_data_in_leaf: int | None = None,
        feature_fraction: float = 0.8,
        lambda_l2: float = 1.0,
        max_categories: int = 100,
        min_category_rows: int = 20,
    ) -> None:
        self.horizon_days = horizon_days
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.max_trees = max_trees
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_data_in_leaf = min_data_in_leaf
        self.feature_fraction = feature_fraction
        self.lambda_l2 = lambda_l2
        self.max_categories = max_categories
        self.min_category_rows = min_category_rows

    def fit(
        self,
        features: Any,
        targets: Any,
        *,
        validation: tuple[Any, Any] | None = None,
        users: Users | None = None,
        contract: Mapping[str, Any] | None = None,
    ) -> "ContextAwareModel":
        """Learn from `features` (rows × features) and `targets`; `validation` is the same of a later time.

        `targets` has the columns of `snapshots.TARGETS`, or is the one column will_purchase; a row that does not say
        for how many days it was watched was so for the horizon. `users` say whose the rows and the validation rows are;
        with them the classifier learns from both in the end. `contract` is the snapshot's: names, kinds, meanings of
        features.
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
        self._fit_classifier(matrix, _labels(outcome), held_out, users)
        self._fit_horizons(matrix, outcome, held_out)
        self._fit_heads(matrix, outcome, held_out)
        self._fit_spend(matrix, outcome, held_out)
        newest = (matrix, outcome) if held_out is None else held_out
        self._prior = prior(newest[1], self._watched(*newest), self.horizon_days, self._days, self._amount)
        self._describe(newest[0])
        return self

    def predict(self, features: Any) -> pd.DataFrame:
        """One row each: purchase_proba, will_purchase_pred (0 or 1), days_to_next_pred, next_purchase_amount_pred.

        Days and amount are what to expect if the user buys within the horizon. Columns may come in any order; a
        missing or unknown column raises ContractError. No rows give no rows. Of whom nothing at all is known, every
        feature missing, gets what is so of all users.
        """
        matrix, index = self._matrix(features)
        return self._frame(matrix, index, self._points(matrix, self._classifier.chances(matrix, self.n_jobs)))

    def forecast(self, features: Any, chances: Array | None = None) -> pd.DataFrame:
        """All that is said of each row: `predict`'s four, and besides

        - days_to_next_low/high and next_purchase_amount_low/high, bounds that hold four of five outcomes;
        - purchase_proba_1d, _7d, _14d and _30d, the chances within so many days, never falling;
        - spend_median and spend_mean: what is spent within the horizon, typically and on average.

        `chances`, if they are known already, are those of `chances`.
        """
        matrix, index = self._matrix(features)
        proba = self._classifier.chances(matrix, self.n_jobs) if chances is None else chances
        said = self._points(matrix, proba)
        for name, head in (("days_to_next", self._days), ("next_purchase_amount", self._amount)):
            said[f"{name}_low"], said[f"{name}_high"] = head.interval(matrix, said[f"{name}_pred"], self.n_jobs)
        within = self._horizons.chances(matrix, proba, self.n_jobs)
        said |= {column: within[days] for days, column in CHANCES.items()}
        said["spend_median"] = self._spend.median(matrix, self.n_jobs)
        said["spend_mean"] = self._spend.mean(matrix, self.n_jobs)
        return self._frame(matrix, index, said)

    def chances(self, features: Any) -> Array:
        """`predict`'s purchase_proba alone, in a third of the time."""
        matrix, _ = self._matrix(features)
        said = {"purchase_proba": self._classifier.chances(matrix, self.n_jobs)}
        return self._with_prior(matrix, said)["purchase_proba"]

    def explain(self, features: Any, top: int = 3) -> list[list[Reason]]:
        """For each row the `top` features that moved its chance most, in words; [] a row when there is no classifier.

        `effect` is what the feature adds to the log-odds of buying, before calibration, against the average user.
        """
        matrix, _ = self._matrix(features)
        booster = self._classifier.booster
        if not len(matrix) or not isinstance(booster, Trees):
            return [[] for _ in range(len(matrix))]
        effects = booster.contributions(matrix, self.n_jobs)[:, :-1]
        return describe(feature_frame(features), effects, list(self.encoder_.names), self.contract_, top)

    def _points(self, matrix: Matrix, proba: Array) -> dict[str, Array]:
        return {
            "purchase_proba": proba,
            "days_to_next_pred": self._days.typical(matrix, self.n_jobs),
            "next_purchase_amount_pred": self._amount.typical(matrix, self.n_jobs),
        }

    def _with_prior(self, matrix: Matrix, said: dict[str, Array]) -> dict[str, Array]:
        """The same, but for rows without any known feature."""
        unknown = np.isnan(matrix).all(axis=1)
        if not unknown.any():
            return said
        return {name: np.where(unknown, self._prior[name], values) for name, values in said.items()}

    def _frame(self, matrix: Matrix, index: pd.Index, said: dict[str, Array]) -> pd.DataFrame:
        frame = pd.DataFrame(self._with_prior(matrix, said), index=index)
        frame.insert(1, "will_purchase_pred", (frame["purchase_proba"] >= self.optimal_threshold_).astype(np.uint8))
        return frame

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

    def _fit_classifier(self, matrix: Matrix, labels: Array, held_out: HeldOut, users: Users | None) -> None:
        later = None if held_out is None else (held_out[0], _labels(held_out[1]))
        given = {name: value for name, value in self.get_params().items() if name in TUNED and value is not None}
        self._classifier = Classifier()
        chances = self._classifier.fit(self._recipe, matrix, labels, later, users, **given)
        if self._classifier.constant:
            self.notes_.append(
                f"{int(labels.sum())} of {len(labels)} training rows are of buyers; {LEAST_BUYERS} buyers and as many "
                "others are needed to tell users apart. Everyone gets the same chance."
            )
        elif later is not None and isinstance(self._classifier.calibrate, Identity):
            self.notes_.append("Too few buyers or others in the validation rows: the chance is not calibrated.")
        self.trees_ = self._classifier.booster.trees
        self.calibration_ = self._classifier.calibrate.name
        self.optimal_threshold_ = (
            expected_f1_threshold(chances) if later is None else best_f1_threshold(chances, later[1])
        )
        self.proba_distribution_ = distribution(chances, None)

    def _fit_horizons(self, matrix: Matrix, outcome: pd.DataFrame, held_out: HeldOut) -> None:
        rows = self._watched(matrix, outcome)
        later = None if held_out is None else self._watched(*held_out)
        self._horizons = Horizons(self.horizon_days, HORIZONS).fit(self._recipe, rows, later)
        if self._horizons.steady:
            days = ", ".join(map(str, self._horizons.steady))
            self.notes_.append(f"Too few rows for the chance within {days} days: it is as if buyers came steadily.")
        if later is not None and self._horizons.uncalibrated:
            days = ", ".join(map(str, self._horizons.uncalibrated))
            self.notes_.append(f"Too few validation rows were watched for {days} days: that chance is not calibrated.")

    def _watched(self, matrix: Matrix, outcome: pd.DataFrame) -> Watched:
        days, observed = (outcome[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in (DAYS, OBSERVED))
        return Watched(matrix, days, np.where(np.isnan(observed), self.horizon_days, observed))

    def _fit_heads(self, matrix: Matrix, outcome: pd.DataFrame, held_out: HeldOut) -> None:
        horizon = float(self.horizon_days)
        self._days = QuantileHeads(0.0, horizon, log=False, default=(0.0, horizon / 2, horizon))
        self._amount = QuantileHeads(0.0, np.inf, log=True, default=(0.0, 0.0, 0.0))
        for head, target in ((self._days, DAYS), (self._amount, AMOUNT)):
            rows, known = known_rows(matrix, outcome, target)
            later = known_rows(*held_out, target) if held_out else None
            head.fit(self._recipe, rows, known, later)
            if head.constant:
                self.notes_.append(
                    f"{len(known)} training rows have a {target}; {LEAST_BUYERS} are needed. Everyone gets the same."
                )
            elif later is not None and len(later[1]) < CONFORMAL_LEAST:
                self.notes_.append(
                    f"{len(later[1])} validation rows have a {target}; {CONFORMAL_LEAST} are needed to hold its "
                    "interval to four of five."
                )

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
        if isinstance(self._classifier.booster, Trees):
            gain = self._classifier.booster.gain()
        share = gain / gain.sum() if gain.sum() > 0 else gain
        importance = pd.Series(share, index=names, name="importance")
        self.feature_importance_ = importance.sort_values(ascending=False, kind="stable")
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


def _labels(outcome: pd.DataFrame) -> Array:
    return outcome[WILL].to_numpy(dtype=np.float64)


def _with_spend(matrix: Matrix, outcome: pd.DataFrame) -> tuple[Matrix, Array]:
    """The rows whose spend is known, and what it was."""
    spend = outcome[SPEND].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(spend)
    return matrix[known], spend[known]
