"""Runs of a DAG in Airflow's own database: its Python tasks run, its pods are rendered and taken for done.

What a task sees (its params, its XComs, the events that started the run) comes from Airflow's execution API, as in a
worker. Only the cluster is not asked.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import structlog
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import TaskInstance as Identity
from airflow.sdk.definitions.dag import _run_task
from airflow.sdk.execution_time.supervisor import (
    InProcessSupervisorComms,
    InProcessTestSupervisor,
    set_supervisor_comms,
)
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

Key = tuple[str, int]
"""Task, and its number among the mapped ones or -1."""


@dataclass
class Run:
    """What came of one run."""

    run_id: str
    states: dict[Key, str] = field(default_factory=dict)
    pods: dict[Key, KubernetesPodOperator] = field(default_factory=dict)
    built: dict[Key, dict[str, Any]] = field(default_factory=dict)
    others: dict[Key, Any] = field(default_factory=dict)
    tried_again: list[Key] = field(default_factory=list)

    def arguments(self, task_id: str) -> list[list[str]]:
        """The arguments of the task's pods, in their order; without empty ones, as a pod leaves them out."""
        made = [pod.arguments for (name, _), pod in sorted(self.pods.items()) if name == task_id]
        return [[argument for argument in arguments if argument] for arguments in made]

    def events(self, asset: str) -> list[dict[str, Any]]:
        """The extras of the events of an asset that this run has left."""
        query = select(AssetEvent).where(AssetEvent.source_run_id == self.run_id)
        with create_session(scoped=False) as session:
            return [made.extra for made in session.scalars(query) if made.asset.name == asset]


def scheduled(dag: DAG, night: datetime, conf: Mapping[str, Any] | None = None, *, backfill: bool = False) -> Run:
    """The run of a night, as the scheduler or a backfill makes it."""
    kind = DagRunType.BACKFILL_JOB if backfill else DagRunType.SCHEDULED
    interval = (night - timedelta(days=1), night)
    return _go(dag, kind, run_after=night, logical_date=interval[0], data_interval=interval, conf=conf)


def by_hand(dag: DAG, conf: Mapping[str, Any] | None = None, *, at: datetime | None = None) -> Run:
    """A run that somebody has started, with a filled form; as from the API, without a logical date."""
    return _go(dag, DagRunType.MANUAL, run_after=at or datetime.now(UTC), conf=conf)


def on_events(dag: DAG, told: Mapping[str, Sequence[Mapping[str, Any]]]) -> Run:
    """The run that events of assets start: asset → the extras of its events."""
    events = []
    with create_session(scoped=False) as session:
        for asset, extras in told.items():
            model = session.scalar(select(AssetModel).where(AssetModel.name == asset))
            assert model is not None, f"no DAG has the asset {asset}"
            events += [AssetEvent(asset_id=model.id, extra=dict(extra)) for extra in extras]
        session.add_all(events)
    return _go(dag, DagRunType.ASSET_TRIGGERED, run_after=datetime.now(UTC), consumed=events)


def _go(dag: DAG, kind: DagRunType, *, run_after: datetime, consumed: Sequence[AssetEvent] = (), **more: Any) -> Run:
    dag = DagBag(dag.fileloc).dags[dag.dag_id]  # read anew, as each worker does: a run fills in params and templates
    known = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    run = Run(f"{kind.value}__{datetime.now(UTC).isoformat()}")
    with create_session(scoped=False) as session:
        row = known.create_dagrun(
            run_id=run.run_id,
            run_after=run_after,
            run_type=kind,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            start_date=run_after,
            session=session,
            **more,
        )
        row.consumed_asset_events.extend(session.merge(event) for event in consumed)
    for ti in _ready(known, run):
        _do(ti, dag, run)
    return run


def _ready(known: Any, run: Run) -> Iterator[Any]:
    """The tasks of a run as the scheduler would start them; a look that starts none may still settle what follows."""
    idle = 0
    while idle < 4:
        with create_session(scoped=False) as session:
            row = session.scalar(select(DagRun).where(DagRun.run_id == run.run_id))
            row.dag = known
            ready, _ = row.update_state(session=session)
            row.schedule_tis(ready, session=session)
            begun = [ti.id for ti in ready]
            tasks = row.get_task_instances(session=session)
            run.states = {(ti.task_id, ti.map_index): str(ti.state) for ti in tasks}
            if row.state != DagRunState.RUNNING:
                return
        idle = 0 if begun else idle + 1
        for number in begun:
            with create_session(scoped=False) as session:
                ti = session.get(TaskInstance, number)
            yield ti
    raise AssertionError(f"nothing can be started any more: {run.states}")


def _do(ti: Any, dag: DAG, run: Run) -> None:
    task = dag.get_task(ti.task_id)
    if task.operator_name == "task" or getattr(task, "python_callable", None):
        _run_task(ti=ti, task=task)
        if ti.state == TaskInstanceState.UP_FOR_RETRY:
            run.tried_again.append((ti.task_id, ti.map_index))
            ti.set_state(TaskInstanceState.FAILED)  # nobody waits here for the last try
        return
    ti.set_state(TaskInstanceState.QUEUED)
    rendered, pod = _rendered(ti, task.prepare_for_execution())
    key = (ti.task_id, ti.map_index)
    if isinstance(rendered, KubernetesPodOperator):
        run.pods[key] = rendered
        run.built[key] = pod
    else:
        run.others[key] = rendered
    ti.set_state(TaskInstanceState.SUCCESS)


def _rendered(ti: Any, task: Any) -> tuple[Any, dict[str, Any]]:
    """The operator with its templates filled in, and the pod that it would ask the cluster for."""
    identity = Identity(
        id=ti.id,
        task_id=ti.task_id,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        try_number=ti.try_number,
        map_index=ti.map_index,
        dag_version_id=ti.dag_version_id,
    )
    supervisor = InProcessTestSupervisor(
        id=identity.id,
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger("task"),
        client=InProcessTestSupervisor._api_client(task.dag),
    )
    supervisor.comms = InProcessSupervisorComms(supervisor=supervisor)
    with set_supervisor_comms(supervisor.comms):
        supervisor.ti = identity
        started = datetime.now(UTC)
        told = supervisor.client.task_instances.start(identity.id, os.getpid(), started)
        runtime = RuntimeTaskInstance.model_construct(
            **identity.model_dump(exclude_unset=True),
            task=task,
            _ti_context_from_server=told,
            max_tries=told.max_tries,
            start_date=started,
            state=TaskInstanceState.RUNNING,
        )
        context = runtime.get_template_context()
        runtime.render_templates(context)
        operator = context["task"]
        if isinstance(operator, KubernetesPodOperator) and Path(operator.pod_template_file or "").is_file():
            return operator, _as_sent(operator.build_pod_request_obj(context, dry_run=True))
        return operator, {}


def _as_sent(pod: Any) -> dict[str, Any]:
    """The pod as the Kubernetes client writes it to the API server."""
    from kubernetes.client import ApiClient

    return json.loads(json.dumps(ApiClient().sanitize_for_serialization(pod)))
