"""The estimator: what it learns, what it answers, and what it does with little data."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.utils.estimator_checks import check_estimator

from anmodel.errors import ContractError, InputError
from anmodel.forecasts import CHANCES
from anmodel.model import ContextAwareModel
from anmodel.model.evaluation import forecast_metrics
from anmodel.snapshots import FEATURE_NAMES, contract
from batch.synthetic import feature_rows

CONTRACT = contract(7)
Rows = tuple[pd.DataFrame, pd.DataFrame]


def fitted(train: Rows, validation: Rows | None = None, **options: Any) -> ContextAwareModel:
    """A small model, quickly."""
    given = {"max_trees": 40, "learning_rate": 0.1, "n_jobs": 1, **options}
    return ContextAwareModel(**given).fit(*train, validation=validation, contract=CONTRACT)


@pytest.fixture(scope="module")
def later() -> Rows:
    return feature_rows(1500, seed=3)


@pytest.fixture(scope="module")
def model() -> ContextAwareModel:
    return fitted(feature_rows(2500, seed=1), feature_rows(1200, seed=2))


def test_buyers_of_later_rows_are_ranked_before_others(model: ContextAwareModel, later: Rows) -> None:
    proba = model.predict(later[0])["purchase_proba"]

    assert roc_auc_score(later[1]["will_purchase"], proba) > 0.8
    assert model.notes_ == []
    assert model.feature_importance_.index[0] in ("days_since_last", "open_carts_last_3d")
    assert model.feature_importance_.sum() == pytest.approx(1.0)


def test_a_chance_means_what_it_says(model: ContextAwareModel) -> None:
    later = feature_rows(6000, seed=3)  # of fewer rows a true chance would look wrong by as much
    found = forecast_metrics(later[1], model.forecast(later[0]))

    assert model.calibration_ in ("platt", "isotonic")
    assert found["ece"] < 0.05
    assert found["log_loss"] < 0.5


def test_two_users_of_different_raw_chance_keep_their_order_after_calibration(
    model: ContextAwareModel, later: Rows
) -> None:
    raw = model._classifier.booster.predict(model.encoder_.transform(later[0]))
    calibrated = model.predict(later[0])["purchase_proba"].to_numpy()

    assert np.all(np.diff(calibrated[np.argsort(raw)]) >= 0)
    assert len(np.unique(calibrated)) > 0.95 * len(np.unique(raw))


def test_days_and_amounts_stay_within_their_bounds_and_intervals_hold_four_of_five(
    model: ContextAwareModel, later: Rows
) -> None:
    forecast = model.forecast(later[0])

    assert forecast["days_to_next_pred"].between(0, 7).all()
    assert (forecast["next_purchase_amount_pred"] >= 0).all()
    for name in ("days_to_next", "next_purchase_amount"):
        assert (forecast[f"{name}_low"] <= forecast[f"{name}_pred"]).all()
        assert (forecast[f"{name}_pred"] <= forecast[f"{name}_high"]).all()
    found = forecast_metrics(later[1], forecast)
    assert 0.7 < found["coverage_days"] < 0.9
    assert 0.7 < found["coverage_amount"] < 0.9


def test_chances_never_fall_from_one_horizon_to_the_next_and_each_means_what_it_says(model: ContextAwareModel) -> None:
    features, targets = feature_rows(6000, seed=3)
    said = model.forecast(features)
    within = said[list(CHANCES.values())].to_numpy()

    assert (np.diff(within, axis=1) >= 0).all()
    assert (within > 0).all()
    assert (within < 1).all()
    assert (said["purchase_proba_7d"] == said["purchase_proba"]).all()
    for days, column in CHANCES.items():
        watched = targets["days_observed"] >= days
        bought = (targets["days_to_next_purchase"] < days)[watched]
        assert said.loc[watched, column].mean() == pytest.approx(bought.mean(), abs=0.06)
        assert roc_auc_score(bought, said.loc[watched, column]) > 0.7


@pytest.mark.parametrize("own", [1, 3, 30, 45])
def test_the_models_own_horizon_may_be_any(own: int, later: Rows) -> None:
    features, targets = feature_rows(2500, seed=1)
    targets["will_purchase"] = (targets["days_to_next_purchase"] < own).astype(np.uint8)
    said = fitted((features, targets), horizon_days=own).forecast(later[0])

    chances = {own: said["purchase_proba"]} | {days: said[column] for days, column in CHANCES.items()}
    assert (np.diff(np.column_stack([chances[days] for days in sorted(chances)]), axis=1) >= 0).all()
    assert chances[own].equals(said["purchase_proba"])


def test_what_the_validation_rows_are_too_few_for_is_said() -> None:
    features, targets = feature_rows(1200, seed=2)
    targets = targets.assign(days_observed=20.0)
    targets.loc[targets["days_to_next_purchase"] >= 20, "days_to_next_purchase"] = np.nan
    found = fitted(feature_rows(2500, seed=1), (features, targets)).notes_
    assert found == ["Too few validation rows were watched for 30 days: that chance is not calibrated."]

    few = fitted(feature_rows(2500, seed=1), feature_rows(60, seed=2)).notes_
    assert sum("needed to hold its interval to four of five" in note for note in few) == 2


def test_rows_that_were_not_watched_for_so_long_teach_nothing_of_a_longer_horizon(later: Rows) -> None:
    features, targets = feature_rows(2500, seed=1)
    short = targets.assign(days_observed=10.0)
    short.loc[short["days_to_next_purchase"] >= 10, "days_to_next_purchase"] = np.nan
    model = fitted((features, short))
    said = model.forecast(later[0])

    assert any("within 14, 30 days" in note for note in model.notes_)
    steady = 1 - (1 - said["purchase_proba"]) ** (14 / 7)
    assert np.allclose(said["purchase_proba_14d"], steady)


def test_of_whom_nothing_is_known_gets_what_is_so_of_all(model: ContextAwareModel) -> None:
    features, targets = feature_rows(1200, seed=2)  # the rows that were validated on
    both = features.head(2).astype(object)
    both.iloc[0] = None
    said = model.forecast(both).iloc[0]

    bought = targets["will_purchase"] > 0
    assert said["purchase_proba"] == pytest.approx(bought.mean(), abs=0.001)
    days = targets.loc[bought, "days_to_next_purchase"]
    assert (said["days_to_next_low"], said["days_to_next_high"]) == pytest.approx(days.quantile([0.1, 0.9]).tolist())
    assert said["spend_mean"] == pytest.approx(targets["horizon_spend"].mean())
    assert said["will_purchase_pred"] == (said["purchase_proba"] >= model.optimal_threshold_)
    assert (np.diff(said[list(CHANCES.values())].astype(float)) > 0).all()
    assert model.chances(both)[0] == said["purchase_proba"]


def test_knowing_whose_rows_they_are_it_learns_from_the_validation_rows_too(later: Rows) -> None:
    train, validation = feature_rows(400, seed=1), feature_rows(1600, seed=2)
    users = tuple(np.arange(len(rows[0])) // 4 for rows in (train, validation))
    options = {"max_trees": 40, "learning_rate": 0.1, "n_jobs": 1}
    one = ContextAwareModel(**options).fit(*train, validation=validation)
    both = ContextAwareModel(**options).fit(*train, validation=validation, users=users)

    more = feature_rows(6000, seed=3)
    aucs = [roc_auc_score(more[1]["will_purchase"], made.chances(more[0])) for made in (one, both)]
    assert aucs[1] > aucs[0] + 0.01
    assert both.trees_ == one.trees_
    measured = forecast_metrics(more[1], both.forecast(more[0]))
    assert measured["ece"] < 0.04  # what the rows themselves would be said to be is far surer
    assert (
        both.chances(validation[0])[validation[1]["will_purchase"] > 0].mean()
        > both.chances(more[0])[more[1]["will_purchase"] > 0].mean()
    )


@pytest.mark.parametrize("users", [1, 2])
def test_rows_of_one_or_two_users_are_learnt_from_as_well(users: int) -> None:
    train, validation = feature_rows(400, seed=1), feature_rows(200, seed=2)
    whose = np.arange(400) % users, np.arange(200) % users
    model = ContextAwareModel(max_trees=5, n_jobs=1).fit(*train, validation=validation, users=whose)
    assert model.chances(train[0]).std() > 0


def test_the_threshold_gives_the_best_f1_on_validation_rows() -> None:
    validation = feature_rows(1200, seed=2)
    model = fitted(feature_rows(1500, seed=1), validation)
    proba, bought = model.predict(validation[0])["purchase_proba"], validation[1]["will_purchase"]

    best = max(f1_score(bought, proba >= threshold) for threshold in np.quantile(proba, np.linspace(0, 1, 300)))
    assert f1_score(bought, model.predict(validation[0])["will_purchase_pred"]) >= best


def test_columns_may_come_in_any_order(model: ContextAwareModel, later: Rows) -> None:
    shuffled = later[0][list(reversed(FEATURE_NAMES))]

    pd.testing.assert_frame_equal(model.predict(shuffled), model.predict(later[0]))


def test_missing_and_unknown_columns_are_named(model: ContextAwareModel, later: Rows) -> None:
    wrong = later[0].rename(columns={"total_spent": "spent_total"})

    with pytest.raises(ContractError, match=r"(?s)total_spent.*spent_total"):
        model.predict(wrong)


def test_a_text_where_a_number_belongs_is_refused_by_name(model: ContextAwareModel, later: Rows) -> None:
    wrong = later[0].head(2).astype({"total_spent": object})
    wrong.loc[wrong.index[0], "total_spent"] = "much"

    with pytest.raises(InputError, match="total_spent: got 'much'"):
        model.predict(wrong)


def test_a_category_never_seen_counts_as_missing(model: ContextAwareModel, later: Rows) -> None:
    new, missing, none = (later[0].head(50).assign(last_event_type=value) for value in ("never seen", "", None))

    pd.testing.assert_frame_equal(model.predict(new), model.predict(missing))
    pd.testing.assert_frame_equal(model.predict(none), model.predict(missing))
    assert not model.predict(new).equals(model.predict(new.assign(last_event_type="alpha")))


def test_a_missing_category_is_not_the_value_spelt_like_it(later: Rows) -> None:
    features, targets = feature_rows(800, seed=1)
    features["previous_event_type"] = ["None" if number % 2 else "nan" for number in range(800)]
    encoder = fitted((features, targets)).encoder_
    given = features.head(5).assign(previous_event_type=[None, np.nan, pd.NA, "None", "nan"])

    column = encoder.transform(given)[:, encoder.names.index("previous_event_type")]
    assert np.isnan(column).tolist() == [True, True, True, False, False]


def test_many_rows_are_encoded_as_each_alone(later: Rows) -> None:
    features, targets = feature_rows(800, seed=1)
    encoder = fitted((features, targets)).encoder_
    values = ["alpha", "", None, np.nan, pd.NA, "new", "beta"]
    given = later[0].assign(previous_event_type=[values[row % len(values)] for row in range(len(later[0]))])

    many = encoder.transform(given)
    few = np.concatenate([encoder.transform(given.iloc[start : start + 100]) for start in range(0, len(given), 100)])
    np.testing.assert_array_equal(many, few)


def test_only_frequent_categories_are_told_apart() -> None:
    features, targets = feature_rows(800, seed=1)
    features["previous_event_type"] = [
        f"item {number % 8}" if number % 4 else f"rare {number}" for number in range(800)
    ]

    categories = fitted((features, targets), max_categories=5).categories_["previous_event_type"]
    assert len(categories) == 5
    assert all(name.startswith("item") for name in categories)


def test_a_number_that_is_not_known_needs_no_filling_in(model: ContextAwareModel, later: Rows) -> None:
    unknown = later[0].head(20).assign(days_since_last=np.nan, trend_popularity_mean=None)

    assert model.predict(unknown).notna().all().all()


def test_the_same_rows_and_seed_give_the_same_model_whatever_the_threads(later: Rows) -> None:
    train, validation = feature_rows(900, seed=1), feature_rows(400, seed=2)
    one, two = (fitted(train, validation, n_jobs=threads) for threads in (1, 2))

    pd.testing.assert_frame_equal(one.predict(later[0]), two.predict(later[0]))
    assert not fitted(train, validation, random_state=1).predict(later[0]).equals(one.predict(later[0]))


def test_too_few_buyers_give_everyone_the_same_chance_and_a_note(later: Rows) -> None:
    features, targets = feature_rows(400, seed=1)
    targets.loc[targets.index[targets["will_purchase"] > 0][20:], ["will_purchase"]] = 0
    model = fitted((features, targets), feature_rows(200, seed=2))

    assert model.predict(later[0])["purchase_proba"].unique() == pytest.approx([21 / 402])
    assert "20 of 400 training rows are of buyers" in model.notes_[0]
    assert model.explain(later[0].head(2)) == [[], []]


def test_a_shop_without_any_purchase_gets_a_forecast(later: Rows) -> None:
    features, targets = feature_rows(300, seed=1)
    nobody = targets.assign(will_purchase=0, days_to_next_purchase=np.nan, next_purchase_amount=np.nan)
    forecast = fitted((features, nobody), (features, nobody)).predict(later[0])

    assert (forecast["purchase_proba"] < 0.01).all()
    assert (forecast["days_to_next_pred"] == 3.5).all()
    assert (forecast["next_purchase_amount_pred"] == 0).all()


def test_without_validation_rows_there_is_a_note_and_no_calibration(later: Rows) -> None:
    model = fitted(feature_rows(800, seed=1))

    assert model.calibration_ == "none"
    assert "No validation rows" in model.notes_[0]
    assert 0 < model.optimal_threshold_ < 1
    assert model.predict(later[0])["will_purchase_pred"].nunique() == 2


def test_reasons_are_words_and_the_strongest_comes_first(model: ContextAwareModel, later: Rows) -> None:
    keen = later[0].head(1).assign(open_carts_last_3d=9.0, days_since_last=0.5, last_event_type="alpha")
    reasons = model.explain(keen, top=3)[0]

    assert len(reasons) == 3
    assert reasons[0]["text"] in (
        "9 items put into the cart in the last 3 days, no purchase since",
        "newest event: 12 hours ago",
    )
    assert [abs(reason["effect"]) for reason in reasons] == sorted((abs(r["effect"]) for r in reasons), reverse=True)
    assert reasons[0]["effect"] > 0


def test_a_pickled_model_answers_the_same(model: ContextAwareModel, later: Rows) -> None:
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes

    pd.testing.assert_frame_equal(copy.forecast(later[0]), model.forecast(later[0]))


def test_no_rows_give_no_rows(model: ContextAwareModel, later: Rows) -> None:
    nothing = later[0].head(0)

    assert list(model.predict(nothing).columns) == list(model.predict(later[0]).columns)
    assert len(model.predict(nothing)) == 0
    assert model.explain(nothing) == []


def test_a_clone_has_the_parameters_and_nothing_learnt(model: ContextAwareModel) -> None:
    copy = clone(model)

    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "feature_names_in_")


@pytest.mark.filterwarnings("ignore")
def test_it_keeps_scikit_learns_rules_but_one() -> None:
    failed = {
        check["check_name"]
        for check in check_estimator(ContextAwareModel(n_jobs=1), on_fail=None, on_skip=None)
        if check["status"] == "failed"
    }

    # `fit` calls its second argument `targets`, since it is a table of three, not `y`
    assert failed == {"check_fit_score_takes_y"}


def test_the_spend_of_all_adds_up_and_the_typical_one_spends_nothing(model: ContextAwareModel) -> None:
    features, targets = feature_rows(6000, seed=3)
    said = model.forecast(features)

    assert (said[["spend_median", "spend_mean"]] >= 0).all(axis=None)
    assert said["spend_mean"].sum() == pytest.approx(targets["horizon_spend"].sum(), rel=0.15)
    assert said["spend_median"].sum() < 0.8 * said["spend_mean"].sum()  # medians do not add up to a total
    typical = np.abs(targets["horizon_spend"] - said["spend_median"]).mean()
    assert typical < np.abs(targets["horizon_spend"] - targets["horizon_spend"].median()).mean()


def test_a_shop_where_few_have_spent_gives_everyone_the_same_and_says_so() -> None:
    features, targets = feature_rows(400, seed=1)
    targets["horizon_spend"] = [10.0] * 4 + [0.0] * 396
    model = fitted((features, targets))

    assert any("training rows spent something" in note for note in model.notes_)
    assert set(model.forecast(features)["spend_mean"]) == {0.1}
    assert set(model.forecast(features)["spend_median"]) == {0.0}
