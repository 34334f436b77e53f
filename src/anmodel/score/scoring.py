"""Forecast users of a daily snapshot as a plan says. Safe to repeat: the same rows are replaced by equal ones."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
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
    the chances of all users first, and then for all else that it says of its own.
    """
    snapshot.check(loaded.contract, f"{loaded.version.name} version {loaded.version.version}")
    mine, proba = _chances(plan, shard, snapshot, loaded.model)
    explained = explained_users(proba, plan.reasons_users)[mine]
    ranks, proba = percentiles(proba)[mine], proba[mine]

    def tables() -> Iterator[pa.Table]:
        done = 0
        for frame in _frames(snapshot, mine):
            rows = slice(done, done + len(frame))
            yield _block(frame, loaded.model, proba[rows], ranks[rows], explained[rows], plan.row)
            done += len(frame)

    with ProgressLine("forecasts written", len(ranks), unit="users") as progress:
        written = _write(tables(), warehouse, progress)
    log.info("forecasts written", shard=shard, users=written, explained=int(explained.sum()))
    return written


def _write(tables: Iterable[pa.Table], warehouse: Warehouse, progress: ProgressLine) -> int:
    """Insert one table while the next is computed; returns the rows of all."""
    written = 0
    with ThreadPoolExecutor(1) as inserting:
        pending: tuple[Future[None], int] | None = None
        for table in chain(tables, [None]):
            if pending is not None:
                pending[0].result()
                written += pending[1]
                progress.show(written)
            if table is not None:
                pending = inserting.submit(warehouse.insert_arrow, "forecasts", table), len(table)
    return written


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


def _chances(plan: Plan, shard: int, snapshot: DailySnapshot, model: ContextAwareModel) -> tuple[Flags, Array]:
    """Which users are the shard's, and everybody's chance."""
    mine: list[Flags] = [np.zeros(0, dtype=bool)]
    proba: list[Array] = [np.zeros(0)]
    for block in snapshot.blocks(["user_id", *model.feature_names_in_]):
        frame = block.to_pandas()
        mine.append(plan.shards_of(frame.pop("user_id")) == shard)
        proba.append(model.chances(frame))
    return np.concatenate(mine), np.concatenate(proba)


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
    proba: Array,
    percentile: Array,
    explained: Flags,
    run: dict[str, Any],
) -> pa.Table:
    """Rows of the forecasts table for rows of a snapshot, whose chances and ranks are known."""
    features = frame[list(model.feature_names_in_)]
    reasons = model.explain(features[explained], top=REASONS)
    said = model.forecast(features, proba)
    return forecast_table(frame[["user_id", "region"]], features, said, percentile, reasons, explained, run)
