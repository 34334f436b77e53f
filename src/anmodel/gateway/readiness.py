"""What the gateway stands on, asked now: which parts are missing, and whether forecasts can be shown."""

import asyncio
from collections.abc import Callable

import structlog

from anmodel.errors import NotReadyError, UnavailableError
from anmodel.gateway.answers import MissingPart, Readiness
from anmodel.gateway.parts import Parts
from anmodel.gateway.services import NO_MODEL

_PATIENCE_SECONDS = 3.0
_SLOW = f"no answer within {_PATIENCE_SECONDS:g} s"
UNREADABLE = "forecasts cannot be read from ClickHouse now"

log = structlog.get_logger()


async def look(parts: Parts) -> Readiness:
    """Ask all parts at once; none is waited for longer than three seconds."""
    found = await asyncio.gather(
        _blocking("clickhouse", parts.forecasts.ping, "ClickHouse does not answer"),
        _blocking("forecasts", parts.forecasts.newest_run, UNREADABLE),
        _predictor(parts),
        _blocking("users", parts.users.ping, "the users table cannot be read now"),
    )
    missing = [part for part in found if part]
    mode = "fallback" if any(part.part in ("clickhouse", "forecasts") for part in missing) else "full"
    if any(part.part == "clickhouse" for part in missing):
        missing = [part for part in missing if part.part != "forecasts"]  # one cause, said once
    return Readiness(status="degraded" if missing else "ready", missing=missing, mode=mode)


async def _blocking(part: str, ask: Callable[[], object], otherwise: str) -> MissingPart | None:
    try:
        await asyncio.wait_for(asyncio.to_thread(ask), _PATIENCE_SECONDS)
    except NotReadyError as error:
        return MissingPart(part=part, reason=str(error))
    except TimeoutError:
        return MissingPart(part=part, reason=_SLOW)
    except UnavailableError as error:
        log.warning("part does not answer", part=part, error=str(error))
        return MissingPart(part=part, reason=otherwise)
    return None


async def _predictor(parts: Parts) -> MissingPart | None:
    services = parts.services
    try:
        detail = await asyncio.wait_for(services.detail(services.main), _PATIENCE_SECONDS)
    except TimeoutError:
        return MissingPart(part="predictor", reason=_SLOW)
    if detail.status == "loaded":
        return None
    return MissingPart(part="predictor", reason=detail.error or NO_MODEL)
