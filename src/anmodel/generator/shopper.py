"""Who a shopper is: cohort, active time, and how much they do. Drawn from the seed and their id alone."""

import math
from dataclasses import dataclass

from anmodel.generator.behaviour import Cohort, cohort_of
from anmodel.generator.chance import between, chance_of, normal
from anmodel.generator.options import Options
from anmodel.generator.shoptime import DAY_MS


@dataclass(slots=True)
class Shopper:
    """Times are milliseconds since the Unix epoch; `weight` is the activity before scaling, `events` after it."""

    user_uid: str
    region: str
    cohort: Cohort
    promo: bool
    burst: bool
    start: int
    end: int
    weight: float
    events: int = 0


def make_shopper(user_uid: str, region: str, options: Options) -> Shopper:
    """The shopper with this id. `events` is still to be set from `weight`."""
    chance = chance_of(options.seed, user_uid, "shopper")
    cohort = cohort_of(chance.random())
    weight = cohort.volume * math.exp(options.activity_sigma * normal(chance))
    loyal = cohort.name != "one_time"
    promo = chance.random() < options.promo_share and loyal
    burst = chance.random() < options.burst_share and loyal
    # One-time shoppers keep their few days: stretched to --min-span-days they would be light ones.
    least = options.min_span_days if loyal else 1
    span = min(max(between(chance, *cohort.span_days), least), options.max_span_days) * DAY_MS
    churned, place = chance.random() < cohort.churned, chance.random()
    now = int(options.snapshot_date.timestamp() * 1000)
    end: float = now
    # Those who have not churned would go on after the snapshot date: it cuts their time, and nothing piles up there.
    first_end, last_end = now - options.max_span_days * DAY_MS + span, now - options.snapshot_horizon_days * DAY_MS
    if churned and first_end < last_end:
        end = first_end + (last_end - first_end) * place
    return Shopper(user_uid, region, cohort, promo, burst, int(end - span), int(end) - 1, weight)
