"""Small made-up histories, full of what goes wrong: ties, borders of windows, unknown prices, baskets over midnight."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from anmodel.events import EVENT_TYPES
from anmodel.lake import DayEntry, Lake, OneFile
from anmodel.lake.manifest import EVENTS, day_folder
from anmodel.lake.reading import manifest_of
from anmodel.settings import ClickHouseSettings
from anmodel.warehouse import EVENTS_SCHEMA, Warehouse
from clickhouse_process import ClickHouseProcess

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema(list(EVENTS_SCHEMA)[:9])
"""The event's own columns."""

Row = dict[str, Any]


def some_events(seed: int, *, users: int, days: int = 60, most: int = 90, start: datetime = START) -> list[Row]:
    """Events of `users` users over `days` days, in no order. Times lie on a grid of 6 hours, so they tie."""
    draw = random.Random(seed)
    rows = []
    for user in range(users):
        for number in range(draw.choice([1, 2, 5, 20, most])):
            item = draw.choice(["", "item_1", "item_2", "item_3"])
            rows.append(
                {
                    "event_id": f"e{draw.randrange(10**6)}-{number}",
                    "event_type": draw.choice(EVENT_TYPES),
                    "ts": start + timedelta(hours=6 * draw.randrange(4 * days), milliseconds=draw.choice([0, 0, 0, 1])),
                    "session_id": f"s{user}-{draw.randrange(15)}",
                    "user_id": f"user 'No. {user}' ☂",
                    "region": draw.choice(["UA-30", "UA-40", ""]),
                    "item_id": item,
                    "price": draw.choice([None, 0.0, 9.99, 120.5, 0.1]) if item else None,
                    "properties": "{}",
                }
            )
    draw.shuffle(rows)
    return rows


def fill(lake: Lake, events: list[Row]) -> None:
    """Let the lake hold these events and no others, as an export would."""
    lake.delete(EVENTS)
    table = pa.Table.from_pylist(events, SCHEMA)
    exported_at = max(event["ts"] for event in events) + timedelta(days=1)
    for day in sorted({event["ts"].date() for event in events}):
        of_day = table.filter(pc.equal(pc.cast(table["ts"], pa.date32()), pa.scalar(day)))
        put_day(lake, day, of_day, exported_at)


def put_day(lake: Lake, day: date, events: pa.Table, exported_at: datetime) -> None:
    """One day of events and its manifest."""
    events = events.sort_by([("user_id", "ascending"), ("ts", "ascending"), ("event_id", "ascending")])
    entry = DayEntry(
        rows=events.num_rows,
        files=OneFile(lake.add_table(day_folder(day), "part", events)),
        fingerprint=str(hash(str(events.to_pylist()))),
        newest=pc.max(events["ts"]).as_py(),
        exported_at=exported_at,
    )
    lake.write_json(manifest_of(day), msgspec.to_builtins(entry))


def own_warehouse(clickhouse: ClickHouseProcess) -> Warehouse:
    """The tables in a database nobody else uses."""
    settings = ClickHouseSettings.load(
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_db=clickhouse.database(),
    )
    warehouse = Warehouse.connect(settings)
    warehouse.migrate()
    return warehouse


def store(warehouse: Warehouse, events: list[Row]) -> None:
    """Insert events as the consumer would."""
    rows = [event | {"received_at": START, "partition": 0, "offset": number} for number, event in enumerate(events)]
    warehouse.insert_arrow("events_raw", pa.Table.from_pylist(rows, EVENTS_SCHEMA))
