"""What a finished training tells."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from anmodel_dags.drift import only_drift
from anmodel_dags.messages import delivered, training_finished


@dataclass
class Message:
    content: bytes

    def value(self) -> bytes:
        return self.content

    def topic(self) -> str:
        return "model-events"


def test_a_finished_training_says_which_run_it_was_under_the_models_name() -> None:
    ((key, value),) = training_finished("train_model", "manual__1")
    told = json.loads(value)
    at = datetime.fromisoformat(told.pop("at"))
    assert key == b"context_aware"
    assert told == {"type": "training_finished", "dag_id": "train_model", "run_id": "manual__1"}
    assert datetime.now(UTC) - at < timedelta(minutes=1)


def test_a_finished_training_starts_no_other() -> None:
    ((_, value),) = training_finished("train_model", "drift")
    assert only_drift(Message(value)) is None


def test_a_message_that_the_brokers_did_not_take_fails_the_task() -> None:
    with pytest.raises(RuntimeError, match="to model-events was not taken: timed out"):
        delivered("timed out", Message(b""))
    delivered(None, Message(b""))


def test_a_training_whose_message_reaches_no_broker_fails_its_last_task(dags, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 300, "log_level": 0}
    monkeypatch.setenv("AIRFLOW_CONN_KAFKA_DEFAULT", json.dumps({"conn_type": "kafka", "extra": nobody}))
    tell = dags["train_model"].get_task("tell").prepare_for_execution()
    with pytest.raises(RuntimeError, match="was not taken"):
        tell.execute({})
