"""How the model in use is doing."""

from typing import Annotated

from fastapi import APIRouter, Query

from anmodel.errors import NotReadyError
from anmodel.gateway import model_health
from anmodel.gateway.answers import ModelHealth
from anmodel.gateway.parts import GivenParts
from anmodel.gateway.problems import REFUSALS

router = APIRouter(tags=["models"], responses=REFUSALS)


@router.get("/monitor")
def monitor(
    parts: GivenParts,
    runs: Annotated[int, Query(ge=1, le=365, description="Past runs told of at most, the newest ones.")] = 30,
) -> ModelHealth:
    """The newest findings about the version whose forecasts are shown, and how past forecasts came true.

    Before the first forecasts, or the first findings, `reason` says so.
    """
    service, forecasts = parts.services.main, parts.forecasts
    try:
        version = forecasts.newest_run().model_version
        return model_health.health(service, version, forecasts.findings(version), forecasts.past_runs(runs))
    except NotReadyError as error:
        return model_health.no_health(service, str(error))
