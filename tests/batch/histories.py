"""Small made-up histories, full of what goes wrong: ties, borders of windows, unknown prices, baskets over midnight."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from anmodel.events import EVENT_TYPES
from anmodel.lake import Lake
from anmodel.lake.manifest import DayEntry, EventsManifest, events_path
from anmodel.settings import ClickHouseSettings
from anmodel.warehouse import EVENTS_SCHEMA, Warehouse
from clickhouse_process import ClickHouseProcess

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema(list(EVENTS_SCHEMA)[:9])
"""The event's own columns."""

Row = dict[str, Any]


def some_events(seed: int, *, users: int, days: int = 60, most: int = 90) -> list[Row]:
    """Events of `users` users over `days` days from START, in no order. Times lie on a grid of 6 hours, so they tie."""
    draw = random.Random(seed)
    rows = []
    for user in range(users):
        for number in range(draw.choice([1, 2, 5, 20, most])):
            item = draw.choice(["", "item_1", "item_2", "item_3"])
            rows.append(
                {
                    "event_id": f"e{draw.randrange(10**6)}-{number}",
                    "event_type": draw.choice(EVENT_TYPES),
                    "ts": START + timedelta(hours=6 * draw.randrange(4 * days), milliseconds=draw.choice([0, 0, 0, 1])),
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
    """Put the events into the lake as an export would."""
    table = pa.Table.from_pylist(events, SCHEMA)
    order = [("user_id", "ascending"), ("ts", "ascending"), ("event_id", "ascending")]
    days = {}
    for day in sorted({event["ts"].date() for event in events}):
        of_day = table.filter(pc.equal(pc.cast(table["ts"], pa.date32()), pa.scalar(day))).sort_by(order)
        lake.write_table(events_path(day), of_day)
        newest = max(event["ts"] for event in events if event["ts"].date() == day)
        days[day] = DayEntry(
            rows=of_day.num_rows, bytes=0, sha256="", fingerprint=str(hash(str(of_day.to_pylist()))), newest=newest
        )
    exported_at = max(event["ts"] for event in events) + timedelta(days=1)
    lake.write_events_manifest(EventsManifest.of(days, exported_at=exported_at, repeated_ids=0))


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
