"""The one model of a folder, which KServe fetched before the predictor started: loaded once, never swapped."""

import threading
from pathlib import Path

import structlog

from anmodel import model_files
from anmodel.errors import AnModelError
from anmodel.model_version import LoadedModel, ModelVersion
from anmodel.predictor.source import Served, check_contract

log = structlog.get_logger()


class FolderModel:
    """Keeps `served` the folder's model, once it is loaded and fits this code.

    A model that does not is never served, and the process lives on: a pod that is not ready gets no request and holds
    a rollout up, while its log and /info say what is wrong. Another `look` tries again.
    """

    pending = "The model is being loaded."
    decided = "the folder MODEL_DIR decides which model serves; with KServe, the InferenceService's storageUri"

    def __init__(self, name: str, folder: Path, version: str) -> None:
        """`version` is what the registry calls the model; empty: the identity in its description."""
        self.served: Served | None = None
        self.error: str | None = None
        self._name = name
        self._folder = folder
        self._version = version
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load the model on a thread of its own: a large one takes seconds, and health cannot wait."""
        self._thread = threading.Thread(target=self.look, name="model-loader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait for a load under way, a few seconds at most."""
        if self._thread:
            self._thread.join(timeout=3)

    def look(self) -> None:
        """Load the model unless it is there."""
        with self._looking:
            if self.served is not None:
                return
            try:
                self.served = self._load()
                self.error = None
            except AnModelError as error:
                self._failed(str(error))
            except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
                self._failed(f"the model cannot be loaded, its files are damaged or of other code: {_kind(error)}")

    def _load(self) -> Served:
        said = model_files.describe(self._folder)
        number = self._version or said.model_id or "unknown"
        if said.contract:  # before its code is run: a model of other features may not even load
            check_contract(said.contract, number)
        model = model_files.load(said)
        contract = dict(model.contract_)
        version = ModelVersion(
            self._name, number, said.run_id, str(contract.get("version", "")), said.metrics, said.created_at, {}
        )
        served = Served.of(LoadedModel(model, contract, version, said.metrics))
        log.info("model loaded", version=number, snapshot=version.snapshot_version)
        return served

    def _failed(self, reason: str) -> None:
        """`reason` is told to whoever asks, so it holds no path or address; the log has the traceback."""
        log.exception("model not served", reason=reason, folder=str(self._folder))
        self.error = reason


def _kind(error: Exception) -> str:
    return type(error).__name__
