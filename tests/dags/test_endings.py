"""What comes of a step by its exit code."""

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from kubernetes.client import models as k8s

from anmodel_dags.endings import NO_CHAMPION, WRONG
from anmodel_dags.steps import StepOperator


class Alone(StepOperator):
    """A step that asks no cluster about its pod."""

    def is_istio_enabled(self, pod) -> bool:
        return False

    def patch_already_checked(self, pod, *, reraise=True) -> None: ...
    def process_pod_deletion(self, pod, *, reraise=True) -> bool:
        return True


def ended(code: int | None) -> k8s.V1Pod:
    """A pod whose container has ended with a code; None: it was never started."""
    state = (
        k8s.V1ContainerState(terminated=k8s.V1ContainerStateTerminated(exit_code=code)) if code is not None else None
    )
    container = k8s.V1ContainerStatus(name="score", image="", image_id="", ready=False, restart_count=0, state=state)
    status = k8s.V1PodStatus(phase="Succeeded" if code == 0 else "Failed", container_statuses=[container])
    return k8s.V1Pod(metadata=k8s.V1ObjectMeta(name="anmodel-score-1"), status=status)


def clean(code: int | None) -> None:
    plan = Alone(
        task_id="plan", base_container_name="score", skip_on_exit_code=NO_CHAMPION, log_events_on_failure=False
    )
    plan.cleanup(pod=ended(code), remote_pod=ended(code))


def test_a_step_that_ends_well_raises_nothing() -> None:
    clean(0)


@pytest.mark.parametrize("code", WRONG)
def test_a_wrong_setting_or_version_is_not_tried_again(code: int) -> None:
    with pytest.raises(AirflowFailException, match=f"(?s)anmodel-score-1 returned a failure.*Exit code {code}"):
        clean(code)


@pytest.mark.parametrize("code", [1, 4, 5, 137, None])
def test_whatever_may_mend_itself_is_tried_again(code: int | None) -> None:
    with pytest.raises(AirflowException, match="returned a failure") as raised:
        clean(code)
    assert type(raised.value) is AirflowException


def test_only_where_no_champion_is_the_plan_is_skipped(dags) -> None:
    with pytest.raises(AirflowSkipException):
        clean(NO_CHAMPION)
    skipping = {
        f"{dag.dag_id}.{task.task_id}": task.skip_on_exit_code
        for dag in dags.values()
        for task in dag.tasks
        if getattr(task, "skip_on_exit_code", None)
    }
    assert skipping == {"daily_forecast.plan": [NO_CHAMPION]}
