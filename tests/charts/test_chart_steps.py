"""The batch steps' pods, as Airflow finds them in the ConfigMap."""

import pytest
from rendered import NAMESPACE, STEPS, Object, Rendered, environment, megabytes, render, template

LARGEST = 1_048_576
"""Bytes that a ConfigMap may hold."""


@pytest.fixture
def steps(rendered: Rendered) -> dict[str, Object]:
    """The pods by step."""
    found = rendered.steps()
    assert set(found) == (set() if rendered.name == "no steps" else set(STEPS))
    return found


def test_a_steps_pod_is_whole_and_runs_once(steps: dict[str, Object]) -> None:
    for step, pod in steps.items():
        assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
        assert pod["metadata"]["namespace"] == NAMESPACE
        assert pod["metadata"]["generateName"].endswith(f"-{step}-"), "whoever starts it needs no name"
        assert pod["spec"]["restartPolicy"] == "Never", "a rerun is Airflow's to decide, and to be seen there"
        assert 0 < pod["spec"]["terminationGracePeriodSeconds"] <= 30


def test_the_one_container_is_named_like_the_step_and_its_arguments_are_left_to_the_dag(
    steps: dict[str, Object],
) -> None:
    for step, pod in steps.items():
        (container,) = pod["spec"]["containers"]
        assert container["name"] == step
        assert f"/{step}:" in container["image"]
        assert not {"args", "command", "ports", "livenessProbe", "readinessProbe", "startupProbe"} & set(container)


def test_every_step_has_an_account_of_its_own(rendered: Rendered, steps: dict[str, Object]) -> None:
    for step, pod in steps.items():
        account = rendered.one("ServiceAccount", pod["spec"]["serviceAccountName"])
        assert account["metadata"]["labels"]["app.kubernetes.io/component"] == step


def test_the_lake_is_reached_with_the_keys_of_a_secret_or_by_the_pods_identity(
    rendered: Rendered, steps: dict[str, Object]
) -> None:
    for pod in steps.values():
        given = environment(pod)
        assert given["PARQUET_OUT"].startswith("s3://")
        assert given["AWS_DEFAULT_REGION"]
        keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & set(given)
        if rendered.name == "Amazon's S3 by the pods' identity":
            assert not keys
            assert "AWS_ENDPOINT_URL" not in given
            account = rendered.one("ServiceAccount", pod["spec"]["serviceAccountName"])
            assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
        else:
            assert len(keys) == 2
            assert given["AWS_ENDPOINT_URL"].startswith("http")
            assert not any(given[key] for key in keys), "a key has no place in a ConfigMap"


def test_the_features_sql_spills_to_disk_before_its_pod_is_killed(steps: dict[str, Object]) -> None:
    if not steps:
        return
    pod = steps["snapshot"]
    limit = megabytes(pod["spec"]["containers"][0]["resources"]["limits"]["memory"]) * 1.048576
    assert limit - int(environment(pod)["SNAPSHOT_MEMORY_MB"]) >= 600


def test_all_stages_speak_of_the_same_model_and_the_same_topics(rendered: Rendered, steps: dict[str, Object]) -> None:
    told = [environment(pod) for pod in steps.values()]
    told += [environment(made["spec"]["template"]) for made in rendered.deployments().values()]
    for name in ("MODEL_NAME", "MODEL_TOPIC", "PREDICTIONS_TOPIC", "MLFLOW_TRACKING_URI", "PARQUET_OUT"):
        assert len({given[name] for given in told if name in given}) <= 1, name
    asked = environment(rendered.deployments()["gateway"]["spec"]["template"])
    assert (
        asked["PREDICTIONS_TOPIC"]
        == environment(rendered.deployments()["consumer"]["spec"]["template"])["PREDICTIONS_TOPIC"]
    )


def test_predictions_that_are_not_logged_are_asked_for_by_nobody(helm_there: None) -> None:
    done = template("kind", {"kafka": {"predictionsTopic": ""}})
    assert done.returncode == 0, done.stderr
    assert "PREDICTIONS_TOPIC" not in done.stdout


def test_the_config_map_is_far_from_the_size_that_one_may_have(rendered: Rendered) -> None:
    for made in rendered.kind("ConfigMap"):
        assert sum(map(len, made["data"].values())) < LARGEST / 4


def test_a_key_for_trends_opens_the_road_to_the_internet_and_only_then(helm_there: None) -> None:
    for name, ports in (("kind with everything", {443, 8333}), ("kind", {8333})):
        policy = render(name).one("NetworkPolicy", "anmodel-trends")["spec"]
        assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == ports
        assert "ingress" not in policy
