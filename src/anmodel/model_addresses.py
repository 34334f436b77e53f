"""Where the names lead by which MLflow knows a model's files. It computes; MLflow is asked through its client alone."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from anmodel.errors import RegistryError


def folder_of(client: Any, uri: str) -> str:
    """Where MLflow's client says the files are that it calls `uri`: a logged model or a run's folder."""
    kind, _, rest = uri.partition(":/")
    name, _, more = rest.partition("/")
    if kind == "runs":
        return f"{client.get_run(name).info.artifact_uri}/{more}"
    return str(client.get_logged_model(name).artifact_location) if kind == "models" else uri


def outside(uri: str, destination: str) -> str:
    """`uri` as those see it who do not ask MLflow's server for files; `destination` is where the server keeps them."""
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts":
        return absolute(uri)
    if not destination:
        raise RegistryError(
            f"The model's files are at {uri}, which MLflow's server alone can read. Set MLFLOW_ARTIFACTS_DESTINATION "
            "to what the server was given as --artifacts-destination, like s3://bucket/prefix."
        )
    return f"{absolute(destination).rstrip('/')}/{parts.path.lstrip('/')}"


def absolute(place: str) -> str:
    """A folder as an address; an address as it is."""
    return place if "://" in place or place.startswith("file:/") else Path(place).expanduser().resolve().as_uri()
