"""What every pod of the release is like, whatever the values."""

from typing import Any

import pytest
from rendered import STEPS, Object, Rendered, environment, megabytes, render, secret_files, stage_of

LISTENING = {"collector": "/ready", "consumer": "/ready", "gateway": "/health", "marketapp": "/health"}
"""Stage → path of its readiness. The gateway's own /ready is 503 in fallback mode, in which it must be asked still."""
WRITABLE = "kind for Tilt"
MOUNT = "/run/secrets/anmodel"


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def test_every_stage_has_its_workload(rendered: Rendered) -> None:
    made = {stage_of(pod) for _, pod in rendered.pods()}
    off = {"migrate"} if rendered.name == "no policies, no migration" else set()
    on = {"generator"} if rendered.name in ("kind for Tilt", "kind with everything", "a steady stream") else set()
    steps = set() if rendered.name == "no steps" else set(STEPS)
    assert made == ({*LISTENING, "migrate", "test"} - off) | on | steps


def test_every_pod_runs_with_the_least_rights(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        spec = pod["spec"]
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": rendered.name != WRITABLE,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_no_service_of_the_namespace_gets_into_a_pods_environment(rendered: Rendered) -> None:
    # a Service named kafka would set KAFKA_PORT=tcp://…, which a stage would read as a setting
    for name, pod in rendered.pods():
        assert pod["spec"]["enableServiceLinks"] is False, name


def test_every_pod_asks_for_what_it_needs_and_is_bounded(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), name
            assert megabytes(resources["limits"]["memory"]) >= 1.3 * megabytes(resources["requests"]["memory"]), name
            # a limit of processor time would delay every answer of a busy moment
            assert "cpu" not in resources["limits"], name


def test_every_pod_can_write_to_tmp_and_to_no_other_place(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["tmp"]["emptyDir"]["sizeLimit"], name
        for container in containers(pod):
            writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
            assert writable == ["/tmp"], name  # noqa: S108
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes), name


def test_every_pod_that_listens_has_probes_of_the_paths_that_its_stage_answers(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        (container,) = pod["spec"]["containers"]
        stage = stage_of(pod)
        if stage not in LISTENING:
            assert "ports" not in container, name
            continue
        for probe, path in (("startup", "/health"), ("liveness", "/health"), ("readiness", LISTENING[stage])):
            assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "http"}, f"{name}: {probe}"
        startup, liveness = container["startupProbe"], container["livenessProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 120, name
        assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 30, name


def test_a_pod_that_ends_answers_until_the_edge_has_heard_of_it_and_then_has_time_to_finish(rendered: Rendered) -> None:
    drain = {"collector": 10 + 10, "gateway": 5, "marketapp": 2}  # seconds that their own shutdown may take
    for stage, seconds in drain.items():
        spec = rendered.deployments()[stage]["spec"]["template"]["spec"]
        sleep = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert sleep >= 5
        assert spec["terminationGracePeriodSeconds"] >= sleep + seconds + 5


def test_a_rolling_update_takes_no_pod_away_before_the_new_one_is_ready(rendered: Rendered) -> None:
    for stage, made in rendered.deployments().items():
        if stage in LISTENING:
            rolling = made["spec"]["strategy"]["rollingUpdate"]
            assert rolling == {"maxUnavailable": 0, "maxSurge": 1}, stage


def test_pods_are_spread_over_zones_and_nodes(rendered: Rendered) -> None:
    if rendered.name == "placed pods":
        return
    for stage, made in rendered.deployments().items():
        spread = made["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert [item["topologyKey"] for item in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        for item in spread:
            assert item["labelSelector"]["matchLabels"] == made["spec"]["selector"]["matchLabels"], stage
            assert item["whenUnsatisfiable"] == "ScheduleAnyway"  # one node must do


def test_what_all_pods_have_can_be_said_once_and_a_workload_may_say_otherwise(helm_there: None) -> None:
    placed = render("placed pods")
    for name, pod in placed.pods():
        own = stage_of(pod) == "gateway"
        spec = pod["spec"]
        assert spec["nodeSelector"] == {"pool": "api" if own else "stream"}, name
        assert spec["priorityClassName"] == "shop"
        assert spec["tolerations"] == [{"key": "stream", "operator": "Exists"}]
        assert spec["imagePullSecrets"] == [{"name": "pull"}]
        assert len(spec.get("topologySpreadConstraints", [])) == own, name
        assert spec["containers"][0]["image"].startswith("registry.test/shop/anmodel/")
        assert spec["containers"][0]["image"].endswith(":1.2.3")
    for made in placed.deployments().values():
        assert made["spec"]["template"]["metadata"]["labels"]["cost"] == "stream"
        assert made["spec"]["template"]["metadata"]["annotations"]["team"] == "shop"


def test_a_variable_of_the_users_replaces_the_charts(helm_there: None) -> None:
    placed = render("placed pods")
    for name, pod in placed.pods():
        names = [item["name"] for item in pod["spec"]["containers"][0]["env"]]
        assert len(names) == len(set(names)), f"{name}: server-side apply refuses a name that comes twice"
    (key,) = [
        item for item in placed.steps()["score"]["spec"]["containers"][0]["env"] if item["name"] == "AWS_ACCESS_KEY_ID"
    ]
    assert key["valueFrom"]["secretKeyRef"]["key"] == "score"
    pod = placed.deployments()["consumer"]["spec"]["template"]
    assert environment(pod)["BATCH_SIZE"] == "20000"
    assert environment(pod)["LOG_LEVEL"] == "DEBUG"


def test_secrets_are_files_that_only_the_pods_user_reads_and_that_rotate(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        files = secret_files(pod)
        (container,) = pod["spec"]["containers"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert ("ANMODEL_SECRETS" in environment(pod)) == bool(files) == ("secrets" in mounts), name
        if not files:
            continue
        assert environment(pod)["ANMODEL_SECRETS"] == mounts["secrets"]["mountPath"] == MOUNT
        assert mounts["secrets"]["readOnly"] is True
        assert "subPath" not in mounts["secrets"], "a file mounted by subPath is never renewed"
        (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "secrets"]
        assert volume["projected"]["defaultMode"] == 0o440, name


def test_write_keys_are_a_file_outside_the_folder_whose_changes_end_the_pod(helm_there: None) -> None:
    pod = render("kind with everything").deployments()["collector"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    folder = mounts["watched"]["mountPath"]
    assert mounts["watched"]["readOnly"] is True
    assert "subPath" not in mounts["watched"], "a file mounted by subPath is never renewed"
    assert not folder.startswith(f"{MOUNT}/")
    assert environment(pod)["WRITE_KEYS"] == f"{folder}/write_keys"
    (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "watched"]
    (source,) = volume["projected"]["sources"]
    assert source["secret"]["name"] == "write-keys"
    assert source["secret"]["items"] == [{"key": "write_keys", "path": "write_keys"}]
    assert volume["projected"]["defaultMode"] == 0o440
    without = render("kind").deployments()["collector"]["spec"]["template"]
    assert "WRITE_KEYS" not in environment(without)
    assert [volume["name"] for volume in without["spec"]["volumes"]] == ["tmp", "secrets"]


def test_every_certificate_that_a_setting_names_is_in_the_volume_and_is_named_by_a_setting(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        named = {value.rpartition("/")[2] for value in environment(pod).values() if value.startswith(f"{MOUNT}/")}
        assert named == {file for file in secret_files(pod) if file.endswith(".pem")}, name


PASSWORDS: dict[str, dict[str, Any]] = {
    "kind": {
        "collector": {"kafka_password": ("anmodel-collector", "password")},
        "consumer": {
            "kafka_password": ("anmodel-consumer", "password"),
            "clickhouse_password": ("anmodel-clickhouse", "password"),
        },
        "gateway": {
            "clickhouse_password": ("anmodel-clickhouse", "password"),
            "pg_user": ("anmodel-pg-users", "username"),
            "pg_password": ("anmodel-pg-users", "password"),
            "kafka_password": ("anmodel-gateway", "password"),
        },
        "marketapp": {},
        "migrate": {"clickhouse_password": ("anmodel-clickhouse", "password")},
        "test": {},
        "export": {
            "clickhouse_password": ("anmodel-clickhouse", "password"),
            "pg_user": ("anmodel-pg-users", "username"),
            "pg_password": ("anmodel-pg-users", "password"),
        },
        "trends": {},
        "snapshot": {},
        "train": {},
        "register": {"kafka_password": ("anmodel-register", "password")},
        "score": {"clickhouse_password": ("anmodel-clickhouse", "password")},
        "monitor": {
            "kafka_password": ("anmodel-monitor", "password"),
            "clickhouse_password": ("anmodel-clickhouse", "password"),
        },
    },
    "kind with everything": {
        "collector": {
            "kafka_password": ("anmodel-collector", "password"),
            "valkey_password": ("anmodel-valkey", "password"),
            "write_keys": ("write-keys", "write_keys"),
        },
        "generator": {
            "pg_user": ("anmodel-pg-users", "username"),
            "pg_password": ("anmodel-pg-users", "password"),
            "collector_key": ("generators-key", "key"),
        },
        "trends": {"serpapi_key": ("serpapi", "serpapi-key")},
    },
    "plain Kafka": {"collector": {}, "consumer": {"clickhouse_password": ("anmodel-clickhouse", "password")}},
    "mutual TLS": {"collector": {}},
}


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_stage_gets_the_passwords_that_it_needs_and_no_others(name: str, helm_there: None) -> None:
    found = {
        stage_of(pod): {file: where for file, where in secret_files(pod).items() if not file.endswith(".pem")}
        for _, pod in render(name).pods()
    }
    for stage, wanted in PASSWORDS[name].items():
        assert found[stage] == wanted, stage


def test_a_client_certificate_comes_from_its_secret(helm_there: None) -> None:
    pod = render("mutual TLS").deployments()["consumer"]["spec"]["template"]
    files = secret_files(pod)
    assert files["kafka_certificate.pem"] == ("consumer-tls", "tls.crt")
    assert files["kafka_key.pem"] == ("consumer-tls", "tls.key")
    assert "KAFKA_USERNAME" not in environment(pod)


def test_a_job_has_a_name_of_its_own_revision_and_is_removed_when_it_is_old(rendered: Rendered) -> None:
    for job in rendered.kind("Job"):
        assert job["metadata"]["name"].endswith("-1")
        assert job["spec"]["ttlSecondsAfterFinished"] > 0
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
        assert not [note for note in job["metadata"].get("annotations", {}) if note.startswith("helm.sh/hook")]


def test_the_generator_may_be_a_steady_stream(helm_there: None) -> None:
    made = render("a steady stream")
    pod = made.deployments()["generator"]["spec"]["template"]
    assert pod["spec"]["containers"][0]["args"] == ["generator", "--rate", "50"]
    assert not [job for job in made.kind("Job") if "generator" in job["metadata"]["name"]]


def test_the_pod_of_helm_test_is_run_by_helm_test_alone(rendered: Rendered) -> None:
    (pod,) = rendered.kind("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_nothing_of_a_pod_changes_with_the_charts_version(rendered: Rendered) -> None:
    for made in rendered.kind("Deployment"):
        assert "helm.sh/chart" not in made["spec"]["template"]["metadata"]["labels"]
