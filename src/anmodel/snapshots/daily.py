"""The daily snapshots in the lake, read block by block: what score forecasts and monitor compares.

`daily_features/latest/<instant>.json` are copies of manifests; the one of the latest instant is that of the newest
snapshot. Several files instead of one, so that of writers at once none can set the newest back.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.errors import ContractError, NotReadyError
from anmodel.lake import Lake, OneFile, Written
from anmodel.lake.reading import decoded
from anmodel.snapshots import META, check_features, milliseconds
from anmodel.snapshots.lateness import late_events

DAILY = "daily_features"
BLOCK_ROWS = 10_000
_LATEST = f"{DAILY}/latest"
_TRIES = 3
_AGAIN = "`anmodel snapshot daily`"


class _Manifest(msgspec.Struct):
    """What is needed of a daily snapshot's manifest."""

    snapshot_time: datetime
    version: str
    horizon_days: int
    users: int
    folder: str
    files: OneFile
    past_events: str = ""


@dataclass(frozen=True)
class DailySnapshot:
    """Every user's features as of `instant`; `version` is that of the snapshot contract.

    Its file stays for a day after another took its place.
    """

    lake: Lake
    path: str
    instant: datetime
    version: str
    horizon_days: int
    users: int
    file: Written
    past_events: str = ""

    @classmethod
    def newest(cls, lake: Lake) -> "DailySnapshot":
        """The one of the latest instant; NotReadyError before the first."""
        for _ in range(_TRIES):
            if not (known := pointers(lake)):
                break
            if raw := lake.read_many([known[-1]]):
                return cls._of(lake, decoded(lake.path(known[-1]), raw[known[-1]], _Manifest))
        raise NotReadyError(f"{lake.path(DAILY)} holds no daily snapshot yet. Run {_AGAIN}")

    @classmethod
    def of_day(cls, lake: Lake, day: date) -> "DailySnapshot":
        """The one of a UTC day; NotReadyError when it was not built."""
        path = f"{day_folder(day)}/manifest.json"
        if not lake.exists(path):
            raise NotReadyError(f"{lake.path(path)} is not there yet. Run `anmodel snapshot daily --as-of …`")
        return cls._of(lake, lake.read_json(path, _Manifest))

    @classmethod
    def _of(cls, lake: Lake, found: _Manifest) -> "DailySnapshot":
        path = found.files.part.path(found.folder, "part")
        file = found.files.part
        return cls(
            lake,
            path,
            found.snapshot_time,
            found.version,
            found.horizon_days,
            found.users,
            file,
            found.past_events,
        )

    def check(self, contract: dict[str, Any], model: str) -> None:
        """Raise ContractError unless a model of this contract can read the snapshot; names columns that differ.

        LakeError when the file is not the one that its manifest describes.
        """
        self.lake.verify(self.path, self.file, _AGAIN)
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

    def late_events(self) -> str | None:
        """What to say if events have come since that belong into it; None if all are in it."""
        again = f"`anmodel snapshot daily --as-of {self.instant.isoformat()}`"
        return late_events(self.lake, self.instant, self.past_events, again)

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows in the order of the file, at most BLOCK_ROWS at once; memory stays that of one row group."""
        with self.lake.open(self.path) as file:
            yield from pq.ParquetFile(file).iter_batches(BLOCK_ROWS, columns=list(columns) if columns else None)


def day_folder(day: date) -> str:
    """The folder of one UTC day's snapshot."""
    return f"{DAILY}/snapshot_date={day.isoformat()}"


def pointers(lake: Lake) -> list[str]:
    """The copies of manifests among which the newest snapshot's is the last."""
    return sorted(lake.found(_LATEST))


def point(lake: Lake, manifest: Mapping[str, Any], instant: datetime, *, instead_of: Collection[str] | None) -> None:
    """Let this snapshot be the newest: instead of the pointers given, or by None only if none is of a later instant."""
    mine = f"{_LATEST}/{instant.astimezone(UTC):%Y-%m-%dT%H%M%S}.{milliseconds(instant) % 1000:03}Z.json"
    replaced = pointers(lake) if instead_of is None else instead_of
    if instead_of is None and any(path > mine for path in replaced):
        return
    lake.write_json(mine, manifest)
    for path in replaced:
        if path != mine:
            lake.delete(path)
