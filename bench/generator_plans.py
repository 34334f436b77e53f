"""What the generator knows of its shoppers; run with the frozen package on PYTHONPATH, to ask that one.

    python bench/generator_plans.py FOLDER SNAPSHOT_DATE SEED

Writes to FOLDER, of the shoppers in USERS_URL: `shoppers.parquet` (traits and pace), `visits.parquet` (every planned
visit) and `walk.json` (the chances of a visit's steps, and the shop time of each hour).
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.generator.behaviour import COHORTS, first_step, next_step
from anmodel.generator.chance import between, chance_of, exponential, whole
from anmodel.generator.options import Options
from anmodel.generator.plan import ORDINARY, SPELL_CONTINUES, SPELLS_SHARE, plan_visits
from anmodel.generator.plan import _ordinary as draw_ordinary
from anmodel.generator.plan import _special as draw_special
from anmodel.generator.shopper import Shopper
from anmodel.generator.shoptime import DAY_MS, HOUR_MS, to_shop
from anmodel.generator.stream import Crowd
from anmodel.settings import UsersSettings
from anmodel.users import UsersTable

EVENT_KINDS = 6


def write_plans(folder: Path, options: Options) -> None:
    """Write the three files; those there before are replaced."""
    users = [(user.user_uid, user.region) for user in UsersTable.of(UsersSettings.load()).iter_all()]
    shoppers, visits = [], []
    for shopper in Crowd(users, options).shoppers:
        plan = plan_visits(shopper, options)
        visits += [(shopper.user_uid, visit.start, visit.size, visit.kind) for visit in plan]
        shrunk, pause = pace_of(shopper, options, sum(visit.kind == ORDINARY for visit in plan))
        shoppers.append(_traits(shopper, options) | {"shrunk": shrunk, "pause": pause})
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(shoppers), folder / "shoppers.parquet")
    columns = dict(zip(("user_id", "start", "size", "kind"), map(list, zip(*visits, strict=True)), strict=True))
    pq.write_table(pa.table(columns), folder / "visits.parquet")
    (folder / "walk.json").write_text(json.dumps(walk_of(options)))


def _traits(shopper: Shopper, options: Options) -> dict[str, Any]:
    boost = shopper.cohort.purchase_boost
    return {
        "user_id": shopper.user_uid,
        "promo": shopper.promo,
        "start": shopper.start,
        "end": shopper.end,
        "events": shopper.events,
        "session_extra": shopper.cohort.session_extra,
        "boost": boost,
        "promo_boost": boost * (options.promo_purchase_boost if shopper.promo else 1.0),
    }


def pace_of(shopper: Shopper, options: Options, ordinary: int) -> tuple[float, float]:
    """By what the gaps within spells are shrunk, and the mean pause in ms of shop time: drawn as the plan drew them."""
    chance = chance_of(options.seed, shopper.user_uid, "visits")
    special = list(draw_special(shopper, options, chance)) if shopper.promo or shopper.burst else []
    left = shopper.events - sum(visit.size for visit in special)
    after_sizes = _after_sizes(chance, shopper, left)
    if len(draw_ordinary(shopper, options, chance, left)) != ordinary:
        raise RuntimeError(f"the plan of {shopper.user_uid} was drawn otherwise than by this generator")
    spells, pauses = 0.0, 0.0
    for _ in range(ordinary - 1):
        if after_sizes.random() < SPELL_CONTINUES:
            days = whole(after_sizes, 0, options.max_session_gap_days)
            spells += days * DAY_MS + between(after_sizes, 0, 6 * HOUR_MS)
        else:
            pauses += exponential(after_sizes, 1.0)
    pauses += exponential(after_sizes, 1.0)
    room = to_shop(shopper.end) - to_shop(shopper.start)
    shrunk = min(1.0, SPELLS_SHARE * room / spells) if spells else 1.0
    return shrunk, (room - spells * shrunk) / pauses


def _after_sizes(chance: Random, shopper: Shopper, events: int) -> Random:
    """A copy of the plan's chance as it is once the sizes of the ordinary visits are drawn."""
    copy = Random()
    copy.setstate(chance.getstate())
    while events > 0:
        events -= min(1 + int(exponential(copy, shopper.cohort.session_extra)), events)
    return copy


def walk_of(options: Options) -> dict[str, Any]:
    """By boost, the chances of a first event without and with an open cart, and of the event after each kind; beside
    them the options that decide, and shop time by the hour until the snapshot date."""
    boosts = {cohort.purchase_boost * factor for cohort in COHORTS for factor in (1.0, options.promo_purchase_boost)}
    now = int(options.snapshot_date.timestamp() * 1000)
    hours = [now + number * HOUR_MS for number in range(-(options.max_span_days + 1) * 24, 25)]
    return {
        "boosts": {
            str(boost): {
                "first": [_chances(first_step(boost, cart)) for cart in (False, True)],
                "next": [_chances(next_step(kind, boost)) for kind in range(EVENT_KINDS)],
            }
            for boost in sorted(boosts)
        },
        "now": now,
        "clock": hours,
        "shop": [to_shop(hour) for hour in hours],
        "gap_days": options.max_session_gap_days,
        "promo_days": options.promo_window_days,
        "promo_gap_days": max(options.promo_max_session_gap_days, 0.25),
        "burst_buys": options.burst_force_purchase_prob,
        "burst_rest_days": options.snapshot_horizon_days,
    }


def _chances(cumulative: tuple[float, ...]) -> list[float]:
    return [here - before for here, before in zip(cumulative, (0.0, *cumulative), strict=False)]


if __name__ == "__main__":
    folder, date, seed = sys.argv[1:]
    write_plans(Path(folder), Options(snapshot_date=datetime.fromisoformat(date).replace(tzinfo=UTC), seed=int(seed)))
