"""Predictions by the predictor: of given records, or of users by their features as of now."""

from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError

from anmodel.errors import InputError, NotReadyError
from anmodel.gateway.answers import MAX_USERS, ForecastUser, Predicted, Predictions, PredictRequest
from anmodel.gateway.parts import GivenParts, Parts
from anmodel.gateway.prediction_log import Answered
from anmodel.gateway.predictor_client import PredictorFailed, RecordsRefused
from anmodel.gateway.problems import RECORD_REFUSALS
from anmodel.gateway.rendering import instant
from anmodel.snapshots import FEATURE_NAMES

router = APIRouter(tags=["predictions"], responses=RECORD_REFUSALS)

_UNKNOWN = dict.fromkeys(FEATURE_NAMES)
"""The record of a user without any event."""

_CHANGING = "the model is being changed, and not all who serve it have the new one yet; try again in a few seconds"


@router.post("/predict")
async def predict(request: PredictRequest, parts: GivenParts, service: str | None = None) -> Predicted:
    """Forecast records that hold every feature of the model, or without `records` the users of `user_ids` as of now.

    A record's value may be null, a feature may not be left out. Who has no event yet is forecast all the same, as
    anybody of whom nothing is known; `users` says so.
    """
    return await _predicted(parts, request, service)


@router.post("/predict/{name}")
async def predict_by(name: str, request: PredictRequest, parts: GivenParts) -> Predicted:
    """The same, with the service in the path."""
    return await _predicted(parts, request, name)


async def _predicted(parts: Parts, request: PredictRequest, service: str | None) -> Predicted:
    name, users = _meant(parts, request, service), request.user_ids or []
    if request.records is None:
        return await _of_users(parts, name, users)
    if users and len(users) != len(request.records):
        raise InputError(
            f"user_ids: got {len(users)} for {len(request.records)} records; give one for each record, or leave it out"
        )
    records = list(request.records)
    predictions = await _answered(parts, name, records)
    parts.log.note(Answered(name, records, predictions, users))
    return Predicted(predictions=predictions.predictions, model_version=predictions.model_version)


async def _of_users(parts: Parts, name: str, users: list[str]) -> Predicted:
    """Forecasts of users, by what is stored of them up to now."""
    _check_users(users)
    agreed = await parts.agreement.model_version(name)
    as_of, found = await parts.fresh.of(set(users))
    records = [found.get(user, _UNKNOWN) for user in users]
    try:
        predictions = await _answered(parts, name, records)
    except RecordsRefused as error:  # it is us who gave the features
        raise NotReadyError(_CHANGING) from error
    if predictions.model_version != agreed:  # another model has come meanwhile, which may read other features
        parts.agreement.forget()
        if await parts.agreement.model_version(name) != predictions.model_version:
            raise NotReadyError(_CHANGING)
    parts.log.note(Answered(name, records, predictions, users))
    known = [ForecastUser(user_id=user, known=user in found) for user in users]
    return Predicted(
        predictions=predictions.predictions,
        model_version=predictions.model_version,
        as_of=instant(as_of),
        users=known,
    )


def _check_users(users: list[str]) -> None:
    if not users:
        raise InputError(
            "records and user_ids are both missing; give records to forecast, or user_ids to forecast as of now"
        )
    if len(users) > MAX_USERS:
        raise InputError(f"user_ids: got {len(users)}; at most {MAX_USERS} are forecast as of now in one request")
    if "" in users:
        raise InputError(f"user_ids.{users.index('')}: got an empty text; without records, each must name a user")


async def _answered(parts: Parts, name: str, records: list[dict[str, Any]]) -> Predictions:
    """What the predictor says."""
    answer = await parts.services.client(name).predict(records)
    try:
        return Predictions.model_validate(answer)
    except ValidationError as error:
        raise PredictorFailed(
            "the predictor's answer has another form than a prediction; its log may say why"
        ) from error


def _meant(parts: Parts, request: PredictRequest, service: str | None) -> str:
    """The service that address and body name; the main one when neither does."""
    if service is not None and request.service is not None and service != request.service:
        raise InputError(
            f"service: the address says {service!r}, the body {request.service!r}; give one of them, or the same twice"
        )
    return service or request.service or parts.services.main
