"""Predictions of given records, by the predictor."""

from fastapi import APIRouter

from anmodel.errors import InputError
from anmodel.gateway.answers import Predictions, PredictRequest
from anmodel.gateway.parts import GivenParts, Parts
from anmodel.gateway.problems import RECORD_REFUSALS
from anmodel.gateway.status_routes import known_service

router = APIRouter(tags=["predictions"], responses=RECORD_REFUSALS)


@router.post("/predict")
async def predict(request: PredictRequest, parts: GivenParts, service: str | None = None) -> Predictions:
    """Forecast records that hold every feature of the model; a value may be null, a feature may not be left out."""
    return await _predicted(parts, request, service)


@router.post("/predict/{name}")
async def predict_by(name: str, request: PredictRequest, parts: GivenParts) -> Predictions:
    """The same, with the service in the path."""
    return await _predicted(parts, request, name)


async def _predicted(parts: Parts, request: PredictRequest, service: str | None) -> Predictions:
    if service is not None and request.service is not None and service != request.service:
        raise InputError(
            f"service: the address says {service!r}, the body {request.service!r}; give one of them, or the same twice"
        )
    known_service(parts, service or request.service or parts.service)
    return Predictions.model_validate(await parts.predictor.predict(list(request.records)))
