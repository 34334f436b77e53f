"""k8s/ as manifests: of the right shape, of one version each, and of the names that others rely on."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from platform_tree import (
    OVERLAYS,
    PLATFORM,
    Object,
    built,
    named,
    objects,
    of_kind,
    overlay,
)
from shapes import faults_of_shape

from bringup.bringing import ROOT
from bringup.parts import K8S

FORBIDDEN = ("bitnami", "minio", "ingress-nginx", "zookeeper", "provectus", "cp-kafka")
UNKNOWN_SHAPES = "ObjectStore"  # of the plugin for backups: no schema of it is at hand
STARTS_PODS = {"Deployment airflow-scheduler", "Deployment airflow-triggerer"}
SOURCES = [path for path in K8S.rglob("*") if path.suffix in {".yaml", ".toml", ".json"}]


@pytest.mark.parametrize("name", [*OVERLAYS, "base"])
def test_every_kustomization_builds_into_objects_of_the_right_shape(name: str, schemas: Path) -> None:
    whole = [K8S / "overlays" / name]  # its parts are in it, as another test says
    built_here = [built(folder) for folder in (whole if name != "base" else sorted((K8S / "base").iterdir()))]
    assert not faults_of_shape("---\n".join(built_here), schemas, "-skip", UNKNOWN_SHAPES)


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_the_sum_of_its_parts(name: str) -> None:
    whole = {(it["kind"], it["metadata"]["name"]) for it in objects(K8S / "overlays" / name)}
    parts = {
        (it["kind"], it["metadata"]["name"])
        for part in overlay(name).parts
        if (overlay(name).folder / part.folder / "kustomization.yaml").exists()
        for it in objects(overlay(name).folder / part.folder)
    }
    assert whole == parts


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_folder_of_an_overlay_and_every_file_of_values_belongs_to_a_part(name: str) -> None:
    here = {path.name for path in overlay(name).folder.iterdir() if path.is_dir()}
    assert here <= {part.folder for part in overlay(name).parts}
    charts = {part.name for it in PLATFORM.overlays.values() for part in it.parts if part.chart}
    assert {path.stem for path in (K8S / "values").iterdir()} <= charts


def test_a_part_has_a_chart_or_manifests_or_is_images_alone() -> None:
    for it in PLATFORM.overlays.values():
        for part in it.parts:
            manifests = (it.folder / part.folder / "kustomization.yaml").exists()
            assert part.chart or manifests or part.images, f"{part.name} of {it.name}"


def images(found: Any) -> Iterator[str]:
    """Every image that an object names, wherever."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key in {"image", "imageName"} and isinstance(value, str):
                yield value
            else:
                yield from images(value)
    elif isinstance(found, list):
        for item in found:
            yield from images(item)


