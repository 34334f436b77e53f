"""What the gateway and the consumer need of a Kafka that asks who they are, for predictions and news of models."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AclOperation, ResourceType
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from anmodel.gateway.answers import Predictions
from anmodel.gateway.model_news import ModelNews
from anmodel.gateway.prediction_log import Answered, PredictionLog
from anmodel.laptop.guardian import Guardian
from anmodel.settings import GatewaySettings, KafkaSettings
from anmodel.topic import announce, create_topics
from eventually import eventually
from secret_volume import SecretVolume
from secured_kafka import SecuredKafka

SAID = {"purchase_proba": 0.5, "will_purchase_pred": 1, "days_to_next_pred": 3.0, "next_purchase_amount_pred": 99.0}
ANSWER = Predictions.model_validate({"predictions": [SAID], "model_version": "3"})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, cache: Path, guardian: Guardian) -> Iterator[SecuredKafka]:
    kafka = SecuredKafka(tmp_path_factory.mktemp("secured"), cache, guardian)
    kafka.start()
    yield kafka
    kafka.kill()


@pytest.fixture
def settings(secured: SecuredKafka, tmp_path: Path) -> GatewaySettings:
    """Those of a gateway that Kafka knows and lets do nothing yet."""
    user = f"gateway-{tmp_path.name}"
    secured.set_password(user, "pass")
    volume = SecretVolume(tmp_path / "secrets", {"ca.pem": secured.authority.certificate, "kafka_password": "pass"})
    names = [f"{kind}-{tmp_path.name}" for kind in ("news", "predictions")]
    create_topics(open_to(secured), 2, names)
    return GatewaySettings.load(
        clickhouse_password="unused",
        kafka_bootstrap=secured.clients,
        kafka_security_protocol="SASL_SSL",
        kafka_username=user,
        kafka_ca=volume.path("ca.pem"),
        anmodel_secrets=str(volume.folder),
        model_topic=names[0],
        predictions_topic=names[1],
    )


def open_to(secured: SecuredKafka) -> KafkaSettings:
    return KafkaSettings.load(kafka_bootstrap=secured.bootstrap)


def test_news_are_heard_by_who_may_read_their_topic_and_belongs_to_no_group(
    secured: SecuredKafka, settings: GatewaySettings
) -> None:
    heard: list[bool] = []

    def told() -> bool:
        announce(open_to(secured), settings.model_topic, {"type": "champion_changed"})
        return bool(heard)

    with capture_logs() as lines, ModelNews(settings, lambda: heard.append(True)).listening():
        eventually(lambda: any("authorization failed" in str(line.get("reason")) for line in lines), 30)
        assert not told()
        secured.allow(settings.kafka_username, ResourceType.TOPIC, settings.model_topic, [AclOperation.READ])
        eventually(told, 30)


def test_predictions_are_logged_by_who_may_write_to_their_topic(
    secured: SecuredKafka, settings: GatewaySettings
) -> None:
    registry = CollectorRegistry()

    def count(name: str) -> float:
        return registry.get_sample_value(f"anmodel_gateway_prediction_log_{name}_total") or 0

    log = PredictionLog(settings, settings.predictions_topic, registry)
    with capture_logs() as lines, log.writing():
        log.note(Answered("context_aware", [{"number": 1}], ANSWER))
        eventually(lambda: count("dropped") == 1, 40)
        assert "authorization failed" in lines[0]["reason"]
        secured.allow(settings.kafka_username, ResourceType.TOPIC, settings.predictions_topic, [AclOperation.WRITE])

        def logged() -> bool:
            log.note(Answered("context_aware", [{"number": 2}], ANSWER))
            return count("sent") > 0

        eventually(logged, 30)
    reader = Consumer({"bootstrap.servers": secured.bootstrap, "group.id": "t", "auto.offset.reset": "earliest"})
    reader.subscribe([settings.predictions_topic])
    message = eventually(lambda: reader.poll(0.5), 20)
    reader.close()
    assert message.key() == b"context_aware"
    assert json.loads(message.value())["record"] == {"number": 2}
