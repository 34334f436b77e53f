"""Airflow: what the official chart is told, what its pods may, and that the test overlay's is the same."""

import json
from typing import Any

import pytest
import yaml
from platform_tree import PLATFORM, Object, named, objects, of_kind, overlay, values
from rendered import CHART

from bringup.credentials import filled
from bringup.parts import K8S

VALUES = values("airflow", "kind")
PROCESSES = ("api-server", "scheduler", "dag-processor", "triggerer")
KEYS = {"api-server": "apiServer", "scheduler": "scheduler", "dag-processor": "dagProcessor", "triggerer": "triggerer"}
(ENVIRONMENT,) = (
    it["data"]
    for it in of_kind("ConfigMap", in_overlay="test")
    if it["metadata"]["name"].startswith("airflow-environment-")  # and a digest, so that a change replaces the pods
)


def process(name: str) -> Object:
    """A process of the test overlay: its pod."""
    pod: Object = named("Deployment", f"airflow-{name}", in_overlay="test")["spec"]["template"]
    return pod


def main_container(name: str) -> Object:
    (container,) = process(name)["spec"]["containers"]
    return dict(container)


def secrets_of(container: Object) -> dict[str, tuple[str, str]]:
    references = {it["name"]: it["valueFrom"]["secretKeyRef"] for it in container["env"] if "valueFrom" in it}
    return {name: (reference["name"], reference["key"]) for name, reference in references.items()}


def test_the_test_overlays_airflow_is_told_what_the_charts_is() -> None:
    told = {
        f"AIRFLOW__{section}__{key}".upper(): value
        for section, settings in VALUES["config"].items()
        for key, value in settings.items()
    }
    told |= {it["name"]: it["value"] for it in VALUES["env"]}
    told["AIRFLOW__CORE__EXECUTOR"] = VALUES["executor"]
    assert {name: ENVIRONMENT.get(name) for name in told} == told


@pytest.mark.parametrize("name", PROCESSES)
def test_the_test_overlays_processes_get_the_secrets_that_the_charts_get(name: str) -> None:
    found = secrets_of(main_container(name))
    for connection in VALUES["secret"]:
        assert found[connection["envName"]] == (connection["secretName"], connection["secretKey"])
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == (VALUES["data"]["metadataSecretName"], "connection")
    assert found["AIRFLOW__CORE__FERNET_KEY"] == (VALUES["fernetKeySecretName"], "fernet-key")
    assert found["AIRFLOW__API__SECRET_KEY"] == (VALUES["apiSecretKeySecretName"], "api-secret-key")
    # the chart gives it to those two alone
    assert ("AIRFLOW__API_AUTH__JWT_SECRET" in found) == (name in {"api-server", "scheduler"})
    assert "ADMIN_PASSWORD" not in found


@pytest.mark.parametrize("name", PROCESSES)
def test_the_test_overlays_processes_mount_what_the_charts_mount(name: str) -> None:
    mounted = {it["name"]: it["mountPath"] for it in main_container(name)["volumeMounts"]}
    assert {it["name"]: it["mountPath"] for it in VALUES["volumeMounts"]}.items() <= mounted.items()
    there = {it["name"]: it for it in process(name)["spec"]["volumes"]}
    for volume in VALUES["volumes"]:
        assert there[volume["name"]] == volume


def test_the_steps_are_mounted_where_dags_look_for_them_and_may_come_later() -> None:
    (mount,) = [it for it in VALUES["volumeMounts"] if it["name"] == "steps"]
    assert ENVIRONMENT["ANMODEL_STEPS"] == mount["mountPath"]
    (volume,) = [it for it in VALUES["volumes"] if it["name"] == "steps"]
    assert volume["configMap"] == {"name": "anmodel-steps", "optional": True}


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_has_the_labels_that_policies_know_airflow_by(name: str) -> None:
    labels = {"tier": "airflow", "release": overlay("kind").part("airflow").name, "component": name}
    assert process(name)["metadata"]["labels"] == labels


@pytest.mark.parametrize("in_overlay", ["kind", "production"])
def test_the_charts_secrets_are_static_and_its_jobs_no_hooks(in_overlay: str) -> None:
    told = values("airflow", in_overlay)
    data = PLATFORM.secrets["anmodel-airflow"].data
    for key, entry in {
        "jwtSecretName": "jwt-secret",
        "apiSecretKeySecretName": "api-secret-key",
        "fernetKeySecretName": "fernet-key",
    }.items():
        assert told[key] == "anmodel-airflow"
        assert entry in data
    for job in ("migrateDatabaseJob", "createUserJob"):
        assert told[job]["useHelmHooks"] is False
        assert told[job]["ttlSecondsAfterFinished"] is None, "Helm 4 waits for a Job that is gone"
    assert len(PLATFORM.overlay(in_overlay).part("airflow").jobs) == 2
    assert told["workers"]["celery"]["persistence"]["enabled"] is False, "a volume of 100 GiB else"


