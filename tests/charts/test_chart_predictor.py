"""What KServe is given to serve the model with: the runtime, its account, and what register is told of them."""

import pytest
from rendered import NAMESPACE, NO_KSERVE, Object, Rendered, environment, refusal, render

from anmodel.settings import PredictorSettings


def runtime(rendered: Rendered) -> Object:
    """The one ServingRuntime."""
    (made,) = rendered.kind("ServingRuntime")
    return made


def container(rendered: Rendered) -> Object:
    (only,) = runtime(rendered)["spec"]["containers"]
    return dict(only)


def test_the_container_is_named_as_kserve_demands_and_runs_the_predictor(served: Rendered) -> None:
    made = container(served)
    assert (made["name"], made["args"]) == ("kserve-container", ["predictor"])
    assert "/predictor:" in made["image"]


def test_the_container_has_the_least_rights_by_itself_since_a_runtime_says_nothing_of_pods(served: Rendered) -> None:
    assert container(served)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": served.name != "kind for Tilt",
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_container_is_bounded_probed_and_answers_until_everybody_has_heard_that_it_ends(served: Rendered) -> None:
    made = container(served)
    assert {"cpu", "memory"} <= set(made["resources"]["requests"])
    assert set(made["resources"]["limits"]) == {"memory"}, "a limit of processor time would delay answers"
    assert made["startupProbe"]["httpGet"]["path"] == made["livenessProbe"]["httpGet"]["path"] == "/health"
    assert made["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert made["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5
    (tmp,) = runtime(served)["spec"]["volumes"]
    assert tmp["emptyDir"]["sizeLimit"]
    assert made["volumeMounts"] == [{"name": tmp["name"], "mountPath": "/tmp"}]  # noqa: S108


def test_the_settings_of_the_predictor_take_what_the_runtime_gives(served: Rendered) -> None:
    made = container(served)
    given = environment({"spec": {"containers": [made]}})
    assert set(map(str.lower, given)) <= set(PredictorSettings.model_fields)
    read = PredictorSettings.load(**{name.lower(): value for name, value in given.items()})
    assert read.model_dir == "/mnt/models"  # where KServe puts the files of an InferenceService's storageUri
    ports = {port["name"]: port["containerPort"] for port in made["ports"]}
    assert next(iter(ports)) == "http", "KServe's Service leads port 80 to the first one"
    assert ports == {"http": read.predictor_port} | ({"h2c": read.predictor_grpc_port} if "h2c" in ports else {})
    assert (
        ("grpc-v2" in runtime(served)["spec"]["protocolVersions"]) == ("h2c" in ports) == bool(read.predictor_grpc_port)
    )


def test_no_model_gets_the_runtime_that_does_not_name_it(served: Rendered) -> None:
    for form in runtime(served)["spec"]["supportedModelFormats"]:
        assert form == {"name": "mlflow", "version": "2", "autoSelect": False}


def test_register_is_told_the_names_of_the_runtime_the_account_and_the_namespace(served: Rendered) -> None:
    made = runtime(served)
    if served.name == "no steps":
        return
    told = environment(served.steps()["register"])
    assert told["SERVING"] == "kserve"
    assert told["SERVING_RUNTIME"] == made["metadata"]["name"]
    assert served.one("ServiceAccount", told["SERVING_ACCOUNT"])
    assert told["KUBERNETES_NAMESPACE"] == NAMESPACE
    assert told["MODEL_NAME"] == environment({"spec": {"containers": [container(served)]}})["MODEL_NAME"]
    assert told["MLFLOW_ARTIFACTS_DESTINATION"].startswith("s3://")


def test_the_account_lists_the_secret_of_the_models_for_kserve_to_look_into(served: Rendered) -> None:
    (account,) = [
        made
        for made in served.kind("ServiceAccount")
        if made["metadata"]["labels"]["app.kubernetes.io/component"] == "predictor"
    ]
    by_identity = served.name == "Amazon's S3 by the pods' identity"
    secret = "shop-s3-models" if served.name == "bring-your-own" else "anmodel-s3-models"
    assert account.get("secrets", []) == ([] if by_identity else [{"name": secret}])


def test_no_pod_of_ours_has_the_keys_of_the_models_bucket(served: Rendered) -> None:
    named = {
        item["valueFrom"]["secretKeyRef"]["name"]
        for _, pod in served.pods()
        for item in pod["spec"]["containers"][0]["env"]
        if "valueFrom" in item
    }
    lake = "shop-s3" if served.name == "bring-your-own" else "anmodel-s3-lake"
    assert named <= {lake, "score-s3"}
    assert bool(named) == (served.name not in ("Amazon's S3 by the pods' identity", "no steps"))


def test_the_budget_of_the_predictors_pods_is_over_champion_and_canary_alike(helm_there: None) -> None:
    budget = render("production").one("PodDisruptionBudget", "anmodel-predictor")["spec"]
    assert budget["selector"]["matchLabels"] == {"serving.kserve.io/inferenceservice": "context-aware"}
    assert not [
        made for made in render("kind").kind("PodDisruptionBudget") if made["metadata"]["name"] == "anmodel-predictor"
    ], "a single pod must be allowed to go"


@pytest.mark.parametrize("profile", ["kind", "test"])
def test_the_gateway_asks_for_the_host_that_register_makes_the_route_for(profile: str, helm_there: None) -> None:
    made = render(profile)
    asked = environment(made.deployments()["gateway"]["spec"]["template"])
    told = environment(made.steps()["register"])
    assert asked["PREDICTOR_ROUTE_HOST"] == told["SERVING_HOST"] != ""
    assert told["SERVING_GATEWAY"] == "kserve/kserve-ingress-gateway"
    assert told["MODEL_NAME"] == asked["MODEL_NAME"]


def test_without_kserve_the_champion_is_named_in_mlflow_alone(helm_there: None) -> None:
    made = render("no KServe")
    assert environment(made.steps()["register"])["SERVING"] == "registry"
    assert not [name for name in environment(made.steps()["register"]) if name.startswith(("SERVING_", "CANARY_"))]
    asked = environment(made.deployments()["gateway"]["spec"]["template"])
    assert asked["SERVICES"] == "predictor"
    assert not {"PREDICTOR_URL", "PREDICTOR_ROUTE_HOST"} & set(asked)


CONTRADICTIONS: dict[str, tuple[Object, str]] = {
    "services that nobody makes": (
        {"enabled": False},
        "predictor.services is kserve, but predictor.enabled is not, so nobody makes InferenceServices; set services",
    ),
    "fewest above most": ({"minReplicas": 3}, "predictor.minReplicas is 3, more than maxReplicas, 1"),
    "a Gateway without a host": ({"gateway": "a/b"}, "predictor.host is not set; predictor.gateway a/b needs a host"),
    "a host without a Gateway": ({"host": "m.test"}, "predictor.host is set, but predictor.gateway is not; name the"),
    "a host header for no address": (
        {"routeHost": "m.test", "url": ""},
        "predictor.routeHost is set, but predictor.url is not; set it to the Gateway's address",
    ),
    "a share that nobody is sent to": (
        {"gateway": "a/b", "host": "m.test", "routeHost": "other.test"},
        'predictor.routeHost is "other.test", but the route is made for predictor.host, "m.test"; they must be equal',
    ),
    "a policy for another model": (
        {"modelName": "other_model"},
        "is of the InferenceService context-aware, but predictor.modelName makes it other-model",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_values_of_the_predictor_that_contradict_each_other_are_refused(case: str, helm_there: None) -> None:
    values, said = CONTRADICTIONS[case]
    assert said in refusal({"predictor": values})


def test_the_values_that_do_without_kserve_contradict_nothing(helm_there: None) -> None:
    assert NO_KSERVE["services"] == "predictor"
    assert not render("no KServe").kind("ServingRuntime", "Role")
