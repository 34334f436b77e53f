"""The daily snapshot in the lake, read block by block: what score forecasts and monitor compares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.errors import ContractError
from anmodel.lake import Lake, Written
from anmodel.snapshots import META, check_features

BLOCK_ROWS = 10_000


class _Latest(msgspec.Struct):
    """What is needed of latest.json."""

    path: str


class _Manifest(msgspec.Struct):
    """What is needed of a daily snapshot's manifest."""

    snapshot_time: datetime
    version: str
    horizon_days: int
    users: int
    file: Written


@dataclass(frozen=True)
class DailySnapshot:
    """Every user's features as of `instant`; `version` is that of the snapshot contract."""

    lake: Lake
    path: str
    instant: datetime
    version: str
    horizon_days: int
    users: int
    file: Written

    @classmethod
    def newest(cls, lake: Lake) -> "DailySnapshot":
        """The one that `daily_features/latest.json` names; NotReadyError before the first."""
        folder = lake.read_json("daily_features/latest.json", _Latest).path
        found: _Manifest = lake.read_json(f"{folder}/manifest.json", _Manifest)
        path = f"{folder}/part-0.parquet"
        return cls(lake, path, found.snapshot_time, found.version, found.horizon_days, found.users, found.file)

    def check(self, contract: dict[str, Any], model: str) -> None:
        """Raise ContractError unless a model of this contract can read the snapshot; names columns that differ.

        LakeError when the file is not the one that its manifest describes, left by a run that was cut short, say.
        """
        self.lake.verify(self.path, self.file, "`anmodel snapshot daily`")
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
