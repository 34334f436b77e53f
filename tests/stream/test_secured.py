"""Kafka that asks for passwords over TLS: what the stages need, what they say without it, and rotation."""

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AclOperation, ResourceType

from anmodel.errors import TopicError
from anmodel.laptop.guardian import Guardian
from anmodel.settings import KafkaSettings
from anmodel.topic import TopicCheck, announce, create_topics
from certificates import Authority
from eventually import eventually
from secret_volume import SecretVolume
from secured_kafka import SecuredKafka
from stages import Stage
from streaming import Stream, events

FIRST, SECOND = "first-password", "second-password"
ENDED = (0, -signal.SIGTERM)  # uvicorn ends by the signal, once it has finished


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, cache: Path, guardian: Guardian) -> Iterator[SecuredKafka]:
    kafka = SecuredKafka(tmp_path_factory.mktemp("secured"), cache, guardian)
    kafka.start()
    yield kafka
    kafka.kill()


class SecuredStream:
    """A stream whose collector and consumer are users of their own, with a folder of secrets each."""

    def __init__(self, kafka: SecuredKafka, clickhouse: Any, folder: Path, guardian: Guardian) -> None:
        self.stream = Stream(kafka, clickhouse, folder, guardian)
        self.kafka = kafka
        self.users = {name: f"{name}-{self.stream.number}" for name in ("collector", "consumer")}
        self.volumes = {name: self._volume(name, folder, clickhouse.password) for name in self.users}
        self.collector = self._stage("collector", self.stream.collector.url, folder, guardian)
        self.consumer = self._stage("consumer", self.stream.consumer.url, folder, guardian)
        self.stream.collector, self.stream.consumer = self.collector, self.consumer

    def _volume(self, name: str, folder: Path, clickhouse_password: str) -> SecretVolume:
        self.kafka.set_password(self.users[name], FIRST)
        files = {"kafka_ca.pem": self.kafka.authority.certificate, "kafka_password": f"{FIRST}\n"}
        if name == "consumer":
            files["clickhouse_password"] = clickhouse_password
        return SecretVolume(folder / f"{name}-secrets", files)

    def _stage(self, name: str, url: str, folder: Path, guardian: Guardian) -> Stage:
        variables = {key: value for key, value in self.stream.variables.items() if "PASSWORD" not in key}
        secured = {
            "KAFKA_BOOTSTRAP": self.kafka.clients,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_USERNAME": self.users[name],
            "KAFKA_CA": self.volumes[name].path("kafka_ca.pem"),
            "ANMODEL_SECRETS": str(self.volumes[name].folder),
            "SECRETS_POLL_SECONDS": "0.1",
            "SECRETS_SPREAD_SECONDS": "0.2",
        }
        return Stage(name, variables | secured, folder, guardian, url)

    def allow_collector(self) -> None:
        """The least rights by which the collector works."""
        self.kafka.allow(self.users["collector"], ResourceType.TOPIC, self.stream.topic, [AclOperation.WRITE])

    def allow_consumer(self) -> None:
        """The least rights by which the consumer works; its group has the name of its topic."""
        topic, dead, predictions = self.stream.topic, self.stream.dead_topic, self.stream.predictions_topic
        self.kafka.allow(self.users["consumer"], ResourceType.TOPIC, topic, [AclOperation.READ])
        self.kafka.allow(self.users["consumer"], ResourceType.TOPIC, predictions, [AclOperation.READ])
        self.kafka.allow(self.users["consumer"], ResourceType.GROUP, topic, [AclOperation.READ])
        self.kafka.allow(self.users["consumer"], ResourceType.TOPIC, dead, [AclOperation.WRITE])

    def start(self) -> None:
        """Start both at once, and wait until they live."""
        stages = (self.collector, self.consumer)
        with ThreadPoolExecutor() as pool:
            list(pool.map(Stage.start, stages))

    def rotate(self, files: Mapping[str, str]) -> None:
        """Change both folders, and wait until both stages have ended by themselves."""
        for volume in self.volumes.values():
            volume.write(files)
        for stage in (self.collector, self.consumer):
            assert stage.wait() in ENDED
            assert "secrets changed" in stage.log.read_text()

    def close(self) -> None:
        self.stream.close()


