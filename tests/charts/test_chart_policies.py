"""Who may speak to whom: the rendered policies against the picture."""

import ipaddress
from typing import Any

import pytest
from rendered import STEPS, Object, Rendered, render, stage_of

Flow = tuple[str, str, int]
"""Who, to whom, at which port."""

STAGES = ("collector", "consumer", "gateway", "marketapp", "migrate", "generator", "test", "predictor", *STEPS)
SELECTOR = {"serving.kserve.io/inferenceservice": "context-aware"}
"""Of the predictor's pods, which KServe makes."""

# the picture of one release: an edge, Kafka, ClickHouse, Postgres, a predictor
PICTURE: set[Flow] = {
    ("edge", "collector", 8001),
    ("edge", "gateway", 8000),
    ("edge", "marketapp", 5173),
    ("test", "collector", 8001),
    ("test", "gateway", 8000),
    ("test", "marketapp", 5173),
    ("collector", "kafka", 9092),
    ("consumer", "kafka", 9092),
    ("consumer", "clickhouse", 8123),
    ("gateway", "clickhouse", 8123),
    ("gateway", "postgres", 5432),
    ("gateway", "kafka", 9092),
    ("gateway", "predictor", 8080),
    *(("gateway", "kubernetes", port) for port in (443, 6443)),
    ("register", "predictor", 8080),
    *(("register", "kubernetes", port) for port in (443, 6443)),
    ("predictor", "s3", 8333),
    ("migrate", "clickhouse", 8123),
    ("export", "clickhouse", 8123),
    ("export", "postgres", 5432),
    ("score", "clickhouse", 8123),
    ("monitor", "clickhouse", 8123),
    ("register", "kafka", 9092),
    ("monitor", "kafka", 9092),
    *((step, "s3", 8333) for step in STEPS),
    *((step, "mlflow", 5000) for step in ("train", "register", "score", "monitor")),
}
GENERATOR: set[Flow] = {("generator", "collector", 8001), ("generator", "postgres", 5432)}
TRENDS: set[Flow] = {("trends", "internet", 443)}
LIMITS: set[Flow] = {("collector", "valkey", 6379), ("gateway", "valkey", 6379)}
WATCHING: set[Flow] = {
    ("monitoring", "collector", 8001),
    ("monitoring", "consumer", 8002),
    ("monitoring", "gateway", 8000),
    ("monitoring", "predictor", 8080),
}
EDGE = {flow for flow in PICTURE if flow[0] == "edge"}
ROUTE: set[Flow] = {("gateway", "edge", 10080), ("edge", "predictor", 8080)}
"""The predictor's traffic is split between versions by the edge's proxy."""
KSERVE = {flow for flow in PICTURE | ROUTE if {"predictor", "kubernetes"} & set(flow)}

OPEN = [("trends", {443}), ("register", {443, 6443}), ("gateway", {443, 6443})]
"""Stage and ports of the roads whose far end no policy can know: the internet, the Kubernetes API."""

PARTIES: dict[str, Object] = {
    "kafka": {"podSelector": {"matchLabels": {"strimzi.io/name": "anmodel-kafka"}}},
    "clickhouse": {"podSelector": {"matchLabels": {"clickhouse.altinity.com/chi": "anmodel"}}},
    "postgres": {"podSelector": {"matchLabels": {"cnpg.io/cluster": "anmodel-pg"}}},
    "s3": {"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "s3"}}},
    "mlflow": {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "mlflow"}}},
    "internet": {
        "ipBlock": {
            "cidr": "0.0.0.0/0",
            "except": ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
        }
    },
    "valkey": {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "valkey"}}},
    "predictor": {"podSelector": {"matchLabels": {"serving.kserve.io/inferenceservice": "context-aware"}}},
    "kubernetes": {"ipBlock": {"cidr": "0.0.0.0/0"}},
    "edge": {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "envoy"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "envoy-gateway-system"}},
    },
    "monitoring": {
        "podSelector": {"matchLabels": {}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
    },
}

PICTURES: dict[str, set[Flow]] = {
    "kind": PICTURE | ROUTE,
    "production": PICTURE | LIMITS | WATCHING,
    "kind with everything": PICTURE | ROUTE | GENERATOR | TRENDS | LIMITS | WATCHING,
    "no edge": (PICTURE | ROUTE) - EDGE,
    "no KServe": PICTURE - KSERVE,
    "plain Kafka": PICTURE - EDGE,
    "no steps": {flow for flow in PICTURE | ROUTE if flow[0] not in STEPS},
}


def party_of(peer: Object) -> str:
    """The party's name; a peer that nobody knows is named by what it says."""
    labels = peer.get("podSelector", {}).get("matchLabels", {})
    if "namespaceSelector" not in peer and labels.get("app.kubernetes.io/instance") == "anmodel":
        return str(labels["app.kubernetes.io/component"])
    return next((name for name, known in PARTIES.items() if known == peer), repr(peer))


def guarded(policy: Object) -> str:
    """The stage whose pods a policy chooses."""
    labels = policy["spec"]["podSelector"]["matchLabels"]
    return "predictor" if labels == SELECTOR else str(labels["app.kubernetes.io/component"])


