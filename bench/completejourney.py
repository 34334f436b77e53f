"""Complete Journey through the whole road, and what was forecast for the rows of another program, compared by it.

The data set is replayed through collector, Kafka, consumer and ClickHouse, exported, and a model is trained as of day
301 (2017-10-29). It forecasts every household as of four later days. BASELINE names the other program (its `rows` and
`compare`), BASELINE_PYTHON a Python that has its packages. The package calls its data simulated, its source says that
it comes from real households of 84.51°.
"""

import argparse
import ast
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from anmodel.lake import Lake
from anmodel.registry import Registry
from anmodel.replay.completejourney import LINES
from anmodel.settings import TrainSettings
from anmodel.snapshots.daily import DailySnapshot
from bench.filled import clickhouse, consumer
from bench.result import Row, report
from bench.running import kafka, topic, wait_until, workspace
from bench.servers import collector

FIRST_DAY = datetime(2017, 1, 1, tzinfo=UTC)
TRAINED_AS_OF = 301
DAYS = (301, 315, 329, 343)
AS_IT_WAS = "2018-01-02T00:00:00+00:00"
"""Within a day after its last event: moved by no day."""
BOTH = "0,1"


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    argparse.ArgumentParser(prog="bench completejourney", description=__doc__).parse_args(arguments)
    baseline = os.environ.get("BASELINE", "")
    if not Path(baseline).is_file():
        raise SystemExit(f"BASELINE={baseline} is no file: name the program whose rows are forecast")
    with workspace() as folder:
        ours, theirs = folder / "ours.parquet", folder / "theirs.parquet"
        variables = {
            "PARQUET_OUT": str(folder / "lake"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "USERS_URL": f"sqlite:///{folder}/users.db",
        }
        _fill_lake(folder, variables)
        _forecasts(variables).to_parquet(ours)
        _other(baseline, "rows", theirs)
        told = _other(baseline, "compare", theirs, ours)
        print(told, flush=True)
        return report(list(_rows(told, theirs, ours)), rows_replayed=LINES)


def _fill_lake(folder: Path, variables: dict[str, str]) -> None:
    """The data set, as a shop's events would get there."""
    with ExitStack() as stack:
        bootstrap = stack.enter_context(kafka(folder, BOTH))
        engine = stack.enter_context(clickhouse(folder, BOTH))
        old = {"EVENT_MAX_AGE_DAYS": "36500"}
        used = {**topic(bootstrap, "raw-events"), **engine.variables, **variables, **old}
        topic(bootstrap, "raw-events-dead")
        stack.enter_context(consumer(folder, used, BOTH))
        server = stack.enter_context(collector(folder, used))
        _run(used, "replay", "completejourney", "--url", server.url, "--shift-to", AS_IT_WAS)
        wait_until(lambda: engine.rows() >= LINES, "the last row", folder / "consumer.log")
        _run(used | {"EXPORT_DAYS": "36500"}, "export")


def _forecasts(variables: dict[str, str]) -> pd.DataFrame:
    """What a model trained as of day 301 says of every household as of each day."""
    _run(variables, "snapshot", "train", "--as-of", _date(TRAINED_AS_OF))
    _run(variables, "train")
    settings = TrainSettings.load(
        parquet_out=variables["PARQUET_OUT"], mlflow_tracking_uri=variables["MLFLOW_TRACKING_URI"]
    )
    registry = Registry(settings)
    newest = registry.newest()
    assert newest is not None
    model = registry.load(newest).model
    frames = []
    for day in DAYS:
        _run(variables, "snapshot", "daily", "--as-of", _date(day))
        snapshot = DailySnapshot.of_day(Lake(settings.parquet_out), (FIRST_DAY + timedelta(days=day)).date())
        for block in snapshot.blocks():
            rows = block.to_pandas()
            features = rows[list(model.feature_names_in_)]
            frames.append(model.forecast(features).assign(household_id=rows["user_id"].astype(int), day=day))
    return pd.concat(frames)


def _date(day: int) -> str:
    return (FIRST_DAY + timedelta(days=day)).date().isoformat()


def _run(variables: dict[str, str], *words: str) -> None:
    print(f"anmodel {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "anmodel", *words], env={**os.environ, **variables}, check=True)


def _other(program: str, *words: str | Path) -> str:
    python = os.environ.get("BASELINE_PYTHON", sys.executable)
    command = [python, program, *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _rows(told: str, theirs: Path, ours: Path) -> list[Row]:
    gain = re.search(r"AUC gain ([+-][\d.]+), 95% interval by household \[([+-][\d.]+)", told)
    scores = re.search(r"^ours\s+({.*})$", told, re.M)
    assert gain, told
    assert scores, told
    found = ast.literal_eval(scores[1])
    both = pd.read_parquet(theirs).merge(pd.read_parquet(ours), on=["household_id", "day"], suffixes=("_theirs", ""))
    buyers = float(both["purchase_proba"].sum() / both["bought"].sum())
    return [
        Row("completejourney", float(gain[2]), "AUC gained, lower bound", must=0.0, aim=0.01),
        Row("completejourney.gain", float(gain[1]), "AUC gained", must=0.0, aim=0.01),
        Row("completejourney.ece", found["ece"], "ECE", must=0.02, aim=0.01, lower=True),
        Row("completejourney.buyers", abs(buyers - 1), "predicted/actual off 1", must=0.05, aim=0.02, lower=True),
        Row("completejourney.spend_mae", found["spend_mae"], "money", must=26.1, aim=25.0, lower=True),
        Row("completejourney.spend_total", abs(found["spend_total"] - 1), "off 1", must=0.05, aim=0.02, lower=True),
    ]
