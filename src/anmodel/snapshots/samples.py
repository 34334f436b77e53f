"""Rows of a training snapshot as frames: what train fits on and register judges by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from anmodel.errors import ContractError
from anmodel.lake import Lake
from anmodel.snapshots import META, TARGETS, check_features, snapshot_version


@dataclass(frozen=True)
class Sample:
    """Features and targets of one part of a snapshot, and whose they are, row by row."""

    features: pd.DataFrame
    targets: pd.DataFrame
    users: npt.NDArray[Any]

    @property
    def bought(self) -> npt.NDArray[np.float64]:
        """1 where the user bought within the horizon, else 0."""
        return self.targets["will_purchase"].to_numpy(dtype=np.float64)


def read_manifest(lake: Lake, name: str) -> dict[str, Any]:
    """The snapshot's manifest. NotReadyError before it is built, ContractError when other code built it."""
    manifest: dict[str, Any] = lake.read_json(f"snapshots/{name}/manifest.json")
    current = snapshot_version(int(manifest["horizon_days"]))
    if manifest["version"] != current:
        raise ContractError(
            f"snapshot {name} has version {manifest['version']}, this AnModel makes {current}. "
            f"Run `anmodel snapshot train --name {name}`."
        )
    return manifest


def read_sample(lake: Lake, name: str, part: str, contract: dict[str, Any]) -> Sample:
    """The part `train`, `val` or `test` of a snapshot; ContractError when its columns are not the contract's."""
    frame = lake.read_table(f"snapshots/{name}/{part}.parquet").to_pandas(split_blocks=True, self_destruct=True)
    names = [feature["name"] for feature in contract["features"]]
    check_features([column for column in frame.columns if column not in (*META, *TARGETS)], expected=names)
    return Sample(frame[names], frame[list(TARGETS)], frame["user_id"].to_numpy())
