"""The pods that the DAGs ask for: the chart's, with arguments, valid and confined."""

import json
from copy import deepcopy

import pytest
import runs
import yaml
from rendered import NAMESPACE
from shapes import faults_of_shape

from conftest import ROOT

FORMS = {
    "export_events": {"first_day": "2026-10-01", "last_day": "2026-10-10", "force": True},
    "daily_forecast": {"as_of": "2026-11-01T00:00:00Z", "shards": 2},
    "train_model": {},
    "choose_champion": {"action": "use", "version": "3"},
}
"""DAG → a filled form."""


@pytest.fixture(scope="module")
def built(database, dags, steps):
    """Every pod of a run of every DAG, under the name of its task."""
    return {
        f"{dag_id}.{task_id}[{number}]": pod
        for dag_id, dag in dags.items()
        for (task_id, number), pod in runs.by_hand(dag, FORMS[dag_id]).built.items()
    }


def test_every_step_of_every_dag_has_its_pod(built) -> None:
    assert sorted(built) == [
        "choose_champion.register[-1]",
        "daily_forecast.finish[-1]",
        "daily_forecast.monitor[-1]",
        "daily_forecast.plan[-1]",
        "daily_forecast.score[0]",
        "daily_forecast.score[1]",
        "daily_forecast.snapshot[-1]",
        "export_events.export[0]",
        "export_events.export[1]",
        "export_events.users[-1]",
        "train_model.register[-1]",
        "train_model.snapshot[-1]",
        "train_model.train[-1]",
        "train_model.trends[-1]",
    ]


def test_the_cluster_takes_every_pod(built, schemas) -> None:
    text = "---\n".join(json.dumps(pod) + "\n" for pod in built.values())
    assert faults_of_shape(text, schemas) == ""


def filled(content):
    """Without what the operator leaves empty."""
    return {key: value for key, value in content.items() if value not in ([], {})}


def test_a_pod_is_the_charts_with_arguments_and_a_deadline(built, steps) -> None:
    for name, pod in deepcopy(built).items():
        stage = pod["spec"]["containers"][0]["name"]
        expected = yaml.safe_load((steps / f"{stage}.yaml").read_text())["spec"]
        (container,) = pod["spec"].pop("containers")
        arguments = container.pop("args")
        assert arguments, name
        assert all(arguments), f"{name}: an argument that its template leaves empty is none"
        assert pod["spec"].pop("activeDeadlineSeconds") > 600, name
        assert [filled(container)] == expected.pop("containers"), name
        assert filled(pod["spec"]) == filled(expected) | {"hostNetwork": False}, name


def test_a_pod_runs_with_the_least_rights(built) -> None:
    for name, pod in built.items():
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["automountServiceAccountToken"] is (container["name"] == "register"), name
        assert spec["serviceAccountName"] == f"anmodel-{container['name']}", name
        assert spec["restartPolicy"] == "Never", name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert container["resources"]["limits"]["memory"], name
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name


def test_a_pod_is_found_by_the_charts_labels_and_by_airflows_own(built) -> None:
    for name, pod in built.items():
        labels = pod["metadata"]["labels"]
        dag_id, _, task = name.partition(".")
        assert labels["app.kubernetes.io/name"] == "anmodel"
        assert labels["app.kubernetes.io/component"] == pod["spec"]["containers"][0]["name"]
        assert labels["dag_id"] == dag_id
        assert labels["task_id"] == task.partition("[")[0]
        assert labels["run_id"]
        assert labels["try_number"] == "1"
        assert pod["metadata"]["namespace"] == NAMESPACE
        assert pod["metadata"]["name"].startswith(f"anmodel-{pod['spec']['containers'][0]['name']}-")


def test_no_two_pods_have_a_name(built) -> None:
    assert len({pod["metadata"]["name"] for pod in built.values()}) == len(built)


def test_the_commands_are_those_of_the_stages(built) -> None:
    commands = {tuple(pod["spec"]["containers"][0]["args"][:2]) for pod in built.values()}
    assert commands == {
        ("export", "--from"),
        ("users", "export"),
        ("snapshot", "daily"),
        ("score", "plan"),
        ("score", "shard"),
        ("score", "finish"),
        ("monitor",),
        ("trends",),
        ("snapshot", "train"),
        ("train", "--name"),
        ("register",),
        ("register", "--version"),
    }
    code = (ROOT / "src/anmodel/cli.py").read_text()
    assert all(f'"{command[0]}": (' in code for command in commands)


def test_a_step_that_nobody_has_described_says_what_to_install(dags, steps, tmp_path) -> None:
    from airflow.sdk.exceptions import AirflowException

    monitor = dags["daily_forecast"].get_task("monitor").prepare_for_execution()
    monitor.pod_template_file = str(tmp_path / "monitor.yaml")
    with pytest.raises(AirflowException, match=r"ConfigMap anmodel-steps.*install AnModel's chart"):
        monitor.build_pod_request_obj(dry_run=True)