@pytest.fixture
def own(secured: SecuredKafka, clickhouse: Any, tmp_path: Path, guardian: Guardian) -> Iterator[SecuredStream]:
    made = SecuredStream(secured, clickhouse, tmp_path, guardian)
    yield made
    made.close()


def why_not_ready(stage: Stage) -> dict[str, str]:
    """Parts that are missing, and why."""
    answer = httpx.get(f"{stage.url}/ready", timeout=10)
    return {missing["part"]: missing["reason"] for missing in answer.json()["missing"]}


def test_with_the_least_rights_events_become_rows_and_what_is_none_a_dead_letter(own: SecuredStream) -> None:
    own.allow_collector()
    own.allow_consumer()
    own.start()
    assert own.stream.post(events(2000)).status_code == 201
    own.stream.produce([b"no event"])
    own.stream.wait_for_rows(2000)
    own.stream.wait_until_committed()
    assert own.stream.count(final=False) == 2000
    assert [letter["value"] for letter in own.stream.dead_letters(1)] == [b"no event"]
    assert why_not_ready(own.collector) == why_not_ready(own.consumer) == {}


def test_stages_without_rights_say_so_and_work_once_they_have_them(own: SecuredStream) -> None:
    own.start()
    assert own.stream.post(events(10)).status_code == 503
    assert "Topic authorization failed" in why_not_ready(own.collector)["kafka"]
    eventually(lambda: "authorization failed" in why_not_ready(own.consumer)["kafka"], 60)
    own.allow_collector()
    own.stream.post_until_accepted(list(events(10)))
    user = own.users["consumer"]
    own.kafka.allow(user, ResourceType.TOPIC, own.stream.topic, [AclOperation.READ])
    own.kafka.allow(user, ResourceType.GROUP, own.stream.topic, [AclOperation.READ])
    own.stream.wait_for_rows(10)
    # what it may not read of predictions holds up no event
    eventually(lambda: "authorization failed" in why_not_ready(own.consumer).get("predictions", ""), 60)
    assert httpx.get(f"{own.consumer.url}/ready", timeout=10).status_code == 200
    # a letter that cannot be written is a fault of its own, beside which predictions are not told
    own.stream.produce([b"no event"])
    eventually(lambda: "dead letters not acknowledged" in own.consumer.log.read_text(), 30)
    own.kafka.allow(user, ResourceType.TOPIC, own.stream.dead_topic, [AclOperation.WRITE])
    assert own.stream.dead_letters(1)[0]["value"] == b"no event"
    own.stream.wait_until_committed()
    assert own.collector.answers()
    assert own.consumer.answers()


def test_wrong_passwords_are_told_and_the_right_ones_are_taken_up(own: SecuredStream) -> None:
    own.allow_collector()
    own.allow_consumer()
    wrong = {"kafka_password": "wrong-password", "clickhouse_password": "wrong-password"}
    for volume in own.volumes.values():
        volume.write(wrong)
    own.start()
    eventually(lambda: "Authentication failed" in why_not_ready(own.consumer)["clickhouse"], 20)
    own.volumes["consumer"].write({"clickhouse_password": "test-password"})
    assert own.consumer.wait() in ENDED
    own.consumer.start()
    for stage in (own.consumer, own.collector):
        eventually(lambda stage=stage: "Authentication failed" in why_not_ready(stage)["kafka"], 20)
        assert stage.answers()
    own.rotate({"kafka_password": FIRST})
    own.start()
    own.stream.post_until_accepted(list(events(100)))
    own.stream.wait_for_rows(100)
    logs = own.collector.log.read_text() + own.consumer.log.read_text()
    assert not {word for word in (FIRST, "wrong-password", "test-password") if word in logs}


def test_a_new_authority_and_new_passwords_are_taken_up_under_load_and_no_event_is_lost_or_counted_twice(
    own: SecuredStream,
) -> None:
    own.allow_collector()
    own.allow_consumer()
    own.start()
    load = Load(own.stream)
    load.start()
    eventually(lambda: load.accepted > 500, 30)

    for user in own.users.values():
        own.kafka.set_password(user, SECOND)
    own.kafka.authority = Authority("tests, second")
    own.rotate({"kafka_ca.pem": own.kafka.authority.certificate, "kafka_password": SECOND})
    own.kafka.kill()
    own.kafka.start()
    own.start()

    before = load.accepted
    eventually(lambda: load.accepted > before + 500, 60)
    total = load.stop()
    own.stream.wait_for_rows(total)
    own.stream.wait_until_committed()
    assert own.stream.count() == own.stream.count("uniqExact(event_id)") == total
    assert own.stream.count("uniqExact(partition, offset)", final=False) == own.stream.count(final=False)


