"""The shapes of the gateway's answers. The OpenAPI document, and from it the console's types, are made of these."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictFloat, StrictInt, StrictStr

from anmodel.findings import Kind, Level
from anmodel.forecasts import Segment

MAX_RECORDS = 1000
"""Most records in one request for a prediction."""

MAX_USERS = 100
"""Most users in one request for a prediction as of now."""

MAX_LIMIT = 1000
"""Most users in one page."""

Mode = Literal["full", "fallback"]
SortKey = Literal[
    "purchase_proba",
    "user_id",
    "total_spent",
    "days_since_last",
    "events_last_7d",
    "next_purchase_amount_pred",
    "days_to_next_pred",
    "spend_mean",
]
Value = float | int | str | None

_SAFE_INTEGER = 2**53
Given = (
    Annotated[StrictFloat, Field(allow_inf_nan=False)]
    | Annotated[StrictInt, Field(ge=-_SAFE_INTEGER, le=_SAFE_INTEGER)]
    | Annotated[StrictStr, Field(max_length=1024)]
    | None
)
"""A feature's value in a request: a number, a text, or null for unknown."""
FeatureName = Annotated[StrictStr, Field(max_length=256)]
"""A feature's name in a request. The bound has pydantic read the text, which refuses half a surrogate pair."""


class Problem(BaseModel):
    """What every refusal looks like."""

    detail: str = Field(description="What came, what was allowed, what to do.")


class RecordsProblem(Problem):
    """A refusal of records; the lists are there when their features do not fit the model."""

    unknown: list[str] | None = Field(None, description="Features given that the model does not have.")
    missing: list[str] | None = Field(None, description="Features of the model that were not given.")


class Health(BaseModel):
    status: Literal["ok"]


class MissingPart(BaseModel):
    part: str = Field(description="clickhouse, forecasts, predictor or users.")
    reason: str


class Readiness(BaseModel):
    status: Literal["ready", "degraded"]
    missing: list[MissingPart]
    mode: Mode = Field(description="`fallback`: users are listed without forecasts.")


class ServiceDetail(BaseModel):
    status: Literal["loaded", "pending", "error"] = Field(
        description="pending: no model is registered yet, or it is being started."
    )
    version: str | None = Field(description="Version of the model in the registry.")
    snapshot_version: str | None = Field(description="Version of the features it reads.")
    model_path: str | None = Field(description="Always null; kept for older clients.")
    error: str | None = Field(description="Why it is not loaded, or why a newer version was refused.")


class Services(BaseModel):
    services: list[str] = Field(description="The one that is meant when a request names none comes first.")
    details: dict[str, ServiceDetail]
    reason: str | None = Field(None, description="Why the list may be out of date.")


class Importance(BaseModel):
    feature: str
    importance: float


class DescribedFeature(BaseModel):
    name: str
    type: Literal["number", "category"]
    unit: str
    meaning: str
    block: str = Field(description="Group of features that belong together.")
    categories: list[str] | None = Field(description="Values the model knows, most frequent first; null for a number.")


class ModelInfo(BaseModel):
    service: str
    version: str
    snapshot_version: str
    horizon_days: int
    features: list[str]
    optimal_threshold: float = Field(description="`will_purchase_pred` is 1 from this probability on.")
    feature_importance_top10: list[Importance]
    feature_medians: dict[str, Value] = Field(description="Median of a number, most frequent value of a category.")
    metrics: dict[str, float]
    notes: list[str] = Field([], description="What limits this model, in words: rows that were too few, say.")
    described: list[DescribedFeature]


class PredictRequest(BaseModel):
    records: list[dict[FeatureName, Given]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_RECORDS,
        description="Every feature of the model each, null where unknown; without records, `user_ids` as of now.",
    )
    service: str | None = Field(None, description="The service; must equal the one in the address, if both are given.")
    user_ids: list[Annotated[StrictStr, Field(max_length=256)]] | None = Field(
        None,
        description="Whose each record is, kept in the log of predictions; as many as records, empty if unknown. "
        f"Without records, the users to forecast as of now, at most {MAX_USERS}.",
    )


