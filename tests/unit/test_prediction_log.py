"""The log of predictions while there is no Kafka: it must neither delay an answer nor grow without bound."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from anmodel.gateway import prediction_log
from anmodel.gateway.answers import Predictions
from anmodel.gateway.prediction_log import MAX_WAITING, Answered, PredictionLog
from anmodel.laptop.kafka import free_port
from anmodel.predictions import decode
from anmodel.settings import KafkaSettings
from eventually import eventually

SAID = {"purchase_proba": 0.5, "will_purchase_pred": 1, "days_to_next_pred": 3.0, "next_purchase_amount_pred": 99.0}
RECORD: dict[str, Any] = {"total_events": 3, "last_item": None}


def answered(count: int, **more: Any) -> Answered:
    answer = Predictions.model_validate({"predictions": [SAID] * count, "model_version": "3"})
    return Answered("context_aware", [RECORD] * count, answer, **more)


def value(registry: CollectorRegistry, name: str) -> float:
    return registry.get_sample_value(f"anmodel_gateway_prediction_log_{name}_total") or 0.0


def test_without_kafka_a_note_takes_no_time_and_what_is_too_much_is_dropped_and_counted() -> None:
    registry = CollectorRegistry()
    settings = KafkaSettings.load(kafka_bootstrap=f"127.0.0.1:{free_port()}")
    notes = PredictionLog(settings, "predictions", registry)
    requests = 3 * MAX_WAITING // 1000
    with capture_logs() as lines, notes.writing():
        started = time.monotonic()
        for _ in range(requests):
            notes.note(answered(1000))
        assert (time.monotonic() - started) / requests < 0.05  # most of it makes the request up
        # what the producer holds is all that waits
        eventually(lambda: value(registry, "dropped") == 2 * MAX_WAITING, 30)
    assert value(registry, "dropped") == 3 * MAX_WAITING
    assert value(registry, "sent") == 0
    assert [line["event"] for line in lines] == ["predictions not logged"]


def test_what_waits_to_be_written_is_bounded() -> None:
    registry = CollectorRegistry()
    notes = PredictionLog(KafkaSettings.load(kafka_bootstrap=f"127.0.0.1:{free_port()}"), "predictions", registry)
    for _ in range(MAX_WAITING // 1000 + 2):  # nobody writes
        notes.note(answered(1000))
    assert value(registry, "dropped") == 2000


def test_a_request_becomes_a_message_a_record_in_the_contracts_form() -> None:
    at = datetime(2026, 11, 24, 10, 0, 0, 250_900, UTC)
    first, second = prediction_log._messages(at, answered(2, user_ids=["ann", ""]))
    message = json.loads(first)
    assert message.pop("prediction_id") != json.loads(second)["prediction_id"]
    assert message == {
        "service": "context_aware",
        "model_version": "3",
        "predicted_at": "2026-11-24T10:00:00.250Z",
        "records": 2,
        "record": RECORD,
        "prediction": SAID,
        "user_id": "ann",
    }
    assert decode(second, now=at).user_id == ""
