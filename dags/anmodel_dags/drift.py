"""Which messages of the topic of model events start a training: called by Airflow's triggerer for each of them."""

import json
import logging
from typing import Protocol

log = logging.getLogger(__name__)


class Message(Protocol):
    """As much of Kafka's message as is looked at."""

    def value(self) -> bytes | None: ...


def only_drift(message: Message) -> dict[str, str] | None:
    """Of which model and version the message tells drift; None for any other, our own and unreadable ones included.

    Never raises: an error would end the trigger, and be met again at each restart of it. For the same reason nothing
    else of the message goes on: Airflow packs what it gets by msgpack and keeps it as JSON in Postgres, and what one of
    them refuses (integers of more than 64 bits, NaN, halves of surrogate pairs, NUL) ends the triggerer.
    """
    try:
        content = json.loads(message.value() or b"null")
        if not isinstance(content, dict) or content.get("type") != "drift":
            return None
        told = {"type": "drift", "model": _name(content, "model", 64), "version": _name(content, "version", 32)}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        log.warning("a message of model events is unreadable and dropped: %s", error)
        return None
    log.info("drift is told of version %s of %s", told["version"], told["model"])
    return told


def _name(content: dict[str, object], key: str, most: int) -> str:
    """A value as at most so many plain signs; empty when it is missing."""
    text = str(content.get(key, ""))[:most]
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in text)
