"""### The version in use, chosen by a person

**Starts** by hand alone.

**Leaves** a version in use, in MLflow and in KServe, with no request refused meanwhile: the newest, if it is better
than the champion (*judge*, what `train_model` does after each training); the one that the champion replaced (*roll
back*); or the one that the form names, whatever its metrics (*use*). `daily_forecast` follows, by the version then in
use.

**If it fails**: read the log. A rollback or a version named by hand has moved MLflow's alias first, so *Clear* goes on
from there; a judgement leaves the champion as it was. *No earlier champion*, *Version is empty*: start a run that
names one; MLflow lists them.
"""

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from anmodel_dags.assets import model
from anmodel_dags.champions import ACTIONS, register_arguments
from anmodel_dags.steps import DEFAULTS, step

PARAMS = {
    "action": Param(
        "judge",
        type="string",
        enum=list(ACTIONS),
        title="Action",
        description="judge: the newest version against the champion. roll back: to the version before the champion, "
        "which is not put in use by itself again. use: the version named below.",
    ),
    "version": Param(
        None,
        type=["null", "string"],
        pattern="^[1-9][0-9]*$",
        title="Version",
        description="Number of a version in MLflow, for the action use.",
    ),
}

with DAG(
    "choose_champion",
    description="By hand: judge the newest version again, roll back, or take a version.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=PARAMS,
    tags=["anmodel", "model"],
):

    @task(
        retries=1,
        doc_md="**Leaves** the arguments of the step. **If it fails**, the form lacks the version; the log says so.",
    )
    def choose() -> list[str]:
        params = get_current_context()["params"]
        try:
            return register_arguments(params["action"], params["version"])
        except ValueError as error:
            raise AirflowFailException(str(error)) from error

    step(
        "register",
        "register",
        choose(),
        minutes=90,
        outlets=[model],
        doc="**Leaves** a version in use, and why, in the log and in MLflow's tags. **If it fails**, see the DAG.",
    )
