"""The cluster's registry as this machine reaches it, and versions made out of one that learnt from real rows."""

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from anmodel.model import ContextAwareModel
from anmodel.registry import ModelVersion, Registry
from anmodel.settings import RegistrySettings
from cluster import Cluster

MODEL = "context_aware"


class Versions:
    """Adds versions beside those that the DAGs train."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry = registry
        self._folder = folder
        (folder / "note.txt").write_text("made by a test")

    @classmethod
    @contextmanager
    def of(cls, cluster: Cluster, folder: Path) -> Iterator["Versions"]:
        """For the time of a `with`."""
        with cluster.forwarded("service/mlflow", 5000) as port:
            uri = f"http://127.0.0.1:{port}"
            yield cls(Registry(RegistrySettings.load(mlflow_tracking_uri=uri, model_name=MODEL)), folder)

    def in_use(self) -> str:
        """The champion's number; empty without one."""
        champion = self.registry.champion()
        return champion.version if champion else ""

    def add(self, like: str, kind: type[ContextAwareModel]) -> ModelVersion:
        """A newest version that is `like` another, but of this class."""
        former = self.registry.version(like)
        loaded = self.registry.load(former)
        model = copy.copy(loaded.model)
        model.__class__ = kind
        inputs = {
            name: value
            for name, value in former.tags.items()
            if name not in ("contract", "snapshot_version", "decision", "reason") and not name.startswith("code.")
        }
        return self.registry.log(
            model, contract=loaded.contract, metrics=former.metrics, params={}, files=self._folder, inputs=inputs
        )


def weak() -> type[ContextAwareModel]:
    """Knows nothing of who is more likely; serves as it should."""

    class Weak(ContextAwareModel):
        def forecast(self, features: Any, chances: Any = None) -> Any:
            return ContextAwareModel.forecast(self, features, self.chances(features))

        def chances(self, features: Any) -> Any:
            return np.full(len(features), 0.5)

    return Weak


def unloadable() -> type[ContextAwareModel]:
    """Good wherever it is judged; its files mean nothing where a predictor serves a folder."""

    class Unloadable(ContextAwareModel):
        def __setstate__(self, state: Mapping[str, Any]) -> None:
            if os.environ.get("MODEL_DIR"):
                raise ValueError("these bytes mean nothing here")
            self.__dict__.update(state)

    return Unloadable
