"""Users with their forecasts; without forecasts the users themselves, and why."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from anmodel.errors import NotReadyError, UnavailableError, UsersError, WarehouseError
from anmodel.forecasts import Segment
from anmodel.gateway import rendering
from anmodel.gateway.answers import MAX_LIMIT, Problem, Segments, SortKey, UserDetail, UserPage
from anmodel.gateway.parts import GivenParts, Parts
from anmodel.gateway.problems import REFUSALS, NotFound
from anmodel.gateway.readiness import UNREADABLE
from anmodel.gateway.selection import Selection

# Plain functions: the framework runs them on threads, so that a slow query keeps nobody else waiting.
router = APIRouter(tags=["users"], responses=REFUSALS)

_NO_FORECAST = "the newest forecasts do not hold this user: there were no events of theirs when they were made"
_FAULTS = (NotReadyError, WarehouseError)

log = structlog.get_logger()


@router.get("/users", response_model=UserPage)
def users(
    parts: GivenParts,
    limit: Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="Users a page; all of them without it.")] = None,
    offset: Annotated[int, Query(ge=0, le=2**40)] = 0,
    search: Annotated[str, Query(max_length=128, description="Part of a user id, in any case.")] = "",
    sort: SortKey = "purchase_proba",
    order: Literal["asc", "desc"] = "desc",
    segment: Segment | None = None,
    region: Annotated[str | None, Query(max_length=128)] = None,
    min_proba: Annotated[float | None, Query(ge=0, le=1)] = None,
    max_proba: Annotated[float | None, Query(ge=0, le=1)] = None,
) -> Response:
    """Users by falling chance to buy, or as asked. Without forecasts `mode` is `fallback` and `reason` says why."""
    selection = Selection(limit, offset, search, sort, order, segment, region, min_proba, max_proba)
    try:
        return _forecast_page(parts, selection)
    except _FAULTS as error:
        return _plain_page(parts, selection, _why(error))


@router.get(
    "/users/{user_id:path}",
    response_model=UserDetail,
    responses={404: {"model": Problem, "description": "Nothing is known of this user"}},
)
def user(parts: GivenParts, user_id: Annotated[str, Path(max_length=1024)]) -> Response:
    """One user: the forecast, its reasons and ranges, and the newest events."""
    found, reason = _forecast_of(parts, user_id)
    events = _events_of(parts, user_id)
    if found is None:
        found = _known_user(parts, user_id, events, reason or _NO_FORECAST)
    mode = "full" if found["intervals"] else "fallback"
    recent = [rendering.recent_event(row) for row in events]
    return _json(
        {**found, "recent_events": recent, "mode": mode, "reason": None if mode == "full" else reason or _NO_FORECAST}
    )


@router.get("/segments")
def segments(parts: GivenParts) -> Segments:
    """Users and expected revenue of each segment; in fallback no segments, and how many users there are."""
    try:
        rows = parts.forecasts.segments(parts.forecasts.newest_run())
    except _FAULTS as error:
        reason = _why(error)
    else:
        sizes = rendering.segment_sizes(rows)
        regions = rendering.regions_of(chain.from_iterable(row["regions"] for row in rows))
        total = sum(size["users"] for size in sizes)
        return Segments.model_validate({"segments": sizes, "total": total, "regions": regions, "mode": "full"})
    try:
        # Not of all users: that would read the whole table at every look at the page.
        listed = parts.users.page(Selection(limit=MAX_LIMIT))
        regions = rendering.regions_of(one.region for one in listed)
        return Segments(segments=[], total=parts.users.count(Selection()), regions=regions, mode="fallback")
    except UsersError as error:
        raise _nothing_at_all(error, reason) from error


def _forecast_page(parts: Parts, selection: Selection) -> Response:
    run = parts.forecasts.newest_run()
    end = rendering.page_end(parts.forecasts.count(run, selection), selection, run=run)
    if selection.limit is not None:
        shown = [rendering.forecast_user(row, run) for row in parts.forecasts.page(run, selection)]
        return _json({"users": shown, **end})
    rows = map(rendering.decode, _started(parts.forecasts.lines(run, selection)))
    return _stream(rendering.streamed_page((rendering.forecast_user(row, run) for row in rows), end))


def _plain_page(parts: Parts, selection: Selection, reason: str) -> Response:
    """The users table's users, in its order; filters and orders that need forecasts do not apply, and are named."""
    told = f"{reason}; filters by segment or chance do not apply" if selection.needs_forecasts else reason
    try:
        total = parts.users.count(selection)
        listed = _started(parts.users.page(selection))
    except UsersError as error:
        raise _nothing_at_all(error, reason) from error
    shown = (rendering.listed_user(one.user_id, one.region) for one in listed)
    end = rendering.page_end(total, selection, reason=told)
    return _stream(rendering.streamed_page(shown, end))


def _forecast_of(parts: Parts, user_id: str) -> tuple[dict[str, Any] | None, str | None]:
    """The user with forecast, reasons and intervals; or None and why there are no forecasts at all."""
    try:
        run = parts.forecasts.newest_run()
        row = parts.forecasts.user(run, user_id)
    except _FAULTS as error:
        return None, _why(error)
    return (None, None) if row is None else (rendering.forecast_user(row, run) | rendering.forecast_detail(row), None)


def _events_of(parts: Parts, user_id: str) -> list[dict[str, Any]]:
    """The newest events; none when ClickHouse does not answer, which the forecast's absence explains already."""
    try:
        return parts.forecasts.recent_events(user_id)
    except _FAULTS as error:
        log.warning("events not read", error=str(error))
        return []


def _known_user(parts: Parts, user_id: str, events: list[dict[str, Any]], reason: str) -> dict[str, Any]:
    """A user without a forecast: known by the users table or, failing that, by events. NotFound if by neither."""
    try:
        listed = parts.users.user(user_id)
    except UsersError as error:
        if not events:
            raise _nothing_at_all(error, reason) from error
        listed = None
    if listed is None and not events:
        raise NotFound(f"nothing is known of user {user_id!r}")
    found = rendering.listed_user(user_id, listed.region if listed else events[0]["region"])
    return {**found, "reasons": [], "intervals": None}


def _why(error: Exception) -> str:
    """What a client is told; hosts and the engine's own words go to the log."""
    if isinstance(error, NotReadyError):
        return str(error)
    log.warning("forecasts not read", error=str(error))
    return UNREADABLE


def _nothing_at_all(error: UsersError, reason: str) -> UnavailableError:
    log.error("users not read", error=str(error))
    return UnavailableError(f"{reason}, and neither can the users table; try again later")


def _started(rows: Iterator[Any]) -> Iterator[Any]:
    """The same rows, the first of them fetched now: a fault shows while the answer can still say so."""
    first = list(islice(rows, 1))
    return chain(first, rows)


def _json(content: dict[str, Any]) -> Response:
    return Response(rendering.encode(content), media_type="application/json")


def _stream(pieces: Iterator[bytes]) -> Response:
    return StreamingResponse(pieces, media_type="application/json")
