"""Liveness, readiness, and what is served."""

import asyncio

from fastapi import APIRouter, Response

from anmodel.errors import NotReadyError
from anmodel.gateway import readiness
from anmodel.gateway.answers import Health, ModelInfo, Problem, Readiness, Services
from anmodel.gateway.parts import GivenParts
from anmodel.gateway.problems import REFUSALS, RETRY_SECONDS, TOO_MANY
from anmodel.gateway.services import NO_MODEL

router = APIRouter()


@router.get("/health", tags=["status"])
async def health() -> Health:
    """Whether the process lives. It says nothing of the parts behind it: see /ready."""
    return Health(status="ok")


@router.get("/ready", tags=["status"], responses={503: {"model": Readiness, "description": "Some part is missing"}})
async def ready(parts: GivenParts, response: Response) -> Readiness:
    """Which parts are missing. The gateway answers what it can without them."""
    found = await readiness.look(parts)
    if found.missing:
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return found


@router.get("/services", tags=["models"], responses=TOO_MANY)
async def services(parts: GivenParts) -> Services:
    """The served models and their state."""
    names = parts.services.names()
    details = await asyncio.gather(*(parts.services.detail(name) for name in names))
    return Services(services=names, details=dict(zip(names, details, strict=True)), reason=parts.services.reason())


@router.get(
    "/model-info/{name}",
    tags=["models"],
    responses={**REFUSALS, 404: {"model": Problem, "description": "No such service"}},
)
async def model_info(name: str, parts: GivenParts) -> ModelInfo:
    """The model in use: its features with their meaning, what matters most to it, and how good it is."""
    info = await parts.services.client(name).info()
    if not info.get("version"):
        raise NotReadyError(info.get("error") or NO_MODEL)
    return ModelInfo.model_validate({**info, "service": name})