@pytest.mark.parametrize("in_overlay", ["kind", "production", "test"])
def test_who_starts_pods_may_do_that_and_no_more(in_overlay: str) -> None:
    rules = {resource: set(it["verbs"]) for it in role(in_overlay)["rules"] for resource in it["resources"]}
    assert rules == {
        "pods": {"create", "get", "list", "watch", "patch", "delete"},
        "pods/log": {"get", "list"},
        "events": {"list", "watch"},
    }
    binding = named("RoleBinding", "airflow-steps", in_overlay=in_overlay)
    assert binding["roleRef"]["name"] == role(in_overlay)["metadata"]["name"]
    prefix = VALUES["fullnameOverride"]
    assert {it["name"] for it in binding["subjects"]} == {f"{prefix}-scheduler", f"{prefix}-triggerer"}
    assert VALUES["allowPodLaunching"] is False, "the chart's own role is another one"


def role(in_overlay: str) -> Object:
    return named("Role", "airflow-steps", in_overlay=in_overlay)


def test_only_those_who_start_pods_have_a_token() -> None:
    for name in PROCESSES:
        starts = name in {"scheduler", "triggerer"}
        assert (process(name)["spec"].get("automountServiceAccountToken", True)) is starts
        assert (VALUES[KEYS[name]].get("serviceAccount", {}).get("automountServiceAccountToken", True)) is starts


def opened(policy: Object) -> set[int]:
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}


@pytest.mark.parametrize("in_overlay", ["kind", "production", "test"])
def test_airflows_pods_reach_what_their_connections_name_and_the_api_server(in_overlay: str) -> None:
    made, logs = (
        filled(PLATFORM.secrets[name].data, lambda name, key: "other")
        for name in ("anmodel-airflow", "anmodel-s3-logs")
    )
    s3 = json.loads(logs["connection"])["extra"]["endpoint_url"]
    kafka = json.loads(made["kafka-connection"])["extra"]["bootstrap.servers"]
    ports = {int(address.rpartition(":")[2].partition("/")[0]) for address in (s3, kafka, made["connection"])}
    policy = named("NetworkPolicy", "airflow", in_overlay=in_overlay)
    assert ports == {8333, 9092, 5432}
    assert opened(policy) == ports | {8080, 8793, 8794, 443, 6443, 53}
    assert policy["spec"]["podSelector"]["matchLabels"] == {"tier": "airflow", "release": "airflow"}


def test_logs_go_to_a_bucket_that_there_is() -> None:
    bucket = VALUES["config"]["logging"]["remote_base_log_folder"].removeprefix("s3://")
    assert bucket in {it["name"] for it in values("s3", "kind")["allInOne"]["s3"]["createBuckets"]}
    assert VALUES["config"]["logging"]["remote_log_conn_id"] == "s3"
    assert "AIRFLOW_CONN_S3" in {it["envName"] for it in VALUES["secret"]}


@pytest.mark.parametrize("name", ["mlflow", "anmodel-pg"])
def test_postgres_lets_airflow_in_and_mlflow_does_not_since_its_dags_ask_it_nothing(name: str) -> None:
    policy = named("NetworkPolicy", name, in_overlay="kind")
    peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]
    assert ({"podSelector": {"matchLabels": {"release": "airflow"}}} in peers) == (name == "anmodel-pg")


def test_kserve_reads_models_where_mlflow_writes_them() -> None:
    (container,) = named("Deployment", "mlflow", in_overlay="kind")["spec"]["template"]["spec"]["containers"]
    env = {it["name"]: it.get("value", "") for it in container["env"]}
    annotations = PLATFORM.secrets["anmodel-s3-models"].annotations
    host = annotations["serving.kserve.io/s3-endpoint"]
    assert env["MLFLOW_S3_ENDPOINT_URL"].removeprefix("http://") == host.replace(".anmodel.svc", "")
    told = values("kserve", "kind")["kserve"]["storage"]["s3"]
    assert (told["endpoint"], told["useHttps"]) == (host, annotations["serving.kserve.io/s3-usehttps"])


def test_pods_call_envoy_by_a_name_that_stays() -> None:
    for in_overlay in ("kind", "production"):
        proxy = named("EnvoyProxy", "anmodel", in_overlay=in_overlay)
        assert proxy["spec"]["provider"]["kubernetes"]["envoyService"]["name"] == "anmodel-envoy"
    profile: Any = yaml.safe_load((CHART / "profiles/kind.yaml").read_text())
    assert profile["predictor"]["url"] == f"http://anmodel-envoy.{proxy['metadata']['namespace']}"


def test_no_gateway_for_models_is_there_in_production() -> None:
    assert not [it for it in of_kind("Gateway", in_overlay="production") if "kserve" in it["metadata"]["name"]]
    assert [it for it in objects(K8S / "overlays/kind/kserve") if it["kind"] == "Gateway"]
