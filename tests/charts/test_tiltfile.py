"""The Tiltfile is executed with fakes of Tilt's functions; the chart is rendered for real."""

import ast
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import starlark
import yaml
from tilt_fakes import API, EXTENSIONS, STARLARK, STARLARK_METHODS, Tilt
from tilt_resources import Resource, order, resources

ROOT = Path(__file__).parents[2]
FLOW = ["migrate", "collector", "generator", "consumer", "gateway", "marketapp"]

pytestmark = pytest.mark.usefixtures("helm_there")


@pytest.fixture(scope="module")
def parts(tilt: Tilt) -> list[dict[str, Any]]:
    (listed,) = (call["json"] for call in tilt.of("decode_json"))
    decoded: Any = tilt.decoded(listed)[0]
    return list(decoded)


def edited(old: str, new: str) -> Tilt:
    """The Tiltfile with a fault in it."""

    def edit(text: str) -> str:
        assert old in text, f"the Tiltfile no longer says {old}"
        return text.replace(old, new, 1)

    return Tilt(ROOT, edit=edit)


# ── what there is, and in which order ────────────────────────────────────────────────────────────────────────────────


def test_every_part_of_the_platform_is_applied_by_the_command_that_make_runs(
    found: dict[str, Resource], parts: list[dict[str, Any]]
) -> None:
    for part in parts:
        resource = found[part["name"]]
        assert resource.call["cmd"] == ["python3", "k8s/platform.py", "apply", part["name"], "--overlay", "kind"]
        assert resource.needs == part["needs"]
        assert resource.call["labels"] == [part["group"]]
        assert [(link["url"], link["name"]) for link in resource.call["links"]] == [tuple(x) for x in part["links"]]


def test_the_platform_comes_first_then_the_stages_as_events_flow(
    found: dict[str, Resource], parts: list[dict[str, Any]]
) -> None:
    names = list(found)
    assert names[: len(parts)] == [part["name"] for part in parts]
    assert [name for name in names[len(parts) :] if name != "shared"] == FLOW
    assert sorted(order(found), key=names.index) == names


def test_a_stage_is_started_after_all_that_it_needs(found: dict[str, Resource]) -> None:
    placed = order(found)
    for before, after in [
        ("kafka", "collector"),
        ("clickhouse", "migrate"),
        ("migrate", "consumer"),
        ("kafka", "consumer"),
        ("collector", "generator"),
        ("postgres", "gateway"),
        ("mlflow", "airflow"),
        ("kafka", "airflow"),
        ("kserve", "gateway"),
        ("gateway", "marketapp"),
    ]:
        assert placed.index(before) < placed.index(after), f"{before} must come before {after}"


def test_nothing_that_starts_by_itself_waits_for_what_does_not(found: dict[str, Resource]) -> None:
    for resource in found.values():
        if resource.starts_by_itself:
            late = [name for name in resource.needs if not found[name].starts_by_itself]
            assert not late, f"{resource.name} would wait for ever for {late}"


def test_each_workload_of_the_chart_is_the_stage_of_its_name(found: dict[str, Resource]) -> None:
    for stage in FLOW:
        (workload,) = [made for made in found[stage].objects if made["kind"] in ("Deployment", "Job")]
        assert workload["metadata"]["labels"]["app.kubernetes.io/component"] == stage
        assert found[stage].images == {f"anmodel/{stage}"}


def test_no_object_changes_with_each_rendering(found: dict[str, Resource]) -> None:
    """Tilt renders without the cluster: a Secret that the chart makes up would be another one each time."""
    assert "Secret" not in {kind for resource in found.values() for kind in resource.kinds}


# ── what starts by itself ────────────────────────────────────────────────────────────────────────────────────────────


def test_optional_parts_and_the_generator_are_started_by_hand(
    found: dict[str, Resource], parts: list[dict[str, Any]]
) -> None:
    needed = {name for part in parts if not part["optional"] for name in part["needs"]}
    optional = {part["name"] for part in parts if part["optional"]} - needed
    assert optional, "no part is optional"
    assert {name for name, resource in found.items() if not resource.starts_by_itself} == optional | {"generator"}
    assert all(found[name].by_hand for name in optional)


def test_an_optional_part_that_is_asked_for_starts_by_itself_with_all_that_it_needs(
    parts: list[dict[str, Any]],
) -> None:
    for part in (part for part in parts if part["optional"]):
        found = resources(Tilt(ROOT, chosen={"with": [part["name"]]}).read())
        assert found[part["name"]].starts_by_itself
        test_nothing_that_starts_by_itself_waits_for_what_does_not(found)


def test_a_part_that_there_is_not_cannot_be_asked_for() -> None:
    with pytest.raises(starlark.StarlarkError, match="no optional part is named so"):
        Tilt(ROOT, chosen={"with": ["airflwo"]}).read()


def test_resources_that_are_named_are_the_only_ones() -> None:
    tilt = Tilt(ROOT, chosen={"only": ["collector"]}).read()
    assert [call["resources"] for call in tilt.of("config.set_enabled_resources")] == [["collector"]]


def test_tilt_ci_waits_for_the_same_resources_and_long_enough() -> None:
    """It ends when all that starts by itself is ready: Deployments available, Jobs complete, parts applied."""
    tilt = Tilt(ROOT, subcommand="ci").read()
    waited = {name for name, resource in resources(tilt).items() if resource.starts_by_itself}
    assert waited >= {"kafka", "clickhouse", *FLOW} - {"generator"}
    (limits,) = tilt.of("ci_settings")
    assert all(limits[name].endswith("m") for name in ("timeout", "readiness_timeout", "k8s_grace_period"))


def test_jobs_run_once_and_then_by_hand(found: dict[str, Resource]) -> None:
    for stage in FLOW:
        assert found[stage].by_hand == ("Job" in found[stage].kinds), stage


