"""What the evaluation page tells, against plain Python and known truths."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anmodel.model.evaluation import UserBootstrap, WeightedAuc
from anmodel.snapshots.samples import Sample
from anmodel.train.certainty import chance_gains, error_gain, total
from anmodel.train.deciles import deciles, gain_curve
from anmodel.train.evaluating import Evaluation, evaluate
from anmodel.train.page import PAGE, Page, verdict, write_page
from anmodel.train.segments import overlap, segments

RANDOM = np.random.default_rng(0)


def sample(
    rows: int = 600, *, seed: int = 0, first_user: int = 0, regions: list[str] | None = None, **features: object
) -> Sample:
    """Rows of `rows / 3` users; chances of buying are uniform and stand in the feature `truth`."""
    random = np.random.default_rng(seed)
    truth = random.random(rows)
    bought = (random.random(rows) < truth).astype(np.float64)
    spend = bought * random.gamma(2.0, 10.0, rows)
    targets = pd.DataFrame(
        {
            "will_purchase": bought.astype(np.uint8),
            "days_to_next_purchase": np.where(bought > 0, 7 * random.random(rows), np.nan),
            "next_purchase_amount": np.where(bought > 0, spend, np.nan),
            "horizon_spend": spend,
        }
    )
    users = np.array([f"user-{first_user + row // 3}" for row in range(rows)])
    return Sample(
        pd.DataFrame({"truth": truth, **features}), targets, users, np.zeros(rows), np.array(regions or ["A"] * rows)
    )


def test_deciles_are_those_of_plain_python() -> None:
    rows = sample(503)
    proba = rows.features["truth"].to_numpy()
    ordered = sorted(zip(proba.tolist(), rows.bought.tolist(), strict=True), reverse=True)
    everyone = sum(bought for _, bought in ordered)
    found = deciles(rows.bought, proba)

    assert [tenth.rows for tenth in found] == [51, 51, 51, *[50] * 7]
    start = 0
    for tenth in found:
        mine = ordered[start : start + tenth.rows]
        start += tenth.rows
        buyers = sum(bought for _, bought in mine)
        assert tenth.buyers == pytest.approx(buyers)
        assert tenth.lowest == mine[-1][0]
        assert tenth.said == pytest.approx(sum(chance for chance, _ in mine) / len(mine))
        assert tenth.lift == pytest.approx((buyers / len(mine)) / (everyone / len(ordered)))
        assert tenth.gain == pytest.approx(sum(bought for _, bought in ordered[:start]) / everyone)


def test_rows_of_one_chance_have_no_lift_whatever_their_order() -> None:
    bought = np.array([1.0] * 30 + [0.0] * 70)
    found = deciles(bought, np.full(100, 0.3))

    assert [tenth.lift for tenth in found] == pytest.approx([1.0] * 10)
    share, reached = gain_curve(bought, np.full(100, 0.3))
    assert reached == pytest.approx(share)


def test_few_rows_give_few_tenths_and_no_buyers_no_lift() -> None:
    assert [tenth.rows for tenth in deciles(np.array([1.0, 0.0, 0.0]), np.array([0.9, 0.1, 0.2]))] == [1, 1, 1]
    assert all(np.isnan(tenth.lift) for tenth in deciles(np.zeros(20), np.linspace(0, 1, 20)))
    assert deciles(np.zeros(0), np.zeros(0)) == []


def test_an_interval_covers_the_true_gain_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        users = np.repeat(np.arange(80), 4)
        lasting = np.repeat(random.normal(0, 1, 80), 4)
        other = 5 + lasting + random.normal(0, 1, 320)
        gain = error_gain(UserBootstrap(users, seed=seed), "mae_spend", "median user", other - 0.3 - lasting, other)
        covered += gain.low <= 0.3 <= gain.high
    assert 88 <= covered <= 99


def test_paired_draws_tell_two_like_forecasts_apart() -> None:
    rows = sample(900)
    truth = rows.features["truth"].to_numpy()
    blurred = np.clip(truth + RANDOM.normal(0, 0.15, 900), 0.01, 0.99)
    draws = UserBootstrap(rows.users)
    gains = {gain.metric: gain for gain in chance_gains(draws, rows.bought, truth, {"blurred": blurred})}

    assert gains["roc_auc"].gain == pytest.approx(
        WeightedAuc(rows.bought, truth)(np.ones(900)) - WeightedAuc(rows.bought, blurred)(np.ones(900))
    )
    assert all(gain.low < gain.gain < gain.high for gain in gains.values())
    assert gains["log_loss"].low > 0
    low, high = draws.interval(WeightedAuc(rows.bought, truth))
    assert gains["roc_auc"].high - gains["roc_auc"].low < (high - low) / 1.5


def test_a_total_has_an_interval_and_none_where_nothing_happened() -> None:
    rows = sample(900)
    found = total(UserBootstrap(rows.users), rows.features["truth"].to_numpy(), rows.bought)

    assert found.ratio == pytest.approx(rows.features["truth"].sum() / rows.bought.sum())
    assert found.low < 1 < found.high
    assert np.isnan(total(UserBootstrap(rows.users), np.ones(900), np.zeros(900)).ratio)


def test_segments_count_their_rows_and_leave_out_what_few_rows_cannot_tell() -> None:
    regions = ["A"] * 400 + ["B"] * 150 + ["C"] * 30 + [""] * 20
    orders = [0.0, 1.0, 2.0, 4.0, 5.0, 60.0] * 100
    rows = sample(600, regions=regions, total_orders=orders, days_since_last=np.full(600, 0.5))
    proba = rows.features["truth"].to_numpy()
    found = segments(rows, proba)

    assert [(of.name, of.rows) for of in found["Region"]] == [("A", 400), ("B", 150), ("2 others", 50)]
    assert [(of.name, of.rows) for of in found["Orders before"]] == [
        ("never bought", 100),
        ("one", 100),
        ("two to four", 200),
        ("five or more", 200),
    ]
    assert [of.name for of in found["Last seen"]] == ["within a day"]
    assert "Known for" not in found
    first, last = found["Region"][0], found["Region"][2]
    assert first.buyers == rows.bought[:400].sum()
    assert first.share == pytest.approx(rows.bought[:400].mean())
    assert first.said == pytest.approx(proba[:400].mean())
    assert first.roc_auc == pytest.approx(WeightedAuc(rows.bought[:400], proba[:400])(np.ones(400)))
    assert first.low < first.roc_auc < first.high
    assert np.isfinite(first.ece)
    assert np.isnan(last.ece)
    few = segments(sample(30), np.full(30, 0.5))["Region"]
    assert [of.name for of in few] == ["A"]
    assert np.isnan(few[0].roc_auc)


def test_users_of_training_and_new_ones_are_told_apart() -> None:
    train, test = sample(600), sample(600, seed=1, first_user=150)
    found = overlap(train, test, test.features["truth"].to_numpy())

    assert (found.users, found.known_users, found.rows, found.known_rows) == (200, 50, 600, 150)
    assert {of.name: (of.rows, of.users) for of in found.measured} == {
        "in training too": (150, 50),
        "new to the model": (450, 150),
    }


def test_the_verdict_follows_the_interval_against_the_best_baseline() -> None:
    train, test = sample(900), sample(900, seed=1)
    truth = test.features["truth"].to_numpy()
    for proba, words in (
        (truth, "It forecasts better than the best baseline, rfm (recency, frequency, money)"),
        (np.clip(truth + 0.002, 0.2, 0.8), "It is not shown to forecast better"),
        (1 - truth, "It forecasts worse"),
    ):
        assert verdict(evaluated(train, test, proba)).startswith(words)


def test_errors_of_days_and_amount_are_those_of_buyers_alone() -> None:
    train, test = sample(900), sample(900, seed=1)
    for rows in (train, test):  # who is watched for longer than the horizon may be known to buy after it
        rows.targets["days_to_next_purchase"] = rows.targets["days_to_next_purchase"].fillna(100.0)
    buyers = test.targets[test.bought > 0]
    found = {gain.metric: gain for gain in evaluated(train, test, np.full(900, 0.5)).errors}
    median = train.targets["days_to_next_purchase"][train.bought > 0].median()

    assert found["mae_days"].model == pytest.approx((buyers["days_to_next_purchase"] - 3.5).abs().mean())
    assert found["mae_days"].other == pytest.approx((buyers["days_to_next_purchase"] - median).abs().mean())
    assert found["mae_amount"].model == pytest.approx((buyers["next_purchase_amount"] - 17).abs().mean())
    assert found["mae_spend"].model == pytest.approx(test.targets["horizon_spend"].mean())


def test_other_horizons_have_a_table_where_they_are_measured(tmp_path: Path) -> None:
    train, test = sample(300), sample(300, seed=1)
    found = evaluated(train, test, np.full(300, 0.5))
    metrics = {"test_ece": 0.05, "test_ece_14d": 0.012345, "test_roc_auc_14d": 0.7}
    write_page(tmp_path, Page("shop", 7, [], metrics, found, []))
    page = (tmp_path / PAGE).read_text()

    assert "<td>14 days</td><td>0.7000</td><td>0.0123</td><td>–</td>" in page
    write_page(tmp_path, Page("shop", 7, [], {"test_ece": 0.05}, found, []))
    assert "other horizons" not in (tmp_path / PAGE).read_text()


def evaluated(train: Sample, test: Sample, proba: np.ndarray) -> Evaluation:
    """Against half of everyone, and against the truth bounded."""
    forecast = {
        "purchase_proba": proba,
        "days_to_next_pred": 3.5,
        "next_purchase_amount_pred": 17.0,
        "spend_median": 0.0,
        "spend_mean": 20 * proba,
    }
    truth = test.features["truth"].to_numpy()
    baselines = {"prevalence": np.full(len(truth), 0.5), "rfm": np.clip(truth, 0.2, 0.8)}
    return evaluate(train, test, pd.DataFrame(forecast), baselines)