class Load(threading.Thread):
    """Posts batches one after the other, each until it is accepted."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(name="load", daemon=True)
        self._stream = stream
        self._over = threading.Event()
        self.accepted = 0

    def run(self) -> None:
        for seed in range(1, 10_000):
            if self._over.is_set():
                return
            batch = list(events(50, seed=seed))
            self._stream.post_until_accepted(batch)
            self.accepted += len(batch)

    def stop(self) -> int:
        """End after the batch under way; the number of events accepted."""
        self._over.set()
        self.join(60)
        assert not self.is_alive()
        return self.accepted


def test_a_champion_is_announced_and_topics_are_made_over_the_secured_listener(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    volume = SecretVolume(tmp_path / "secrets", {"ca.pem": secured.authority.certificate, "kafka_password": "pass"})
    settings = secured_settings(secured, volume, "register")
    secured.set_password("register", "pass")
    secured.allow("register", ResourceType.BROKER, "kafka-cluster", [AclOperation.CREATE])
    assert create_topics(settings, 1, ["model-news"]) == ["model-news"]
    assert "Topic authorization failed" in TopicCheck(settings, "model-news").fault()
    with pytest.raises(TopicError, match="authorization failed"):
        announce(settings, "model-news", {"version": "1"})
    secured.allow("register", ResourceType.TOPIC, "model-news", [AclOperation.WRITE])
    announce(settings, "model-news", {"version": "2"})
    reader = Consumer({"bootstrap.servers": secured.bootstrap, "group.id": "t", "auto.offset.reset": "earliest"})
    reader.subscribe(["model-news"])
    message = eventually(lambda: reader.poll(0.5), 20)
    reader.close()
    assert json.loads(message.value()) == {"version": "2"}


def test_a_client_shows_its_own_certificate_and_trusts_no_other_authority(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    stranger = Authority("stranger")
    files = {"own_ca.pem": secured.authority.certificate, "strange_ca.pem": stranger.certificate}
    for name, authority in (("own", secured.authority), ("strange", stranger)):
        files[f"{name}.pem"], files[f"{name}_key.pem"] = authority.issue("shop")
    volume = SecretVolume(tmp_path / "secrets", files)
    create_topics(KafkaSettings.load(kafka_bootstrap=secured.bootstrap), 1, ["mutual"])
    secured.allow("CN=shop", ResourceType.TOPIC, "mutual", [AclOperation.WRITE])

    def fault(ca: str, **shown: str) -> str:
        settings = KafkaSettings.load(
            kafka_bootstrap=secured.mutual, kafka_security_protocol="SSL", kafka_ca=volume.path(ca), **shown
        )
        return TopicCheck(settings, "mutual").fault()

    own = {"kafka_certificate": volume.path("own.pem"), "kafka_key": volume.path("own_key.pem")}
    strange = {"kafka_certificate": volume.path("strange.pem"), "kafka_key": volume.path("strange_key.pem")}
    assert fault("own_ca.pem", **own) == ""
    with ThreadPoolExecutor() as pool:  # each waits some seconds for an answer
        stranger_comes = pool.submit(fault, "own_ca.pem", **strange)
        nobody_comes = pool.submit(fault, "own_ca.pem")
        another_answers = pool.submit(fault, "strange_ca.pem", **own)
    assert "SSL" in stranger_comes.result()
    assert "SSL" in nobody_comes.result()
    assert "certificate verify failed" in another_answers.result()


def secured_settings(kafka: SecuredKafka, volume: SecretVolume, user: str) -> KafkaSettings:
    return KafkaSettings.load(
        kafka_bootstrap=kafka.clients,
        kafka_security_protocol="SASL_SSL",
        kafka_username=user,
        kafka_ca=volume.path("ca.pem"),
        anmodel_secrets=str(volume.folder),
    )
