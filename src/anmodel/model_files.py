"""The folder MLflow makes of a model: what we write into its description, and a model read without MLflow.

Importing MLflow takes seconds and tens of megabytes, and nothing of it is needed to read one YAML file and one pickle.
"""

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from anmodel.errors import InputError, NotReadyError
from anmodel.model import ContextAwareModel

_OURS = "anmodel"
_PICKLES = ("cloudpickle", "pickle")


@dataclass(frozen=True)
class Description:
    """What a folder's file MLmodel says of the model beside it."""

    model_id: str
    run_id: str
    created_at: datetime
    snapshot_version: str
    contract: dict[str, Any]
    metrics: dict[str, float]
    pickle: Path


def metadata(contract: Mapping[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
    """What to give MLflow as a model's metadata, so that its folder describes itself wherever it is copied."""
    return {
        _OURS: {
            "contract": dict(contract),
            "metrics": {name: float(value) for name, value in metrics.items() if math.isfinite(value)},
            "snapshot_version": str(contract.get("version", "")),
        }
    }


def describe(folder: Path) -> Description:
    """The description in `folder`. NotReadyError when there is none, InputError when it is not one of ours."""
    try:
        text = (folder / "MLmodel").read_text()
    except FileNotFoundError as error:
        raise NotReadyError(
            "the model's folder holds no file MLmodel; give the folder that MLflow made of the model"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the model's file MLmodel cannot be read: {type(error).__name__}") from error
    try:
        return _description(folder, yaml.safe_load(text))
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the model's file MLmodel is none of `anmodel train`: {type(error).__name__}; train again with this code"
        ) from error


def load(description: Description) -> ContextAwareModel:
    """The model itself. Its pickle runs code: the folder must be one that only `train` can write to."""
    with description.pickle.open("rb") as file:
        model = pickle.load(file)  # noqa: S301
    if not isinstance(model, ContextAwareModel):
        raise InputError(f"the model's file holds a {type(model).__name__}; a ContextAwareModel is needed")
    return model


def _description(folder: Path, said: dict[str, Any]) -> Description:
    flavor = said["flavors"]["sklearn"]
    if flavor["serialization_format"] not in _PICKLES:
        raise ValueError(flavor["serialization_format"])
    ours = (said.get("metadata") or {}).get(_OURS) or {}
    return Description(
        model_id=str(said.get("model_id") or ""),
        run_id=str(said.get("run_id") or ""),
        created_at=datetime.fromisoformat(said["utc_time_created"]).replace(tzinfo=UTC),
        snapshot_version=str(ours.get("snapshot_version", "")),
        contract=dict(ours.get("contract") or {}),
        metrics={str(name): float(value) for name, value in (ours.get("metrics") or {}).items()},
        pickle=folder / flavor["pickled_model"],
    )
