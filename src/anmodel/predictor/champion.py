"""The model in use: looked up in the registry every few seconds, swapped without a request noticing."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from anmodel.errors import AnModelError, ContractError, NotReadyError
from anmodel.predictor.source import Served

if TYPE_CHECKING:
    from anmodel.model_version import LoadedModel, ModelVersion

_NO_REGISTRY = "the model registry does not answer, or its champion cannot be loaded; the predictor's log says why"

log = structlog.get_logger()


class Champions(Protocol):
    """What is asked of the registry."""

    def champion(self) -> "ModelVersion | None": ...
    def load(self, version: "ModelVersion") -> "LoadedModel": ...


class ChampionWatch:
    """Keeps `served` the registry's champion.

    A champion that does not fit this code or cannot be loaded is not served: the one before stays, and `error` says
    why. A registry that does not answer takes nothing away either.
    """

    pending = "No model is registered yet: run `anmodel forecast`."
    decided = "the registry's alias `champion` decides which model serves; `anmodel register` moves it"

    def __init__(self, open_champions: Callable[[], Champions], poll_seconds: float) -> None:
        """`open_champions` is called at the first look: opening the registry takes seconds, and health cannot wait."""
        self.served: Served | None = None
        self.error: str | None = None
        self._open_champions = open_champions
        self._champions: Champions | None = None
        self._poll_seconds = poll_seconds
        self._refused: str | None = None
        self._looking = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look now and then every `poll_seconds`, on a thread of its own."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._watch, name="champion-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; waits for a look under way, a few seconds at most."""
        self._stopped.set()
        if self._thread:
            self._thread.join(timeout=3)

    def look(self) -> None:
        """One look. Raises nothing: what went wrong is in `error`. Safe to call at any time from any thread."""
        with self._looking:
            try:
                self._look()
            except (ContractError, NotReadyError) as error:
                self._failed(str(error))
            except AnModelError as error:
                self._failed(_NO_REGISTRY, str(error))
            except Exception as error:  # whatever a foreign model's files raise must not end the watch
                log.exception("champion not loaded")
                self._failed(f"the champion cannot be loaded: {type(error).__name__}", str(error))

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self._poll_seconds)

    def _look(self) -> None:
        champions = self._champions = self._champions or self._open_champions()
        version = champions.champion()
        if version is not None and version.version == self._refused:
            return
        if version is not None and (self.served is None or self.served.version != version.version):
            self._swap(champions.load(version))
        self.error = self._refused = None

    def _swap(self, loaded: "LoadedModel") -> None:
        version = loaded.version.version
        try:
            served = Served.of(loaded)
        except ContractError:
            self._refused = version
            raise
        before = self.served.version if self.served else None
        self.served = served
        log.info("champion loaded", version=version, before=before, snapshot=loaded.contract["version"])

    def _failed(self, reason: str, cause: str | None = None) -> None:
        """`reason` is told to whoever asks, so it holds no path or address; `cause` is for the log."""
        if reason != self.error:
            kept = self.served.version if self.served else None
            log.error("champion not served", reason=cause or reason, still_serving=kept)
        self.error = reason
