"""Forecasts of the generator's shoppers, against what one feature, a simple regression and the generator itself say.

The generator is taken from the history as it was at FROZEN, so that no later work on it moves the figures. Of each
seed's shop, a model is trained as of four weeks before the end; it then forecasts, as of four instants a week apart
from there on, everyone who was there in the last 180 days.
"""

import argparse
import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from anmodel.lake import DayEntry, Lake, OneFile
from anmodel.lake.manifest import day_folder
from anmodel.lake.reading import manifest_of
from anmodel.model import ContextAwareModel
from anmodel.settings import TrainSettings
from anmodel.snapshots.daily import DailySnapshot
from anmodel.snapshots.samples import read_manifest, read_sample
from bench.generator_judged import GAINED, Judged
from bench.generator_state import shop_plans, states_at, visits_planned
from bench.result import Row, report
from bench.running import workspace
from bench.true_chance import chances, drawn_chances

FROZEN = "63c8f95"
ROOT = Path(__file__).parents[1]
ENDS = datetime(2026, 6, 1, tzinfo=UTC)
WEEKS = 4
HORIZON_DAYS = 7
ACTIVE_DAYS = 180
DRAWS = 200
"""Futures drawn of each row."""


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench generator", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--users", type=int, default=3000)
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    told = {}
    with workspace() as folder:
        source = frozen(folder / "frozen")
        for seed in options.seeds:
            judged = Shop(folder / str(seed), source, seed).judged(options.users)
            rows += judged.rows(seed)
            told[f"seed{seed}"] = judged.told()
            print(f"seed {seed}: {told[f'seed{seed}']}", flush=True)
    least = min(row.value for row in rows if row.unit == GAINED)
    return report([Row("generator", least, "least AUC gained, lower bound", must=0.0, aim=0.0), *rows], seeds=told)


def frozen(folder: Path, history: Path = ROOT) -> Path:
    """The package as it was at FROZEN: a folder for PYTHONPATH. SystemExit when the history does not go back to it."""
    archived = subprocess.run(["git", "archive", FROZEN, "src/anmodel"], cwd=history, capture_output=True, check=False)
    if archived.returncode:
        raise SystemExit(
            f"commit {FROZEN}, whose generator is measured, is not in the history here: "
            f"{archived.stderr.decode().strip()}. Run it in a clone of the repository; a shallow one needs "
            "`git fetch --unshallow` first"
        )
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


@dataclass(frozen=True)
class Shop:
    """A shop of one seed in a folder of its own; `source` is the frozen package."""

    folder: Path
    source: Path
    seed: int

    def judged(self, users: int) -> "Judged":
        """From shoppers to forecasts, and what others say of the same rows."""
        self.folder.mkdir()
        self._generate(users)
        fill_lake(self.lake, pq.read_table(self.folder / "events.parquet"))
        self._run("snapshot", "train", "--as-of", _date(WEEKS))
        self._run("train")
        train = read_sample(self.lake, read_manifest(self.lake, "model1"), "train")
        return Judged(train, pd.concat([self._forecasts(weeks) for weeks in range(WEEKS, 0, -1)], ignore_index=True))

    @property
    def lake(self) -> Lake:
        """Where its events are."""
        return Lake(str(self.folder / "lake"))

    def _generate(self, users: int) -> None:
        date = ENDS.date().isoformat()
        options = ["--users", str(users), "--seed", str(self.seed), "--snapshot-date", date]
        old = {"PYTHONPATH": str(self.source)}
        self._run("generator", *options, "--out", str(self.folder / "events.parquet"), **old)
        program = [sys.executable, "-P", str(ROOT / "bench/generator_plans.py")]
        subprocess.run([*program, str(self.folder), date, str(self.seed)], env=self._variables | old, check=True)

    def _forecasts(self, weeks: int) -> pd.DataFrame:
        """Everyone active, so many weeks before the end: features, what was forecast, what is true, what came."""
        self._run("snapshot", "daily", "--as-of", _date(weeks))
        instant = ENDS - timedelta(weeks=weeks)
        blocks = DailySnapshot.of_day(self.lake, instant.date()).blocks()
        rows = pd.concat([block.to_pandas() for block in blocks], ignore_index=True)
        rows = rows[rows["days_since_last"] <= ACTIVE_DAYS].reset_index(drop=True)
        now = instant.timestamp() * 1000
        plans = shop_plans(self.folder)
        states = states_at(plans, rows["user_id"], now)
        planned = visits_planned(plans, rows["user_id"], now, HORIZON_DAYS)
        random = np.random.default_rng(self.seed)
        model = self._model()
        said = {
            "ours": model.chances(rows[list(model.feature_names_in_)]),
            "truth": drawn_chances(plans.walks, states, now, HORIZON_DAYS, draws=DRAWS, random=random),
            "plan": chances(plans.walks, states, planned, now, HORIZON_DAYS),
            "will_purchase": rows["user_id"].isin(plans.buyers(now, HORIZON_DAYS)).to_numpy(dtype=np.float64),
        }
        return pd.DataFrame(rows.assign(**said))

    def _model(self) -> ContextAwareModel:
        from anmodel.registry import Registry

        variables = self._variables
        settings = TrainSettings.load(
            parquet_out=variables["PARQUET_OUT"], mlflow_tracking_uri=variables["MLFLOW_TRACKING_URI"]
        )
        registry = Registry(settings)
        newest = registry.newest()
        assert newest is not None
        return registry.load(newest).model

    @property
    def _variables(self) -> dict[str, str]:
        return dict(os.environ) | {
            "PARQUET_OUT": str(self.folder / "lake"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
            "USERS_URL": f"sqlite:///{self.folder}/users.db",
        }

    def _run(self, *words: str, **more: str) -> None:
        print(f"seed {self.seed}: anmodel {' '.join(words)}", flush=True)
        subprocess.run([sys.executable, "-m", "anmodel", *words], env=self._variables | more, check=True)


def _date(weeks: int) -> str:
    return (ENDS - timedelta(weeks=weeks)).date().isoformat()


def fill_lake(lake: Lake, events: pa.Table) -> None:
    """Let the lake hold the events of a Parquet file of the generator, in order of time, as export would leave them."""
    events = events.rename_columns(["ts" if name == "timestamp" else name for name in events.column_names])
    item = events["item_id"].fill_null("")
    events = events.set_column(events.schema.get_field_index("item_id"), "item_id", item)
    days = events["ts"].cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.date32())
    firsts = np.flatnonzero(np.diff(days.to_numpy(), prepend=np.datetime64(0, "D")))
    for first, after in zip(firsts, [*firsts[1:], len(days)], strict=True):
        _put_day(lake, events.slice(first, after - first))


def _put_day(lake: Lake, events: pa.Table) -> None:
    day = events["ts"][0].as_py().date()
    ordered = events.sort_by([("user_id", "ascending"), ("ts", "ascending"), ("event_id", "ascending")])
    entry = DayEntry(
        rows=len(ordered),
        files=OneFile(lake.add_table(day_folder(day), "part", ordered)),
        fingerprint=sha256("".join(ordered["event_id"].to_pylist()).encode()).hexdigest(),
        oldest=events["ts"][0].as_py(),
        newest=events["ts"][len(events) - 1].as_py(),
        exported_at=ENDS,
    )
    lake.write_json(manifest_of(day), msgspec.to_builtins(entry))
