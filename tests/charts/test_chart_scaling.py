"""How many pods there are: budgets, scaling by load, scaling by lag."""

import pytest
from rendered import Rendered, environment, render


def test_a_budget_is_there_where_several_pods_are_and_never_keeps_a_node_from_being_drained(rendered: Rendered) -> None:
    budgets = {made["metadata"]["name"]: made["spec"] for made in rendered.kind("PodDisruptionBudget")}
    least = {made["metadata"]["name"]: made["spec"].get("replicas") for made in rendered.kind("Deployment")}
    for scaler in rendered.kind("HorizontalPodAutoscaler"):
        least[scaler["metadata"]["name"]] = scaler["spec"]["minReplicas"]
    for scaler in rendered.kind("ScaledObject"):
        least[scaler["metadata"]["name"]] = scaler["spec"]["minReplicaCount"]
    for runtime in rendered.kind("ServingRuntime"):
        told = rendered.steps().get("register")
        least["anmodel-predictor"] = int(environment(told)["SERVING_MIN_REPLICAS"]) if told else 1
        assert runtime["spec"]["containers"][0]["resources"]["requests"]["cpu"], "a share of nothing cannot be computed"
    assert set(budgets) == {name for name, pods in least.items() if (pods or 1) > 1}
    for spec in budgets.values():
        assert spec["maxUnavailable"] == 1
        assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_what_is_scaled_has_no_number_of_its_own_and_is_scaled_by_one_hand(rendered: Rendered) -> None:
    scalers = [
        made["spec"]["scaleTargetRef"]["name"] for made in rendered.kind("HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(scalers) == len(set(scalers))
    for made in rendered.kind("Deployment"):
        scaled = made["metadata"]["name"] in scalers
        assert scaled or made["spec"].get("replicas", 1) >= 1
        # an upgrade would set it back
        assert not (scaled and "replicas" in made["spec"]), made["metadata"]["name"]
    for made in rendered.kind("HorizontalPodAutoscaler"):
        stage = made["metadata"]["labels"]["app.kubernetes.io/component"]
        (container,) = rendered.deployments()[stage]["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"], "a share of nothing cannot be computed"


KEDA = {
    "production": (
        ("scram_sha512", "enable"),
        {"password": ("anmodel-consumer", "password"), "ca": ("anmodel-cluster-ca-cert", "ca.crt")},
        {"username": "KAFKA_USERNAME"},
    ),
    "mutual TLS": (
        ("none", "enable"),
        {
            "ca": ("anmodel-cluster-ca-cert", "ca.crt"),
            "cert": ("consumer-tls", "tls.crt"),
            "key": ("consumer-tls", "tls.key"),
        },
        {},
    ),
    "plain Kafka": (("none", "disable"), None, {}),
}


@pytest.mark.parametrize("name", KEDA)
def test_keda_asks_for_the_lag_of_the_consumers_own_group_as_the_consumer_itself_would(
    name: str, helm_there: None
) -> None:
    made = render(name)
    (how, secrets, variables) = KEDA[name]
    (trigger,) = made.one("ScaledObject", "anmodel-consumer")["spec"]["triggers"]
    given = environment(made.deployments()["consumer"]["spec"]["template"])
    asked = trigger["metadata"]
    assert (asked["sasl"], asked["tls"]) == how
    assert asked["bootstrapServers"] == given["KAFKA_BOOTSTRAP"]
    assert (asked["consumerGroup"], asked["topic"]) == (given["CONSUMER_GROUP"], given["KAFKA_TOPIC"])
    assert asked["offsetResetPolicy"] == "earliest", "the consumer starts at the oldest message"
    assert all(isinstance(value, str) for value in asked.values()), "KEDA takes text alone"
    if secrets is None:
        assert "authenticationRef" not in trigger
        return
    spec = made.one("TriggerAuthentication", trigger["authenticationRef"]["name"])["spec"]
    assert {ref["parameter"]: (ref["name"], ref["key"]) for ref in spec["secretTargetRef"]} == secrets
    assert {ref["parameter"]: ref["name"] for ref in spec.get("env", [])} == variables
    for ref in spec.get("env", []):
        assert ref["containerName"] == "consumer"
        assert given[ref["name"]]
