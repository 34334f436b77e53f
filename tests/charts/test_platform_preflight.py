"""Preflight: what is found for each condition, and what it says to do."""

import socket

import pytest
from platform_tree import PLATFORM, overlay
from runners import Notes

from bringup.bringing import ROOT
from bringup.parts import K8S
from bringup.preflight import PORTS, cgroup, is_free, memory, numbers, port, report, tool, watches

TOOLS: dict[str, object] = {
    "docker version": "28.1.0",
    "kubectl version --client": "Client Version: v1.36.1\nKustomize Version: v5.8.1",
    "helm version": "v4.1.4+g05fa379",
    "kind version": "kind v0.32.0 go1.26 linux/amd64",
    "ctlptl version": "v0.9.3, built 2026-04-23",
    "tilt version": "v0.37.6, built 2026-07-28",
}
WELL: dict[str, object] = {**TOOLS, "docker info": f"2 {16 * 2**30}", "kind get clusters": "anmodel"}


def test_a_machine_that_can_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(PLATFORM, overlay("kind"), Notes(dict(WELL))) == 0
    shown = capsys.readouterr().out
    assert "✗" not in shown
    assert "Nothing stands in the way." in shown


@pytest.mark.parametrize(
    ("broken", "said", "advice"),
    [
        ({"docker version": None}, "docker does not answer; is its daemon running", "docs.docker.com"),
        ({"docker version": "19.03"}, "docker 19.03 is older than 20.10", "docs.docker.com"),
        ({"kubectl version --client": None}, "kubectl does not answer", "kubernetes.io/docs/tasks/tools"),
        ({"helm version": "v3.11.0"}, "helm 3.11.0 is older than 3.19", "helm.sh"),
        ({"kind version": "kind v0.20.0 go1.20"}, "kind 0.20.0 is older than 0.32.0", "kind.sigs.k8s.io"),
        ({"ctlptl version": None}, "ctlptl does not answer", "tilt-dev/ctlptl"),
        (
            {"docker info": f"1 {16 * 2**30}"},
            "control groups v1: the kubelet of kindest/node:v1.36.1",
            "unified_cgroup",
        ),
        ({"docker info": f"2 {4 * 2**30}"}, "4096 MB of memory, too little for about", "Give Docker more"),
    ],
    ids=lambda value: str(next(iter(value), value))[:24],
)
def test_each_condition_that_fails_is_named_with_what_to_do(
    broken: dict[str, object], said: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(PLATFORM, overlay("kind"), Notes({**WELL, **broken})) == 1
    shown = capsys.readouterr().out
    assert f"✗ {said}" in shown
    assert advice in shown
    assert "1 of " in shown


def test_tilt_may_be_missing() -> None:
    found = tool("tilt", "0.37.6", None)
    assert found.ok is None
    assert "`make platform` does without" in found.advice


def test_a_taken_port_stands_in_the_way_of_the_edge_alone() -> None:
    assert port(8081, "the edge", free=False, cluster=False).ok is False
    found = port(5000, "MLflow", free=False, cluster=False)
    assert found.ok is None
    assert "lsof -nP -iTCP:5000" in found.advice
    assert port(8081, "the edge", free=False, cluster=True).ok is True


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        assert not is_free(number)
    assert is_free(number)


def test_memory_that_just_suffices_is_a_warning() -> None:
    assert memory(10_000, 8_000).ok is True
    assert memory(9_000, 8_000).ok is None
    assert memory(7_000, 8_000).ok is False


def test_few_watches_are_a_warning_with_the_command() -> None:
    assert watches(8192).ok is True
    found = watches(128)
    assert found.ok is None
    assert "sysctl fs.inotify.max_user_instances=512" in found.advice


def test_control_groups_that_nobody_knows_are_not_taken_for_good() -> None:
    assert cgroup("", "kindest/node:v1").ok is False


def test_versions_are_compared_as_numbers() -> None:
    assert numbers("kind v0.9.0") < numbers("0.32.0")
    assert numbers("v4.1.4+g05fa379") == (4, 1, 4)
    assert tool("helm", "3.19", "unreadable").ok is None


@pytest.mark.parametrize(
    ("answer", "classes", "code", "said"),
    [
        ("v1.34.2", "storageclass/gp3", 0, "✓ Kubernetes v1.34.2"),
        ("v1.29.0", "storageclass/gp3", 1, "✗ Kubernetes v1.29.0"),
        ("v1.34.2", "", 1, "✗ storage classes: none"),
        ("", "", 1, "✗ the cluster of kubectl's current context does not answer"),
    ],
)
def test_a_cluster_is_looked_at_for_production(
    answer: str, classes: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    version = {"serverVersion": {"gitVersion": answer}} if answer else None
    runner = Notes({**TOOLS, "kubectl version -o json": version, "kubectl get storageclass": classes})
    assert report(PLATFORM, overlay("production"), runner) == code
    assert said in capsys.readouterr().out


def test_the_ports_are_those_of_kind_and_of_the_tiltfile() -> None:
    assert "hostPort: 8081" in (K8S / "kind/cluster.yaml").read_text()
    tilt = (ROOT / "Tiltfile").read_text()
    assert {number for number in PORTS if str(number) in tilt} == set(PORTS)
