"""The consumer from a full topic to rows, against the engine's own insert of the same lines.

The consumer on core 0, broker and engine on core 1. The reference sends the lines as they are on the topic in one body
to the same HTTP front, for `INSERT … SELECT … FROM input(…) FORMAT JSONEachRow` into the same table; of two ways to
write it the faster counts. Rounds take turns, and the medians count.
"""

import argparse
import time
from pathlib import Path
from statistics import median

from bench.cores import SERVER, pin_self, processor_seconds
from bench.filled import Engine, Pace, clickhouse, consumer, fill, pace
from bench.result import Row, report
from bench.running import kafka, topic, workspace
from bench.traffic import lines

WIRE = (
    "event_id String, event_type LowCardinality(String), timestamp String, session_id String, user_id String,"
    " region LowCardinality(String), properties String"
)
TYPED = WIRE.replace("timestamp String", r"timestamp DateTime64(3, \'UTC\')")
COLUMNS = (
    "event_id, event_type, ts, session_id, user_id, region, item_id, price, properties, received_at, partition, offset"
)
LIFTED = (
    "session_id, user_id, region, JSONExtractString(properties, 'item_id'),"
    " JSONExtract(properties, 'price', 'Nullable(Float64)'), properties, now64(3, 'UTC'), 0, rowNumberInAllBlocks()"
)
WAYS = {
    "as text": (WIRE, f"event_id, event_type, parseDateTime64BestEffort(timestamp, 3, 'UTC'), {LIFTED}"),
    "as instants": (TYPED, f"event_id, event_type, timestamp, {LIFTED}"),
}


def main(arguments: list[str]) -> bool:
    """Measure and report."""
    options = _options(arguments)
    values = [line.encode() for line in lines(options.rows)]
    with workspace() as folder, kafka(folder) as bootstrap, clickhouse(folder) as engine:
        own: list[float] = []
        paces: list[Pace] = []
        for number in range(options.rounds):
            own.append(max(_insert(engine, values, way) for way in WAYS))
            print(f"engine: {own[-1]:,.0f} rows/s", flush=True)
            paces.append(_consume(folder, bootstrap, f"events-{number}", engine, values))
            print(f"consumer: {paces[-1]}", flush=True)
    rate = Row("consumer", _of(paces, "rate"), "rows/s", 0.6, 0.9, reference=median(own))
    return report([rate], rows_sent=options.rows, consumer_us=_of(paces, "consumer"), engine_us=_of(paces, "engine"))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench consumer", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args(arguments)


def _insert(engine: Engine, values: list[bytes], way: str) -> float:
    """Rows a second of the engine's own insert."""
    engine.empty()
    structure, selected = WAYS[way]
    table = f"{engine.warehouse.db}.events_raw ({COLUMNS})"
    sql = f"INSERT INTO {table} SELECT {selected} FROM input('{structure}') FORMAT JSONEachRow"
    body = b"\n".join(values)
    settings = {"input_format_json_read_objects_as_strings": 1, "date_time_input_format": "best_effort"}
    pin_self(SERVER)
    used, began = processor_seconds(engine.pid), time.monotonic()
    engine.warehouse.client.command(sql, data=body, settings=settings)
    seconds = time.monotonic() - began
    spent = (processor_seconds(engine.pid) - used) / len(values) * 1e6
    if (found := engine.rows()) != len(values):
        raise SystemExit(f"the engine took {found} rows of {len(values)}")
    print(f"engine, {way}: {len(values) / seconds:,.0f} rows/s, {spent:.2f} us a row", flush=True)
    return len(values) / seconds


def _consume(folder: Path, bootstrap: str, name: str, engine: Engine, values: list[bytes]) -> Pace:
    variables = {**topic(bootstrap, name), **engine.variables, "CONSUMER_GROUP": name, "KAFKA_DEAD_TOPIC": name}
    fill(bootstrap, name, values)
    engine.empty()
    with consumer(folder, variables) as running:
        return pace(engine, running, len(values))


def _of(paces: list[Pace], name: str) -> float:
    return float(median(getattr(each, name) for each in paces))
