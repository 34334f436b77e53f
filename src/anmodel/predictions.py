"""The contract of logged predictions: what the gateway answered, one message a record on the topic `predictions`.

On the wire a message is a JSON object::

    {"prediction_id": "…", "service": "context_aware", "model_version": "3", "predicted_at": "2026-01-31T09:30:00.250Z",
     "records": 1, "record": {feature: value, …}, "prediction": {"purchase_proba": 0.4, …}, "user_id": ""}

`record` is what was asked about, `records` how many were in the same request, `user_id` empty when the request did not
say whose record it was. A repeat has the same service, instant and id. Fields that are not listed are left out, not
refused: a gateway may be newer than a consumer for as long as both are rolled out.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import pyarrow as pa

from anmodel.errors import PredictionRefused
from anmodel.events import MAX_AHEAD, MAX_TEXT, field_and_reason

MAX_BEHIND = timedelta(days=1825)

PREDICTIONS_SCHEMA = pa.schema(
    [
        pa.field("prediction_id", pa.string(), nullable=False),
        pa.field("service", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("predicted_at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("purchase_proba", pa.float64(), nullable=False),
        pa.field("will_purchase_pred", pa.uint8(), nullable=False),
        pa.field("days_to_next_pred", pa.float64(), nullable=False),
        pa.field("next_purchase_amount_pred", pa.float64(), nullable=False),
        pa.field("features", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)
"""Columns of the `predictions` table; `features` is the record as a JSON object."""

Value = float | int | str | None
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class Prediction(msgspec.Struct, frozen=True):
    """The four answers of the model."""

    purchase_proba: Annotated[float, msgspec.Meta(ge=0, le=1)]
    will_purchase_pred: Annotated[int, msgspec.Meta(ge=0, le=1)]
    days_to_next_pred: float
    next_purchase_amount_pred: float


class LoggedPrediction(msgspec.Struct, frozen=True):
    """One record and its prediction. `predicted_at` is an instant in UTC, whole milliseconds."""

    prediction_id: _Id
    service: _Id
    model_version: _Text
    predicted_at: Annotated[datetime, msgspec.Meta(tz=True)]
    record: dict[str, Value]
    prediction: Prediction
    records: int = 1
    user_id: _Text = ""


_decoder = msgspec.json.Decoder(LoggedPrediction)
encode = msgspec.json.encode


def decode(raw: bytes, *, now: datetime) -> LoggedPrediction:
    """Read one message; raises `PredictionRefused` naming the field and what was allowed.

    `now` (aware) bounds the time: more than a day ahead of it, or more than five years behind, is refused.
    """
    try:
        logged = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise PredictionRefused(*field_and_reason(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PredictionRefused("body", f"not JSON: {error}") from error
    return msgspec.structs.replace(logged, predicted_at=_instant(logged.predicted_at, now))


def encode_logged(logged: LoggedPrediction) -> bytes:
    """The wire form of one message."""
    at = logged.predicted_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return encode({**msgspec.structs.asdict(logged), "predicted_at": at})


def _instant(at: datetime, now: datetime) -> datetime:
    """`at` in UTC, cut to milliseconds, if it lies in the allowed range."""
    try:
        at = at.astimezone(UTC)
    except OverflowError as error:
        raise PredictionRefused("predicted_at", f"got {at.isoformat()}; outside the calendar in UTC") from error
    if not now - MAX_BEHIND <= at <= now + MAX_AHEAD:
        allowed = f"at most one day ahead of now and at most {MAX_BEHIND.days} days old"
        raise PredictionRefused("predicted_at", f"got {at.isoformat()}; allowed: {allowed}")
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
