"""What register asks KServe for, and what it reads from Deployments and pods."""

from typing import Any

import pytest

from anmodel.errors import SettingError
from anmodel.register import rollout
from anmodel.register.objects import Canary, Files, canary_replicas, http_route, inference_service
from anmodel.settings import RegisterSettings

ONE, TWO = Files("1", "abc", "s3://models/1"), Files("2", "abc", "s3://models/2")


def settings(**given: Any) -> RegisterSettings:
    base = {
        "mlflow_tracking_uri": "unused",
        "parquet_out": "unused",
        "serving_account": "anmodel-predictor",
        "serving_gateway": "edge/public",
        "serving_host": "models.test",
    }
    return RegisterSettings.load(**{**base, **given})


def test_one_pod_alone_has_no_autoscaler_and_its_successor_comes_before_it_goes() -> None:
    made = inference_service(settings(), "shop", ONE, None)
    assert made["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "none"
    assert "autoScaling" not in made["spec"]["predictor"]
    assert made["spec"]["predictor"]["deploymentStrategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert "canary" not in made["spec"]


def test_more_pods_come_by_processor_load() -> None:
    made = inference_service(settings(serving_min_replicas=2, serving_max_replicas=6), "shop", ONE, None)
    predictor = made["spec"]["predictor"]
    assert made["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "hpa"
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 6)
    assert predictor["autoScaling"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70


@pytest.mark.parametrize(("fewest", "running", "percent"), [(1, 1, 10), (2, 2, 10), (2, 20, 10), (4, 4, 50)])
def test_a_canary_takes_no_pods_away_from_the_champion(fewest: int, running: int, percent: int) -> None:
    """KServe gives the champion its fewest less the canary's, and refuses a canary of more than the fewest."""
    canary = Canary(TWO, percent, canary_replicas(running, percent))
    given = settings(serving_min_replicas=fewest, serving_max_replicas=max(fewest, running))
    spec = inference_service(given, "shop", ONE, canary)["spec"]
    beside = spec["canary"][0]["predictor"]["minReplicas"]

    assert spec["predictor"]["minReplicas"] - beside >= fewest
    assert beside <= spec["predictor"]["minReplicas"] <= spec["predictor"]["maxReplicas"]
    assert beside >= running * percent / 100
    assert spec["canary"][0]["trafficPercent"] == percent
    assert spec["canary"][0]["predictor"]["annotations"]["serving.kserve.io/autoscalerClass"] == "none"


def test_the_route_gives_the_canary_its_share_of_a_hundred() -> None:
    given = settings()
    shares = http_route(given, "shop", Canary(TWO, 10, 1))["spec"]["rules"][0]["backendRefs"]
    assert {share["name"]: share["weight"] for share in shares} == {
        "context-aware-predictor": 90,
        "context-aware-v2-predictor": 10,
    }
    alone = http_route(given, "shop")["spec"]
    assert [share["name"] for share in alone["rules"][0]["backendRefs"]] == ["context-aware-predictor"]
    assert alone["hostnames"] == ["models.test"]
    assert alone["parentRefs"] == [{"namespace": "edge", "name": "public"}]


def test_a_route_for_every_host_is_refused() -> None:
    with pytest.raises(SettingError, match="SERVING_HOST is not set"):
        settings(serving_host="")


def a_deployment(files: Files, **status: int) -> dict[str, Any]:
    counts = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "observedGeneration": 5}
    return {
        "metadata": {"generation": 5},
        "spec": {"replicas": 2, "template": {"metadata": {"annotations": files.annotations}}},
        "status": {**counts, **status},
    }


@pytest.mark.parametrize(
    "unfinished",
    [
        {"observedGeneration": 4},
        {"replicas": 3},
        {"updatedReplicas": 1},
        {"readyReplicas": 1},
        {"availableReplicas": 1},
    ],
)
def test_a_deployment_is_rolled_out_when_all_its_pods_are_new_and_ready(unfinished: dict[str, int]) -> None:
    assert rollout.rolled_out(a_deployment(TWO), TWO)
    assert not rollout.rolled_out(a_deployment(TWO, **unfinished), TWO)


def test_a_deployment_that_kserve_has_not_changed_yet_is_not_rolled_out() -> None:
    assert not rollout.rolled_out(a_deployment(ONE), TWO)
    assert not rollout.rolled_out(a_deployment(Files("2", "abc", "s3://elsewhere/2")), TWO)
    assert not rollout.rolled_out(None, TWO)


OURS = {"name": "kserve-container"}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient memory"}]},
            "finds no node: Insufficient memory",
        ),
        (
            {"containerStatuses": [OURS | {"state": {"waiting": {"reason": "ErrImagePull", "message": "no image"}}}]},
            "ErrImagePull: no image",
        ),
        (
            {"containerStatuses": [OURS | {"state": {"waiting": {"reason": "PodInitializing"}}}]},
            "a predictor never started: PodInitializing",
        ),
        (
            {
                "containerStatuses": [
                    OURS
                    | {
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 1}},
                    }
                ]
            },
            "",
        ),
        (
            {"initContainerStatuses": [{"state": {"terminated": {"exitCode": 1, "message": "x\nno such bucket\n"}}}]},
            "do not get into the pod: no such bucket",
        ),
        ({"containerStatuses": [OURS | {"state": {"running": {}}}]}, ""),
    ],
)
def test_what_the_cluster_lacks_is_no_fault_of_a_version(status: dict[str, Any], said: str) -> None:
    found = rollout.hindrance([{"status": status}])
    assert said in found
    assert bool(found) == bool(said)
