"""What register and gateway may ask of the Kubernetes API is what their code asks of it, and no more."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubernetes.client
import pytest
from rendered import ROOT, Rendered, render

from anmodel.cluster import Cluster
from scripted_server import Answer, Request, ScriptedServer

SERVICE, LEASE = "context-aware", "context-aware-register"
JSON = {"content-type": "application/json"}
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
PLACE = re.compile(
    r"/apis?/(?:(?P<group>[\w.]+)/)?v\w+/namespaces/shop/(?P<kind>\w+)(?:/(?P<name>[\w-]+))?(?:\?.*)?"  # core: /api/v1
)
Right = tuple[str, str, str, str]
"""API group, kind, verb, and the object's name where the role is bound to it."""

CALLS: dict[str, Callable[[Cluster, int], Any]] = {
    "service": lambda cluster, port: cluster.service(SERVICE),
    "route": lambda cluster, port: cluster.route(SERVICE),
    "deployment": lambda cluster, port: cluster.deployment("context-aware-predictor"),
    "pods": lambda cluster, port: cluster.pods({"app": "isvc.context-aware-predictor"}),
    "ask": lambda cluster, port: cluster.ask("pods", "context-aware-predictor-1", port, "/info"),
    "apply": lambda cluster, port: [
        cluster.apply(made) for made in (applied("InferenceService"), applied("HTTPRoute"))
    ],
    "lease": lambda cluster, port: cluster.lease(LEASE),
    "write_lease": lambda cluster, port: [
        cluster.write_lease(LEASE, {}, before) for before in (None, {"metadata": {"resourceVersion": "1"}})
    ],
    "remove": lambda cluster, port: cluster.remove(SERVICE),
    "services": lambda cluster, port: cluster.services(),
}
"""Every call of ours, by its method's name."""


def applied(kind: str) -> dict[str, Any]:
    version = {"InferenceService": "serving.kserve.io/v1beta1", "HTTPRoute": "gateway.networking.k8s.io/v1"}[kind]
    return {"apiVersion": version, "kind": kind, "metadata": {"name": SERVICE}}


@contextmanager
def an_api() -> Iterator[ScriptedServer]:
    """An API server that has whatever it is asked for, but for Deployments, which would have to be whole."""
    body = json.dumps({"items": [], "metadata": {}, "status": {"podIP": "127.0.0.1"}}).encode()
    server = ScriptedServer(lambda request, number: Answer(404 if "/deployments/" in request.path else 200, body, JSON))
    with server.running():
        yield server


def asked(*calls: str) -> set[Right]:
    """What these calls of a pod's ask of the API server."""
    with an_api() as server:
        configuration = kubernetes.client.Configuration(host=server.url)
        cluster = Cluster(configuration, "shop", inside=True)
        for call in calls:
            CALLS[call](cluster, int(server.url.rpartition(":")[2]))
        return {right for request in server.requests for right in rights(request)}


def rights(request: Request) -> Iterator[Right]:
    found = PLACE.fullmatch(request.path)
    if not found:  # the pod's own answer
        assert request.path == "/info"
        return
    group, kind, name = found["group"] or "", found["kind"], found["name"] or ""
    # pods and Deployments are KServe's, which names them
    bound = name if kind not in ("pods", "deployments") else ""
    verb = "list" if request.method == "GET" and not name else VERBS[request.method]
    yield group, kind, verb, "" if verb == "create" else bound
    if request.method == "PATCH":  # applied server-side: it is made where it is not there yet
        yield group, kind, "create", ""


def granted(made: Rendered, stage: str) -> set[Right]:
    """What the stage's role allows."""
    return {
        (group, kind, verb, name)
        for rule in made.one("Role", f"anmodel-{stage}")["rules"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def called(folder: Path) -> set[str]:
    """The methods of a Cluster that the code of a stage calls."""
    text = "\n".join(file.read_text() for file in folder.glob("*.py"))
    return set(re.findall(r"_cluster\.(\w+)\(", text))


@pytest.mark.parametrize("stage", ["register", "gateway"])
def test_a_role_allows_what_the_stages_code_asks_and_nothing_else(stage: str, helm_there: None) -> None:
    calls = called(ROOT / f"src/anmodel/{stage}")
    assert calls
    assert granted(render("kind"), stage) == asked(*calls)


def test_a_role_follows_the_models_name(helm_there: None) -> None:
    made = render("bring-your-own")
    names = {name for *_, name in granted(made, "register")}
    served = made.one("NetworkPolicy", "anmodel-predictor")["spec"]["podSelector"]["matchLabels"]
    (service,) = served.values()
    assert names == {"", service, f"{service}-register"}
