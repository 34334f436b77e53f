"""How many events each shopper makes."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

from anmodel.errors import InputError
from anmodel.generator.behaviour import COHORTS, SHARES
from anmodel.generator.options import Options
from anmodel.generator.shopper import Shopper

MOST = 5.0
"""A shopper makes at most this many times the mean."""

_QUANTILES = 200


def set_events(shoppers: Sequence[Shopper], options: Options) -> int:
    """Set each shopper's number of events; their sum.

    By `events_per_user` each depends on the shopper alone, so more shoppers change nobody, and the mean over many
    shoppers is `events_per_user`. By `total_events` the sum is exactly that.
    """
    if options.total_events is None:
        scale = _scale(_expected(options), options.events_per_user)
        for shopper in shoppers:
            shopper.events = round(_bounded(shopper.weight * scale, options.events_per_user))
    else:
        _share_out(shoppers, options.total_events)
    return sum(shopper.events for shopper in shoppers)


def _share_out(shoppers: Sequence[Shopper], total: int) -> None:
    if total < len(shoppers):
        raise InputError(f"--total-events is {total}; allowed: at least one for each of the {len(shoppers)} users")
    mean = total / len(shoppers)
    weights = [shopper.weight for shopper in shoppers]
    scale = _scale(lambda scale: sum(_bounded(weight * scale, mean) for weight in weights) / len(weights), mean)
    exact = [_bounded(weight * scale, mean) for weight in weights]
    for shopper, events in zip(shoppers, exact, strict=True):
        shopper.events = math.floor(events)
    missing = total - sum(shopper.events for shopper in shoppers)
    by_rest = sorted(range(len(exact)), key=lambda at: (math.floor(exact[at]) - exact[at], shoppers[at].user_uid))
    for place in range(missing):
        shoppers[by_rest[place % len(by_rest)]].events += 1


def _expected(options: Options) -> Callable[[float], float]:
    """Mean events of a shopper as a function of the scale, over cohorts and quantiles of activity."""
    normal = NormalDist()
    activity = [math.exp(options.activity_sigma * normal.inv_cdf((i + 0.5) / _QUANTILES)) for i in range(_QUANTILES)]
    weighted = [(cohort.share / SHARES / _QUANTILES, cohort.volume * a) for cohort in COHORTS for a in activity]
    return lambda scale: sum(share * _bounded(weight * scale, options.events_per_user) for share, weight in weighted)


def _bounded(events: float, mean: float) -> float:
    """5 events at least (fewer when the mean is below 20), MOST times the mean at most."""
    return min(max(events, max(1.0, min(5.0, mean / 4))), MOST * mean)


def _scale(mean_at: Callable[[float], float], mean: float) -> float:
    """The scale at which the mean is reached."""
    low, high = 0.0, mean * 1e4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_at(middle) < mean else (low, middle)
    return high
