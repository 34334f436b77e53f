"""The services of a cluster: KServe's InferenceServices, looked up on a thread of their own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import structlog

from anmodel.cluster import Cluster
from anmodel.errors import AnModelError, NotReadyError, UnavailableError
from anmodel.gateway.answers import ServiceDetail
from anmodel.gateway.predictor_client import PredictorClient
from anmodel.gateway.services import detail_of, no_service
from anmodel.served_model import ServedModel
from anmodel.settings import GatewaySettings

_UNKNOWN = "the InferenceServices have not been read yet"
_UNREADABLE = "the InferenceServices cannot be read from the Kubernetes API now"
_NO_SERVICE = "no model is served yet: run the DAG train_model, or `anmodel train` and `anmodel register`"

_FIRST_SECONDS = 3.0

log = structlog.get_logger()

Look = Callable[[], list[ServedModel]]


class ClusterLook:
    """Reads the InferenceServices of a namespace. Connects at the first look; raises `ClusterError`."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._cluster: Cluster | None = None

    def __call__(self) -> list[ServedModel]:
        if self._cluster is None:
            self._cluster = Cluster.connect(self._namespace)
        return self._cluster.services()


class KServeServices:
    """One service a model that an InferenceService of ours serves.

    Looked up every SERVICES_POLL_SECONDS and when told to refresh. While the API server does not answer, what was there
    at last stays: predictors answer without it. The main service is listed before it is there, so that it is seen what
    is missing. Where PREDICTOR_ROUTE_HOST is set, its requests go to the Gateway at PREDICTOR_URL, which splits them
    between champion and canary; all others go to the InferenceService's own address.
    """

    def __init__(self, settings: GatewaySettings, http: httpx.AsyncClient, look: Look) -> None:
        self.main = settings.model_name
        self._settings = settings
        self._http = http
        self._look = look
        self._served: dict[str, ServedModel] = {}
        self._fault = _UNKNOWN
        self._changed = threading.Event()
        self._looked = threading.Event()
        self._ending = False

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look, now and again, for the time of a `with`; its start waits a little for the first look."""
        thread = threading.Thread(target=self._keep_looking, name="services", daemon=True)
        thread.start()
        self._looked.wait(_FIRST_SECONDS)
        try:
            yield
        finally:
            self._ending = True
            self._changed.set()  # a look under way is not waited for: it ends with the process

    def names(self) -> list[str]:
        return [self.main, *sorted(set(self._served) - {self.main})]

    def reason(self) -> str | None:
        return self._fault or None

    def client(self, name: str) -> PredictorClient:
        served = self._served.get(name)
        if name == self.main:
            if served is None and not self._fault:
                raise NotReadyError(_NO_SERVICE)
            if host := self._settings.predictor_route_host:
                return PredictorClient(self._http, name, url=self._settings.predictor_url, host=host)
            if served is None:
                raise UnavailableError(self._fault)
        if served is None:
            raise no_service(name, self.names())
        return PredictorClient(self._http, name, url=served.url)

    async def detail(self, name: str) -> ServiceDetail:
        """What the predictor says, the InferenceService's version before that of a canary which may have answered.

        Without an answer: pending, as long as KServe does not say that it is ready.
        """
        served = self._served.get(name)
        try:
            found = detail_of(await self.client(name).info())
        except AnModelError as error:
            starting = isinstance(error, NotReadyError) or (served is not None and not served.ready)
            found = detail_of({"status": "pending" if starting else "error", "error": str(error)})
        if served is None:
            return found
        return found.model_copy(
            update={
                "version": served.version or found.version,
                "snapshot_version": served.snapshot_version or found.snapshot_version,
                "error": served.reason or found.error,  # KServe's reason is the cause of what the client saw
            }
        )

    def refresh(self) -> None:
        self._changed.set()

    def _keep_looking(self) -> None:
        while not self._ending:
            self._changed.clear()
            self.look()
            self._looked.set()
            self._changed.wait(self._settings.services_poll_seconds)

    def look(self) -> None:
        """Look once; what was there stays when that fails."""
        try:
            served = {one.model: one for one in self._look()}
        except Exception as error:  # a thread that ended would leave the list as it is for good
            if self._fault in ("", _UNKNOWN):
                log.warning("InferenceServices not read", error=str(error), kind=type(error).__name__)
            self._fault = _UNREADABLE
            return
        if sorted(served) != sorted(self._served) or self._fault:
            log.info("services", names=sorted(served))
        self._served, self._fault = served, ""
