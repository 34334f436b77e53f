"""The models: MLflow, opened directly on a laptop (SQLite and a folder) or through its server."""

import fcntl
import json
import logging
import os
import platform
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

# Before MLflow is imported: it would look for a git program, report usage to its makers, and print addresses.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# And it would go past its own server to the S3 behind it, which need not be reachable from here.
os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import pandas as pd
import sqlalchemy.exc
from mlflow.entities.model_registry import ModelVersion as MlflowVersion
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from anmodel import model_addresses, model_files
from anmodel.errors import NotReadyError, RegistryError
from anmodel.model import ContextAwareModel
from anmodel.model_version import LoadedModel, ModelVersion
from anmodel.settings import RegistrySettings

__all__ = ["CHAMPION", "FORMER", "LoadedModel", "ModelVersion", "Registry", "code_versions"]

CHAMPION = "champion"
FORMER = "former"
"""The alias of the version that the champion replaced; a rollback goes there."""
_CODE = ("anmodel", "lightgbm", "scikit-learn", "numpy", "pandas")


class Registry:
    """Versions of one named model and which of them is in use. Every fault of MLflow's is a RegistryError."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Opens nothing yet: the first call does."""
        self.name = settings.model_name
        self._uri = settings.mlflow_tracking_uri
        self._artifacts = settings.mlflow_artifacts
        self._opened: mlflow.MlflowClient | None = None

    def log(
        self,
        model: ContextAwareModel,
        *,
        contract: Mapping[str, Any],
        metrics: Mapping[str, float],
        params: Mapping[str, Any],
        files: Path,
        inputs: Mapping[str, str],
        example: pd.DataFrame | None = None,
    ) -> ModelVersion:
        """Record a training run and register its model as the newest version; not in use until `set_champion`.

        `files` is a folder that is kept with the run, `inputs` (what it was trained from) become tags of the version,
        and `example` a few rows of features for the signature. Every call makes a new version.
        """
        with self._speaking() as client:
            with mlflow.start_run(experiment_id=self._experiment(client), run_name=f"{self.name} train") as run:
                mlflow.log_params(dict(params))
                mlflow.log_metrics({name: float(value) for name, value in metrics.items()})
                mlflow.log_artifacts(str(files))
                mlflow.log_dict(dict(contract), "contract.json")
                logged = _log_model(model, example, model_files.metadata(contract, metrics))
                tags = {
                    **inputs,
                    "snapshot_version": str(contract.get("version", "")),
                    "contract": json.dumps(contract),
                    **{f"code.{name}": number for name, number in code_versions().items()},
                }
                mlflow.set_tags({name: value for name, value in tags.items() if name != "contract"})
            _ensure_registered(client, self.name)
            made = client.create_model_version(
                self.name, logged.model_uri, run_id=run.info.run_id, tags=tags, model_id=logged.model_id
            )
            return self._version(client, made)

    def versions(self) -> list[ModelVersion]:
        """All versions, the newest first; [] when nothing was registered."""
        with self._speaking() as client:
            found = client.search_model_versions(f"name='{self.name}'")
            return [self._version(client, item) for item in sorted(found, key=lambda item: -int(item.version))]

    def newest(self) -> ModelVersion | None:
        """The version trained last."""
        with self._speaking() as client:
            found = client.search_model_versions(f"name='{self.name}'")
            newest = max(found, key=lambda item: int(item.version), default=None)
            return None if newest is None else self._version(client, newest)

    def version(self, number: str) -> ModelVersion:
        """The version of this number; NotReadyError when there is none."""
        with self._speaking() as client:
            found = _unless_absent(client.get_model_version, self.name, number)
            if found is None:
                raise NotReadyError(
                    f"Model {self.name} has no version {number}. `anmodel register --list` shows those there are."
                )
            return self._version(client, found)

    def champion(self) -> ModelVersion | None:
        """The version in use; None before the first. Cheap enough to ask every few seconds."""
        return self._alias(CHAMPION)

    def former_champion(self) -> ModelVersion | None:
        """The version that the champion replaced; None when there was none."""
        return self._alias(FORMER)

    def challenger(self) -> ModelVersion | None:
        """The newest version, if it was trained after the champion; None when there is nothing to judge."""
        champion, newest = self.champion(), self.newest()
        if newest is None or (champion is not None and int(newest.version) <= int(champion.version)):
            return None
        return newest

    def set_champion(self, version: ModelVersion, *, reason: str = "") -> None:
        """Put `version` in use and remember the one before. Doing it again changes nothing."""
        with self._speaking() as client:
            before = self._alias(CHAMPION)
            if before is not None and before.version == version.version:
                return
            if before is not None:  # first: cut short between the two, the next try still knows where to go back to
                client.set_registered_model_alias(self.name, FORMER, before.version)
            client.set_registered_model_alias(self.name, CHAMPION, version.version)
        self.note(version, decision="champion", reason=reason)

    def note(self, version: ModelVersion, **tags: str) -> None:
        """Set tags on a version; the same again changes nothing."""
        with self._speaking() as client:
            for key, value in tags.items():
                client.set_model_version_tag(self.name, version.version, key, value)

    def load(self, version: ModelVersion) -> LoadedModel:
        """Bring a version's model into memory. RegistryError when its files are gone or need code that is not here."""
        with self._speaking():
            try:
                model = mlflow.sklearn.load_model(f"models:/{version.name}/{version.version}")
            except sqlalchemy.exc.SQLAlchemyError:
                raise
            except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
                raise RegistryError(
                    f"Version {version.version} of {version.name} cannot be loaded, its files are gone, damaged or of "
                    f"other code: {type(error).__name__}: {error}. `anmodel register --rollback` goes back to the "
                    "version before; `anmodel train --force` makes a new one."
                ) from error
        return LoadedModel(model, dict(model.contract_), version, version.metrics)

    def file(self, version: ModelVersion, name: str) -> str:
        """The text of a file that was kept with the version's training. NotReadyError when it was made without one."""
        with self._speaking() as client, tempfile.TemporaryDirectory() as folder:
            if name not in {item.path for item in client.list_artifacts(version.run_id)}:
                raise NotReadyError(
                    f"Version {version.version} of {version.name} has no {name}: older code made it. "
                    "`anmodel train --force` makes a new one."
                )
            return Path(client.download_artifacts(version.run_id, name, folder)).read_text()

    def download_uri(self, version: ModelVersion, artifacts_destination: str = "") -> str:
        """Address of the folder that holds the version's file MLmodel, for those who fetch it without MLflow.

        A server that keeps the files itself calls them mlflow-artifacts:/…; `artifacts_destination` is where that is.
        RegistryError without it, or when MLflow does not know the version's files.
        """
        with self._speaking() as client:
            named = client.get_model_version_download_uri(version.name, version.version)
            return model_addresses.outside(model_addresses.folder_of(client, named), artifacts_destination)

    def _alias(self, alias: str) -> ModelVersion | None:
        with self._speaking() as client:
            found = _unless_absent(client.get_model_version_by_alias, self.name, alias)
            return None if found is None else self._version(client, found)

    def _version(self, client: mlflow.MlflowClient, item: MlflowVersion) -> ModelVersion:
        tags = dict(item.tags)
        metrics = dict(client.get_run(str(item.run_id)).data.metrics)
        created = datetime.fromtimestamp(item.creation_timestamp / 1000, UTC)
        return ModelVersion(
            item.name, str(item.version), str(item.run_id), tags.get("snapshot_version", ""), metrics, created, tags
        )

    def _experiment(self, client: mlflow.MlflowClient) -> str:
        found = client.get_experiment_by_name(self.name)
        if found is not None:
            return str(found.experiment_id)
        kept = model_addresses.absolute(self._artifacts) if self._artifacts else None  # None: the server's choice
        return str(client.create_experiment(self.name, artifact_location=kept))

    @contextmanager
    def _speaking(self) -> Iterator[mlflow.MlflowClient]:
        """MLflow's client, its faults turned into ours."""
        try:
            # MLflow's address is the process's: another Registry may have spoken to another since.
            mlflow.set_tracking_uri(self._uri)
            mlflow.set_registry_uri(self._uri)
            if self._opened is None:
                _quiet()
                self._opened = _opened(self._uri)
            yield self._opened
        except (MlflowException, sqlalchemy.exc.SQLAlchemyError) as error:
            text = str(error).strip().splitlines()
            raise RegistryError(
                f"MLflow at {self._uri} refused: {text[0] if text else type(error).__name__}"
            ) from error


