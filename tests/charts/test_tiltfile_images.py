"""The Tiltfile's images, ports and links, held against Dockerfiles, chart and settings."""

from pathlib import Path
from typing import Any

import pytest
from tilt_fakes import Tilt
from tilt_resources import Resource

from anmodel.settings import CollectorSettings, ConsumerSettings, GatewaySettings, MarketAppSettings

ROOT = Path(__file__).parents[2]
LIVE = ["collector", "consumer", "gateway", "marketapp"]

pytestmark = pytest.mark.usefixtures("helm_there")


def builds(tilt: Tilt) -> dict[str, dict[str, Any]]:
    return {call["ref"]: call.arguments for call in tilt.of("docker_build", "docker_build_with_restart")}


# ── images ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_image_of_the_release_is_built_here_and_none_besides(tilt: Tilt, found: dict[str, Resource]) -> None:
    run = {image for resource in found.values() for image in resource.images}
    assert set(builds(tilt)) == run


def test_every_file_that_it_names_exists(tilt: Tilt) -> None:
    named = [path for call in tilt.of("helm") for path in [call["paths"], call["values"]]]
    named += [path for call in tilt.of("local_resource") for path in call["deps"] or []]
    named += [call["local_path"] for call in tilt.of("sync")]
    named += [path for call in tilt.of("fall_back_on") for path in call["paths"]]
    named += [path for build in builds(tilt).values() for path in [build["dockerfile"], *build["only"]]]
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_what_the_dockerfiles_copy_is_watched(tilt: Tilt) -> None:
    for ref, build in builds(tilt).items():
        text = (ROOT / build["dockerfile"]).read_text().replace("${STAGE}", ref.partition("/")[2])
        lines = [line.split() for line in text.splitlines() if line.startswith("COPY ") and "--from=" not in line]
        sources = [word for line in lines for word in line[1:-1] if not word.startswith("--")]
        assert sources, build["dockerfile"]
        for source in sources:
            assert any(Path(source).is_relative_to(only) for only in build["only"]), f"{ref}: {source} is not in only"


def test_code_is_updated_in_the_running_container_and_all_else_builds_anew(tilt: Tilt) -> None:
    live = {ref: build for ref, build in builds(tilt).items() if build.get("live_update")}
    assert set(live) == {f"anmodel/{stage}" for stage in LIVE}
    for ref, build in live.items():
        stage = ref.partition("/")[2]
        back, code = build["live_update"]
        assert build["entrypoint"] == ["python", "-m", "anmodel", stage]
        assert code == {"local_path": "src/anmodel", "remote_path": "/opt/anmodel/anmodel"}
        assert set(back["paths"]) == set(build["only"]) - {"src/anmodel"}, "the Dockerfile itself Tilt watches anyway"
        assert f"requirements/{stage}.txt" in back["paths"]
        assert all(any(Path(path).is_relative_to(only) for only in build["only"]) for path in back["paths"])
        assert (
            build["restart_file"] == "/opt/anmodel/.restart"
        )  # the pods have a volume of their own at the usual place


def test_live_update_may_write_and_only_here(found: dict[str, Resource]) -> None:
    for stage in LIVE:
        (workload,) = [made for made in found[stage].objects if made["kind"] == "Deployment"]
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is False
        assert "args" not in container, "Tilt keeps them, and the entrypoint names the stage already"


# ── ports and links ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_ports_are_those_of_the_laptop(tilt: Tilt, found: dict[str, Resource]) -> None:
    forwarded = {
        name: [forward["local_port"] for forward in resource.call["port_forwards"]]
        for name, resource in found.items()
        if resource.call["port_forwards"]
    }
    assert forwarded == {
        "collector": [CollectorSettings.model_fields["collector_port"].default],
        "consumer": [ConsumerSettings.model_fields["consumer_port"].default],
        "gateway": [GatewaySettings.model_fields["gateway_port"].default],
        "marketapp": [MarketAppSettings.model_fields["marketapp_port"].default],
    }
    kept = {name: kept_port(resource) for name, resource in found.items() if resource.call["serve_cmd"]}
    assert kept == {"clickhouse": 8123, "kafka-ui": 8080, "mlflow": 5000, "airflow": 8082}
    local = [port for ports in forwarded.values() for port in ports] + list(kept.values())
    assert len(set(local)) == len(local)


def kept_port(resource: Resource) -> int:
    """The local port of a part's `kubectl port-forward svc/NAME LOCAL:PORT`."""
    return int(resource.call["serve_cmd"].partition("svc/")[2].split()[1].partition(":")[0])


def test_a_forwarded_port_is_that_of_the_container(found: dict[str, Resource]) -> None:
    for stage in LIVE:
        (workload,) = [made for made in found[stage].objects if made["kind"] == "Deployment"]
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        (forward,) = found[stage].call["port_forwards"]
        assert [port["containerPort"] for port in container["ports"]] == [forward["container_port"]]


def test_every_page_has_a_link(tilt: Tilt, found: dict[str, Resource]) -> None:
    hosts = {
        host
        for resource in found.values()
        for made in resource.objects
        if made["kind"] == "HTTPRoute"
        for host in made["spec"]["hostnames"]
    }
    linked = {call["url"].split("/")[2] for call in tilt.of("link")}
    assert {f"{host}:8081" for host in hosts} <= linked
    assert hosts


def test_the_console_on_its_forwarded_port_may_ask_the_api(found: dict[str, Resource]) -> None:
    (workload,) = [made for made in found["gateway"].objects if made["kind"] == "Deployment"]
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    origins = {item["name"]: item.get("value") for item in container["env"]}["CORS_ORIGINS"].split(",")
    assert {"http://localhost:5173", "http://anmodel.localtest.me:8081"} <= set(origins)
