"""The consumer's rows a second beside a small table and beside large ones.

The table is filled by the engine itself, then as many messages are consumed: on core 0, broker and engine on core 1.
The median of the rounds at each size counts, and of the larger sizes the worst.
"""

import argparse
import time
from statistics import median

from bench.filled import Engine, clickhouse, consumer, fill, pace
from bench.result import Row, report
from bench.running import kafka, topic, workspace
from bench.traffic import lines

STEP = 1_000_000
QUIET_SECONDS = 3.0


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    options = _options(arguments)
    paces: dict[int, float] = {}
    with workspace() as folder, kafka(folder) as bootstrap, clickhouse(folder) as engine:
        variables = {**topic(bootstrap, "raw-events"), **engine.variables}
        topic(bootstrap, "raw-events-dead")
        for size in sorted(options.sizes):
            grow(engine, size)
            rounds: list[float] = []
            for number in range(options.rounds):
                # other events each time: repeats would be merged away
                values = [line.encode() for line in lines(options.messages, seed=size + number)]
                fill(bootstrap, "raw-events", values)
                settle(engine)
                before = engine.rows()
                with consumer(folder, variables) as running:
                    found = pace(engine, running, len(values), before)
                print(f"{size:,} rows: {found}", flush=True)
                rounds.append(found.rate)
            paces[size] = median(rounds)
    least, *larger = sorted(paces)
    worst = min(larger, key=lambda size: paces[size])
    row = Row("growth", paces[worst], "rows/s", 0.9, 0.95, reference=paces[least])
    return report([row], rates={str(size): round(rate) for size, rate in paces.items()})


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000, 50_000_000])
    parser.add_argument("--messages", type=int, default=500_000, help="consumed in each round")
    parser.add_argument("--rounds", type=int, default=3, help="at each size")
    return parser.parse_args(arguments)


def grow(engine: Engine, rows: int) -> None:
    """Bring the table to so many rows: of as many users and over as much time as those to be consumed, and older."""
    while (there := engine.rows()) < rows:
        count = min(STEP, rows - there)
        engine.warehouse.command(
            f"INSERT INTO {engine.warehouse.db}.events_raw SELECT generateUUIDv4(), 'page_view',"
            f" now64(3, 'UTC') - rand() % 2000000, 's-' || toString(rand(1) % 100000),"
            f" 'user-' || toString(rand(2) % 1000), 'UA-30', 'item_1', 9.5, '{{\"item_id\":\"item_1\",\"price\":9.5}}',"
            f" now64(3, 'UTC'), 1000, {there} + number FROM numbers({count})"
        )


def settle(engine: Engine) -> None:
    """Wait until the engine has merged what it was filled with: that work is the filling's."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        time.sleep(0.2)
        if engine.warehouse.query("SELECT count() AS n FROM system.merges")[0]["n"]:
            quiet_since = time.monotonic()
