"""Kafka's brokers: the options by which every client reaches them."""

from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from anmodel.errors import SettingError
from anmodel.settings import KafkaSettings

Client = TypeVar("Client")

PROMISED = frozenset(
    {
        "acks",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "group.id",
        "isolation.level",
    }
)
"""Options on which rests that nothing accepted is lost or counted twice: KAFKA_OPTIONS may not name them."""


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """librdkafka's options shared by every client; raises `SettingError` for a malformed KAFKA_OPTIONS."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "log.connection.close": False,
        # while Kafka is away a client tries, and logs, some times a second instead of twenty
        "reconnect.backoff.ms": 250,
        "reconnect.backoff.max.ms": 1000,
        **_security(settings),
        **_given(settings.kafka_options),
    }


def producer_options(settings: KafkaSettings, delivery_timeout: float) -> dict[str, Any]:
    """Options of an idempotent producer; an undelivered message fails after `delivery_timeout` seconds."""
    return {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 5,
        "delivery.timeout.ms": int(delivery_timeout * 1000),
        **client_options(settings),
    }


def consumer_options(settings: KafkaSettings, group: str) -> dict[str, Any]:
    """Options of a consumer that commits by itself and starts at the oldest message it has not committed."""
    return {
        "group.id": group,
        "group.protocol": "consumer",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": 16_384,
        "queued.min.messages": 20_000,
        "fetch.queue.backoff.ms": 20,  # a full queue is looked at again soon: by default it takes a second
        "fetch.wait.max.ms": 50,
        **client_options(settings),
    }


def client(kind: Callable[[dict[str, Any]], Client], options: dict[str, Any]) -> Client:
    """A `Consumer`, `Producer` or `AdminClient`; raises `SettingError` for an option that librdkafka does not take."""
    try:
        return kind(options)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._INVALID_ARG:
            raise
        raise SettingError(
            f"Kafka's client refuses its options: {error.args[0].str()}. They come from KAFKA_OPTIONS and the other "
            "settings that begin with KAFKA_"
        ) from error


class LastFault:
    """What a client last heard of its brokers: give it as librdkafka's `error_cb`. Empty text when all is well."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, error: KafkaError) -> None:
        """Keep a fault; that no broker is left says less than the fault before it."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self.text:
            self.text = error.str()

    def clear(self) -> None:
        """All is well again."""
        self.text = ""


def _security(settings: KafkaSettings) -> dict[str, Any]:
    """Who we are to the brokers, and by what we trust them."""
    options = {"security.protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("SASL"):
        options["sasl.mechanism"] = settings.kafka_sasl_mechanism
        options["sasl.username"] = settings.kafka_username
        options["sasl.password"] = settings.kafka_password.get_secret_value()
    files = {
        "ssl.ca.location": settings.kafka_ca,
        "ssl.certificate.location": settings.kafka_certificate,
        "ssl.key.location": settings.kafka_key,
    }
    return options | {name: path for name, path in files.items() if path}


def _given(text: str) -> dict[str, str]:
    """The options of KAFKA_OPTIONS. A fault is told by its place: what is there may be a password."""
    options = {}
    for place, part in enumerate(text.split(";"), 1):
        name, separator, value = part.strip().partition("=")
        if name.strip() in PROMISED:
            raise SettingError(
                f"KAFKA_OPTIONS is wrong: part {place} sets {name.strip()}, on which rests that no event is lost or "
                "counted twice; allowed: any other option of librdkafka"
            )
        if separator:
            options[name.strip()] = value.strip()
        elif name:
            raise SettingError(f"KAFKA_OPTIONS is wrong: part {place} has no =; allowed: name=value;name=value")
    return options
