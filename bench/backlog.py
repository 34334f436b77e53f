"""Memory of the consumer while millions of messages wait and ClickHouse stands still (SIGSTOP in mid-insert).

The figure is the highest PSS over the time it stands still, in which inserts also run into their time-out.
"""

import argparse
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.filled import clickhouse, consumer, fill
from bench.result import Row, report
from bench.running import kafka, topic, workspace
from bench.traffic import lines

PATIENCE = 120.0


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    options = _options(arguments)
    values = [line.encode() for line in lines(100_000)]
    with workspace() as folder, kafka(folder) as bootstrap, clickhouse(folder) as engine:
        variables = {**topic(bootstrap, "raw-events"), **engine.variables}
        fill(bootstrap, "raw-events", values, options.messages // len(values))
        with consumer(folder, variables) as running:
            _wait_for_rows(engine.rows)
            stored = engine.rows()
            subprocess.run(["kill", f"-{signal.SIGSTOP}", str(engine.pid)], check=True)
            try:
                highest = _highest(running.pid, options.seconds)
            finally:
                subprocess.run(["kill", f"-{signal.SIGCONT}", str(engine.pid)], check=True)
    row = Row("backlog", highest, "MB", 400, 200, lower=True)
    return report([row], messages=options.messages, stored_before=stored, seconds=options.seconds)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench backlog", description=__doc__)
    parser.add_argument("--messages", type=int, default=5_000_000)
    parser.add_argument("--seconds", type=float, default=90.0, help="that ClickHouse stands still")
    return parser.parse_args(arguments)


def _wait_for_rows(rows: Callable[[], int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not rows():
        if time.monotonic() > deadline:
            raise SystemExit("no row came")
        time.sleep(0.02)


def _highest(pid: int, seconds: float) -> float:
    """The highest PSS, in MB."""
    highest, ended = 0.0, time.monotonic() + seconds
    while time.monotonic() < ended:
        highest = max(highest, _pss(pid))
        time.sleep(0.25)
    return highest


def _pss(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("\nPss:")[1].split()[0]) * 1024 / 1e6
