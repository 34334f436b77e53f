"""What the gateway asks: forecasts, users and the services. Routes get them; the command opens them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from anmodel.gateway.agreement import Agreement
from anmodel.gateway.fresh_features import FreshFeatures
from anmodel.gateway.prediction_log import NoLog, PredictionNotes
from anmodel.gateway.selection import Run, Selection
from anmodel.gateway.services import Services


class Forecasts(Protocol):
    """Forecasts and events; see `ForecastStore`. Every method blocks."""

    def newest_run(self) -> Run: ...
    def count(self, run: Run, selection: Selection) -> int: ...
    def page(self, run: Run, selection: Selection) -> list[dict[str, Any]]: ...
    def lines(self, run: Run, selection: Selection) -> Iterator[bytes]: ...
    def user(self, run: Run, user_id: str) -> dict[str, Any] | None: ...
    def recent_events(self, user_id: str) -> list[dict[str, Any]]: ...
    def segments(self, run: Run) -> list[dict[str, Any]]: ...
    def findings(self, version: str) -> list[dict[str, Any]]: ...
    def past_runs(self, limit: int) -> list[dict[str, Any]]: ...
    def ping(self) -> None: ...


@dataclass(frozen=True)
class ListedUser:
    """A user of the users table."""

    user_id: str
    region: str | None


class UserList(Protocol):
    """The users table; see `ShopUsers`. Every method blocks."""

    def count(self, selection: Selection) -> int: ...
    def page(self, selection: Selection) -> Iterator[ListedUser]: ...
    def user(self, user_id: str) -> ListedUser | None: ...
    def ping(self) -> None: ...


@dataclass(frozen=True)
class Parts:
    """Everything a route may need."""

    services: Services
    forecasts: Forecasts
    users: UserList
    agreement: Agreement
    fresh: FreshFeatures
    log: PredictionNotes = field(default_factory=NoLog)


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


GivenParts = Annotated[Parts, Depends(_parts)]
