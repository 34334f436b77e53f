"""The gateway and Kafka: what it answered is logged and stored, and it hears of new models."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from anmodel.gateway.model_news import ModelNews
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from anmodel.settings import GatewaySettings, KafkaSettings
from anmodel.topic import announce, create_topics
from eventually import eventually
from kubernetes_api import KubernetesApi
from scripted_server import Answer, Request, ScriptedServer
from stages import Stage
from streaming import Stream

SAID = {"purchase_proba": 0.5, "will_purchase_pred": 1, "days_to_next_pred": 3.0, "next_purchase_amount_pred": 99.0}
NEWS = {"type": "champion_changed", "model": "context_aware", "version": "4"}


@pytest.fixture
def predictor() -> Iterator[ScriptedServer]:
    def answer(request: Request, _: int) -> Answer:
        if request.path.endswith("/info"):
            return Answer(body=b'{"status": "loaded", "version": "3"}')
        predictions = [SAID] * len(json.loads(request.body)["instances"])
        return Answer(body=json.dumps({"predictions": predictions, "model_version": "3"}).encode())

    with ScriptedServer(answer).running() as server:
        yield server


class Shop:
    """A stream whose consumer stores what its gateway answers."""

    def __init__(self, kafka: Any, clickhouse: Any, folder: Path, guardian: Guardian, predictor: str) -> None:
        self.stream = Stream(kafka, clickhouse, folder, guardian)
        self.news_topic = f"{self.stream.topic}-news"
        self.settings = KafkaSettings.load(kafka_bootstrap=kafka.bootstrap)
        create_topics(self.settings, 2, [self.news_topic])
        self._folder, self._guardian = folder, guardian
        self._variables = {
            **self.stream.variables,
            "USERS_URL": f"sqlite:///{folder}/users.db",
            "PREDICTOR_URL": predictor,
            "MODEL_TOPIC": self.news_topic,
        }
        self.gateway = self.make_gateway()

    def make_gateway(self, **variables: object) -> Stage:
        port = free_port()
        more = {"GATEWAY_PORT": str(port), **{name: str(value) for name, value in variables.items()}}
        return Stage("gateway", self._variables | more, self._folder, self._guardian, f"http://127.0.0.1:{port}")

    def predict(self, count: int, **more: Any) -> httpx.Response:
        records = [{"total_events": number, "last_item": None} for number in range(count)]
        return httpx.post(f"{self.gateway.url}/predict", json={"records": records, **more}, timeout=30)

    def metric(self, name: str) -> float:
        shown = httpx.get(f"{self.gateway.url}/metrics", timeout=10).text
        return float(shown.split(f"\nanmodel_gateway_prediction_log_{name}_total ")[1].split()[0])

    def close(self) -> None:
        self.gateway.kill()
        self.stream.close()


@pytest.fixture
def shop(kafka: Any, clickhouse: Any, tmp_path: Path, guardian: Guardian, predictor: ScriptedServer) -> Iterator[Shop]:
    made = Shop(kafka, clickhouse, tmp_path, guardian, predictor.url)
    yield made
    made.close()


def test_what_was_answered_is_stored_with_whose_it_was(shop: Shop) -> None:
    shop.gateway.start()
    shop.stream.consumer.start()
    assert shop.predict(3, user_ids=["ann", "", "boris"]).status_code == 200
    assert shop.predict(500).status_code == 200
    shop.stream.wait_for_rows(503, table="predictions")
    db = shop.stream.warehouse.db
    rows = shop.stream.warehouse.query(f"SELECT * FROM {db}.predictions WHERE user_id != '' ORDER BY user_id")
    assert [row["user_id"] for row in rows] == ["ann", "boris"]
    assert json.loads(rows[1]["features"]) == {"total_events": 2, "last_item": None}
    assert {name: rows[0][name] for name in SAID} == SAID
    assert (rows[0]["service"], rows[0]["model_version"]) == ("context_aware", "3")
    assert (shop.metric("sent"), shop.metric("dropped")) == (503, 0)


def test_what_waits_is_sent_when_the_gateway_is_ended(shop: Shop) -> None:
    shop.gateway.start()
    shop.stream.consumer.start()
    assert shop.predict(1000).status_code == 200
    assert shop.gateway.stop() in (0, -15)
    shop.stream.wait_for_rows(1000, table="predictions")


def test_without_kafka_the_gateway_starts_and_answers_and_logs_what_kafka_takes_after(shop: Shop, kafka: Any) -> None:
    kafka.kill()
    try:
        shop.gateway.start()
        started = time.monotonic()
        assert shop.predict(100).status_code == 200
        assert time.monotonic() - started < 2
    finally:
        kafka.start()
    shop.stream.consumer.start()
    shop.stream.wait_for_rows(100, table="predictions")
    assert shop.metric("dropped") == 0


def test_services_are_looked_up_at_once_when_a_message_tells_of_a_new_champion(
    shop: Shop, predictor: ScriptedServer, tmp_path: Path
) -> None:
    with KubernetesApi(tmp_path).running() as api:
        api.add("context-aware", predictor.url, model="context_aware", version="3")
        shop.gateway = shop.make_gateway(
            SERVICES="kserve", KUBECONFIG=api.kubeconfig, SERVICES_POLL_SECONDS=3600, PREDICTOR_URL="http://127.0.0.1:1"
        ).start()

        def services() -> dict[str, Any]:
            found: dict[str, Any] = httpx.get(f"{shop.gateway.url}/services", timeout=10).json()
            return found

        eventually(lambda: services()["details"]["context_aware"]["version"] == "3", 30)
        assert shop.predict(1).json()["model_version"] == "3"
        eventually(lambda: "listening for model news" in shop.gateway.log.read_text(), 20)
        api.services.clear()
        api.add("context-aware", predictor.url, model="context_aware", version="4")
        api.add("other", predictor.url)
        announce(shop.settings, shop.news_topic, NEWS)
        eventually(lambda: services()["services"] == ["context_aware", "other"], 20)
        assert services()["details"]["context_aware"]["version"] == "4"
        api.away = True
        announce(shop.settings, shop.news_topic, NEWS)
        eventually(lambda: services()["reason"], 20)
        assert services()["services"] == ["context_aware", "other"]
        unknown = httpx.post(f"{shop.gateway.url}/predict/x", json={"records": [{}]}, timeout=10)
        assert (unknown.status_code, unknown.json()["detail"]) == (
            404,
            "there is no service 'x'; there is: context_aware, other",
        )


def test_every_listener_hears_what_comes_from_now_on_also_after_kafka_was_away(shop: Shop, kafka: Any) -> None:
    announce(shop.settings, shop.news_topic, NEWS)  # before anybody listens
    heard: list[str] = []
    settings = GatewaySettings.load(
        clickhouse_password="unused", kafka_bootstrap=kafka.bootstrap, model_topic=shop.news_topic
    )

    def told(name: str) -> bool:
        """Whether a message that comes now is heard; a listener may not have found its place yet."""
        announce(shop.settings, shop.news_topic, NEWS)
        return name in heard

    with (
        ModelNews(settings, lambda: heard.append("first")).listening(),
        ModelNews(settings, lambda: heard.append("second")).listening(),
    ):
        eventually(lambda: told("first") and told("second"), 30)
        kafka.kill()
        kafka.start()
        heard.clear()
        eventually(lambda: told("first") and told("second"), 60)
