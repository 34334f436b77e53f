"""Engines of the batch tests."""

from collections.abc import Callable, Iterator

import pytest
import structlog

from anmodel.registry import Registry
from anmodel.settings import RegistrySettings


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


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command run in a test sends log lines to that test's stderr, which is closed afterwards."""
    yield
    structlog.reset_defaults()
