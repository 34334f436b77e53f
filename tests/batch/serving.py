"""Real models in a real registry, and the predictor as a process over them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from anmodel import snapshots
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from anmodel.model import ContextAwareModel
from anmodel.registry import ModelVersion, Registry
from anmodel.settings import RegistrySettings
from batch.synthetic import feature_rows
from eventually import eventually
from stages import Stage

NAME = "context_aware"
CONTRACT = snapshots.contract(7)


def make_model(seed: int) -> ContextAwareModel:
    """A model of few rows and trees."""
    features, targets = feature_rows(600, seed)
    later = feature_rows(300, seed + 100)
    return ContextAwareModel(max_trees=20, random_state=seed).fit(
        features, targets, validation=later, contract=CONTRACT
    )


class Models:
    """The versions of one named model in a folder's registry; `train` adds one made from few rows."""

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self.folder = folder
        self.variables = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "MLFLOW_ARTIFACTS": str(folder / "artifacts"),
            "MODEL_NAME": name,
        }
        settings = RegistrySettings.load(**{name.lower(): value for name, value in self.variables.items()})
        self.registry = Registry(settings)
        self.trained: dict[str, ContextAwareModel] = {}

    def train(self, seed: int, contract: dict[str, Any] = CONTRACT) -> ModelVersion:
        model = make_model(seed)
        model.contract_ = contract
        files = self.folder / "files"
        files.mkdir(exist_ok=True)
        metrics = {"roc_auc": 0.8}
        version = self.registry.log(model, contract=contract, metrics=metrics, params={}, files=files, inputs={})
        self.trained[version.version] = model
        return version


@dataclass
class Predictor:
    """The running predictor and the models it may serve."""

    stage: Stage
    models: Models

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return httpx.post(f"{self.stage.url}{path}", json=body, timeout=20, **more)

    def send(self, path: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
        return httpx.post(f"{self.stage.url}{path}", content=content, headers=headers, timeout=20)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.stage.url}{path}", timeout=20)

    def predict(self, records: list[dict[str, Any]], **more: Any) -> httpx.Response:
        return self.post(f"/v1/models/{self.models.registry.name}:predict", {"instances": records, **more})

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v1/models/{self.models.registry.name}/info").json()
        return found

    def serves(self, version: ModelVersion) -> bool:
        return bool(self.info()["version"] == version.version)


def start_predictor(models: Models, guardian: Guardian) -> Predictor:
    """One that serves the registry's champion."""
    return _start(models, guardian, {**models.variables, "CHAMPION_POLL_SECONDS": "0.2"})


def start_folder_predictor(models: Models, guardian: Guardian, folder: Path, **more: str) -> Predictor:
    """One that serves the model in `folder` and knows no registry."""
    return _start(models, guardian, {"MODEL_NAME": models.registry.name, "MODEL_DIR": str(folder), **more})


def model_folders(models: Models) -> list[Path]:
    """The folders MLflow made of the models, the oldest first."""
    found = (models.folder / "artifacts").rglob("MLmodel")
    return [file.parent for file in sorted(found, key=lambda file: file.stat().st_mtime_ns)]


def _start(models: Models, guardian: Guardian, variables: dict[str, str]) -> Predictor:
    port = free_port()
    variables = {**variables, "PREDICTOR_PORT": str(port), "LOG_FORMAT": "json"}
    stage = Stage("predictor", variables, models.folder, guardian, f"http://127.0.0.1:{port}")
    stage.start(wait=False)
    eventually(stage.answers, 90)  # KServe's imports alone take seconds, on a busy machine many
    return Predictor(stage, models)


def records_of(features: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them."""
    rows = features.astype(object).where(features.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
