"""Rows of a training snapshot as frames: what train fits on and register judges by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from anmodel.errors import ContractError, LakeError
from anmodel.lake import Lake, Written
from anmodel.snapshots import META, TARGETS, check_features, snapshot_version
from anmodel.snapshots.lateness import late_events


@dataclass(frozen=True)
class Sample:
    """Features and targets of one part of a snapshot, whose they are, as of when and from which region, row by row."""

    features: pd.DataFrame
    targets: pd.DataFrame
    users: npt.NDArray[Any]
    instants: npt.NDArray[np.datetime64]
    regions: npt.NDArray[Any]

    @property
    def bought(self) -> npt.NDArray[np.float64]:
        """1 where the user bought within the horizon, else 0."""
        return self.targets["will_purchase"].to_numpy(dtype=np.float64)


_NEEDED = {"name", "version", "horizon_days", "contract", "created_from", "split", "instants", "rows", "files"}


def _command(name: str) -> str:
    return f"`anmodel snapshot train --name {name}`"


def read_manifest(lake: Lake, name: str) -> dict[str, Any]:
    """The snapshot's manifest. NotReadyError before it is built, ContractError when other code built it."""
    path = f"snapshots/{name}/manifest.json"
    manifest: dict[str, Any] = lake.read_json(path, dict[str, Any])
    if lacking := _NEEDED - manifest.keys():
        raise LakeError(f"{lake.path(path)} lacks {', '.join(sorted(lacking))}. Run {_command(name)}.")
    current = snapshot_version(int(manifest["horizon_days"]))
    if manifest["version"] != current:
        raise ContractError(
            f"snapshot {name} has version {manifest['version']}, this AnModel makes {current}. Run {_command(name)}."
        )
    return manifest


def read_sample(lake: Lake, manifest: dict[str, Any], part: str) -> Sample:
    """The part `train`, `val` or `test` of the snapshot that `read_manifest` found.

    LakeError when the file is not the manifest's, ContractError when its columns are not the contract's.
    """
    written = msgspec.convert(manifest["files"][part], Written)
    path = written.path(f"snapshots/{manifest['name']}", part)
    lake.verify(path, written, _command(manifest["name"]))
    frame = lake.read_table(path).to_pandas(split_blocks=True, self_destruct=True)
    names = [feature["name"] for feature in manifest["contract"]["features"]]
    check_features([column for column in frame.columns if column not in (*META, *TARGETS)], expected=names)
    instants = frame["snapshot_time"].to_numpy(dtype="datetime64[ms]")
    users, regions = frame["user_id"].to_numpy(), frame["region"].to_numpy()
    return Sample(frame[names], frame[list(TARGETS)], users, instants, regions)


def late_events_of(lake: Lake, manifest: dict[str, Any]) -> list[str]:
    """What to say if events have come since that belong into the snapshot; nothing if all are in it."""
    if "past_events" not in manifest:
        return []
    instant = datetime.fromisoformat(manifest["watermark"])
    late = late_events(lake, instant, manifest["past_events"], _command(manifest["name"]))
    return [late] if late else []
