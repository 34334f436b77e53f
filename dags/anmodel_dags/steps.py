"""A step of a DAG is one pod of its stage's image. The chart says what the pod is, the DAG says when, and with what."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.container import get_container_status
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from anmodel_dags.endings import WRONG

STEPS = Path(os.environ.get("ANMODEL_STEPS", "/opt/airflow/steps"))
NAMESPACE = os.environ.get("ANMODEL_NAMESPACE", "anmodel")

DEFAULTS: dict[str, Any] = {
    "owner": "anmodel",
    "retries": 3,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
}
"""The `default_args` of every DAG: tries after 1, 2 and 4 minutes."""

_START = timedelta(minutes=10)
_ROOM = timedelta(minutes=30)


class StepOperator(KubernetesPodOperator):
    """A pod as the chart's ConfigMap anmodel-steps describes it. An argument whose template gives "" is left out."""

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> Any:
        """The pod to make. Raises AirflowException when nobody has described it."""
        file = Path(self.pod_template_file or "")
        if not file.is_file():
            raise AirflowException(
                f"{file} is not there. The chart lays it down in the ConfigMap anmodel-steps of namespace {NAMESPACE}: "
                "install AnModel's chart there with steps.enabled=true; the file appears within two minutes."
            )
        self.arguments = [argument for argument in self.arguments if argument]
        return super().build_pod_request_obj(context, dry_run=dry_run)

    def cleanup(self, pod: Any, remote_pod: Any, xcom_result: Any = None, context: Any = None) -> None:
        """Take the pod away. Raises AirflowFailException, which ends the tries, if another would end the same way."""
        try:
            super().cleanup(pod, remote_pod, xcom_result, context)
        except AirflowSkipException:
            raise
        except AirflowException as error:
            code = _exit_code(remote_pod, self.base_container_name)
            if code in WRONG:
                raise AirflowFailException(f"{error}\nExit code {code}: it would be the same once more.") from error
            raise


def _exit_code(pod: Any, container: str) -> int | None:
    """What the pod's container ended with; None while it has not."""
    status = get_container_status(pod, container)
    ended = status.state.terminated if status and status.state else None
    return ended.exit_code if ended else None


def step(stage: str, task_id: str, arguments: Any, *, minutes: int, doc: str, **more: Any) -> StepOperator:
    """One pod of the stage; `arguments` may be the result of a task. It may take `minutes`, its start included."""
    return StepOperator(**_pod(stage, task_id, minutes, doc), arguments=arguments, **more)


def mapped_step(
    stage: str, task_id: str, arguments: Any, *, named: str, at_once: int, minutes: int, doc: str, **more: Any
) -> Any:
    """A pod for each item of `arguments`; `named` is the template of what the UI shows.

    `at_once` of them at a time, those of all runs of the DAG together: a backfill makes several.
    """
    made = StepOperator.partial(
        **_pod(stage, task_id, minutes, doc), map_index_template=named, max_active_tis_per_dag=at_once, **more
    )
    return made.expand(arguments=arguments)


def _pod(stage: str, task_id: str, minutes: int, doc: str) -> dict[str, Any]:
    """What every pod has in common."""
    limit = timedelta(minutes=minutes)
    return {
        "task_id": task_id,
        "doc_md": doc,
        "pod_template_file": str(STEPS / f"{stage}.yaml"),
        "base_container_name": stage,
        "name": f"anmodel-{stage}",
        "namespace": NAMESPACE,
        "in_cluster": True,
        # a task that waits holds no process, so that a scheduler's end does not touch it; its results are in the lake,
        # in MLflow and in ClickHouse, none is in XCom
        "deferrable": True,
        "do_xcom_push": False,
        "durable": True,  # a try goes on with the pod of a try that was killed
        "poll_interval": 3,
        # a node may have to come, an image to be pulled
        "schedule_timeout_seconds": int(_ROOM.total_seconds()),
        "startup_timeout_seconds": int(_START.total_seconds()),
        "execution_timeout": limit,
        # the cluster ends the pod when nobody of Airflow is left who could
        "active_deadline_seconds": int((limit + _START).total_seconds()),
        # all that a pod knew is in the task's log, so no pod is kept
        "get_logs": True,
        "logging_interval": 15,
        "container_name_log_prefix_enabled": False,
        "log_events_on_failure": True,
        "log_pod_spec_on_failure": False,
        "termination_message_policy": "FallbackToLogsOnError",
        "on_finish_action": "delete_pod",
    }
