"""What a served model is called in Kubernetes, and what its InferenceService says of it. Talks to nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PART_OF = "anmodel"
MODEL, VERSION = "anmodel.io/model", "anmodel.io/version"
SNAPSHOT, FILES = "anmodel.io/snapshot-version", "anmodel.io/files"
"""Annotations: which model of the registry, which version, of which snapshot version, and where its files are."""


@dataclass(frozen=True)
class ServedModel:
    """An InferenceService of ours: what it serves, whether it can answer, why not, and where inside the cluster."""

    name: str
    model: str
    version: str
    ready: bool
    reason: str
    url: str
    snapshot_version: str = ""

    @classmethod
    def of(cls, service: Mapping[str, Any]) -> "ServedModel":
        """What an InferenceService says of itself."""
        metadata, status = service["metadata"], service.get("status", {})
        notes = metadata.get("annotations", {})
        name = metadata["name"]
        ready = _condition(status, "Ready").get("status") == "True"
        return cls(
            name=name,
            model=notes.get(MODEL, name),
            version=notes.get(VERSION, ""),
            ready=ready,
            reason="" if ready else _why_not(status),
            url=status.get("address", {}).get("url") or f"http://{name}-predictor.{metadata['namespace']}.svc",
            snapshot_version=notes.get(SNAPSHOT, ""),
        )


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((each for each in status.get("conditions", []) if each["type"] == kind), {})


def _why_not(status: Mapping[str, Any]) -> str:
    """Why an InferenceService is not ready: the model's own failure, else the first condition that is not met."""
    failure = status.get("modelStatus", {}).get("lastFailureInfo", {})
    said = failure.get("message") or failure.get("reason")
    if said:
        return str(said)
    for each in status.get("conditions", []):
        if each.get("status") != "True" and (each.get("message") or each.get("reason")):
            return f"{each['type']}: {each.get('message') or each.get('reason')}"
    return "KServe has not said that it is ready yet"
