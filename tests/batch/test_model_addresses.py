"""Where a version's files are, for those who fetch them without MLflow: against its real server, which keeps them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import mlflow
import pytest

from anmodel import model_addresses, model_files
from anmodel.errors import RegistryError
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from anmodel.registry import ModelVersion, Registry
from anmodel.settings import RegistrySettings
from batch.serving import CONTRACT, NAME, Models, make_model
from eventually import eventually
from guarded import GuardedProcess


class MlflowServer(GuardedProcess):
    """MLflow's server over SQLite, which takes and gives the files that it keeps in the folder `kept`."""

    def __init__(self, folder: Path, guardian: Guardian) -> None:
        super().__init__(guardian)
        self.kept = folder / "kept"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder

    def start(self) -> "MlflowServer":
        where = [
            "--backend-store-uri",
            f"sqlite:///{self._folder}/server.db",
            "--artifacts-destination",
            str(self.kept),
        ]
        listening = ["--serve-artifacts", "--workers", "1", "--port", str(urlsplit(self.url).port)]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        log = self._folder / "server.log"
        self.spawn([sys.executable, "-m", "mlflow", "server", *where, *listening], log, {**os.environ, **quiet})
        eventually(lambda: httpx.get(f"{self.url}/health").is_success, 90)
        return self


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, guardian: Guardian) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path_factory.mktemp("mlflow-server"), guardian).start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def registry(server: MlflowServer) -> Registry:
    return Registry(RegistrySettings.load(mlflow_tracking_uri=server.url, model_name=NAME))


@pytest.fixture(scope="module")
def version(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    files = tmp_path_factory.mktemp("files")
    metrics = {"roc_auc": 0.8, "mae_days": float("nan")}
    return registry.log(make_model(1), contract=CONTRACT, metrics=metrics, params={}, files=files, inputs={})


def folder_at(address: str) -> Path:
    """A file:// address as a folder."""
    assert address.startswith("file:///")
    return Path(unquote(urlsplit(address).path))


def test_files_that_the_server_keeps_are_found_where_it_keeps_them(
    registry: Registry, version: ModelVersion, server: MlflowServer
) -> None:
    for destination in (str(server.kept), f"{server.kept.as_uri()}/"):
        folder = folder_at(registry.download_uri(version, destination))
        said = model_files.describe(folder)
        assert (said.contract, said.metrics, said.run_id) == (CONTRACT, {"roc_auc": 0.8}, version.run_id)
        assert model_files.load(said).contract_ == CONTRACT
    in_bucket = registry.download_uri(version, "s3://mlflow/artifacts")
    assert in_bucket == f"s3://mlflow/artifacts/{folder.relative_to(server.kept)}"


def test_without_the_servers_destination_it_is_said_what_to_set(registry: Registry, version: ModelVersion) -> None:
    with pytest.raises(RegistryError, match=r"mlflow-artifacts:/.* Set MLFLOW_ARTIFACTS_DESTINATION to"):
        registry.download_uri(version)


def test_a_version_made_of_another_one_or_of_a_runs_folder_has_an_address_too(
    registry: Registry, version: ModelVersion, server: MlflowServer, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient(server.url, server.url)
    (tmp_path / "MLmodel").write_text("{}")
    client.log_artifacts(version.run_id, str(tmp_path), "by hand")
    client.create_registered_model("others")
    copied = client.copy_model_version(f"models:/{version.name}/{version.version}", "others")
    by_hand = client.create_model_version("others", f"runs:/{version.run_id}/by hand", version.run_id)
    others = Registry(RegistrySettings.load(mlflow_tracking_uri=server.url, model_name="others"))
    kept = str(server.kept)
    assert others.download_uri(others.version(copied.version), kept) == registry.download_uri(version, kept)
    assert (folder_at(others.download_uri(others.version(by_hand.version), kept)) / "MLmodel").read_text() == "{}"
    found = model_addresses.folder_of(client, f"runs:/{version.run_id}/by hand")
    assert (folder_at(model_addresses.outside(found, kept)) / "MLmodel").read_text() == "{}"


def test_a_registry_of_a_folder_names_the_folder_whatever_a_server_would_keep(tmp_path: Path) -> None:
    models = Models(tmp_path)
    version = models.train(1)
    for destination in ("", "s3://mlflow/artifacts"):
        folder = folder_at(models.registry.download_uri(version, destination))
        said = model_files.describe(folder)
        assert said.run_id == version.run_id
    client = mlflow.MlflowClient(models.variables["MLFLOW_TRACKING_URI"], models.variables["MLFLOW_TRACKING_URI"])
    assert model_addresses.folder_of(client, f"models:/{said.model_id}") == folder.as_uri()


def test_files_of_a_version_that_is_not_there_have_no_address(registry: Registry, version: ModelVersion) -> None:
    gone = ModelVersion(version.name, "99", "", "", {}, version.created_at, {})
    with pytest.raises(RegistryError, match="version=99"):
        registry.download_uri(gone, "s3://mlflow/artifacts")
