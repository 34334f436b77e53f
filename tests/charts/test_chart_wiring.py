"""What must agree: selectors and labels, ports and probes, routes and services, variables and settings, counts."""

import ast
import base64
import hashlib

import pytest
from rendered import ROOT, Object, Rendered, environment, render, secret_files, stage_of

from anmodel import settings
from anmodel.gateway.app import openapi_document

SETTINGS: dict[str, type[settings.Settings]] = {
    "collector": settings.CollectorSettings,
    "consumer": settings.ConsumerSettings,
    "gateway": settings.GatewaySettings,
    "marketapp": settings.MarketAppSettings,
    "migrate": settings.MigrateSettings,
    "generator": settings.GeneratorSettings,
    "export": settings.ExportSettings,
    "trends": settings.TrendsSettings,
    "snapshot": settings.SnapshotSettings,
    "train": settings.TrainSettings,
    "register": settings.RegisterSettings,
    "score": settings.ScoreSettings,
    "monitor": settings.MonitorSettings,
}
OF_THE_SDK = {"AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
"""Variables that the clients of S3 read themselves."""
PORTS = {"collector": 8001, "consumer": 8002, "gateway": 8000, "marketapp": 5173}


def chosen_by(selector: Object, rendered: Rendered) -> list[str]:
    """The stages whose pods these labels choose."""
    return [stage_of(pod) for _, pod in rendered.pods() if selector.items() <= pod["metadata"]["labels"].items()]


def test_every_selector_chooses_the_pods_of_its_own_stage_and_no_others(rendered: Rendered) -> None:
    for made in rendered.kind("Deployment", "Service", "PodDisruptionBudget"):
        selector = made["spec"]["selector"]
        stage = made["metadata"]["labels"]["app.kubernetes.io/component"]
        own = [] if stage == "predictor" else [stage]  # KServe makes the predictor's pods
        assert chosen_by(selector.get("matchLabels", selector), rendered) == own, made["metadata"]["name"]


def test_ports_of_containers_services_probes_and_settings_agree(rendered: Rendered) -> None:
    for stage, port in PORTS.items():
        pod = rendered.deployments()[stage]["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        assert container["ports"] == [{"name": "http", "containerPort": port, "protocol": "TCP"}]
        assert environment(pod)[f"{stage.upper()}_PORT"] == str(port)
        assert environment(pod)[f"{stage.upper()}_HOST"] == "0.0.0.0"  # noqa: S104 - pods listen to the cluster
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == "http"
    for service in rendered.kind("Service"):
        (port,) = service["spec"]["ports"]
        assert (port["name"], port["targetPort"]) == ("http", "http")
        assert port["port"] == PORTS[service["metadata"]["labels"]["app.kubernetes.io/component"]]


def test_ports_are_those_of_the_laptop() -> None:
    for stage, port in PORTS.items():
        assert settings.LaptopSettings.model_fields[f"{stage}_port"].default == port


def test_every_variable_and_every_file_of_a_secret_is_a_setting_of_its_stage(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        stage = stage_of(pod)
        if stage == "test":
            continue
        fields = SETTINGS[stage].model_fields
        for variable in set(environment(pod)) - OF_THE_SDK:
            assert variable.lower() in fields, f"{name} sets {variable}, which its stage does not know"
        for file in secret_files(pod):
            assert file in fields or file.removesuffix(".pem") in fields, f"{name} has {file}, which nothing reads"


def test_the_settings_of_every_stage_take_what_the_chart_gives(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        stage = stage_of(pod)
        if stage == "test":
            continue
        given = {variable.lower(): value for variable, value in environment(pod).items()}
        # what files hold is not known here: certificates are left out with the settings that name them
        given = {field: value for field, value in given.items() if not value.startswith("/run/secrets")}
        if given.get("pg_sslmode", "").startswith("verify"):
            given["pg_sslmode"] = "require"
        passwords = {file: "secret" for file in secret_files(pod) if not file.endswith(".pem")}
        read = SETTINGS[stage].load(**given, **passwords)
        assert read.log_format == "json", name


def route_paths(made: Object) -> set[tuple[str, str]]:
    """Paths and how they match, `Exact` or `Prefix`."""
    if made["kind"] == "HTTPRoute":
        matches = [match["path"] for rule in made["spec"]["rules"] for match in rule["matches"]]
        return {(path["value"], path["type"].removeprefix("Path")) for path in matches}
    return {(path["path"], path["pathType"]) for rule in made["spec"]["rules"] for path in rule["http"]["paths"]}


def backends(made: Object) -> set[tuple[str, object]]:
    if made["kind"] == "HTTPRoute":
        return {(ref["name"], ref["port"]) for rule in made["spec"]["rules"] for ref in rule["backendRefs"]}
    services = [path["backend"]["service"] for rule in made["spec"]["rules"] for path in rule["http"]["paths"]]
    return {(service["name"], PORTS[service["name"].removeprefix("anmodel-")]) for service in services}


def hosts(made: Object) -> list[str]:
    return made["spec"].get("hostnames") or [rule["host"] for rule in made["spec"]["rules"]]


def test_every_route_leads_to_a_service_that_is_there(rendered: Rendered) -> None:
    services = {(made["metadata"]["name"], made["spec"]["ports"][0]["port"]) for made in rendered.kind("Service")}
    routes = rendered.kind("HTTPRoute", "Ingress")
    for made in routes:
        assert backends(made) <= services
        for rule in made["spec"]["rules"]:
            assert len(rule.get("matches", [])) <= 8, "Gateway API allows eight matches in a rule"
    if routes:
        assert len({host for made in routes for host in hosts(made)}) == 3


def reached(paths: set[tuple[str, str]], asked: str) -> bool:
    """Whether a route with these paths takes a request."""
    return any(
        asked == path or (kind == "Prefix" and f"{asked}/".startswith(f"{path.rstrip('/')}/")) for path, kind in paths
    )


@pytest.mark.parametrize("name", ["kind", "bring-your-own"])
def test_the_edge_shows_the_whole_api_and_no_metrics(name: str, helm_there: None) -> None:
    routes = {made["metadata"]["name"]: route_paths(made) for made in render(name).kind("HTTPRoute", "Ingress")}
    for path in openapi_document()["paths"]:
        assert reached(routes["anmodel-gateway"], path.replace("{user_id}", "42").replace("{name}", "context_aware")), (
            path
        )
    assert reached(routes["anmodel-collector"], "/collect")
    assert reached(routes["anmodel-collector"], "/anmodel.js")
    assert reached(routes["anmodel-marketapp"], "/users/42")
    for stage in ("collector", "gateway"):
        for hidden in ("/metrics", "/", "/metrics/"):
            assert not reached(routes[f"anmodel-{stage}"], hidden), f"{stage} shows {hidden} to the world"


@pytest.mark.parametrize(
    ("name", "api", "console"),
    [
        ("kind", "http://api.anmodel.localtest.me:8081", "http://anmodel.localtest.me:8081"),
        ("production", "https://api.example.com", "https://console.example.com"),
        ("bring-your-own", "https://api.example.com", "https://console.example.com"),
        ("an Ingress without TLS", "http://api.test", "http://console.test"),
        ("no edge", "http://localhost:8000", "http://localhost:5173"),
    ],
)
def test_the_console_calls_the_api_where_the_edge_has_it_and_is_allowed_to(
    name: str, api: str, console: str, helm_there: None
) -> None:
    made = render(name)
    stages = made.deployments()
    assert environment(stages["marketapp"]["spec"]["template"])["VITE_API_BASE"] == api
    assert console in environment(stages["gateway"]["spec"]["template"])["CORS_ORIGINS"].split(",")
    for route in made.kind("HTTPRoute", "Ingress"):
        if route["metadata"]["name"] == "anmodel-gateway":
            assert api.split("//")[1].split(":")[0] in hosts(route)


def test_the_routes_belong_to_the_gateway_that_the_values_name(helm_there: None) -> None:
    (parent,) = render("a Gateway elsewhere").one("HTTPRoute", "anmodel-gateway")["spec"]["parentRefs"]
    assert parent == {"name": "public", "namespace": "edge"}
    (parent,) = render("production").one("HTTPRoute", "anmodel-collector")["spec"]["parentRefs"]
    assert parent == {"name": "anmodel", "sectionName": "https"}


def test_a_rate_limit_brings_its_counter_and_whom_to_believe(helm_there: None) -> None:
    made = render("production").deployments()
    for stage, limit in {"collector": "60000/minute", "gateway": "600/minute"}.items():
        given = environment(made[stage]["spec"]["template"])
        assert (given["RATE_LIMIT"], given["VALKEY_URL"]) == (limit, "valkey://anmodel-valkey:6379")
        assert given["TRUSTED_PROXIES"]
    for stage in ("collector", "gateway"):
        assert "VALKEY_URL" not in environment(render("kind").deployments()[stage]["spec"]["template"])


def test_the_generated_password_is_told_to_clickhouse_by_its_hash(helm_there: None) -> None:
    secret = render("defaults").one("Secret", "anmodel-clickhouse")
    data = secret["data"]
    password = base64.b64decode(data["password"])
    assert len(password) >= 32
    assert base64.b64decode(data["password_sha256_hex"]).decode() == hashlib.sha256(password).hexdigest()
    assert not render("kind").kind("Secret")
    # what is a hook is no part of a revision, so a rollback cannot bring an old password back
    assert secret["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_script_of_helm_test_reaches_the_pod_whole(rendered: Rendered) -> None:
    (pod,) = rendered.kind("Pod")
    (container,) = pod["spec"]["containers"]
    (option, script) = container["args"]
    assert (container["command"], option) == (["python"], "-c")
    assert ast.dump(ast.parse(script)) == ast.dump(ast.parse((ROOT / "charts/anmodel/files/ask.py").read_text()))
