"""The names that k8s/ makes are those that the release, its routes and its policies ask for."""

import re

import pytest
import yaml
from platform_tree import built, named, of_kind, overlay, secrets_made, services_made, values
from rendered import render

from bringup.bringing import ROOT
from bringup.parts import K8S


def needed_secrets(profile: str) -> set[str]:
    """What the release of that profile mounts, reads and lists."""
    found: set[str] = set()
    for _, pod in render(profile).pods():
        for volume in pod["spec"].get("volumes", []):
            found |= {it["secret"]["name"] for it in volume.get("projected", {}).get("sources", []) if "secret" in it}
        variables = [it["valueFrom"] for it in pod["spec"]["containers"][0]["env"] if "valueFrom" in it]
        found |= {it["secretKeyRef"]["name"] for it in variables if "secretKeyRef" in it}
    listed = [it for account in render(profile).kind("ServiceAccount") for it in account.get("secrets", [])]
    return found | {it["name"] for it in listed}


@pytest.mark.parametrize("profile", ["kind", "production"])
def test_every_secret_of_the_charts_profile_is_made_by_the_platform(profile: str, helm_there: None) -> None:
    needed = needed_secrets(profile)
    assert {"anmodel-collector", "anmodel-cluster-ca-cert", "anmodel-clickhouse", "anmodel-pg-users"} <= needed
    assert {"anmodel-s3-lake", "anmodel-s3-models"} == {name for name in needed if name.startswith("anmodel-s3")}
    assert needed <= secrets_made(profile)


@pytest.mark.parametrize("profile", ["kind", "production"])
def test_every_address_of_the_charts_profile_is_a_service_of_the_platform(profile: str, helm_there: None) -> None:
    made = services_made(profile)
    asked = yaml.safe_load((ROOT / f"charts/anmodel/profiles/{profile}.yaml").read_text())
    bootstrap, port = asked["kafka"]["bootstrap"].split(":")
    assert int(port) in made[bootstrap]
    assert 8123 in made[asked["clickhouse"]["host"]]
    assert 5432 in made[asked["users"]["host"]]
    valkey, port = asked["valkey"]["url"].removeprefix("valkey://").split(":")
    assert int(port) in made[valkey]


@pytest.mark.parametrize("profile", ["kind", "production"])
def test_the_charts_routes_find_their_listener(profile: str, helm_there: None) -> None:
    gateway = named("Gateway", "anmodel", in_overlay=profile)
    listeners = {it["name"]: it["hostname"] for it in gateway["spec"]["listeners"]}
    for route in render(profile).kind("HTTPRoute"):
        (parent,) = route["spec"]["parentRefs"]
        assert parent["name"] == "anmodel"
        offered = [listeners[parent["sectionName"]]] if "sectionName" in parent else list(listeners.values())
        for host in route["spec"]["hostnames"]:
            assert any(host == it or (it[0] == "*" and host.endswith(it[1:])) for it in offered), host


@pytest.mark.parametrize("profile", ["kind", "production"])
def test_the_charts_policies_know_the_platforms_pods(profile: str) -> None:
    labels = yaml.safe_load((ROOT / "charts/anmodel/values.yaml").read_text())["networkPolicy"]
    assert labels["kafka"]["podLabels"] == {"strimzi.io/name": "anmodel-kafka"}
    chi = named("ClickHouseInstallation", "anmodel", in_overlay=profile)["metadata"]["name"]
    assert labels["clickhouse"]["podLabels"] == {"clickhouse.altinity.com/chi": chi}
    (cluster,) = of_kind("Cluster", in_overlay=profile)
    assert labels["postgres"]["podLabels"] == {"cnpg.io/cluster": cluster["metadata"]["name"]}
    namespaces = {part.name: part.namespace for part in overlay(profile).parts}
    assert labels["edge"]["namespace"] == namespaces["envoy-gateway"]
    assert labels["monitoring"]["namespace"] == namespaces["monitoring"]


@pytest.mark.parametrize("name", ["kind", "production"])
def test_every_route_of_the_platform_leads_to_a_service_and_from_a_listener(name: str) -> None:
    made = services_made(name)
    listeners = {it["name"]: it["hostname"] for it in named("Gateway", "anmodel", in_overlay=name)["spec"]["listeners"]}
    for route in of_kind("HTTPRoute", in_overlay=name):
        (parent,) = route["spec"]["parentRefs"]
        section = parent.get("sectionName")
        offered = [listeners[section]] if section else list(listeners.values())
        for host in route["spec"].get("hostnames", []):
            assert any(host == it or (it[0] == "*" and host.endswith(it[1:])) for it in offered), host
        for backend in (it for rule in route["spec"]["rules"] for it in rule.get("backendRefs", [])):
            if backend.get("namespace", "anmodel") == "anmodel":
                assert backend["port"] in made[backend["name"]], backend


@pytest.mark.parametrize("name", ["kind", "production"])
def test_every_secret_that_manifests_and_values_name_is_made(name: str) -> None:
    every = {secret for part in overlay(name).parts for secret in part.secrets} | secrets_made(name)
    text = "\n".join(built(K8S / "overlays" / name).splitlines())
    text += "".join(yaml.safe_dump(values(part.name, name)) for part in overlay(name).parts)
    found = re.findall(
        r"(?:secretKeyRef|passwordSecret|secret|accessKeyId|secretAccessKey|users):\n\s+(?:key: \S+\n\s+)?name: (\S+)",
        text,
    )
    found += re.findall(r"(?:secretName|SecretName|ExistingSecret|existingConfigSecret): (\S+)", text)
    assert len(found) > 10
    assert set(found) - every == set()


def test_the_uis_without_a_sign_in_have_one_at_productions_edge() -> None:
    policy = named("SecurityPolicy", "anmodel-ui", in_overlay="production")
    assert {it["name"] for it in policy["spec"]["targetRefs"]} == {"kafka-ui", "mlflow"}
    assert policy["spec"]["basicAuth"]["users"]["name"] in secrets_made("production")


def test_console_and_api_are_open_in_production_to_named_networks_alone() -> None:
    policy = named("SecurityPolicy", "anmodel-people", in_overlay="production")
    routes = {it["name"] for it in policy["spec"]["targetRefs"]}
    assert routes == {"anmodel-gateway", "anmodel-marketapp"}, (
        "the names of the chart's routes; shops reach the collector"
    )
    rules = policy["spec"]["authorization"]
    assert rules["defaultAction"] == "Deny"
    assert "0.0.0.0/0" not in str(rules)


def test_no_predictor_is_reached_from_outside_in_production() -> None:
    assert {it["metadata"]["name"] for it in of_kind("Gateway", in_overlay="production")} == {"anmodel"}
    assert values("kserve", "production")["kserve"]["controller"]["gateway"]["disableIngressCreation"] is True


def test_what_asks_for_the_gateway_apis_kinds_comes_after_what_brings_them() -> None:
    for name in ("kind", "production"):
        order = [it.name for it in overlay(name).parts]
        assert "enableGatewayAPI" in (K8S / "values/cert-manager.yaml").read_text()
        assert order.index("envoy-gateway") < order.index("cert-manager")
        assert "envoy-gateway" in overlay(name).part("cert-manager").needs


def test_a_bucket_forgets_old_backups_of_clickhouse_and_none_of_postgres() -> None:
    buckets = {it["name"]: it.get("ttl") for it in values("s3", "production")["s3"]["createBuckets"]}
    assert buckets["clickhouse-backups"] == "2w"
    assert buckets["backups"] is None, "Postgres says itself how long"
