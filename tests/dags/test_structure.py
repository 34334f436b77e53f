"""What the DAGs are, as Airflow reads them: when they start, in which order, and what an operator is told."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.serialization.serialized_objects import DagSerialization

from conftest import DAGS

ORDER = {
    "export_events": [("choose_days", "export"), ("choose_days", "users"), ("export", "tell")],
    "daily_forecast": [
        *(("choose", task) for task in ("finish", "plan", "score", "snapshot")),
        ("snapshot", "plan"),
        ("plan", "score"),
        ("score", "finish"),
        ("finish", "monitor"),
    ],
    "train_model": [("trends", "snapshot"), ("snapshot", "train"), ("train", "register"), ("register", "tell")],
    "choose_champion": [("choose", "register")],
}
STAGES = {
    "export_events": {"export": "export", "users": "export"},
    "daily_forecast": {
        "snapshot": "snapshot",
        "plan": "score",
        "score": "score",
        "finish": "score",
        "monitor": "monitor",
    },
    "train_model": {"trends": "trends", "snapshot": "snapshot", "train": "train", "register": "register"},
    "choose_champion": {"register": "register"},
}
"""DAG → task → the stage whose image its pod has."""


def said(task, name: str):
    """What a task was told, whether it is mapped or not."""
    return task.partial_kwargs[name] if isinstance(task, MappedOperator) else getattr(task, name)


def pods(dags):
    """Each task that is a pod, with its stage."""
    for dag_id, stages in STAGES.items():
        for task_id, stage in stages.items():
            yield dags[dag_id].get_task(task_id), stage


def test_every_dag_is_read_without_a_warning() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    assert bag.captured_warnings == {}
    assert set(bag.dags) == set(ORDER)
    assert len(bag.file_last_changed) == len(ORDER), "a file without a DAG is read at each look; see .airflowignore"


def test_the_tasks_follow_each_other(dags) -> None:
    for dag_id, expected in ORDER.items():
        found = [(task.task_id, after) for task in dags[dag_id].tasks for after in task.downstream_task_ids]
        assert sorted(found) == sorted(expected), dag_id


def test_every_step_is_a_pod_of_its_stage_and_no_other_task_works(dags) -> None:
    for task, stage in pods(dags):
        operator = task.operator_class if isinstance(task, MappedOperator) else type(task)
        assert issubclass(operator, KubernetesPodOperator)
        assert said(task, "base_container_name") == stage
        assert said(task, "pod_template_file").endswith(f"/steps/{stage}.yaml")
    names = {dag_id: {task.task_id for task in dag.tasks} - set(STAGES[dag_id]) for dag_id, dag in dags.items()}
    assert names == {
        "export_events": {"choose_days", "tell"},
        "daily_forecast": {"choose"},
        "train_model": {"tell"},
        "choose_champion": {"choose"},
    }


def test_only_what_may_run_many_times_at_once_is_mapped_and_its_pods_are_bounded_over_all_runs(dags) -> None:
    mapped = {
        f"{dag.dag_id}.{task.task_id}": task.partial_kwargs["max_active_tis_per_dag"]
        for dag in dags.values()
        for task in dag.tasks
        if isinstance(task, MappedOperator)
    }
    assert mapped == {"export_events.export": 4, "daily_forecast.score": 8}


def test_every_pod_is_tried_again_after_a_growing_pause_and_bounded_in_time(dags) -> None:
    for task, _ in pods(dags):
        assert task.retries == (1 if task.task_id == "trends" else 3), task.task_id
        assert task.retry_delay == timedelta(minutes=1)
        assert task.retry_exponential_backoff == 2
        assert task.max_retry_delay == timedelta(minutes=15)
        limit = task.execution_timeout
        assert limit >= timedelta(seconds=said(task, "schedule_timeout_seconds") + 600), "a late start is no failure"
        assert said(task, "active_deadline_seconds") > limit.total_seconds(), "the task ends first, and says why"


def test_a_waiting_task_holds_no_process_and_a_pod_leaves_its_log_and_nothing_else(dags) -> None:
    for task, _ in pods(dags):
        assert said(task, "deferrable") is True
        assert said(task, "durable") is True
        assert said(task, "do_xcom_push") is False
        assert said(task, "on_finish_action") in ("delete_pod",) or said(task, "on_finish_action").value == "delete_pod"
        assert said(task, "get_logs") is True
        assert said(task, "logging_interval") == 15
        assert said(task, "log_events_on_failure") is True


def test_an_operator_is_told_when_each_dag_starts_what_it_leaves_and_what_to_do(dags) -> None:
    for dag in dags.values():
        for words in ("**Starts**", "**Leaves**", "**If it fails**"):
            assert words in dag.doc_md, f"{dag.dag_id}: {words}"
        assert dag.description
        assert "anmodel" in dag.tags
        assert len(dag.tags) == 2
        assert dag.owner == "anmodel"
        for task in dag.tasks:
            text = said(task, "doc_md")
            assert "**Leaves**" in text, f"{dag.dag_id}.{task.task_id}"
            assert "**If it fails**" in text, f"{dag.dag_id}.{task.task_id}"


def test_every_field_of_a_form_has_a_title_and_says_what_it_does(dags) -> None:
    forms = {dag_id: set(dag.params) for dag_id, dag in dags.items()}
    assert forms == {
        "export_events": {"first_day", "last_day", "late_days", "days_a_task", "force", "remove"},
        "daily_forecast": {"as_of", "shards"},
        "train_model": {"snapshot", "force", "tune_minutes"},
        "choose_champion": {"action", "version"},
    }
    for dag in dags.values():
        for name in dag.params:
            field = dag.params.get_param(name)
            assert field.schema["title"], f"{dag.dag_id}: {name}"
            assert field.description.endswith("."), f"{dag.dag_id}: {name}"


@pytest.mark.parametrize(
    ("dag_id", "form"),
    [
        ("export_events", {"days_a_task": 0}),
        ("export_events", {"late_days": -1}),
        ("export_events", {"first_day": "7.11.2026"}),
        ("daily_forecast", {"shards": 0}),
        ("train_model", {"snapshot": "../users"}),
        ("train_model", {"snapshot": ""}),
    ],
)
def test_a_form_refuses_what_cannot_be(dags, dag_id: str, form: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Invalid input for param"):
        DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags[dag_id])).params.deep_merge(
            form
        ).validate()


def _scheduler_side(dag) -> dict:
    """The DAG as the scheduler reads it from the database."""
    return json.loads(json.dumps(DagSerialization.to_dict(dag)))["dag"]


def test_a_run_of_a_dag_never_overlaps_another_of_it_and_none_is_made_for_the_time_before(dags) -> None:
    for dag in dags.values():
        assert dag.max_active_runs == 1
        assert dag.catchup is False


def test_the_export_starts_at_a_quarter_past_midnight_and_its_day_is_the_one_before(dags) -> None:
    table = _scheduler_side(dags["export_events"])["timetable"]
    assert table["__type"].endswith("CronTriggerTimetable")
    assert table["__var"]["expression"] == "15 0 * * *"
    assert table["__var"]["timezone"] == "UTC"
    assert table["__var"]["interval"] == timedelta(days=1).total_seconds()
    assert table["__var"]["run_immediately"] is False


def test_the_forecast_starts_when_an_export_has_told_of_new_days_or_a_version_was_weighed(dags) -> None:
    table = _scheduler_side(dags["daily_forecast"])["timetable"]
    assert "CronTrigger" not in json.dumps(table)
    assert all(f'"name": "{asset}"' in json.dumps(table) for asset in ("events", "model"))
    assert "asset_any" in json.dumps(table)
    assert [asset.name for asset in said(dags["export_events"].get_task("tell"), "outlets")] == ["events"]


def test_a_training_starts_every_monday_or_on_a_message_of_drift(dags) -> None:
    table = _scheduler_side(dags["train_model"])["timetable"]
    assert table["__type"].endswith("AssetOrTimeSchedule")
    assert table["__var"]["timetable"]["__var"]["expression"] == "0 3 * * MON"
    (watcher,) = _watchers(table)
    assert watcher["trigger"]["classpath"].endswith("kafka.triggers.await_message.AwaitMessageTrigger")
    told = json.dumps(watcher["trigger"]["kwargs"])
    for words in ('"model-events"', '"anmodel_dags.drift.only_drift"', '"kafka_default"', '"commit_offset": true'):
        assert words in told


def _watchers(content: object) -> list[dict]:
    """The watchers anywhere in what the scheduler reads."""
    if isinstance(content, dict):
        own = content.get("watchers", [])
        return [*own, *(found for value in content.values() if value is not own for found in _watchers(value))]
    return [found for value in content for found in _watchers(value)] if isinstance(content, list) else []


def test_the_triggerer_finds_the_function_that_lets_only_drift_through() -> None:
    code = "from airflow.providers.common.compat.module_loading import import_string as find\n"
    code += "print(find('anmodel_dags.drift.only_drift').__name__, find('anmodel_dags.messages.delivered').__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["only_drift", "delivered"]


def test_what_fetches_trends_may_fail_and_the_training_goes_on(dags) -> None:
    rules = {task.task_id: task.trigger_rule.value for task in dags["train_model"].tasks}
    assert rules.pop("snapshot") == "all_done"
    assert set(rules.values()) == {"all_success"}


def test_assets_say_what_the_dags_leave(dags) -> None:
    left = {
        f"{dag.dag_id}.{task.task_id}": [asset.name for asset in said(task, "outlets")]
        for dag in dags.values()
        for task in dag.tasks
        if not isinstance(task, MappedOperator) and task.outlets
    }
    assert left == {
        "export_events.tell": ["events"],
        "daily_forecast.finish": ["forecasts"],
        "train_model.register": ["model"],
        "choose_champion.register": ["model"],
    }