class Prediction(BaseModel):
    """Of one record. A predictor of an older version gives the first four alone."""

    purchase_proba: float
    will_purchase_pred: int
    days_to_next_pred: float
    next_purchase_amount_pred: float
    days_to_next_low: float | None = Field(None, description="Low and high hold about 80 of 100 outcomes.")
    days_to_next_high: float | None = None
    next_purchase_amount_low: float | None = None
    next_purchase_amount_high: float | None = None
    purchase_proba_1d: float | None = Field(None, description="Chance of a purchase within a day, and so on.")
    purchase_proba_7d: float | None = None
    purchase_proba_14d: float | None = None
    purchase_proba_30d: float | None = None
    spend_median: float | None = Field(None, description="Spent within the horizon by a typical user like this one.")
    spend_mean: float | None = Field(None, description="The same on average: means add up to a total.")


class Predictions(BaseModel):
    predictions: list[Prediction]
    model_version: str


class ForecastUser(BaseModel):
    user_id: str
    known: bool = Field(description="Whether there was an event of theirs; if not, they are forecast as anybody is.")


class Predicted(Predictions):
    as_of: str | None = Field(None, description="The instant whose features were used; null for given records.")
    users: list[ForecastUser] | None = Field(
        None, description="Whose each prediction is, as `user_ids` asked; null for given records."
    )


class User(BaseModel):
    user_id: str
    region: str | None
    segment: Segment | None
    percentile: float | None = Field(description="Share of all users, in percent, whose chance is not higher.")
    features: dict[str, Value] = Field(description="Features, snapshot_date and the predictions; {} in fallback.")


class UserPage(BaseModel):
    users: list[User]
    total: int = Field(description="Users that the filters let through, on all pages.")
    limit: int | None
    offset: int
    mode: Mode
    reason: str | None = Field(description="Why the mode is `fallback`.")
    snapshot_date: str | None
    model_version: str | None


class Reason(BaseModel):
    feature: str
    value: Value
    effect: float = Field(description="What it adds to the log-odds of a purchase.")
    text: str


class Intervals(BaseModel):
    """Ranges that hold the truth in about 80 of 100 cases: [low, high]."""

    days_to_next: tuple[float, float] | None
    next_purchase_amount: tuple[float, float] | None


class RecentEvent(BaseModel):
    ts: str
    event_type: str
    item_id: str | None
    price: float | None


class UserDetail(User):
    reasons: list[Reason]
    intervals: Intervals | None
    recent_events: list[RecentEvent] = Field(description="Newest first, at most 20.")
    mode: Mode = Field(description="`fallback`: there is no forecast of this user.")
    reason: str | None = Field(description="Why the mode is `fallback`.")


class SegmentSize(BaseModel):
    segment: Segment
    users: int
    expected_revenue: float = Field(
        description="What the segment's users spend within the horizon: the sum of their means."
    )


class Segments(BaseModel):
    segments: list[SegmentSize]
    total: int
    regions: list[str] = Field(
        description="Regions to filter by, sorted: those of all users with a forecast; in fallback those of the"
        f" first {MAX_LIMIT} users."
    )
    mode: Mode


class MeasuredFinding(BaseModel):
    metric: str
    kind: Kind = Field(
        description="drift: users or chances are not those of training; shift: chances jumped from one day to the next;"
        " outcome: forecasts whose horizon is over, against what happened."
    )
    feature: str | None = Field(description="The feature that it concerns; null: all forecasts.")
    level: Level
    value: float
    text: str = Field(description="What it means, in words.")
    limits: str | None = Field(description="Where a warning and an alarm begin; null: for reading only.")
    advice: str | None = Field(description="What to do; null where all is well.")
    snapshot_date: str = Field(description="Day of the snapshot that was measured.")


class PastRun(BaseModel):
    """Forecasts whose horizon is over, against what happened; null where too few bought, or did not."""

    snapshot_date: str
    model_version: str
    level: Level
    users: int
    buyers: int
    roc_auc: float | None
    lift_10: float | None = Field(description="Share of buyers in the likeliest tenth over that of all users.")
    calibration_error: float | None = Field(description="Mean distance of chance and share of buyers, in ten groups.")
    predicted_to_actual: float | None = Field(description="Buyers forecast over buyers that came.")


class ModelHealth(BaseModel):
    service: str
    model_version: str | None = Field(description="The version whose forecasts are shown; the findings are about it.")
    level: Level | None = Field(description="Of the worst finding; null when nothing was measured.")
    measured_at: str | None
    findings: list[MeasuredFinding] = Field(description="The worst first; of single features those not ok alone.")
    well: int = Field(description="Findings that are ok, those of single features among them.")
    past_runs: list[PastRun] = Field(description="By all versions, the oldest first.")
    reason: str | None = Field(description="Why there are no findings.")
