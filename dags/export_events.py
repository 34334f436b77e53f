"""### Days of events: from ClickHouse to the lake

**Starts** every night at 00:15 UTC with the day that has just ended and the days before it (events come late), and by
hand with any range of days.

**Leaves** `events/date=…` in the lake for each day that changed since, `users/users.parquet`, and an event of the asset
`events`, on which `daily_forecast` starts. Days that ClickHouse holds no longer, or only in part, stay in the lake as
they are, unless `remove` is asked for. A run of a backfill leaves no such event: forecasts of the past, made by a
model that knows what came after, would flatter it. Start `daily_forecast` by hand, with `as_of`, for those too.

**If it fails**: read the log of the failed task and mend what it names, then *Clear* that task. Days are exported each
for itself, and only those that differ from ClickHouse are written: any run may be repeated, and two may run at once.
Until then `daily_forecast` waits, and the forecasts of the day before stay in use; for `users` alone it does not wait.

**A backfill**: a run is of the day before its night. For the 1st to the 7th of a month give the nights from the 2nd
until the 9th (the last is the one to stop before), one run at a time and without the days before
(`--max-active-runs 1 --dag-run-conf '{"late_days": 0}'`); or start one run by hand with `first_day` and `last_day`.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Metadata, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from anmodel_dags import days
from anmodel_dags.assets import events
from anmodel_dags.steps import DEFAULTS, mapped_step, step

PARAMS = {
    "first_day": Param(
        None,
        type=["null", "string"],
        format="date",
        title="First day",
        description="UTC. Empty: `Days before` days before the last day.",
    ),
    "last_day": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Last day",
        description="UTC. Empty: in the night's run the day that ended, in a run by hand today, as far as it has come.",
    ),
    "late_days": Param(
        2,
        type="integer",
        minimum=0,
        maximum=365,
        title="Days before",
        description="Days before the last one that are looked at again, for events that came late.",
    ),
    "days_a_task": Param(
        7, type="integer", minimum=1, maximum=366, title="Days a task", description="Days that one pod exports."
    ),
    "force": Param(
        False, type="boolean", title="Force", description="Write every day anew, even one that did not change."
    ),
    "remove": Param(
        False,
        type="boolean",
        title="Remove",
        description="Take from the lake, too, what ClickHouse no longer holds of these days. The lake may be the only "
        "copy of what retention has taken there.",
    ),
}


def _days(context: Mapping[str, Any]) -> tuple[days.Days, date]:
    """The days of this run, and the day on which it was started: fixed, so that a repeat does the same."""
    run, params = context["dag_run"], context["params"]
    today = run.run_after.date()
    by_hand = run.run_type not in ("scheduled", "backfill")
    last = today if by_hand else run.data_interval_start.date()
    asked = days.days_asked(
        params["first_day"], params["last_day"], late_days=params["late_days"], last=last, today=today
    )
    return asked, today


with DAG(
    "export_events",
    description="Every night: the days of events that changed go from ClickHouse to the lake.",
    doc_md=__doc__,
    # no run at once where Airflow is new: its first one is that of the next night
    schedule=CronTriggerTimetable("15 0 * * *", timezone="UTC", interval=timedelta(days=1)),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=PARAMS,
    tags=["anmodel", "data"],
):

    @task(
        retries=1,
        doc_md="**Leaves** the arguments of each export. **If it fails**, the form asks for days that there cannot be: "
        "the log says which; start a run with others.",
    )
    def choose_days() -> list[list[str]]:
        context = get_current_context()
        asked, _ = _days(context)
        params = context["params"]
        return days.export_arguments(asked, params["days_a_task"], force=params["force"], remove=params["remove"])

    @task(
        outlets=[events],
        doc_md="**Leaves** an event of the asset `events` that says of which instant a forecast may now be, at the "
        "earliest; none in a backfill. **If it fails**, *Clear* it.",
    )
    def tell() -> Iterator[Metadata]:
        context = get_current_context()
        if context["dag_run"].run_type == "backfill":
            raise AirflowSkipException("no forecast follows a backfill; start daily_forecast by hand, with as_of")
        asked, today = _days(context)
        yield Metadata(events, extra={"as_of": days.as_of(asked, today), "last_day": asked.last.isoformat()})

    chosen = choose_days()
    exported = mapped_step(
        "export",
        "export",
        chosen,
        named="{{ task.arguments[2] }}",
        at_once=4,
        minutes=360,
        doc="**Leaves** its days in the lake. **If it fails**, ClickHouse or the lake does not answer, or does not let "
        "it in: the log says which. Mend it and *Clear*.",
    )
    exported >> tell()
    users = step(
        "export",
        "users",
        ["users", "export"],
        minutes=120,
        doc="**Leaves** the users' table in the lake, `users/users.parquet`. **If it fails**, the users' database or "
        "the lake does not answer: the last export stays, and the forecast goes on. Mend it and *Clear*.",
    )
    chosen >> users
