"""Kafka's topics and users: exactly what the stages use, each with the least that suffices."""

import json
from typing import Any

import pytest
import yaml
from platform_tree import named, of_kind

from anmodel.settings import CollectorSettings, ConsumerSettings, RegisterSettings
from anmodel.topic import TOPICS
from bringup.bringing import ROOT
from bringup.parts import K8S


def default(settings: Any, field: str) -> str:
    return str(settings.model_fields[field].default)


TOPIC = default(CollectorSettings, "kafka_topic")
DEAD = default(ConsumerSettings, "kafka_dead_topic")
GROUP = default(ConsumerSettings, "consumer_group")
NEWS = default(RegisterSettings, "model_topic")

# Who does what, as the stages do it: the picture of docs/stages.md in Kafka's words.
RIGHTS = {
    "anmodel-collector": {("topic", TOPIC): {"Write", "Describe"}},
    "anmodel-consumer": {
        ("topic", TOPIC): {"Read", "Describe"},
        ("topic", DEAD): {"Write", "Describe"},
        ("group", GROUP): {"Read", "Describe"},
    },
    "anmodel-register": {("topic", NEWS): {"Write", "Describe"}},
    "anmodel-kafka-ui": {
        ("topic", "*"): {"Read", "Describe", "DescribeConfigs"},
        ("group", "*"): {"Describe"},
        ("cluster", ""): {"Describe", "DescribeConfigs"},
    },
}


def rights(user: str, overlay: str) -> dict[tuple[str, str], set[str]]:
    acls = named("KafkaUser", user, in_overlay=overlay)["spec"]["authorization"]["acls"]
    assert {acl["resource"].get("patternType", "literal") for acl in acls} == {"literal"}
    return {(acl["resource"]["type"], acl["resource"].get("name", "")): set(acl["operations"]) for acl in acls}


@pytest.mark.parametrize("overlay", ["kind", "production"])
@pytest.mark.parametrize("user", RIGHTS)
def test_a_user_may_do_what_its_stage_does_and_no_more(user: str, overlay: str) -> None:
    assert rights(user, overlay) == RIGHTS[user]


@pytest.mark.parametrize("overlay", ["kind", "production"])
def test_there_are_no_other_users_and_no_super_users(overlay: str) -> None:
    assert {it["metadata"]["name"] for it in of_kind("KafkaUser", in_overlay=overlay)} == set(RIGHTS)
    assert named("Kafka", "anmodel", in_overlay=overlay)["spec"]["kafka"]["authorization"] == {"type": "simple"}


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
    for user, acls in told["users"].items():
        found: dict[tuple[str, str], set[str]] = {}
        for kind, name, pattern, operation in acls:
            assert pattern == "LITERAL"
            found.setdefault((kind.lower(), name), set()).add(operation.capitalize())
        # reading a group allows describing it
        expected = {key: ops - {"Describe"} for key, ops in RIGHTS[user].items()}
        assert {key: ops - {"Describe"} for key, ops in found.items()} == expected


def test_more_consumers_than_partitions_are_never_asked_for() -> None:
    production = yaml.safe_load((ROOT / "charts/anmodel/profiles/production.yaml").read_text())
    partitions = named("KafkaTopic", TOPIC, in_overlay="production")["spec"]["partitions"]
    assert production["consumer"]["keda"]["max"] <= partitions
