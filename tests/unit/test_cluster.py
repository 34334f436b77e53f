"""The Kubernetes API, spoken to a small server that answers like one; tests/cluster speaks to a real one."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import yaml

from anmodel.cluster import Cluster
from anmodel.errors import ClusterError
from anmodel.served_model import ServedModel
from scripted_server import Answer, Request, ScriptedServer

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/shop/inferenceservices"
Connect = Callable[[Callable[[Request, int], Answer]], AbstractContextManager[tuple[Cluster, ScriptedServer]]]


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
    @contextmanager
    def connecting(answer: Callable[[Request, int], Answer]) -> Iterator[tuple[Cluster, ScriptedServer]]:
        server = ScriptedServer(answer)
        with server.running():
            kubeconfig(server.url, tmp_path / "config")
            monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
            yield Cluster.connect(), server

    return connecting


def kubeconfig(url: str, path: Path) -> None:
    context = {"cluster": "c", "user": "u", "namespace": "shop"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": context}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t0ken"}}],
    }
    path.write_text(yaml.safe_dump(config))


def answering(body: Any, status: int = 200) -> Callable[[Request, int], Answer]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda request, number: Answer(status, text, {"content-type": "application/json"})


def an_inference_service(**status: Any) -> dict[str, Any]:
    notes = {"anmodel.io/model": "context_aware", "anmodel.io/version": "3", "anmodel.io/snapshot-version": "abc"}
    return {"metadata": {"name": "context-aware", "namespace": "shop", "annotations": notes}, "status": status}


def test_services_are_ours_by_label_in_the_namespace_of_the_kubeconfig(connect: Connect) -> None:
    ready = an_inference_service(
        conditions=[{"type": "Ready", "status": "True"}], address={"url": "http://context-aware.shop"}
    )
    with connect(answering({"items": [ready]})) as (cluster, server):
        served = cluster.services()

    assert served == [ServedModel("context-aware", "context_aware", "3", True, "", "http://context-aware.shop", "abc")]
    assert unquote(server.requests[0].path) == f"{SERVICES}?labelSelector=app.kubernetes.io/part-of=anmodel"
    assert server.requests[0].headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "KServe has not said that it is ready yet"),
        (
            {
                "conditions": [
                    {"type": "IngressReady", "status": "True", "message": "fine"},
                    {"type": "PredictorReady", "status": "False", "message": "no minimum availability"},
                ]
            },
            "PredictorReady: no minimum availability",
        ),
        ({"modelStatus": {"lastFailureInfo": {"message": "no such bucket"}}}, "no such bucket"),
    ],
)
def test_a_service_that_is_not_ready_says_why(status: dict[str, Any], reason: str) -> None:
    served = ServedModel.of(an_inference_service(**status))
    assert (served.ready, served.reason) == (False, reason)
    assert served.url == "http://context-aware-predictor.shop.svc"


def test_what_is_not_there_is_none_and_removing_it_is_no_fault(connect: Connect) -> None:
    absent = {"kind": "Status", "message": 'inferenceservices "x" not found', "code": 404}
    with connect(answering(absent, 404)) as (cluster, _):
        assert cluster.service("x") is None
        assert cluster.deployment("x") is None
        cluster.remove("x")


def test_objects_are_applied_by_our_own_manager_whoever_had_the_fields(connect: Connect) -> None:
    given = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": {"hostnames": ["h"]},
    }
    with connect(answering(given)) as (cluster, server):
        cluster.apply(given)

    request = server.requests[0]
    assert request.path == (
        "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/r?fieldManager=anmodel-register&force=true"
    )
    assert request.headers["content-type"] == "application/apply-patch+yaml"
    assert json.loads(request.body) == given


def test_an_object_that_was_not_there_before_is_answered_too(connect: Connect) -> None:
    made = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "s"}}

    def api(request: Request, number: int) -> Answer:
        return Answer(201 if number == 0 else 200, json.dumps(made).encode(), {"content-type": "application/json"})

    with connect(api) as (cluster, _):
        assert cluster.apply(made) == made


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, {"message": 'User "x" cannot list resource'}, r"refused \(403\), namespace shop: User \"x\" cannot list"),
        (404, b"404 page not found\n", "KServe or the Gateway API is not installed"),
    ],
)
def test_a_refusal_is_an_error_in_the_apis_own_words(connect: Connect, status: int, body: Any, said: str) -> None:
    with connect(answering(body, status)) as (cluster, _), pytest.raises(ClusterError, match=said):
        cluster.services()


def test_an_api_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig("http://127.0.0.1:9", tmp_path / "config")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(ClusterError, match="does not answer"):
        Cluster.connect().services()


def test_without_a_kubeconfig_the_error_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="set KUBECONFIG"):
        Cluster.connect()


def test_outside_the_cluster_services_are_asked_through_the_api(connect: Connect) -> None:
    with connect(answering({"predictions": []})) as (cluster, server):
        assert cluster.ask("services", "s", 80, "/v1/models/m:predict", {"instances": []}) == {"predictions": []}
    assert server.requests[0].path == "/api/v1/namespaces/shop/services/http:s:80/proxy/v1/models/m:predict"
    assert server.requests[0].headers["authorization"] == "Bearer t0ken"


def test_a_service_that_refuses_is_its_own_fault_and_not_the_apis(connect: Connect) -> None:
    with connect(answering({"error": "no"}, 503)) as (cluster, _), pytest.raises(httpx.HTTPStatusError):
        cluster.ask("services", "s", 80, "/x")


def a_lease(version: str, holder: str = "first") -> dict[str, Any]:
    return {"metadata": {"name": "turn", "resourceVersion": version}, "spec": {"holderIdentity": holder}}


@pytest.mark.parametrize("before", [None, a_lease("7")], ids=["made", "replaced"])
def test_a_lease_is_written_only_as_it_was_read(connect: Connect, before: dict[str, Any] | None) -> None:
    with connect(answering(a_lease("8"))) as (cluster, server):
        assert cluster.write_lease("turn", {"holderIdentity": "first"}, before)
        sent = json.loads(server.requests[0].body)
    assert sent["metadata"].get("resourceVersion") == (before["metadata"]["resourceVersion"] if before else None)
    assert sent["spec"] == {"holderIdentity": "first"}
    assert server.requests[0].path.split("?")[0].endswith("leases/turn" if before else "leases")


def test_a_lease_that_another_wrote_first_is_not_ours_and_no_fault(connect: Connect) -> None:
    with connect(answering({"message": "the object has been modified"}, 409)) as (cluster, _):
        assert cluster.write_lease("turn", {}, a_lease("7")) is False
    with connect(answering({"message": "forbidden"}, 403)) as (cluster, _), pytest.raises(ClusterError, match="forb"):
        cluster.write_lease("turn", {}, a_lease("7"))
