"""What each block of features is worth: ROC AUC and log loss with all blocks against all but that one.

On the training snapshot of two shops: Complete Journey as of day 301 (2017-10-29), before the days that
`completejourney` forecasts, and the generator's shoppers. The chance is fitted as `anmodel train` does it, with early
stopping and calibration on the validation rows, and measured on the later test rows; differences are means over seeds,
their 95 % intervals draw users and seeds. A gain below 0 is a block that costs more than it brings.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from anmodel.generator.options import Options
from anmodel.generator.outputs import write_events
from anmodel.generator.stream import Crowd
from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.model.evaluation import Array, UserBootstrap, WeightedAuc, log_losses, weighted_mean
from anmodel.progress import ProgressLine
from anmodel.replay.completejourney import fetch
from anmodel.snapshots import FEATURES
from anmodel.snapshots.samples import Sample, read_manifest, read_sample
from bench.result import Row, report
from bench.running import cache, workspace
from bench.shop_lake import lake_of, run

DAY_301 = "2017-10-29"
SNAPSHOT_DATE = datetime(2026, 1, 1, tzinfo=UTC)
HARMLESS = -0.001
"""AUC a block may seem to cost by chance."""

Statistic = Callable[[Array], float]


class Worth(NamedTuple):
    """Of a block: the gain of AUC with its 95 % interval, and the log loss saved with its own."""

    auc: tuple[float, float, float]
    loss: tuple[float, float, float]


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench ablation", description=__doc__)
    parser.add_argument("--shoppers", type=int, default=2_000)
    parser.add_argument("--max-rows", type=int, default=60_000, help="rows of a training snapshot")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    intervals: dict[str, dict[str, list[float]]] = {}
    for name, make in {"completejourney": _completejourney, "generator": _generator}.items():
        with workspace() as folder:
            lake, words = make(folder, options.shoppers)
            run(lake, "snapshot", "train", *words, "--max-rows", str(options.max_rows))
            manifest = read_manifest(lake, "model1")
            parts = {part: read_sample(lake, manifest, part) for part in ("train", "val", "test")}
        auc, worths = _ablate(parts, range(options.seeds))
        _print(name, auc, parts, worths)
        rows.append(Row(f"ablation.{name}", auc, "AUC", must=0.5, aim=0.7))
        rows += [Row(f"ablation.{name}.{block}", w.auc[0], "AUC gained", HARMLESS, 0) for block, w in worths.items()]
        intervals[name] = {block: [round(bound, 5) for bound in worth.auc[1:]] for block, worth in worths.items()}
    return report(rows, intervals=intervals, seeds=options.seeds)


def _completejourney(folder: Path, _: int) -> tuple[Lake, tuple[str, ...]]:
    lines = pq.read_table(fetch(cache()))
    basket, product = (pc.cast(lines[name], pa.string()) for name in ("basket_id", "product_id"))
    events = {
        "event_id": pc.binary_join_element_wise(basket, product, "-"),
        "event_type": _always("purchase", len(lines)),
        "ts": pc.cast(pc.cast(lines["transaction_timestamp"], pa.timestamp("ms")), pa.timestamp("ms", "UTC")),
        "session_id": basket,
        "user_id": pc.cast(lines["household_id"], pa.string()),
        "region": _always("", len(lines)),
        "item_id": product,
        "price": lines["sales_value"],
        "properties": _always("{}", len(lines)),
    }
    return lake_of(folder / "lake", pa.table(events)), ("--as-of", DAY_301)


def _generator(folder: Path, shoppers: int) -> tuple[Lake, tuple[str, ...]]:
    crowd = Crowd([(f"user-{n}", f"UA-{n % 26}") for n in range(shoppers)], Options(snapshot_date=SNAPSHOT_DATE))
    with ProgressLine("events", unit="events") as line:
        write_events(crowd.events(), folder / "events.parquet", line)
    events = pq.read_table(folder / "events.parquet").rename_columns({"timestamp": "ts"})
    items = pc.fill_null(events["item_id"], "")
    return lake_of(folder / "lake", events.set_column(events.schema.get_field_index("item_id"), "item_id", items)), ()


def _always(value: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), rows)


def _ablate(parts: Mapping[str, Sample], seeds: range) -> tuple[float, dict[str, Worth]]:
    """The AUC of all blocks, and what each is worth."""
    test = parts["test"]
    draws = UserBootstrap(test.users)
    known = [feature for feature in FEATURES if test.features[feature.name].notna().any()]
    every = [_chances(parts, [feature.name for feature in known], seed) for seed in seeds]
    worths = {}
    for block in dict.fromkeys(feature.block for feature in known):
        others = [feature.name for feature in known if feature.block != block]
        without = [_chances(parts, others, seed) for seed in seeds]
        worths[block] = _worth(test.bought, every, without, draws)
    ones = np.ones(len(test.bought))
    return float(np.mean([WeightedAuc(test.bought, proba)(ones) for proba in every])), worths


def _chances(parts: Mapping[str, Sample], names: list[str], seed: int) -> Array:
    """What a model of these features alone says of the test rows."""
    train, val, test = (parts[part] for part in ("train", "val", "test"))
    contract = {"features": [{"name": f.name, "kind": f.kind} for f in FEATURES if f.name in names]}
    made = ContextAwareModel(random_state=seed).fit(
        train.features[names], train.bought, validation=(val.features[names], val.bought), contract=contract
    )
    return made.chances(test.features[names])


def _worth(bought: Array, every: list[Array], without: list[Array], draws: UserBootstrap) -> Worth:
    ones = np.ones(len(bought))
    auc = [[WeightedAuc(bought, proba) for proba in made] for made in (every, without)]
    loss = [[weighted_mean(-log_losses(bought, proba)) for proba in made] for made in (every, without)]
    return Worth(*((_mean(*each)(ones), *draws.interval(_drawn(*each))) for each in (auc, loss)))


def _mean(ours: Sequence[Statistic], theirs: Sequence[Statistic]) -> Statistic:
    return lambda weights: float(
        np.mean([each(weights) for each in ours]) - np.mean([each(weights) for each in theirs])
    )


def _drawn(ours: Sequence[Statistic], theirs: Sequence[Statistic]) -> Statistic:
    """The same of seeds drawn with replacement: two fits of the same rows differ, too."""
    random = np.random.default_rng(0)

    def difference(weights: Array) -> float:
        some, others = (random.integers(0, len(made), len(made)) for made in (ours, theirs))
        return _mean([ours[seed] for seed in some], [theirs[seed] for seed in others])(weights)

    return difference


def _print(name: str, auc: float, parts: Mapping[str, Sample], worths: Mapping[str, Worth]) -> None:
    rows = ", ".join(f"{len(sample.bought):,} {part}" for part, sample in parts.items())
    print(f"{name}: AUC {auc:.4f}; rows: {rows}")
    for block, worth in worths.items():
        (gain, low, high), (saved, least, most) = worth
        print(
            f"  {block:14} AUC {gain:+.4f} [{low:+.4f}, {high:+.4f}]   "
            f"log loss saved {saved:+.4f} [{least:+.4f}, {most:+.4f}]",
            flush=True,
        )
