"""Values that must not be taken are refused before anything is installed, by a message that names them."""

from typing import Any

import pytest
from rendered import refusal

pytestmark = pytest.mark.usefixtures("helm_there")

HOSTS = {"marketapp": "a.test", "gateway": "b.test", "collector": "c.test"}

SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "a typing error": ({"collector": {"replicaz": 2}}, "at '/collector': additional properties 'replicaz' not allowed"),
    "a typing error at the top": ({"collektor": {}}, "additional properties 'collektor' not allowed"),
    "a typing error far below": (
        {"edge": {"hosts": {"console": "x"}}},
        "at '/edge/hosts': additional properties 'console'",
    ),
    "a word that is none": (
        {"kafka": {"securityProtocol": "SASL"}},
        "at '/kafka/securityProtocol': value must be one of 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'",
    ),
    "another word that is none": ({"edge": {"kind": "Route"}}, "value must be one of 'HTTPRoute', 'Ingress', 'none'"),
    "text for a number": ({"consumer": {"replicas": "two"}}, "at '/consumer/replicas': got string, want integer"),
    "a port that is none": ({"clickhouse": {"port": 70000}}, "at '/clickhouse/port'"),
    "the tag latest": ({"image": {"tag": "latest"}}, "at '/image/tag'"),
    "no memory limit": (
        {"gateway": {"resources": {"limits": {"memory": None}}}},
        "at '/gateway/resources/limits': missing property 'memory'",
    ),
    "brokers without a port": ({"kafka": {"bootstrap": "kafka"}}, "at '/kafka/bootstrap'"),
    "a password in an option": ({"kafka": {"options": "sasl.password=x"}}, "at '/kafka/options'"),
    "a password in the environment": (
        {"collector": {"extraEnv": [{"name": "KAFKA_PASSWORD", "value": "x"}]}},
        "at '/collector/extraEnv/0/name'",
    ),
    "a password in an address": ({"valkey": {"url": "valkey://user:word@host:6379"}}, "at '/valkey/url'"),
    "no Secret for Postgres": ({"users": {"existingSecret": ""}}, "at '/users/existingSecret'"),
    "a rate without a time": ({"gateway": {"rateLimit": "100"}}, "at '/gateway/rateLimit'"),
    "a lake in a folder": ({"lake": {"url": "/data/lake"}}, "at '/lake/url'"),
    "a key of the S3 in the environment": (
        {"score": {"extraEnv": [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]}},
        "at '/score/extraEnv/0/name'",
    ),
    "a password in MLflow's address": ({"mlflow": {"url": "http://user:word@mlflow:5000"}}, "at '/mlflow/url'"),
    "room without a unit": ({"train": {"tmpSize": "5"}}, "at '/train/tmpSize'"),
    "what a runtime cannot say": (
        {"predictor": {"priorityClassName": "high"}},
        "at '/predictor': additional properties 'priorityClassName' not allowed",
    ),
    "an address that is none": (
        {"networkPolicy": {"kafka": {"cidrs": ["kafka.test"]}}},
        "at '/networkPolicy/kafka/cidrs/0'",
    ),
}

CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no Secret for a SASL user": (
        {"collector": {"kafka": {"existingSecret": ""}}},
        "collector.kafka.existingSecret is not set; kafka.securityProtocol SASL_SSL needs a Secret",
    ),
    "no SASL user": ({"consumer": {"kafka": {"username": ""}}}, "consumer.kafka.username is not set"),
    "a client certificate without TLS": (
        {"kafka": {"securityProtocol": "PLAINTEXT"}, "consumer": {"kafka": {"certificateSecret": "x"}}},
        "consumer.kafka.certificateSecret is set, but kafka.securityProtocol PLAINTEXT has no TLS; allowed",
    ),
    "an authority without HTTPS": (
        {"clickhouse": {"caSecret": {"name": "x"}}},
        "clickhouse.caSecret.name is set, but clickhouse.secure is not; set it to true",
    ),
    "Postgres checked by nothing": (
        {"users": {"sslmode": "verify-full"}},
        "users.caSecret.name is not set; users.sslmode verify-full needs the certificates",
    ),
    "Postgres not checked": (
        {"users": {"sslmode": "prefer", "caSecret": {"name": "x"}}},
        "users.sslmode prefer checks no certificate; allowed with it: require, verify-ca, verify-full",
    ),
    "no host at the edge": (
        {"edge": {"kind": "HTTPRoute", "hosts": {"marketapp": "a.test", "gateway": "b.test"}}},
        "edge.hosts.collector is not set; edge.kind HTTPRoute needs a host name for the collector. Set it",
    ),
    "one host for two": (
        {"edge": {"kind": "Ingress", "hosts": HOSTS | {"gateway": "a.test"}}},
        "edge.hosts are not three different names: a.test, a.test, c.test",
    ),
    "no Gateway": (
        {"edge": {"kind": "HTTPRoute", "hosts": HOSTS, "gateway": {"name": ""}}},
        "edge.gateway.name is not set",
    ),
    "a certificate that browsers do not ask for": (
        {"edge": {"kind": "Ingress", "hosts": HOSTS, "ingress": {"tlsSecret": "x"}}},
        "edge.ingress.tlsSecret is set, but edge.scheme is http; set it to https",
    ),
    "fewest above most": (
        {"gateway": {"autoscaling": {"enabled": True, "min": 9}}},
        "gateway.autoscaling.min is 9, more than its max, 6",
    ),
    "fewest above most by lag": ({"consumer": {"keda": {"enabled": True, "min": 9}}}, "consumer.keda.min is 9"),
    "no Secret for a step's SASL user": (
        {"monitor": {"kafka": {"existingSecret": ""}}},
        "monitor.kafka.existingSecret is not set; kafka.securityProtocol SASL_SSL needs a Secret",
    ),
    "SQL that takes all of its pod's memory": (
        {"snapshot": {"memoryMB": 2048}},
        "snapshot.memoryMB is 2048, but snapshot.resources.limits.memory is 2Gi; leave the process 600 MB beside it",
    ),
    "nobody to fetch trends from": (
        {"trends": {"existingSecret": "serpapi"}, "networkPolicy": {"internet": {"cidrs": []}}},
        "networkPolicy.internet names nobody, so no packet would pass",
    ),
    "a policy that names nobody": (
        {"networkPolicy": {"clickhouse": {"podLabels": None}}},
        "networkPolicy.clickhouse names nobody, so no packet would pass. Set podLabels or namespace for pods, cidrs",
    ),
}


@pytest.mark.parametrize("case", SHAPES)
def test_what_the_schema_forbids_is_refused(case: str) -> None:
    values, said = SHAPES[case]
    assert said in refusal(values)


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_values_that_contradict_each_other_are_refused(case: str) -> None:
    values, said = CONTRADICTIONS[case]
    assert said in refusal(values)


def test_all_contradictions_are_told_at_once() -> None:
    said = refusal({"edge": {"kind": "HTTPRoute"}, "users": {"sslmode": "verify-ca"}})
    assert said.count("\n- ") == 4
