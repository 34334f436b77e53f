"""Liveness, readiness, and what is served."""

from fastapi import APIRouter, Response

from anmodel.errors import AnModelError, NotReadyError
from anmodel.gateway import readiness
from anmodel.gateway.answers import Health, ModelInfo, Problem, Readiness, ServiceDetail, Services
from anmodel.gateway.parts import GivenParts, Parts
from anmodel.gateway.problems import REFUSALS, RETRY_SECONDS, TOO_MANY, NotFound

router = APIRouter()


def known_service(parts: Parts, name: str) -> str:
    """`name`, if it is served; NotFound naming what is."""
    if name != parts.service:
        raise NotFound(f"there is no service {name!r}; there is: {parts.service}")
    return name


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
    try:
        info = await parts.predictor.info()
    except AnModelError as error:
        info = {"status": "error", "error": str(error)}
    detail = ServiceDetail(
        status=info["status"],
        version=info.get("version"),
        snapshot_version=info.get("snapshot_version"),
        model_path=None,
        error=info.get("error"),
    )
    return Services(services=[parts.service], details={parts.service: detail})


@router.get(
    "/model-info/{name}",
    tags=["models"],
    responses={**REFUSALS, 404: {"model": Problem, "description": "No such service"}},
)
async def model_info(name: str, parts: GivenParts) -> ModelInfo:
    """The model in use: its features with their meaning, what matters most to it, and how good it is."""
    service = known_service(parts, name)
    info = await parts.predictor.info()
    if not info.get("version"):
        raise NotReadyError(info.get("error") or readiness.NO_MODEL)
    return ModelInfo.model_validate({**info, "service": service})
