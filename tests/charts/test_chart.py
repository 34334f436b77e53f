"""The chart as a whole: lint, shapes, documentation, and what may be in it at all."""

import json
import re
import runpy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendered import CHART, COMBINATIONS, ROOT, Rendered, helm, stage_of, template
from shapes import faults_of_shape

from anmodel import __version__
from anmodel.events import decode_event

FORBIDDEN = ("bitnami", "minio", "ingress-nginx", "zookeeper")
PODS_KEYS = set(yaml.safe_load((CHART / "values.yaml").read_text())["pods"])
FREE = {"podLabels", "rollingUpdate", "requests", "limits"}
"""Objects whose keys are the user's own."""


@pytest.mark.usefixtures("helm_there")
@pytest.mark.parametrize("profile", ["", *sorted(path.stem for path in (CHART / "profiles").glob("*.yaml"))])
def test_lint_has_no_objection(profile: str) -> None:
    files = ["-f", str(CHART / f"profiles/{profile}.yaml")] if profile else []
    done = helm("lint", "--strict", str(CHART), *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_profile_is_a_combination() -> None:
    assert {path.stem for path in (CHART / "profiles").glob("*.yaml")} <= {
        profile for profile, _ in COMBINATIONS.values()
    }


def test_every_object_has_the_shape_its_kind_demands(rendered: Rendered, schemas: Path) -> None:
    assert not faults_of_shape(rendered.text, schemas)


def test_the_steps_pods_in_their_config_map_have_the_shape_of_pods(rendered: Rendered, schemas: Path) -> None:
    pods = yaml.safe_dump_all(rendered.steps().values())
    assert not faults_of_shape(pods, schemas)


def test_the_chart_is_of_the_same_version_as_the_code() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_page_and_the_schema_say_what_the_comments_of_the_values_say() -> None:
    rendering = runpy.run_path(str(ROOT / "docs/render_chart.py"))
    for value in rendering["values"]():
        assert value.meaning, f"{'.'.join(value.path)} has no comment in values.yaml"
    assert (ROOT / "docs/chart.md").read_text() == rendering["page"](), "run `python docs/render_chart.py`"
    assert (CHART / "values.schema.json").read_text() == rendering["schema"](), "run `python docs/render_chart.py`"


def test_the_schema_knows_exactly_the_keys_of_the_values() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert _keys_of_schema(schema, schema) - {("global",)} == _keys_of_values(values)


def _keys_of_values(node: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if not isinstance(node, dict) or not node or (path[-1:] and path[-1] in FREE):
        return {path}
    return {keys for key, value in node.items() for keys in _keys_of_values(value, (*path, key))}


def _keys_of_schema(node: Any, root: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Its leaves. A workload may also have the keys of `pods`, which values.yaml does not repeat."""
    if "$ref" in node:
        node = root["definitions"][node["$ref"].rsplit("/", 1)[1]]
    assert node.get("additionalProperties") is False or not node.get("properties"), f"{path} takes unknown keys"
    if (path[-1:] and path[-1] in FREE) or not node.get("properties"):
        return {path}
    unsaid = PODS_KEYS if len(path) == 1 and path != ("pods",) else set()
    own = {key: value for key, value in node["properties"].items() if key not in unsaid}
    return {keys for key, value in own.items() for keys in _keys_of_schema(value, root, (*path, key))}


def test_every_key_of_the_schema_is_described() -> None:
    def visit(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for key, value in node.get("properties", {}).items():
                named = f"{path}.{key}"
                assert value.get("description") or "$ref" in value, f"{named} has no description"
                visit(value, named)

    schema = json.loads((CHART / "values.schema.json").read_text())
    visit(schema, "")
    for name, definition in schema["definitions"].items():
        visit(definition, name)


def test_no_image_is_of_an_unnamed_version_or_of_those_that_are_retired(rendered: Rendered) -> None:
    images = re.findall(r"^\s*(?:- )?image: \"?([^\"\n]+)", rendered.text, re.M)
    assert images
    for image in images:
        assert re.search(r":[0-9][^:/]*$", image), f"{image} names no version"
    assert not [word for word in FORBIDDEN if word in rendered.text.lower()]


def test_no_value_is_a_secret_and_only_the_generated_secret_holds_one(rendered: Rendered) -> None:
    for made in rendered.kind("Secret"):
        assert made["metadata"]["name"].endswith("-clickhouse")
        assert made["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for name, pod in rendered.pods():
        for container in pod["spec"]["containers"]:
            for item in container["env"]:
                assert "PASSWORD" not in item["name"], f"{name} has {item['name']} in its environment"


def test_a_profile_that_names_its_secrets_renders_the_same_every_time(helm_there: None) -> None:
    for profile in ("kind", "production", "bring-your-own"):
        assert template(profile).stdout == template(profile).stdout


def test_every_objects_name_begins_with_the_releases(rendered: Rendered) -> None:
    begin = "shop" if rendered.name == "placed pods" else "anmodel"
    seen: set[tuple[str, str]] = set()
    for made in rendered.objects:
        name = made["metadata"]["name"]
        assert name == begin or name.startswith(f"{begin}-")
        assert (made["kind"], name) not in seen, f"{made['kind']} {name} is there twice"
        seen.add((made["kind"], name))
        assert made["metadata"]["labels"]["app.kubernetes.io/part-of"] == "anmodel"
        assert made["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def test_only_the_stages_that_must_ask_the_kubernetes_api_get_a_token(rendered: Rendered) -> None:
    for account in rendered.kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    accounts = {account["metadata"]["name"] for account in rendered.kind("ServiceAccount")}
    for name, pod in rendered.pods():
        assert pod["spec"]["automountServiceAccountToken"] is (stage_of(pod) in rendered.asks_kubernetes()), name
        assert pod["spec"]["serviceAccountName"] in accounts, name


def test_those_who_ask_kubernetes_have_a_role_in_the_namespace_and_nobody_else_has(rendered: Rendered) -> None:
    assert not rendered.kind("ClusterRole", "ClusterRoleBinding")
    roles = {made["metadata"]["labels"]["app.kubernetes.io/component"]: made for made in rendered.kind("Role")}
    assert set(roles) == rendered.asks_kubernetes()
    accounts = {stage_of(pod): pod["spec"]["serviceAccountName"] for _, pod in rendered.pods()}
    for stage, role in roles.items():
        binding = rendered.one("RoleBinding", role["metadata"]["name"])
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert [(subject["name"], subject["namespace"]) for subject in binding["subjects"]] == [
            (accounts[stage], "shop")
        ]


@pytest.mark.parametrize("edge", ["kind", "no edge"])
def test_the_notes_say_where_to_go_next(edge: str, helm_there: None) -> None:
    profile, values = COMBINATIONS[edge]
    files = ["-f", str(CHART / f"profiles/{profile}.yaml")]
    done = helm("install", "anmodel", str(CHART), "--dry-run=client", "--namespace", "shop", *files, values=values)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert "helm -n shop test anmodel" in notes
    if edge == "kind":
        assert "console    http://anmodel.localtest.me:8081\n" in notes
        assert "API        http://api.anmodel.localtest.me:8081/docs\n" in notes
    else:
        assert "kubectl -n shop port-forward service/anmodel-marketapp 5173" in notes
        assert "console    http://localhost:5173\n" in notes


def test_the_first_event_of_the_notes_is_one_that_the_collector_takes(helm_there: None) -> None:
    done = helm("install", "anmodel", str(CHART), "--dry-run=client", values={})
    (sent,) = re.findall(r"-d '(\{.*\})'", done.stdout)
    event = sent.replace("'$(date -u +%FT%TZ)'", datetime.now(UTC).strftime("%FT%TZ"))
    decode_event(event.encode(), now=datetime.now(UTC), max_age_days=1)
