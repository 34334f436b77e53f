"""Where the model that answers comes from: what every source gives, and when a model may answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from anmodel import snapshots
from anmodel.errors import ContractError
from anmodel.predictor.records import Columns, frame_of_records

if TYPE_CHECKING:
    from anmodel.model_version import LoadedModel


@dataclass(frozen=True)
class Served:
    """A model that answers. A request takes one of these and keeps it to its end, whatever is swapped meanwhile."""

    loaded: "LoadedModel"
    columns: Columns

    @classmethod
    def of(cls, loaded: "LoadedModel") -> "Served":
        """A loaded model once it has answered; ContractError when it was made for other features."""
        check_contract(loaded.contract, loaded.version.version)
        served = cls(loaded, Columns.of(loaded.contract))
        loaded.model.set_params(n_jobs=1)  # requests run side by side: each takes one core
        loaded.model.forecast(frame_of_records([dict.fromkeys(served.columns.names)], served.columns))
        return served

    @property
    def version(self) -> str:
        return self.loaded.version.version


class Source(Protocol):
    """Gives `served`, the model in use, None until there is one; `error` says why there is none, or no newer one."""

    served: Served | None
    error: str | None
    pending: str
    """What a request is told while there is neither model nor error."""
    decided: str
    """Who decides which model serves, told to whoever wants to take it away."""

    def start(self) -> None:
        """Begin, on a thread of its own."""

    def stop(self) -> None:
        """Begin nothing more; waits for what is under way, a few seconds at most."""

    def look(self) -> None:
        """Look for the model now. Raises nothing: what went wrong is in `error`. Safe at any time from any thread."""


def check_contract(contract: Mapping[str, Any], version: str) -> None:
    """ContractError, naming the columns that differ, unless a model's contract is what this code's snapshots hold."""
    if not contract.get("features"):
        raise ContractError(
            f"model version {version} carries no contract of its features. Train it with `anmodel train`"
        )
    here = snapshots.contract(contract["horizon_days"])
    if contract["version"] == here["version"]:
        return
    theirs = {feature["name"]: feature["kind"] for feature in contract["features"]}
    ours = {feature["name"]: feature["kind"] for feature in here["features"]}
    differences = (
        ("only in the model", [name for name in theirs if name not in ours]),
        ("only in this code", [name for name in ours if name not in theirs]),
        ("of another kind", [name for name in theirs if name in ours and theirs[name] != ours[name]]),
    )
    named = "; ".join(f"{words}: {', '.join(names)}" for words, names in differences if names)
    raise ContractError(
        f"model version {version} reads snapshot {contract['version']}, this code makes {here['version']}: "
        f"{named or 'the same columns, computed differently'}. Train again with this code: `anmodel forecast`"
    )
