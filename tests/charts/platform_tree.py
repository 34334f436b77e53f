"""What k8s/ holds: manifests as kubectl's kustomize makes them, values, and what comes of both."""

import functools
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendered import missing

from bringup.parts import K8S, Overlay, load

Object = dict[str, Any]
PLATFORM = load()
OVERLAYS = ("kind", "production", "test")


def shown(folder: Path) -> str:
    return str(folder.relative_to(K8S))


def overlay(name: str) -> Overlay:
    return PLATFORM.overlay(name)


@functools.cache
def built(folder: Path) -> str:
    """The manifests of a folder; skips without kubectl."""
    if reason := missing("kubectl"):
        pytest.skip(reason)
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{shown(folder)}: {done.stderr}"
    return done.stdout


@functools.cache
def objects(folder: Path) -> tuple[Object, ...]:
    """The same, read."""
    return tuple(yaml.safe_load_all(built(folder)))


def of_kind(kind: str, *, in_overlay: str) -> list[Object]:
    return [made for made in objects(K8S / "overlays" / in_overlay) if made["kind"] == kind]


def named(kind: str, name: str, *, in_overlay: str) -> Object:
    (found,) = [made for made in of_kind(kind, in_overlay=in_overlay) if made["metadata"]["name"] == name]
    return found


def values(part: str, in_overlay: str) -> Object:
    """The values of a part's chart, the overlay's on top, as Helm merges them."""
    merged: Object = {}
    for path in (K8S / "values" / f"{part}.yaml", K8S / "overlays" / in_overlay / part / "values.yaml"):
        if path.exists():
            merged = _merge(merged, yaml.safe_load(path.read_text()))
    return merged


def _merge(under: Object, over: Object) -> Object:
    both = dict(under)
    for key, value in over.items():
        under_it = both.get(key)
        both[key] = _merge(under_it, value) if isinstance(under_it, dict) and isinstance(value, dict) else value
    return both


def secrets_made(in_overlay: str) -> set[str]:
    """Secrets of the namespace anmodel that the platform makes by itself or by an operator."""
    own = {name for part in overlay(in_overlay).chosen() for name in part.secrets}
    users = {user["metadata"]["name"] for user in of_kind("KafkaUser", in_overlay=in_overlay)}
    strimzi = {f"{it['metadata']['name']}-cluster-ca-cert" for it in of_kind("Kafka", in_overlay=in_overlay)}
    cnpg = {f"{it['metadata']['name']}-ca" for it in of_kind("Cluster", in_overlay=in_overlay)}
    certificates = {it["spec"]["secretName"] for it in of_kind("Certificate", in_overlay=in_overlay)}
    return own | users | strimzi | cnpg | certificates


def services_made(in_overlay: str) -> dict[str, set[int]]:
    """Services of the namespace anmodel, by name, with their ports."""
    made = {
        it["metadata"]["name"]: {port["port"] for port in it["spec"].get("ports", [])}
        for it in of_kind("Service", in_overlay=in_overlay)
    }
    for kafka in of_kind("Kafka", in_overlay=in_overlay):
        ports = {listener["port"] for listener in kafka["spec"]["kafka"]["listeners"]}
        made[f"{kafka['metadata']['name']}-kafka-bootstrap"] = ports
    for chi in of_kind("ClickHouseInstallation", in_overlay=in_overlay):
        template = chi["spec"]["templates"]["serviceTemplates"][0]
        name = template["generateName"].replace("{chi}", chi["metadata"]["name"])
        made[name] = {port["port"] for port in template["spec"]["ports"]}
    for chk in of_kind("ClickHouseKeeperInstallation", in_overlay=in_overlay):
        made[f"keeper-{chk['metadata']['name']}"] = {2181}
    for cluster in of_kind("Cluster", in_overlay=in_overlay):
        made[f"{cluster['metadata']['name']}-rw"] = {5432}
    if in_overlay != "test":
        made[values("valkey", in_overlay)["fullnameOverride"]] = {6379}
        made[values("kafka-ui", in_overlay)["fullnameOverride"]] = {values("kafka-ui", in_overlay)["service"]["port"]}
        made[f"{values('airflow', in_overlay)['fullnameOverride']}-api-server"] = {8080}
    return made