def flows(rendered: Rendered) -> set[Flow]:
    """What the stages' policies let through; what a stage is allowed to send to another must be allowed there too."""
    incoming: set[Flow] = set()
    outgoing: set[Flow] = set()
    for policy in rendered.kind("NetworkPolicy"):
        if _is_for_all(policy):
            continue
        stage = guarded(policy)
        for rule in policy["spec"].get("ingress", []):
            incoming |= {(party_of(peer), stage, port["port"]) for peer in rule["from"] for port in rule["ports"]}
        for rule in policy["spec"].get("egress", []):
            if {port["port"] for port in rule["ports"]} == {53}:
                assert stage == "predictor", "the others have names by the policy of all"
                continue
            outgoing |= {(stage, party_of(peer), port["port"]) for peer in rule["to"] for port in rule["ports"]}
    ours = {flow for flow in outgoing if flow[1] in STAGES}
    assert ours == {flow for flow in incoming if flow[0] in STAGES}, "allowed at one end only"
    return incoming | outgoing


@pytest.mark.parametrize("name", PICTURES)
def test_exactly_the_pictures_roads_are_open(name: str, helm_there: None) -> None:
    assert flows(render(name)) == PICTURES[name]


def test_every_pod_is_under_a_policy_that_closes_all_roads_in_and_out(rendered: Rendered) -> None:
    policies = rendered.kind("NetworkPolicy")
    if rendered.name == "no policies, no migration":
        assert policies == []
        return
    closing = [policy["spec"] for policy in policies if "ingress" not in policy["spec"] and _is_for_all(policy)]
    assert closing
    (spec,) = closing
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    for name, pod in rendered.pods():
        labels = pod["metadata"]["labels"].items()
        assert spec["podSelector"]["matchLabels"].items() <= labels, f"{name} is under no policy"
    # the one road it opens: names
    (rule,) = spec["egress"]
    assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert rule["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}


def test_the_predictors_pods_which_that_policy_does_not_choose_may_ask_for_names_too(served: Rendered) -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in served.kind("NetworkPolicy")}
    if served.name == "no policies, no migration":
        return
    begin = "shop" if served.name == "placed pods" else "anmodel"
    (names,) = policies[begin]["egress"]
    assert names in policies[f"{begin}-predictor"]["egress"]


def _is_for_all(policy: Object) -> bool:
    labels = policy["spec"]["podSelector"]["matchLabels"]
    return labels != SELECTOR and "app.kubernetes.io/component" not in labels


def test_every_stage_that_runs_has_a_policy_of_its_own_and_no_other_has(rendered: Rendered) -> None:
    if rendered.name == "no policies, no migration":
        return
    stages = {stage_of(pod) for _, pod in rendered.pods()} | {"predictor" for _ in rendered.kind("ServingRuntime")}
    chosen = [policy for policy in rendered.kind("NetworkPolicy") if not _is_for_all(policy)]
    assert sorted(map(guarded, chosen)) == sorted(stages)
    for policy in chosen:
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_no_rule_is_open_to_everybody(rendered: Rendered) -> None:
    for policy in rendered.kind("NetworkPolicy"):
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            peers = rule.get("from", rule.get("to"))
            assert peers, "a rule without peers is open to all"
            assert rule["ports"]
            for peer in peers:
                assert peer not in (
                    {"podSelector": {}},
                    {"podSelector": {"matchLabels": {}}},
                    {"namespaceSelector": {}},
                )
                if "ipBlock" in peer and ipaddress.ip_network(peer["ipBlock"]["cidr"]).prefixlen == 0:
                    ports = {port["port"] for port in rule["ports"]}
                    assert (policy["metadata"]["labels"]["app.kubernetes.io/component"], ports) in OPEN


def _to(stage: str, rendered: Rendered) -> list[Any]:
    spec = rendered.one("NetworkPolicy", f"anmodel-{stage}")["spec"]
    return [(rule["to"], [port["port"] for port in rule["ports"]]) for rule in spec["egress"]]


def test_parties_outside_the_cluster_are_known_by_their_addresses(helm_there: None) -> None:
    own = render("bring-your-own")
    kafka = ([{"ipBlock": {"cidr": "203.0.113.0/27"}}], [9094])
    clickhouse = ([{"ipBlock": {"cidr": "203.0.113.40/32"}}], [8443])
    assert _to("consumer", own) == [kafka, clickhouse]
    assert _to("migrate", own) == [clickhouse]
    assert _to("gateway", own)[-1] == ([{"ipBlock": {"cidr": "203.0.113.60/32"}}], [6380])


def test_the_test_platforms_databases_in_another_namespace_are_reached_there(helm_there: None) -> None:
    ((peers, ports),) = [rule for rule in _to("gateway", render("test")) if 5432 in rule[1]]
    assert ports == [5432]
    assert peers == [
        {
            "podSelector": {"matchLabels": {"app": "postgres"}},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "databases"}},
        }
    ]
