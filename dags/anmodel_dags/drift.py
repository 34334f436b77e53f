"""Which messages of the topic of model events start a training: called by Airflow's triggerer for each of them."""

import json
import logging
from typing import Any, Protocol

log = logging.getLogger(__name__)


class Message(Protocol):
    """As much of Kafka's message as is looked at."""

    def value(self) -> bytes | None: ...


def only_drift(message: Message) -> dict[str, Any] | None:
    """The message's content if it tells of drift; None for any other, our own and unreadable ones included.

    Never raises: an error would end the trigger, and be met again at each restart of it.
    """
    try:
        content = json.loads(message.value() or b"null")
        told = content if isinstance(content, dict) and content.get("type") == "drift" else None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        log.warning("a message of model events is unreadable and dropped: %s", error)
        return None
    if told is not None:
        log.info("drift is told of version %s of %s", told.get("version"), told.get("model"))
    return told
