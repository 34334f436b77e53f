"""Predictions of given records, by the predictor."""

from fastapi import APIRouter
from pydantic import ValidationError

from anmodel.errors import InputError
from anmodel.gateway.answers import Predictions, PredictRequest
from anmodel.gateway.parts import GivenParts, Parts
from anmodel.gateway.prediction_log import Answered
from anmodel.gateway.predictor_client import PredictorFailed
from anmodel.gateway.problems import RECORD_REFUSALS

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
    name = _meant(parts, request, service)
    users = request.user_ids or []
    if users and len(users) != len(request.records):
        raise InputError(
            f"user_ids: got {len(users)} for {len(request.records)} records; give one for each record, or leave it out"
        )
    records = list(request.records)
    answer = await parts.services.client(name).predict(records)
    try:
        predictions = Predictions.model_validate(answer)
    except ValidationError as error:
        raise PredictorFailed(
            "the predictor's answer has another form than a prediction; its log may say why"
        ) from error
    parts.log.note(Answered(name, records, predictions, users))
    return predictions


def _meant(parts: Parts, request: PredictRequest, service: str | None) -> str:
    """The service that address and body name; the main one when neither does."""
    if service is not None and request.service is not None and service != request.service:
        raise InputError(
            f"service: the address says {service!r}, the body {request.service!r}; give one of them, or the same twice"
        )
    return service or request.service or parts.services.main
