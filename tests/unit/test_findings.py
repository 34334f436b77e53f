"""Limits, and the words for what was measured."""

import re

import pytest

from anmodel.findings import METRICS, Level, level_of, limits_said, said, severity
from anmodel.monitor.news import TYPES, metrics_of


def test_limits_count_in_the_right_direction() -> None:
    assert [level_of("psi", value) for value in (0.05, 0.1, 0.3)] == ["ok", "warn", "alarm"]
    assert [level_of("live_roc_auc", value) for value in (0.6, 0.55, 0.5, 0.4)] == ["ok", "warn", "warn", "alarm"]
    assert [level_of("live_lift_10", value) for value in (3.0, 1.1, 0.9)] == ["ok", "warn", "alarm"]
    assert level_of("mean_chance", 0.9) == "ok"


@pytest.mark.parametrize("metric", ["live_predicted_to_actual", "previous_chance_ratio"])
def test_a_ratio_counts_alike_above_and_below_one(metric: str) -> None:
    values = (1.0, 0.75, 1.3, 2.0, 0.5, 0.0)
    assert [level_of(metric, value) for value in values] == ["ok", "warn", "warn", "alarm", "alarm", "alarm"]


def test_the_severity_of_values_at_their_limits_is_alike_whatever_their_scale() -> None:
    limited = {name: metric.limits for name, metric in METRICS.items() if metric.limits}
    assert {round(severity(name, warn), 9) for name, (warn, _) in limited.items()} == {-1.0}
    assert {round(severity(name, alarm), 9) for name, (_, alarm) in limited.items()} == {0.0}
    assert severity("live_roc_auc", 0.3) > severity("psi", 0.3) > severity("psi", 0.2) > severity("mean_chance", 9)


@pytest.mark.parametrize("metric", sorted(METRICS))
@pytest.mark.parametrize("level", ["ok", "warn"])
def test_every_metric_has_words_and_what_may_be_wrong_an_advice(metric: str, level: Level) -> None:
    known = METRICS[metric]
    if known.limits or level == "ok":
        assert re.search(r"\d", said(metric, 0.5, level))
    assert bool(known.limits) == bool(known.advice) == bool(limits_said(metric))


def test_limits_are_said_with_their_direction() -> None:
    assert limits_said("psi") == "a warning from 0.1, an alarm from 0.25"
    assert limits_said("live_roc_auc") == "a warning below 0.6, an alarm below 0.5"
    assert limits_said("live_predicted_to_actual") == "a warning from 1.25, an alarm from 1.5, or one over that"


def test_every_metric_is_told_of_by_one_type_of_message() -> None:
    assert sorted(name for kind in TYPES for name in metrics_of(kind)) == sorted(METRICS)
