"""Forecast users of a daily snapshot as a plan says. Safe to repeat: the same rows are replaced by equal ones."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import structlog

from anmodel.model import ContextAwareModel
from anmodel.progress import ProgressLine
from anmodel.registry import LoadedModel, Registry
from anmodel.score.finishing import finish
from anmodel.score.plan import Plan, champion, make_plan
from anmodel.score.rows import Array, Flags, forecast_table, percentiles
from anmodel.snapshots.daily import BLOCK_ROWS, DailySnapshot
from anmodel.warehouse import Warehouse

log = structlog.get_logger()

REASONS = 3


def score(snapshot: DailySnapshot, registry: Registry, warehouse: Warehouse, *, reasons_users: int) -> dict[str, Any]:
    """Forecast every user of the snapshot by the champion, then write the run's row; returns that row.

    Readers look only at runs whose row is there, so a run that was cut short is not seen, and running it again replaces
    what it left.
    """
    loaded = registry.load(champion(registry))
    now = datetime.now(UTC)
    whole = make_plan("", snapshot, loaded.version, shards=1, reasons_users=reasons_users, scored_at=now)
    forecast_shard(whole, 0, snapshot, loaded, warehouse)
    return finish(whole, warehouse)


def forecast_shard(plan: Plan, shard: int, snapshot: DailySnapshot, loaded: LoadedModel, warehouse: Warehouse) -> int:
    """Write the forecasts of one shard's users, block by block; returns how many.

    A user's percentile, and whether they get reasons, depend on everybody's chance. So each shard asks the model for
    the chances of all users, and for all that it says of its own.
    """
    snapshot.check(loaded.contract, f"{loaded.version.name} version {loaded.version.version}")
    names = list(loaded.model.feature_names_in_)
    mine, proba, forecasts = _forecasts(plan, shard, snapshot, loaded.model, names)
    explained = explained_users(proba, plan.reasons_users)[mine]
    ranks = percentiles(proba)[mine]
    done = 0
    with ProgressLine("forecasts written", len(ranks), unit="users") as progress:
        for frame in _frames(snapshot, mine):
            rows = slice(done, done + len(frame))
            table = _block(frame, loaded.model, names, forecasts.iloc[rows], ranks[rows], explained[rows], plan.row)
            warehouse.insert_arrow("forecasts", table)
            done += len(frame)
            progress.show(done)
    log.info("forecasts written", shard=shard, users=done, explained=int(explained.sum()))
    return done


def _frames(snapshot: DailySnapshot, mine: Flags) -> Iterator[pd.DataFrame]:
    """The shard's rows in the order of the file, in blocks as large as those of a run without shards."""
    held: list[pa.RecordBatch] = []
    seen = 0
    for block in snapshot.blocks():
        held.append(block.filter(pa.array(mine[seen : seen + block.num_rows])))
        seen += block.num_rows
        if sum(part.num_rows for part in held) >= BLOCK_ROWS:
            yield pa.Table.from_batches(held).to_pandas()
            held = []
    if any(part.num_rows for part in held):
        yield pa.Table.from_batches(held).to_pandas()


def _forecasts(
    plan: Plan, shard: int, snapshot: DailySnapshot, model: ContextAwareModel, names: list[str]
) -> tuple[Flags, Array, pd.DataFrame]:
    """Which users are the shard's, everybody's chance, and what the model says of the shard's: four numbers each."""
    mine: list[Flags] = [np.zeros(0, dtype=bool)]
    proba: list[Array] = [np.zeros(0)]
    forecasts = [model.predict(pd.DataFrame(columns=names))]
    for block in snapshot.blocks(["user_id", *names]):
        frame = block.to_pandas()
        own = plan.shards_of(frame["user_id"]) == shard
        mine.append(own)
        if own.all():
            forecasts.append(model.predict(frame[names]))
            proba.append(forecasts[-1]["purchase_proba"].to_numpy(dtype=np.float64))
            continue
        proba.append(model.chances(frame[names]))
        forecasts.append(model.predict(frame.loc[own, names]))
    return np.concatenate(mine), np.concatenate(proba), pd.concat(forecasts[1:] or forecasts, ignore_index=True)


def explained_users(proba: Array, most: int) -> Flags:
    """Which users get reasons: all, or, when they are more than `most`, so many of the likeliest."""
    if len(proba) <= most:
        return np.ones(len(proba), dtype=bool)
    log.warning("reasons only for the likeliest users", users=len(proba), explained=most, setting="REASONS_USERS")
    chosen = np.zeros(len(proba), dtype=bool)
    chosen[np.argsort(-proba, kind="stable")[:most]] = True
    return chosen


def _block(
    frame: pd.DataFrame,
    model: ContextAwareModel,
    names: list[str],
    forecast: pd.DataFrame,
    percentile: Array,
    explained: Flags,
    run: dict[str, Any],
) -> pa.Table:
    features = frame[names]
    reasons = iter(model.explain(features[explained], top=REASONS))
    said = pd.concat([forecast.reset_index(drop=True), model.predict_intervals(features)], axis=1)
    return forecast_table(
        frame[["user_id", "region"]],
        features,
        said,
        percentile,
        [next(reasons) if known else [] for known in explained],
        run,
    )
