"""A lake of made-up events, as export would leave it, of any size; and how a step over it is timed."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anmodel.lake import DayEntry, Lake, OneFile, Written
from anmodel.lake.manifest import day_folder
from anmodel.lake.reading import manifest_of
from anmodel.snapshot.engine import Engine

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def make_lake(folder: Path, *, events: int, users: int, days: int) -> Lake:
    """Write so many events. Few users make most of them; one in thirty is a purchase, and each has five a session."""
    lake = Lake(str(folder))
    with lake.scratch() as scratch, Engine(scratch, threads=2, memory_mb=4096) as engine:
        for number in range(days):
            start, count = FIRST_DAY + timedelta(days=number), events // days
            file = scratch / "day.parquet"
            engine.write(file, events_sql(number, start, count, users))
            newest = engine.rows(f"SELECT toUnixTimestamp64Milli(max(ts)) AS ms FROM file('{file}', 'Parquet')")[0][
                "ms"
            ]
            written = lake.add_file(day_folder(start.date()), "part", file)
            _put_manifest(lake, written, count, datetime.fromtimestamp(newest / 1000, UTC))
    return lake


def lake_of(folder: Path, events: pa.Table) -> Lake:
    """Write these events, which have the lake's columns."""
    lake = Lake(str(folder))
    events = events.sort_by("ts")
    days = pc.cast(events["ts"], pa.date32()).to_numpy()
    _, starts = np.unique(days, return_index=True)
    for start, end in zip(starts, [*starts[1:], len(days)], strict=True):
        of_day = events.slice(start, end - start)
        newest = of_day["ts"][-1].as_py()
        _put_manifest(lake, lake.add_table(day_folder(newest.date()), "part", of_day), len(of_day), newest)
    return lake


def _put_manifest(lake: Lake, written: Written, rows: int, newest: datetime) -> None:
    """Let the day of the newest event have this file."""
    entry = DayEntry(
        rows=rows,
        files=OneFile(written),
        fingerprint=f"{rows}-{newest.isoformat()}",
        newest=newest,
        exported_at=newest + timedelta(days=1),
    )
    lake.write_json(manifest_of(newest.date()), msgspec.to_builtins(entry))


def events_sql(day: int, start: datetime, count: int, users: int) -> str:
    """Events of a day in the order of users; the same arguments make the same ones."""
    chance = f"(cityHash64({day}, number, {{}}) % 1000000) / 1000000"
    return f"""
        SELECT toString(cityHash64({day}, number)) AS event_id,
            multiIf(kind < 0.033, 'purchase', kind < 0.12, 'add_to_cart', kind < 0.5, 'product_view',
                kind < 0.6, 'search', kind < 0.7, 'click', 'page_view') AS event_type,
            toDateTime64('{start:%Y-%m-%d}', 3, 'UTC') + toIntervalMillisecond(
                toUInt32(86399999 * ({chance.format(3)}))) AS ts,
            concat('s', toString({day}), '-', toString(user), '-', toString(number % 5)) AS session_id,
            concat('user-', toString(user)) AS user_id, concat('UA-', toString(user % 26)) AS region,
            if(kind < 0.7, concat('item_', toString(cityHash64({day}, number, 4) % 2000)), '') AS item_id,
            if(kind < 0.7, toNullable(round(1 + 200 * ({chance.format(5)}), 2)), NULL) AS price, '{{}}' AS properties
        FROM (SELECT number, {chance.format(1)} AS kind, toUInt32({users} * pow({chance.format(2)}, 2)) AS user
            FROM numbers({count}))
        ORDER BY user_id, ts"""


@dataclass(frozen=True)
class Run:
    """What a command took: seconds by the clock, and the most memory it had, in GB."""

    seconds: float
    memory: float


def run(lake: Lake, *words: str) -> Run:
    """`anmodel` with these words on a lake."""
    began = time.monotonic()
    command = [sys.executable, "-m", "anmodel", *words]
    started = subprocess.Popen(command, env={**os.environ, "PARQUET_OUT": lake.url, "LOG_LEVEL": "WARNING"})
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise SystemExit(f"{command} ended with {started.returncode}")
    return Run(time.monotonic() - began, used.ru_maxrss * 1024 / 1e9)
