"""The services that the gateway offers: which there are, how each is, and the predictor to ask for it."""

from typing import Any, Protocol

from anmodel.errors import AnModelError
from anmodel.gateway.answers import ServiceDetail
from anmodel.gateway.predictor_client import PredictorClient
from anmodel.gateway.problems import NotFound

NO_MODEL = "no model is registered yet: run `anmodel forecast`"


class Services(Protocol):
    """The served models. Nothing here blocks."""

    main: str
    """The service that is meant when a request names none; always among the names."""

    def names(self) -> list[str]:
        """All services, the main one first."""

    def reason(self) -> str | None:
        """Why the list may be out of date; None when it is not."""

    def client(self, name: str) -> PredictorClient:
        """Whom to ask for a service. NotFound when there is none of that name, NotReadyError when it is not up yet."""

    async def detail(self, name: str) -> ServiceDetail:
        """How a service is. What keeps it from answering is told in the detail, not raised."""

    def refresh(self) -> None:
        """Something has changed: look anew, soon. Any thread may say so."""


class OnePredictor:
    """One service, by a predictor whose address is known."""

    def __init__(self, main: str, predictor: PredictorClient) -> None:
        self.main = main
        self._predictor = predictor

    def names(self) -> list[str]:
        return [self.main]

    def reason(self) -> str | None:
        return None

    def client(self, name: str) -> PredictorClient:
        if name != self.main:
            raise no_service(name, self.names())
        return self._predictor

    async def detail(self, name: str) -> ServiceDetail:
        try:
            return detail_of(await self.client(name).info())
        except AnModelError as error:
            return detail_of({"status": "error", "error": str(error)})

    def refresh(self) -> None:
        """Nothing is kept: the predictor is asked each time."""


def no_service(name: str, names: list[str]) -> NotFound:
    """The refusal of a name that is no service's."""
    return NotFound(f"there is no service {name!r}; there is: {', '.join(names)}")


def detail_of(info: dict[str, Any]) -> ServiceDetail:
    """A predictor's own description, in the form of /services."""
    return ServiceDetail(
        status=info["status"],
        version=info.get("version"),
        snapshot_version=info.get("snapshot_version"),
        model_path=None,
        error=info.get("error"),
    )
