"""Measures of a forecast, against scikit-learn's and by hand."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from anmodel.model.calibration import Identity, Platt, fit_calibrator
from anmodel.model.evaluation import (
    UserBootstrap,
    WeightedAuc,
    calibration_error,
    calibration_noise,
    chance_metrics,
    lift,
    log_losses,
    weighted_mean,
)

RANDOM = np.random.default_rng(0)
PROBA = np.round(RANDOM.random(500), 2)  # with equal ones
BOUGHT = (RANDOM.random(500) < PROBA).astype(np.float64)


def test_log_loss_and_weighted_auc_agree_with_scikit_learn() -> None:
    weights = RANDOM.integers(0, 4, 500).astype(np.float64)

    assert log_losses(BOUGHT, PROBA.clip(1e-6, 1 - 1e-6)).mean() == pytest.approx(
        log_loss(BOUGHT, PROBA.clip(1e-6, 1 - 1e-6))
    )
    assert WeightedAuc(BOUGHT, PROBA)(weights) == pytest.approx(roc_auc_score(BOUGHT, PROBA, sample_weight=weights))


def test_rows_of_one_kind_have_no_auc_but_the_rest() -> None:
    found = chance_metrics(np.zeros(10), np.full(10, 0.2))

    assert set(found) == {"positive_rate", "log_loss", "brier", "ece"}
    assert found["ece"] == pytest.approx(0.2)
    assert np.isnan(WeightedAuc(np.zeros(10), np.full(10, 0.2))(np.ones(10)))
    assert chance_metrics(np.zeros(0), np.zeros(0)) == {}


def test_calibration_error_is_the_distance_of_said_and_happened() -> None:
    bought = np.array([0.0] * 50 + [1.0] * 50)

    assert calibration_error(bought, bought) == 0
    assert calibration_error(bought, 1 - bought) == 1
    assert calibration_error(BOUGHT, PROBA) < 0.1


def test_calibration_noise_is_the_error_of_chances_that_are_right() -> None:
    random = np.random.default_rng(1)
    for proba in (random.beta(1, 20, 2000), random.random(500), np.full(1000, 0.3)):
        drawn = [calibration_error((random.random(len(proba)) < proba).astype(np.float64), proba) for _ in range(400)]
        assert calibration_noise(proba) == pytest.approx(np.mean(drawn), rel=0.05)


def test_lift_is_the_share_of_buyers_in_the_likeliest_tenth_over_that_of_all() -> None:
    bought = np.array([1.0] * 8 + [0.0] * 12)
    proba = np.linspace(1, 0, 20)

    assert lift(bought, proba) == 2.5
    assert lift(bought, -proba) == 0
    assert lift(bought, np.full(20, 0.4)) == pytest.approx(1)
    assert lift(bought, np.where(np.arange(20) % 2, 0.9, 0.1)) == pytest.approx(4 / 10 / 0.4)
    assert lift(bought[:7], proba[:7]) == 1


def test_an_interval_by_users_is_wider_than_by_rows_when_a_user_has_many() -> None:
    users = np.repeat(np.arange(50), 10)
    alike = np.repeat(RANDOM.normal(0, 1, 50), 10)
    by_user, by_row = (UserBootstrap(of).interval(weighted_mean(alike)) for of in (users, np.arange(500)))

    assert by_user[0] < alike.mean() < by_user[1]
    assert by_user[1] - by_user[0] > 2 * (by_row[1] - by_row[0])
    assert UserBootstrap(users).interval(weighted_mean(alike)) == by_user


def test_a_single_row_below_all_others_does_not_lift_their_chance() -> None:
    said = np.linspace(0.05, 0.95, 4000)
    bought = (np.random.default_rng(5).random(4000) < said).astype(np.float64)
    bought[0] = 0
    bought[1:10] = [1, 0, 0, 0, 0, 0, 0, 0, 0]
    calibrator = fit_calibrator(said, bought)

    assert calibrator.name == "isotonic"
    assert np.all(np.diff(calibrator(said)) > 0)
    assert calibrator(said[:200]).mean() == pytest.approx(bought[:200].mean(), abs=0.02)


@pytest.mark.parametrize(("rows", "name"), [(30, "none"), (400, "platt"), (4000, "isotonic")])
def test_the_curve_of_calibration_is_as_rich_as_the_rows_allow(rows: int, name: str) -> None:
    random = np.random.default_rng(1)
    truth = random.random(rows)
    bought = (random.random(rows) < truth).astype(np.float64)
    said = truth**2  # too low
    calibrator = fit_calibrator(said, bought)

    assert calibrator.name == name
    if name != "none":
        assert calibration_error(bought, calibrator(said)) < calibration_error(bought, said) / 2
    ordered = calibrator(np.linspace(0.0001, 0.9999, 500))
    assert np.all(np.diff(ordered) > 0)


def test_a_ranking_that_is_the_wrong_way_round_is_left_alone() -> None:
    proba = np.linspace(0.01, 0.99, 200)

    assert isinstance(fit_calibrator(proba, (proba < 0.5).astype(np.float64)), Identity)
    assert isinstance(fit_calibrator(proba, (proba > 0.5).astype(np.float64)), Platt)
