"""The findings contract: what `monitor` measures, from where on a value worries, and what that means in words."""

from dataclasses import dataclass, replace
from typing import Final, Literal

import pyarrow as pa

Level = Literal["ok", "warn", "alarm"]
Kind = Literal["drift", "shift", "outcome"]
"""drift: users or chances are not those of training. shift: chances jumped from one day to the next.
outcome: forecasts whose horizon is over, against what happened."""

WORST: Final[dict[Level, int]] = {"alarm": 0, "warn": 1, "ok": 2}
"""Order of levels, the worst first."""


@dataclass(frozen=True)
class Metric:
    """What a measured value is. `fine` and `wrong` say it in words, `{value}` in them; without `limits` it is for
    reading only.

    `limits` are where a warning and where an alarm begins; a falling pair is for values that should be high. A `ratio`
    counts alike above and below 1.
    """

    kind: Kind
    fine: str
    wrong: str = ""
    advice: str = ""
    limits: tuple[float, float] | None = None
    ratio: bool = False


@dataclass(frozen=True)
class Finding:
    """One measured value; `feature` is empty for what concerns all forecasts."""

    metric: str
    feature: str
    value: float
    level: Level


_INSTANT = pa.timestamp("ms", tz="UTC")

REPORTS_SCHEMA: Final = pa.schema(
    [
        pa.field("snapshot_time", _INSTANT, nullable=False),
        pa.field("model_name", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("feature", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("level", pa.string(), nullable=False),
        pa.field("made_at", _INSTANT, nullable=False),
    ]
)
"""Columns of the `monitor_reports` table: a finding, whose it is, as of which snapshot, and when it was made."""

_SOURCE = "Look whether its source has changed (the tracker, prices, a campaign) and mend that first: "
_TRAIN = (
    _SOURCE + "a training on broken data makes it worse. If the shop itself has changed, train anew; an alarm does."
)
_JUMP = "Look at what the shop and its tracker did since the day before: no visitor changes so fast."
_WORSE = (
    "If it began with this version, go back to the one before (`anmodel register --rollback`); "
    "if the shop has changed, train anew."
)
_CAMPAIGN = "Look whether a campaign, a season or lost events explain it. " + _WORSE

_OUTCOMES = {
    "users": Metric("outcome", "{value:,.0f} users had a forecast"),
    "buyers": Metric("outcome", "{value:,.0f} of them bought within the horizon"),
    "brier": Metric("outcome", "mean squared distance of chance and outcome: {value:.4f}"),
    "log_loss": Metric("outcome", "log loss: {value:.4f}"),
    "ece": Metric("outcome", "chances were {value:.2%} beside the share of buyers, in the mean of ten groups"),
    "ece_excess": Metric(
        "outcome",
        "chances came true as they were said (beyond chance they were {value:.0%} of the share of buyers off)",
        "chances did not come true as they were said: beyond chance they were {value:.0%} of the share of buyers off",
        _CAMPAIGN,
        (0.25, 0.5),  # as far off as where the total is off by a quarter, by half
    ),
    "roc_auc": Metric(
        "outcome",
        "a buyer ranked above another user in {value:.0%} of cases",
        "a buyer ranked above another user in {value:.0%} of cases only; 50% is a coin toss",
        _WORSE,
        (0.6, 0.5),
    ),
    "lift_10": Metric(
        "outcome",
        "the likeliest tenth bought {value:.1f} times as often as all users",
        "the likeliest tenth bought only {value:.1f} times as often as all users",
        _WORSE,
        (1.2, 1.0),  # from 1 down the list is worth no more than any other tenth
    ),
    "brier_skill": Metric(
        "outcome",
        "chances were {value:.0%} closer to what happened than the share of buyers, said of everyone",
        "the share of buyers, said of everyone, would have been closer to what happened (skill {value:.0%})",
        _WORSE,
        (0.0, -0.05),
    ),
    "predicted_to_actual": Metric(
        "outcome",
        "{value:.2f} times as many buyers were forecast as came",
        "{value:.2f} times as many buyers were forecast as came",
        _CAMPAIGN,
        (1.25, 1.5),
        ratio=True,
    ),
}


def _by_predict(metric: Metric) -> Metric:
    wrong = f"by `/predict`: {metric.wrong}" if metric.wrong else ""
    return replace(metric, fine=f"by `/predict`: {metric.fine}", wrong=wrong)


METRICS: Final[dict[str, Metric]] = {
    "psi": Metric(
        "drift",
        "spread as in training (PSI {value:.2f})",
        "spread otherwise than in training (PSI {value:.2f})",
        _TRAIN,
        (0.1, 0.25),  # the usual reading of a population stability index
    ),
    "null_share_change": Metric(
        "drift",
        "known as often as in training (share of unknown values moved by {value:.0%})",
        "not known as often as in training: the share of unknown values moved by {value:.0%}",
        _TRAIN,
        (0.1, 0.3),
    ),
    "new_category_share": Metric(
        "drift",
        "{value:.0%} of users have a value that training hardly knew",
        "{value:.0%} of users have a value that training hardly knew",
        _TRAIN,
        (0.05, 0.2),
    ),
    "chance_psi": Metric(
        "drift",
        "chances are spread as in training (PSI {value:.2f})",
        "chances are spread otherwise than in training (PSI {value:.2f})",
        "The features that moved say why, and what to do.",
        (0.1, 0.25),
    ),
    "mean_chance": Metric("drift", "the mean chance is {value:.1%}"),
    "previous_chance_psi": Metric(
        "shift",
        "chances are spread as in the run before (PSI {value:.2f})",
        "chances jumped against the run before (PSI {value:.2f})",
        _JUMP,
        (0.1, 0.25),
    ),
    "previous_chance_ratio": Metric(
        "shift",
        "the mean chance is {value:.2f} times that of the run before",
        "the mean chance is {value:.2f} times that of the run before",
        _JUMP,
        (1.25, 1.5),
        ratio=True,
    ),
    "online_records": Metric("shift", "{value:,.0f} predictions were asked for within a day"),
    "online_mean_chance": Metric("shift", "their mean chance is {value:.1%}"),
    "online_chance_psi": Metric(
        "shift",
        "chances asked for within a day are spread as in the week before (PSI {value:.2f})",
        "chances asked for within a day are spread otherwise than in the week before (PSI {value:.2f})",
        "Look at who asks `/predict`, and whether the records still hold what they held: "
        "the forecasts of all users are made apart from it.",
        (0.1, 0.25),
    ),
    **{f"live_{name}": metric for name, metric in _OUTCOMES.items()},
    **{f"live_online_{name}": _by_predict(metric) for name, metric in _OUTCOMES.items()},
}
"""What is measured, by the name it is kept under in `monitor_reports`. `live_…` is of the day's forecasts of all users,
`live_online_…` of the chances that `/predict` gave to users named by the request."""


def finding(metric: str, value: float, feature: str = "") -> Finding:
    """A value with its level."""
    return Finding(metric, feature, float(value), level_of(metric, value))


def level_of(metric: str, value: float) -> Level:
    """ok, warn or alarm; always ok for a metric without limits."""
    if (limits := METRICS[metric].limits) is None:
        return "ok"
    warn, alarm = (_badness(metric, limit) for limit in limits)
    badness = _badness(metric, value)
    falling = limits[0] > limits[1]  # the limit itself is still well where values should be high
    if badness > alarm if falling else badness >= alarm:
        return "alarm"
    return "warn" if (badness > warn if falling else badness >= warn) else "ok"


def severity(metric: str, value: float) -> float:
    """How far a value lies past its alarm, in distances of alarm and warning: comparable among metrics."""
    if (limits := METRICS[metric].limits) is None:
        return float("-inf")
    warn, alarm = (_badness(metric, limit) for limit in limits)
    return (_badness(metric, value) - alarm) / (alarm - warn)


def said(metric: str, value: float, level: Level) -> str:
    """The value in words."""
    known = METRICS[metric]
    return (known.fine if level == "ok" else known.wrong).format(value=value)


def limits_said(metric: str) -> str:
    """Where a warning and an alarm begin, in words; empty for what is for reading only."""
    known = METRICS[metric]
    if known.limits is None:
        return ""
    warn, alarm = known.limits
    word = "from" if warn < alarm else "below"
    return f"a warning {word} {warn:g}, an alarm {word} {alarm:g}" + (", or one over that" if known.ratio else "")


def _badness(metric: str, value: float) -> float:
    """The value turned so that more is worse."""
    known = METRICS[metric]
    if known.limits and known.limits[0] > known.limits[1]:
        return -value
    if known.ratio:
        return max(value, 1 / value) if value > 0 else float("inf")
    return value
