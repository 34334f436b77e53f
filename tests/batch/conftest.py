"""Engines of the batch tests."""

from collections.abc import Callable, Iterator

import pytest

from anmodel.laptop.guardian import Guardian
from anmodel.registry import Registry
from anmodel.settings import RegistrySettings
from clickhouse_process import ClickHouseProcess


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory, guardian: Guardian) -> Iterator[ClickHouseProcess]:
    """One real ClickHouse for the whole run; each test takes a database of its own (`clickhouse.database()`)."""
    clickhouse = ClickHouseProcess(tmp_path_factory.mktemp("clickhouse"), guardian)
    clickhouse.start()
    yield clickhouse
    clickhouse.kill()


@pytest.fixture(scope="session")
def mlflow_variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of one real MLflow for the whole run, since making one takes seconds; a model's name each."""
    folder = tmp_path_factory.mktemp("mlflow")
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "MLFLOW_ARTIFACTS": str(folder / "models")}


@pytest.fixture(scope="session")
def registry_of(mlflow_variables: dict[str, str]) -> Callable[[str], Registry]:
    """Makes the registry of a model's name, which nobody else may use."""
    given = {name.lower(): value for name, value in mlflow_variables.items()}
    return lambda name: Registry(RegistrySettings.load(**given, model_name=name))
