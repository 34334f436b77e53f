"""The daily snapshot in the lake, read block by block: what score forecasts and monitor compares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.errors import ContractError
from anmodel.lake import Lake
from anmodel.snapshots import META, check_features

BLOCK_ROWS = 10_000


@dataclass(frozen=True)
class DailySnapshot:
    """Every user's features as of `instant`; `version` is that of the snapshot contract."""

    lake: Lake
    path: str
    instant: datetime
    version: str
    horizon_days: int
    users: int

    @classmethod
    def newest(cls, lake: Lake) -> "DailySnapshot":
        """The one that `daily_features/latest.json` names; NotReadyError before the first."""
        folder = lake.read_json("daily_features/latest.json")["path"]
        manifest: dict[str, Any] = lake.read_json(f"{folder}/manifest.json")
        return cls(
            lake,
            f"{folder}/part-0.parquet",
            datetime.fromisoformat(manifest["snapshot_time"]),
            manifest["version"],
            int(manifest["horizon_days"]),
            int(manifest["users"]),
        )

    def check(self, contract: dict[str, Any], model: str) -> None:
        """Raise ContractError unless a model of this contract can read the snapshot; names columns that differ."""
        names = [feature["name"] for feature in contract["features"]]
        with self.lake.open(self.path) as file:
            columns = pq.ParquetFile(file).schema_arrow.names
        check_features([column for column in columns if column not in META], expected=names)
        if contract["version"] != self.version:
            raise ContractError(
                f"{model} reads snapshot version {contract['version']} (horizon {contract['horizon_days']} days), "
                f"the daily snapshot has {self.version} ({self.horizon_days} days): its columns mean something else. "
                "Run `anmodel snapshot train`, `train` and `register`, or build the daily snapshot by the same code."
            )

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows in the order of the file, at most BLOCK_ROWS at once; memory stays that of one row group."""
        with self.lake.open(self.path) as file:
            yield from pq.ParquetFile(file).iter_batches(BLOCK_ROWS, columns=list(columns) if columns else None)
