"""Kafka's topics and users: exactly what the stages use, each with the least that suffices."""

import json
from typing import Any

import certifi
import pytest
import yaml
from confluent_kafka import Consumer, Producer
from platform_tree import PLATFORM, named, of_kind, values

from anmodel.settings import CollectorSettings, ConsumerSettings, MonitorSettings, RegisterSettings
from anmodel.topic import TOPICS
from bringup.bringing import ROOT
from bringup.credentials import filled
from bringup.parts import K8S


def default(settings: Any, field: str) -> str:
    return str(settings.model_fields[field].default)


TOPIC = default(CollectorSettings, "kafka_topic")
DEAD = default(ConsumerSettings, "kafka_dead_topic")
GROUP = default(ConsumerSettings, "consumer_group")
LOGGED = "predictions"
NEWS = default(RegisterSettings, "model_topic")
DAGS = "anmodel-dags"

# Who does what, as the stages do it: the picture of docs/stages.md in Kafka's words.
RIGHTS = {
    "anmodel-collector": {("topic", TOPIC): {"Write", "Describe"}},
    "anmodel-consumer": {
        ("topic", TOPIC): {"Read", "Write", "Describe"},
        ("topic", LOGGED): {"Read", "Write", "Describe"},
        ("topic", DEAD): {"Read", "Write", "Describe"},
        ("group", GROUP): {"Read", "Describe"},
    },
    "anmodel-register": {("topic", NEWS): {"Write", "Describe"}},
    "anmodel-monitor": {("topic", NEWS): {"Write", "Describe"}},
    "anmodel-gateway": {("topic", LOGGED): {"Write", "Describe"}, ("topic", NEWS): {"Read", "Describe"}},
    DAGS: {("topic", NEWS): {"Read", "Write", "Describe"}, ("group", f"{DAGS}*"): {"Read", "Describe"}},
    "anmodel-kafka-ui": {
        ("topic", "*"): {"Read", "Describe", "DescribeConfigs"},
        ("group", "*"): {"Describe"},
        ("cluster", ""): {"Describe", "DescribeConfigs"},
    },
}


def rights(user: str, overlay: str) -> dict[tuple[str, str], set[str]]:
    """By kind and name of what they are for; a prefix ends in a star."""
    acls = named("KafkaUser", user, in_overlay=overlay)["spec"]["authorization"]["acls"]
    found = {}
    for acl in acls:
        resource = acl["resource"]
        star = "*" if resource.get("patternType") == "prefix" else ""
        found[(resource["type"], resource.get("name", "") + star)] = set(acl["operations"])
    return found


@pytest.mark.parametrize("overlay", ["kind", "production"])
@pytest.mark.parametrize("user", RIGHTS)
def test_a_user_may_do_what_its_stage_does_and_no_more(user: str, overlay: str) -> None:
    assert rights(user, overlay) == RIGHTS[user]


@pytest.mark.parametrize("overlay", ["kind", "production"])
def test_there_are_no_other_users_and_no_super_users(overlay: str) -> None:
    assert {it["metadata"]["name"] for it in of_kind("KafkaUser", in_overlay=overlay)} == set(RIGHTS)
    assert named("Kafka", "anmodel", in_overlay=overlay)["spec"]["kafka"]["authorization"] == {"type": "simple"}


def test_both_who_write_of_models_write_to_the_topic_that_airflow_listens_to() -> None:
    assert default(MonitorSettings, "model_topic") == NEWS


