"""What a DAG tells the topic of model events."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

MODEL = "context_aware"


def training_finished(dag_id: str, run_id: str) -> Iterator[tuple[bytes, bytes]]:
    """The one message of a finished training: key, value."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    content = {"type": "training_finished", "dag_id": dag_id, "run_id": run_id, "at": at}
    yield MODEL.encode(), json.dumps(content).encode()


def delivered(error: object | None, message: Any) -> None:
    """Fails the task when the brokers did not take the message: the provider's own callback would only log it."""
    if error is not None:
        raise RuntimeError(
            f"the message to {message.topic()} was not taken: {error}. Is Kafka up, and may this user write there? "
            "The model is registered all the same; clear this task to tell it again."
        )
