"""The consumer's rows a second beside a small table and beside large ones.

The table is filled by the engine itself, then the same messages are consumed: on core 0, broker and engine on core 1.
"""

import argparse

from bench.filled import Engine, Pace, clickhouse, consumer, fill, pace
from bench.result import Row, report
from bench.running import kafka, topic, workspace
from bench.traffic import lines

STEP = 1_000_000


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    options = _options(arguments)
    values = [line.encode() for line in lines(options.messages)]
    paces: dict[int, Pace] = {}
    with workspace() as folder, kafka(folder) as bootstrap, clickhouse(folder) as engine:
        for size in sorted(options.sizes):
            grow(engine, size)
            name = f"events-{size}"
            variables = {**topic(bootstrap, name), **engine.variables, "CONSUMER_GROUP": name, "KAFKA_DEAD_TOPIC": name}
            fill(bootstrap, name, values)
            before = engine.rows()
            with consumer(folder, variables) as running:
                paces[size] = pace(engine, running, len(values), before)
            print(f"{size:,} rows: {paces[size]}", flush=True)
    least, most = min(paces), max(paces)
    row = Row("growth", paces[most].rate, "rows/s", 0.9, 0.95, reference=paces[least].rate)
    return report([row], rates={str(size): round(each.rate) for size, each in paces.items()})


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000, 50_000_000])
    parser.add_argument("--messages", type=int, default=600_000, help="consumed at each size")
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