@pytest.mark.parametrize("overlay", ["kind", "production"])
def test_airflows_connection_and_its_kafka_user_agree(overlay: str) -> None:
    login = named("KafkaUser", DAGS, in_overlay=overlay)["spec"]["authentication"]
    secret = login["password"]["valueFrom"]["secretKeyRef"]
    made = filled(PLATFORM.secrets["anmodel-airflow"].data, lambda name, key: f"{name}/{key}")
    connection = json.loads(made["kafka-connection"])
    assert connection["conn_type"] == "kafka"
    told = connection["extra"]
    assert told["sasl.password"] == f"{secret['name']}/{secret['key']}"
    assert told["sasl.username"] == DAGS
    assert told["sasl.mechanism"].lower() == login["type"]
    assert told["group.id"].startswith(DAGS)
    kafka, (listener,) = "anmodel", named("Kafka", "anmodel", in_overlay=overlay)["spec"]["kafka"]["listeners"]
    assert told["bootstrap.servers"] == f"{kafka}-kafka-bootstrap:{listener['port']}"
    (ca,) = [it for it in values("airflow", overlay)["volumes"] if it["name"] == "kafka-ca"]
    (mount,) = [it for it in values("airflow", overlay)["volumeMounts"] if it["name"] == "kafka-ca"]
    assert ca["secret"]["secretName"] == f"{kafka}-cluster-ca-cert"
    assert told["ssl.ca.location"] == f"{mount['mountPath']}/{ca['secret']['items'][0]['path']}"


def test_airflows_connection_is_one_that_the_kafka_client_takes() -> None:
    made = filled(PLATFORM.secrets["anmodel-airflow"].data, lambda name, key: "other")
    told = json.loads(made["kafka-connection"])["extra"] | {"ssl.ca.location": certifi.where(), "log_level": 0}
    Consumer(told).close()
    Producer({key: told[key] for key in told if key not in {"group.id", "auto.offset.reset", "enable.auto.commit"}})


@pytest.mark.parametrize("overlay", ["kind", "production"])
def test_the_topics_are_those_of_the_code_and_stamped_by_the_broker(overlay: str) -> None:
    topics = {it["metadata"]["name"]: it["spec"] for it in of_kind("KafkaTopic", in_overlay=overlay)}
    assert set(topics) == set(TOPICS)
    assert {spec["config"]["message.timestamp.type"] for spec in topics.values()} == {"LogAppendTime"}
    kafka = named("Kafka", "anmodel", in_overlay=overlay)["spec"]["kafka"]["config"]
    assert kafka["auto.create.topics.enable"] == "false"


def test_the_releases_group_is_the_one_that_may() -> None:
    values = yaml.safe_load((ROOT / "charts/anmodel/values.yaml").read_text())
    assert values["consumer"]["group"] == GROUP
    assert values["collector"]["kafka"]["username"] in RIGHTS
    assert values["consumer"]["kafka"]["username"] in RIGHTS


def test_the_test_overlays_users_have_the_same_rights() -> None:
    told = json.loads((K8S / "overlays/test/kafka/acls.json").read_text())
    assert set(told["topics"]) == set(TOPICS)
    assert set(told["users"]) == set(RIGHTS) - {"anmodel-kafka-ui"}
    (volume,) = [
        it
        for it in named("StatefulSet", "anmodel-kafka", in_overlay="test")["spec"]["template"]["spec"]["volumes"]
        if it["name"] == "users"
    ]
    paths = {item["path"] for source in volume["projected"]["sources"] for item in source["secret"]["items"]}
    assert paths == {f"{user}/password" for user in told["users"]}
    for user, acls in told["users"].items():
        found: dict[tuple[str, str], set[str]] = {}
        for kind, name, pattern, operation in acls:
            star = {"LITERAL": "", "PREFIXED": "*"}[pattern]
            found.setdefault((kind.lower(), name + star), set()).add(operation.capitalize())
        # reading a group allows describing it
        expected = {key: ops - {"Describe"} for key, ops in RIGHTS[user].items()}
        assert {key: ops - {"Describe"} for key, ops in found.items()} == expected


def test_more_consumers_than_partitions_are_never_asked_for() -> None:
    production = yaml.safe_load((ROOT / "charts/anmodel/profiles/production.yaml").read_text())
    partitions = named("KafkaTopic", TOPIC, in_overlay="production")["spec"]["partitions"]
    assert production["consumer"]["keda"]["max"] <= partitions
