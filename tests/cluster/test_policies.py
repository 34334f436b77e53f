"""Who may speak to whom: what must be refused is refused, and what is needed is not."""

import json
from collections.abc import Iterator

import pytest
from release import NAME, Release
from testbed import version

from cluster import NAMESPACE, Cluster

CLICKHOUSE = ("clickhouse-anmodel", 8123)
KAFKA = ("anmodel-kafka-bootstrap", 9092)
STRANGER = "stranger"
CALL = """
import socket, sys
try:
    socket.create_connection((socket.gethostbyname(sys.argv[1]), int(sys.argv[2])), 3).close()
except TimeoutError:
    print("refused")
else:
    print("connected")
"""


def call(cluster: Cluster, pod: str, host: str, port: int) -> str:
    """`connected`, or `refused` when a policy drops the packets; a name that cannot be resolved is an error."""
    return cluster.kubectl("exec", pod, "--", "python", "-c", CALL, host, str(port)).strip()


@pytest.fixture(scope="module")
def stranger(platform: Cluster, installed: Release) -> Iterator[str]:
    """A pod of the same namespace that is no part of the release."""
    platform.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": STRANGER, "namespace": NAMESPACE},
            "spec": {
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "main",
                        "image": f"anmodel/collector:{version()}",
                        "command": ["python", "-c", "import signal; signal.pause()"],
                        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                    }
                ],
            },
        }
    )
    platform.kubectl("wait", f"pod/{STRANGER}", "--for=condition=Ready", "--timeout=60s")
    yield STRANGER
    platform.kubectl("delete", "pod", STRANGER, "--wait=false")


ALLOWED = [
    ("collector", *KAFKA),
    ("consumer", *KAFKA),
    ("consumer", *CLICKHOUSE),
    ("gateway", *CLICKHOUSE),
    ("gateway", "anmodel-pg-rw", 5432),
    ("gateway", *KAFKA),
]
REFUSED = [
    ("marketapp", *CLICKHOUSE),
    ("marketapp", *KAFKA),
    ("marketapp", f"{NAME}-gateway", 8000),
    ("collector", *CLICKHOUSE),
    ("collector", "anmodel-pg-rw", 5432),
    ("gateway", f"{NAME}-collector", 8001),
    ("consumer", "anmodel-pg-rw", 5432),
]


@pytest.mark.parametrize(("stage", "host", "port"), ALLOWED)
def test_a_stage_reaches_what_it_works_with(
    release: Release, platform: Cluster, stage: str, host: str, port: int
) -> None:
    assert call(platform, f"deploy/{NAME}-{stage}", host, port) == "connected"


@pytest.mark.parametrize(("stage", "host", "port"), REFUSED)
def test_a_stage_is_refused_what_it_has_no_business_with(
    release: Release, platform: Cluster, stage: str, host: str, port: int
) -> None:
    assert call(platform, f"deploy/{NAME}-{stage}", host, port) == "refused"


def test_a_stranger_can_call_others_at_all(release: Release, platform: Cluster, stranger: str) -> None:
    assert call(platform, stranger, "kube-dns.kube-system", 53) == "connected"


@pytest.mark.parametrize(
    ("host", "port"),
    [KAFKA, CLICKHOUSE, (f"{NAME}-collector", 8001), (f"{NAME}-gateway", 8000), (f"{NAME}-marketapp", 5173)],
)
def test_a_stranger_is_refused(release: Release, platform: Cluster, stranger: str, host: str, port: int) -> None:
    assert call(platform, stranger, host, port) == "refused"


def test_a_stranger_cannot_read_the_consumers_metrics(release: Release, platform: Cluster, stranger: str) -> None:
    pods = platform.pods("app.kubernetes.io/component=consumer")
    assert call(platform, stranger, pods[0]["status"]["podIP"], 8002) == "refused"


def test_only_the_gateway_which_lists_what_kserve_serves_has_a_token_of_the_api_server(
    release: Release, platform: Cluster
) -> None:
    pods = platform.get("pods", selector=f"app.kubernetes.io/instance={NAME}")["items"]
    stages = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for pod in pods
        if "serviceAccountToken" in json.dumps(pod["spec"].get("volumes", []))
    }
    assert stages == {"gateway"}