@pytest.mark.parametrize("name", OVERLAYS)
def test_images_of_manifests_have_the_tags_of_the_platforms_file(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for image in (image for it in objects(K8S / "overlays" / name) for image in images(it)):
        repository, _, tag = image.rpartition(":")
        if repository.startswith("anmodel/"):
            assert tag == version, image
        elif not repository.startswith("anmodel-test/"):
            assert PLATFORM.images.get(repository) == tag, image


def test_kafkas_version_is_that_of_the_platforms_file() -> None:
    for name in ("kind", "production"):
        kafka = named("Kafka", "anmodel", in_overlay=name)["spec"]["kafka"]
        assert (kafka["version"], kafka["metadataVersion"]) == (
            PLATFORM.images["kafka"],
            PLATFORM.images["kafka_metadata"],
        )


def test_the_laptop_has_the_same_kafka() -> None:
    assert f":{PLATFORM.images['kafka']}" in (ROOT / "src/anmodel/laptop/jars.py").read_text()


def test_kinds_node_and_registry_are_those_of_the_platforms_file() -> None:
    registry, cluster = yaml.safe_load_all((K8S / "kind/cluster.yaml").read_text())
    assert registry["image"] == PLATFORM.cluster["registry_image"]
    (node,) = cluster["kindV1Alpha4Cluster"]["nodes"]
    assert node["image"] == PLATFORM.cluster["node_image"]
    assert cluster["name"] == overlay("kind").context


def test_kinds_port_leads_to_the_edges() -> None:
    _, cluster = yaml.safe_load_all((K8S / "kind/cluster.yaml").read_text())
    (mapping,) = cluster["kindV1Alpha4Cluster"]["nodes"][0]["extraPortMappings"]
    service = named("EnvoyProxy", "anmodel", in_overlay="kind")["spec"]["provider"]["kubernetes"]["envoyService"]
    (port,) = service["patch"]["value"]["spec"]["ports"]
    assert (service["type"], port["port"], port["nodePort"]) == ("NodePort", 80, mapping["containerPort"])
    assert mapping["hostPort"] == 8081


def test_no_chart_version_is_said_twice() -> None:
    versions = {part.chart.version for it in PLATFORM.overlays.values() for part in it.parts if part.chart}
    for path in SOURCES:
        if path.name != "platform.toml":
            said = [
                version
                for version in versions
                if re.search(rf"(?<![\d.]){re.escape(version)}(?![\d.])", path.read_text())
            ]
            assert not said, f"{path.relative_to(K8S)} repeats {said}"


def test_nothing_retired_is_named_anywhere() -> None:
    for path in SOURCES:
        text = path.read_text().lower()
        # Altinity's word for where Keeper is; an unused chart of Airflow's is switched off by its name
        text = re.sub(
            r"^ *zookeeper: \{nodes: \[\{host: keeper-anmodel, port: 2181\}\]\}$", "", text, flags=re.MULTILINE
        )
        assert not [name for name in FORBIDDEN if name in text], path


@pytest.mark.parametrize("name", ["kind", "production"])
def test_no_image_floats(name: str) -> None:
    for image in (image for it in objects(K8S / "overlays" / name) for image in images(it)):
        assert not image.endswith(":latest"), image
        assert ":" in image, image


def pods(name: str) -> Iterator[tuple[str, Object]]:
    """Every pod that manifests of ours describe, custom resources' too: its name and spec."""
    for it in objects(K8S / "overlays" / name):
        called = f"{it['kind']} {it['metadata']['name']}"
        if it["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield called, it["spec"]["template"]["spec"]
        elif it["kind"] == "CronJob":
            yield called, it["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif it["kind"] in {"ClickHouseInstallation", "ClickHouseKeeperInstallation"}:
            for template in it["spec"]["templates"]["podTemplates"]:
                yield called, template["spec"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_of_ours_is_kept_small(name: str) -> None:
    for called, pod in pods(name):
        assert pod["securityContext"]["runAsNonRoot"] is True, called
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, called
        if called not in STARTS_PODS:
            assert pod["automountServiceAccountToken"] is False, called
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False, called
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, called
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), called
            assert "memory" in container["resources"]["limits"], called
            if it_is_no_database(called):
                assert container["securityContext"]["readOnlyRootFilesystem"] is True, called


def it_is_no_database(called: str) -> bool:
    """Those of operators write beside their data."""
    return not called.startswith("ClickHouse")


def test_mlflow_answers_to_every_name_it_is_called_by() -> None:
    for name, host in (("kind", "mlflow.anmodel.localtest.me:*"), ("production", "mlflow.example.com")):
        (container,) = named("Deployment", "mlflow", in_overlay=name)["spec"]["template"]["spec"]["containers"]
        env = {it["name"]: it.get("value", "") for it in container["env"]}
        assert {host, "mlflow:5000"} <= set(env["MLFLOW_SERVER_ALLOWED_HOSTS"].split(","))


@pytest.mark.parametrize("name", ["kind", "production"])
def test_every_workload_with_data_has_a_policy_of_who_may_call(name: str) -> None:
    chosen = [it["spec"]["podSelector"]["matchLabels"] for it in of_kind("NetworkPolicy", in_overlay=name)]
    for labels in (
        {"clickhouse.altinity.com/chi": "anmodel"},
        {"clickhouse-keeper.altinity.com/chk": "anmodel"},
        {"cnpg.io/cluster": "anmodel-pg"},
        {"app.kubernetes.io/instance": "s3"},
        {"app.kubernetes.io/name": "valkey"},
        {"app.kubernetes.io/name": "mlflow"},
        {"app.kubernetes.io/name": "kafka-ui"},
        {"tier": "airflow", "release": "airflow"},
    ):
        assert labels in chosen
    (listener,) = named("Kafka", "anmodel", in_overlay=name)["spec"]["kafka"]["listeners"]
    assert listener["networkPolicyPeers"], "Strimzi makes Kafka's policy, of these"
    assert (listener["tls"], listener["authentication"]) == (True, {"type": "scram-sha-512"})


def test_production_survives_the_loss_of_a_machine() -> None:
    kafka = named("Kafka", "anmodel", in_overlay="production")["spec"]
    assert kafka["kafka"]["config"]["min.insync.replicas"] == 2
    assert kafka["cruiseControl"]["autoRebalance"]
    pools = {it["metadata"]["name"]: it["spec"] for it in of_kind("KafkaNodePool", in_overlay="production")}
    assert {name: (pool["replicas"], pool["roles"]) for name, pool in pools.items()} == {
        "brokers": (3, ["broker"]),
        "controllers": (3, ["controller"]),
    }
    assert {it["spec"]["replicas"] for it in of_kind("KafkaTopic", in_overlay="production")} == {3}
    chi = named("ClickHouseInstallation", "anmodel", in_overlay="production")["spec"]["configuration"]["clusters"][0]
    assert chi["layout"]["replicasCount"] >= 2
    chk = named("ClickHouseKeeperInstallation", "anmodel", in_overlay="production")
    assert chk["spec"]["configuration"]["clusters"][0]["layout"]["replicasCount"] == 3
    assert named("Cluster", "anmodel-pg", in_overlay="production")["spec"]["instances"] == 3


def test_data_outlives_the_resources_that_describe_it() -> None:
    for name in ("kind", "production"):
        for pool in of_kind("KafkaNodePool", in_overlay=name):
            assert {volume["deleteClaim"] for volume in pool["spec"]["storage"]["volumes"]} == {False}
        for kind in ("ClickHouseInstallation", "ClickHouseKeeperInstallation"):
            (made,) = of_kind(kind, in_overlay=name)
            assert {it["reclaimPolicy"] for it in made["spec"]["templates"]["volumeClaimTemplates"]} == {"Retain"}
        assert {it["spec"]["databaseReclaimPolicy"] for it in of_kind("Database", in_overlay=name)} == {"retain"}


def test_production_backs_up_postgres_and_clickhouse_to_s3() -> None:
    (store,) = of_kind("ObjectStore", in_overlay="production")
    cluster = named("Cluster", "anmodel-pg", in_overlay="production")["spec"]
    (plugin,) = cluster["plugins"]
    assert plugin["isWALArchiver"]
    assert plugin["parameters"]["barmanObjectName"] == store["metadata"]["name"]
    (scheduled,) = of_kind("ScheduledBackup", in_overlay="production")
    assert scheduled["spec"]["pluginConfiguration"]["name"] == plugin["name"]
    assert len(scheduled["spec"]["schedule"].split()) == 6, "the operator's schedules begin with seconds"
    (job,) = of_kind("CronJob", in_overlay="production")
    (script,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
    chi = named("ClickHouseInstallation", "anmodel", in_overlay="production")["spec"]["configuration"]
    assert f"ON CLUSTER '{chi['clusters'][0]['name']}'" in script
    assert "<backups>" in chi["files"]["config.d/backups.xml"]
    assert "S3(backups, " in script
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