def buttons(tilt: Tilt) -> dict[str, list[str]]:
    return {button["text"]: button["argv"] for button in tilt.of("cmd_button")}


def test_a_button_runs_the_generator_again(tilt: Tilt, found: dict[str, Resource]) -> None:
    assert buttons(tilt)["Make shoppers"] == ["tilt", "trigger", "generator"]
    assert "generator" in found


@pytest.mark.parametrize(("text", "dag"), [("Run the forecast", "export_events"), ("Train the model", "train_model")])
def test_a_button_starts_a_run_with_params_that_the_dag_knows(tilt: Tilt, text: str, dag: str) -> None:
    *command, asked, option, given = buttons(tilt)[text]
    assert command[:3] == ["kubectl", "--context", "kind-anmodel"]
    assert command[-3:] == ["airflow", "dags", "trigger"]
    assert (asked, option) == (dag, "--conf")
    source = (ROOT / f"dags/{dag}.py").read_text()
    assert f'"{dag}"' in source
    assert all(f'    "{name}": Param(' in source for name in json.loads(given))


def test_images_that_tilt_cannot_put_in_are_those_of_pods_that_others_make(
    found: dict[str, Resource], parts: list[dict[str, Any]]
) -> None:
    (steps,) = [part for part in parts if part["name"] == "steps"]
    pods = [
        yaml.safe_load(text)
        for made in found["shared"].objects
        if made["kind"] == "ConfigMap" and made["metadata"]["name"] == "anmodel-steps"
        for text in made["data"].values()
    ]
    runtimes = [made for made in found["shared"].objects if made["kind"] == "ServingRuntime"]
    assert pods
    assert runtimes
    images = {container["image"] for pod in [*pods, *runtimes] for container in pod["spec"]["containers"]}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert images == {f"anmodel/{name}:{version}" for name in steps["images"]}


def test_the_steps_images_are_built_at_the_start_and_then_when_they_are_asked_for(found: dict[str, Resource]) -> None:
    steps = found["steps"]
    assert steps.starts_by_itself
    assert steps.by_hand
    assert {"src/anmodel", "images/stage.Dockerfile", "requirements/train.txt"} <= set(steps.call["deps"])
    assert not found["airflow"].by_hand
    assert {"dags", "images/airflow.Dockerfile", "requirements/airflow.txt"} <= set(found["airflow"].call["deps"])


def test_it_says_how_much_memory_is_needed(tilt: Tilt, parts: list[dict[str, Any]]) -> None:
    (line,) = tilt.printed
    asked = sum(part["memory_mb"] for part in parts if not part["optional"])
    assert f"platform {asked} MB" in line
    for part in parts:
        assert not part["optional"] or f"{part['name']} {part['memory_mb']}" in line


def test_versions_and_the_cluster_are_those_of_the_platform(tilt: Tilt) -> None:
    platform = tomllib.loads((ROOT / "k8s/platform.toml").read_text())
    assert [call["constraint"] for call in tilt.of("version_settings")] == [f">={platform['tools']['tilt']}"]
    context = platform["overlays"]["kind"]["context"]
    assert [call["contexts"] for call in tilt.of("allow_k8s_contexts")] == [context]
    commands = [call["serve_cmd"] for call in tilt.of("local_resource") if call["serve_cmd"]]
    assert all(f"kubectl --context {context} " in command for command in commands)


def test_extensions_are_of_one_known_state(tilt: Tilt) -> None:
    (repository,) = tilt.of("v1alpha1.extension_repo")
    assert len(repository["ref"]) == 40


# ── Starlark ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_uses_no_function_that_tilts_starlark_lacks() -> None:
    """Another Starlark runs it here, which knows more than Tilt's. Its grammar is a part of Python's."""
    tree = ast.parse((ROOT / "Tiltfile").read_text())
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    extensions = {name for names in EXTENSIONS.values() for name in names}
    assert called <= own | extensions | set(API) | {"load"} | set(STARLARK.split())
    methods = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    ours = {name.rpartition(".")[2] for name in API if "." in name}
    assert methods <= ours | set(STARLARK_METHODS.split())


# ── faults are found ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("resource_deps=needs", "resource_dep=needs", "unexpected argument"),
        ("k8s_yaml(chart)", "k8s_yml(chart)", "not found"),
        ("ext://uibutton", "ext://uibuton", "not known"),
        ("'k8s/platform.py', 'list'", "'k8s/plattform.py', 'list'", "plattform"),
        ("decode_json(local(", "decode_json(f'{1}', local(", "f-strings"),
    ],
)
def test_what_tilt_would_not_take_is_found(old: str, new: str, said: str) -> None:
    with pytest.raises(starlark.StarlarkError, match=said):
        edited(old, new).read()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("['kafka', 'migrate', 'shared']", "['kafak', 'migrate', 'shared']", "needs"),
        ("objects=of(name)", "objects=of(name) + ['anmodel-collector:Role']", "stands for 0 objects"),
        ("shared = of('all') + of('test')", "shared = of('all')", "applied before all others"),
        ("'monitor', 'predictor']", "'monitor']", "applied before all others"),
        ("new_name=name", "new_name='kafka'", "two resources are named kafka"),
    ],
)
def test_resources_that_tilt_would_not_take_are_found(old: str, new: str, said: str) -> None:
    tilt = edited(old, new).read()
    with pytest.raises(ValueError, match=said):
        resources(tilt)


def test_stages_that_need_each_other_are_found() -> None:
    tilt = edited("stage('migrate', ['clickhouse'", "stage('migrate', ['marketapp'").read()
    with pytest.raises(ValueError, match="need each other"):
        order(resources(tilt))
