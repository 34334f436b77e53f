"""### The forecast of every user

**Starts** when `export_events` has told of days (the asset `events`), as of their end, or, for days of the past, as of
the instant of the snapshot before; when a version of the model has been weighed (the asset `model`), as of the snapshot
before, too; and by hand: with `as_of` for the forecast as of any instant whose events are in the lake.

**Leaves** `daily_features/snapshot_date=…` in the lake, one complete run in ClickHouse's table of forecasts, and a
report of drift and of past forecasts in `monitor_reports`. `/users` and the console show the run of the latest instant:
from now on this one, unless it was started with an `as_of` of the past. An alarm of drift starts `train_model`.

**If it fails**: what is shown stays the last complete forecast. Read the log of the failed task, mend what it names,
then *Clear* it with what follows it. While there is no champion yet, all from `plan` on is skipped: run `train_model`,
and a forecast follows. A repeat of the same run gives the same forecasts, in the place of the former ones.
"""

import os

from airflow.sdk import DAG, Param, get_current_context, task

from anmodel_dags import days
from anmodel_dags.assets import events, forecasts, model
from anmodel_dags.endings import NO_CHAMPION
from anmodel_dags.forecasts import plan_arguments, run_name, shard_arguments, snapshot_arguments
from anmodel_dags.steps import DEFAULTS, mapped_step, step

PARAMS = {
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="As of",
        description="Instant of the features. Empty: the end of the days that were exported or the instant of the "
        "snapshot before, the later of them; in a run by hand just after the newest event.",
    ),
    "shards": Param(
        int(os.environ.get("ANMODEL_SHARDS", "1")),
        type="integer",
        minimum=1,
        maximum=256,
        title="Shards",
        description="Parts of the users that are scored at once, each by a pod of its own.",
    ),
}

with DAG(
    "daily_forecast",
    description="After each export: who will buy, when and for how much, for every user.",
    doc_md=__doc__,
    schedule=(events | model),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=PARAMS,
    tags=["anmodel", "forecast"],
):

    @task(
        retries=1,
        doc_md="**Leaves** the arguments of the steps: the instant comes from the form, else from the export that "
        "started this run. **If it fails**, the form's instant cannot be read; the log says what is allowed.",
    )
    def choose() -> list[list[str]]:
        """The shards' arguments, over which Airflow maps; those of the other steps are beside them."""
        context = get_current_context()
        causes = context["triggering_asset_events"]
        told = [event.extra.get("as_of", "") for event in causes.get(events, [])]
        asked = context["params"]["as_of"]
        as_of = asked or days.newest(told)
        # what an event starts is never of an earlier instant than what is shown: it would not be shown, and look better
        # in the reports than it is
        again = not asked and bool(as_of if told else causes.get(model))
        run, shards = run_name(context["run_id"]), context["params"]["shards"]
        context["ti"].xcom_push("snapshot", snapshot_arguments(as_of, again=again))
        context["ti"].xcom_push("plan", plan_arguments(run, shards, as_of, again=again))
        context["ti"].xcom_push("finish", ["score", "finish", "--run", run])
        return shard_arguments(run, shards)

    chosen = choose()
    snapshot = step(
        "snapshot",
        "snapshot",
        chosen["snapshot"],
        minutes=240,
        doc="**Leaves** every user's features as of the instant. **If it fails** for memory, give the step more in the "
        "chart's values (`snapshot.resources`); the next pod has it.",
    )
    plan = step(
        "score",
        "plan",
        chosen["plan"],
        minutes=60,
        doc="**Leaves** `daily_features/scoring/<run>.json`: the snapshot, the champion and the shards that all pods "
        "of this run keep to, whatever happens meanwhile. **Skipped** while there is no champion. "
        "**If it fails**, MLflow or the lake does not answer: *Clear* it when it does.",
        skip_on_exit_code=NO_CHAMPION,
    )
    shards = mapped_step(
        "score",
        "score",
        chosen,
        named="{{ task.arguments[-1] }}",
        at_once=8,
        minutes=180,
        doc="**Leaves** the forecasts of its part of the users, not shown yet. **If it fails**, *Clear* it alone.",
    )
    finish = step(
        "score",
        "finish",
        chosen["finish"],
        minutes=60,
        outlets=[forecasts],
        doc="**Leaves** the run complete: from now on it is what `/users` shows. **If it fails**, *Clear* it.",
    )
    monitor = step(
        "monitor",
        "monitor",
        ["monitor"],
        minutes=120,
        doc="**Leaves** findings in `monitor_reports`; an alarm does not make it fail. **If it fails**, the forecasts "
        "are there all the same; *Clear* it.",
    )
    snapshot >> plan >> shards >> finish >> monitor
