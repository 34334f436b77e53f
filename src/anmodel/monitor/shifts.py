"""How chances jump: today's run against the one before, and what `/predict` answered against the week before."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from anmodel.findings import Finding, finding
from anmodel.model.distribution import FeatureDistribution
from anmodel.monitor.stability import stability_index
from anmodel.warehouse import Warehouse

LEAST_USERS = 200
"""Of each of two runs: fewer fill the bins by chance. Both are of much the same users, so few are enough."""

LEAST_RECORDS = 1000
"""Of each of two times: records asked for online are of whoever came, and two draws of fewer differ by chance."""


@dataclass(frozen=True)
class _Chances:
    """Chances counted over bins."""

    counts: "np.typing.NDArray[np.int64]"
    total: float

    @property
    def number(self) -> int:
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        return self.total / self.number

    def psi(self, before: "_Chances") -> float:
        return stability_index(before.counts / before.number, self.counts / self.number)


class Shifts:
    """Of the chances of one model version; `bins` are those of its chances in training."""

    def __init__(self, warehouse: Warehouse, model: str, version: str, bins: FeatureDistribution) -> None:
        self._warehouse = warehouse
        self._edges = bins.edges
        self._scope = {"model": model, "version": version}

    def of_run(self, instant: datetime, horizon_days: int) -> list[Finding]:
        """The run as of `instant` against the one before it by the same version. [] when either is missing or small.

        Another version's chances would differ by the version, and not by the users.
        """
        values = self._scope | {"instant": instant, "horizon": horizon_days}
        rows = self._warehouse.query(
            f"""
            SELECT snapshot_time FROM {self._warehouse.db}.forecast_runs FINAL
            WHERE model_name = {{model:String}} AND model_version = {{version:String}}
              AND horizon_days = {{horizon:UInt16}} AND snapshot_time <= {{instant:DateTime64(3, 'UTC')}}
            ORDER BY snapshot_time DESC LIMIT 2
            """,
            values,
        )
        times = [row["snapshot_time"].replace(tzinfo=UTC) for row in rows]
        if len(times) < 2 or times[0] != instant:
            return []
        where = (
            "model_name = {model:String} AND model_version = {version:String} AND horizon_days = {horizon:UInt16}"
            " AND snapshot_time = {time:DateTime64(3, 'UTC')}"
        )
        today, before = (self._counted("forecasts", where, values | {"time": time}) for time in times)
        if min(today.number, before.number) < LEAST_USERS or not before.total:
            return []
        return [
            finding("previous_chance_psi", today.psi(before)),
            finding("previous_chance_ratio", today.mean / before.mean),
        ]

    def online(self) -> list[Finding]:
        """What was answered within the last day; against the seven days before it where both hold enough records.

        Not against training: those asked about are who is there just now, and likelier to buy than all users.
        """
        last, before = (self._asked(start, end) for start, end in ((1, 0), (8, 1)))
        if last.number < LEAST_RECORDS:
            return []
        found = [finding("online_records", last.number), finding("online_mean_chance", last.mean)]
        if before.number >= LEAST_RECORDS:
            found.append(finding("online_chance_psi", last.psi(before)))
        return found

    def _asked(self, start: int, end: int) -> _Chances:
        """Of the time from `start` until `end` days ago."""
        where = (
            "service = {model:String} AND model_version = {version:String}"
            " AND predicted_at >= now64(3) - toIntervalDay({start:UInt8})"
            " AND predicted_at < now64(3) - toIntervalDay({end:UInt8})"
        )
        return self._counted("predictions", where, self._scope | {"start": start, "end": end})

    def _counted(self, table: str, where: str, values: dict[str, Any]) -> _Chances:
        """Bins as `FeatureDistribution.counts` has them: bin i is (edges[i - 1], edges[i]]."""
        rows = self._warehouse.query(
            f"""
            SELECT arrayCount(edge -> edge < purchase_proba, {{edges:Array(Float64)}}) AS bin,
                count() AS number, sum(purchase_proba) AS total
            FROM {self._warehouse.db}.{table} FINAL WHERE {where} GROUP BY bin
            """,
            values | {"edges": self._edges},
        )
        counts = np.zeros(len(self._edges) + 1, dtype=np.int64)
        for row in rows:
            counts[row["bin"]] = row["number"]
        return _Chances(counts, sum(row["total"] for row in rows))
