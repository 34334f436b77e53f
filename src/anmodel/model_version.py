"""One trained model: what is known of it, and it in memory. Whoever serves a model needs these, not the registry."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anmodel.model import ContextAwareModel


@dataclass(frozen=True)
class ModelVersion:
    """One trained model of the registry. `tags` say how it came about and what was decided about it."""

    name: str
    version: str
    run_id: str
    snapshot_version: str
    metrics: dict[str, float]
    created_at: datetime
    tags: dict[str, str]

    @property
    def contract(self) -> dict[str, Any]:
        """The snapshot's contract that the model was trained for; {} when none was logged."""
        contract: dict[str, Any] = json.loads(self.tags.get("contract", "{}"))
        return contract


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to predict, with the contract it was trained for."""

    model: "ContextAwareModel"
    contract: dict[str, Any]
    version: ModelVersion
    metrics: dict[str, float]
