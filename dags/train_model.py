"""### A new version of the model

**Starts** every Monday at 03:00 UTC, when a message on the topic of model events tells of drift, and by hand.

**Leaves** a training snapshot in the lake, a version in MLflow, and a decision: `register` puts the version in use if
it is better than the champion on the same rows, else it stays a challenger, and the reason is in the log. Last it tells
the topic `training_finished`.

**If it fails**: the champion stays in use, whatever fails. Read the log of the failed task, mend what it names, then
*Clear* it with what follows it: the same rows give the same version again, so nothing is trained twice. *Too few rows*
or *no events*: run `export_events` over the days that there are, first.
"""

from airflow.providers.apache.kafka.operators.produce import ProduceToTopicOperator
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, TriggerRule

from anmodel_dags.assets import KAFKA, MODEL_TOPIC, drift, model
from anmodel_dags.steps import DEFAULTS, step

PARAMS = {
    "snapshot": Param(
        "model1",
        type="string",
        pattern="^[A-Za-z0-9_-]+$",
        title="Training snapshot",
        description="Its name in the lake; an older one of that name is replaced.",
    ),
    "force": Param(
        False, type="boolean", title="Force", description="Train even if these rows have given a version already."
    ),
    "tune_minutes": Param(
        0,
        type="number",
        minimum=0,
        maximum=300,
        title="Tune for, minutes",
        description="Seek better parameters of the trees first; what is found stays with the snapshot's name.",
    ),
}

with DAG(
    "train_model",
    description="Every week, on drift, or by hand: train a version, and put it in use if it is better.",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 3 * * MON", timezone="UTC"), assets=[drift]),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=PARAMS,
    tags=["anmodel", "model"],
):
    trends = step(
        "trends",
        "trends",
        ["trends"],
        minutes=60,
        retries=1,
        doc="**Leaves** `trends/trends.parquet`; without a key of the API it says so and succeeds. **If it fails**, "
        "the training goes on with the trends that are there, or without.",
    )
    snapshot = step(
        "snapshot",
        "snapshot",
        ["snapshot", "train", "--name", "{{ params.snapshot }}"],
        minutes=360,
        trigger_rule=TriggerRule.ALL_DONE,
        doc="**Leaves** `snapshots/<name>/`: features and targets at instants of the past. **If it fails** for memory, "
        "give the step more in the chart's values (`snapshot.resources`); the next pod has it.",
    )
    train = step(
        "train",
        "train",
        [
            "train",
            "--name",
            "{{ params.snapshot }}",
            "--tune",
            "{{ params.tune_minutes }}",
            "{{ '--force' if params.force else '' }}",
        ],
        minutes=360,
        doc="**Leaves** a version in MLflow with its metrics, beside simple baselines. **If it fails**, the log says "
        "whether the rows or MLflow are at fault.",
    )
    register = step(
        "register",
        "register",
        ["register"],
        minutes=90,
        outlets=[model],
        doc="**Leaves** the better of two versions in use; a worse one, or one that does not answer rightly, is a "
        "challenger and no failure. **If it fails**, the champion is what it was; *Clear* it.",
    )
    tell = ProduceToTopicOperator(
        task_id="tell",
        topic=MODEL_TOPIC,
        kafka_config_id=KAFKA,
        producer_function="anmodel_dags.messages.training_finished",
        producer_function_kwargs={"dag_id": "{{ dag.dag_id }}", "run_id": "{{ run_id }}"},
        delivery_callback="anmodel_dags.messages.delivered",
        doc_md="**Leaves** the message `training_finished` on the topic of model events. **If it fails**, the brokers "
        "did not take it; the version is registered all the same.",
    )
    trends >> snapshot >> train >> register >> tell