def _opened(uri: str) -> mlflow.MlflowClient:
    """A client. Making one makes a SQLite file's tables, and two processes at it would break each other's."""
    file = uri.removeprefix("sqlite:///")
    if file == uri:
        return mlflow.MlflowClient(uri, uri)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{file}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return mlflow.MlflowClient(uri, uri)


def code_versions() -> dict[str, str]:
    """What a model was made with."""
    return {"python": platform.python_version(), **{name: installed(name) for name in _CODE}}


def _log_model(model: ContextAwareModel, example: pd.DataFrame | None, metadata: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*integer column.*")  # will_purchase_pred is never missing
        signature = None if example is None else infer_signature(example, model.predict(example))
    return mlflow.sklearn.log_model(
        model,
        name="model",
        signature=signature,
        input_example=example,
        metadata=metadata,
        # The default, skops, refuses LightGBM's types; the package itself must be there to load it either way.
        serialization_format="cloudpickle",
        # Named, so that MLflow does not start a process that guesses them.
        pip_requirements=[f"{name}=={number}" for name, number in code_versions().items() if name != "python"],
    )


def _ensure_registered(client: mlflow.MlflowClient, name: str) -> None:
    if _unless_absent(client.get_registered_model, name) is None:
        client.create_registered_model(name)


def _unless_absent(ask: Any, *given: Any) -> Any:
    """The answer, or None when MLflow says that there is no such thing."""
    try:
        return ask(*given)
    except MlflowException as error:
        absent = error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)
        if absent or "not found" in str(error).lower():
            return None
        raise


def _quiet() -> None:
    """MLflow's and Alembic's lines about their own work say nothing to our users."""
    for name in ("mlflow", "alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.ERROR)
