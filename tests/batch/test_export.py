import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq
import pytest

from anmodel.errors import LakeError
from anmodel.export.events import Exported, export_events
from anmodel.export.table import EventsTable
from anmodel.lake import Lake
from anmodel.lake.manifest import events_path
from anmodel.users import UsersTable
from anmodel.warehouse import Warehouse
from batch.histories import SCHEMA, START, own_warehouse, some_events, store
from clickhouse_process import ClickHouseProcess
from eventually import eventually

Row = dict[str, Any]
FIRST = START.date()


@pytest.fixture
def warehouse(clickhouse: ClickHouseProcess) -> Warehouse:
    return own_warehouse(clickhouse)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def export(
    warehouse: Warehouse,
    lake: Lake,
    since: date = date(2025, 1, 1),
    until: date | None = None,
    *,
    force: bool = False,
    rows_a_group: int = 100_000,
) -> Exported:
    table = EventsTable(warehouse, rows_a_group=rows_a_group)
    return export_events(table, lake, since=since, until=until, force=force, progress=lambda rows, note: None)


def rows_of(lake: Lake, day: date) -> list[Row]:
    return lake.read_table(events_path(day)).to_pylist()


def all_rows(lake: Lake) -> list[Row]:
    return [row for day in lake.events_manifest().days for row in rows_of(lake, day)]


def in_order(events: list[Row]) -> list[Row]:
    return sorted(
        events, key=lambda event: (event["ts"].date(), event["user_id"].encode(), event["ts"], event["event_id"])
    )


def event(**given: Any) -> Row:
    plain = {
        "event_id": "e1",
        "event_type": "click",
        "ts": START,
        "session_id": "s1",
        "user_id": "u1",
        "region": "UA-30",
    }
    return plain | {"item_id": "item_1", "price": 9.5, "properties": "{}"} | given


def files(lake: Lake) -> dict[str, bytes]:
    return {name: Path(lake.path(name)).read_bytes() for name in lake.sizes("events") if name.endswith(".parquet")}


def test_the_lake_holds_exactly_the_tables_events_by_day(warehouse: Warehouse, lake: Lake) -> None:
    events = some_events(1, users=60, days=20)
    store(warehouse, events)
    done = export(warehouse, lake)
    assert all_rows(lake) == in_order(events)
    assert (done.rows, done.written, done.unchanged, done.removed) == (
        len(events),
        sorted({e["ts"].date() for e in events}),
        0,
        [],
    )
    assert lake.read_table(events_path(FIRST)).schema.equals(SCHEMA)
    manifest = lake.events_manifest()
    assert manifest.watermark == max(e["ts"] for e in events) + timedelta(milliseconds=1)
    for day, entry in manifest.days.items():
        content = Path(lake.path(events_path(day))).read_bytes()
        assert (entry.bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert entry.rows == len(rows_of(lake, day)) == sum(e["ts"].date() == day for e in events)


def test_repeats_are_removed_and_an_id_used_twice_is_kept_and_counted(warehouse: Warehouse, lake: Lake) -> None:
    one = event()
    others = [event(user_id="u2"), event(ts=START + timedelta(milliseconds=1)), event(event_id="e2")]
    store(warehouse, [one, *others])
    store(warehouse, [one, one])
    done = export(warehouse, lake)
    assert all_rows(lake) == in_order([one, *others])
    assert done.repeated_ids == lake.events_manifest().repeated_ids == 1


def test_only_the_day_that_changed_is_written_again(warehouse: Warehouse, lake: Lake) -> None:
    events = [event(ts=START + timedelta(days=days), event_id=f"e{days}") for days in range(5)]
    store(warehouse, events)
    export(warehouse, lake)
    before = {name: Path(lake.path(name)).stat().st_mtime_ns for name in lake.sizes("events")}
    again = export(warehouse, lake)
    assert (again.written, again.rows, again.unchanged) == ([], 0, 5)
    late = event(event_id="late", ts=START + timedelta(days=2))
    store(warehouse, [late])
    done = export(warehouse, lake)
    after = {name: Path(lake.path(name)).stat().st_mtime_ns for name in lake.sizes("events")}
    assert done.written == [FIRST + timedelta(days=2)]
    assert {name for name in after if after[name] != before[name]} == {
        events_path(done.written[0]),
        "events/manifest.json",
    }
    assert all_rows(lake) == in_order([*events, late])
    fresh = Lake(lake.path("..", "fresh"))
    export(warehouse, fresh)
    assert fresh.fingerprint() == lake.fingerprint()
    assert files(fresh) == files(lake)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("event_id", "e2"),
        ("event_type", "purchase"),
        ("ts", START + timedelta(milliseconds=1)),
        ("session_id", "s2"),
        ("user_id", "u2"),
        ("region", ""),
        ("item_id", ""),
        ("price", 0.0),
        ("properties", '{"a": 1}'),
    ],
)
def test_a_change_in_any_column_is_a_change_of_the_day(warehouse: Warehouse, column: str, value: Any) -> None:
    table = EventsTable(warehouse, rows_a_group=1000)
    store(warehouse, [event(price=None)])
    before = table.days(FIRST, None)
    warehouse.command(f"TRUNCATE TABLE {warehouse.db}.events_raw")
    store(warehouse, [event(price=None)])
    assert table.days(FIRST, None) == before
    warehouse.command(f"TRUNCATE TABLE {warehouse.db}.events_raw")
    store(warehouse, [event(price=None) | {column: value}])
    assert table.days(FIRST, None)[FIRST].fingerprint != before[FIRST].fingerprint


def test_a_day_that_vanished_from_the_table_leaves_the_lake(warehouse: Warehouse, lake: Lake) -> None:
    kept, gone = event(), event(ts=START + timedelta(days=40))
    store(warehouse, [kept, gone])
    export(warehouse, lake)
    warehouse.command(f"ALTER TABLE {warehouse.db}.events_raw DROP PARTITION 202602")
    lake.write_json("events/date=2026-03-01/part-0.parquet", "left by a killed first export")
    done = export(warehouse, lake)
    assert done.removed == [date(2026, 2, 10), date(2026, 3, 1)]
    assert all_rows(lake) == [kept]
    assert list(lake.sizes("events")) == [events_path(FIRST), "events/manifest.json"]
    assert lake.events_manifest().watermark == START + timedelta(milliseconds=1)


def test_days_outside_the_range_stay_as_they_are(warehouse: Warehouse, lake: Lake) -> None:
    store(warehouse, [event(ts=START + timedelta(days=days)) for days in range(6)])
    days = [FIRST + timedelta(days=number) for number in range(6)]
    assert export(warehouse, lake, days[1], days[3]).written == days[1:3]
    assert list(lake.events_manifest().days) == days[1:3]
    warehouse.command(f"TRUNCATE TABLE {warehouse.db}.events_raw")
    assert export(warehouse, lake, days[2]).removed == [days[2]]
    assert list(lake.events_manifest().days) == [days[1]]


def test_a_lost_or_cut_file_is_written_again_and_force_writes_all(warehouse: Warehouse, lake: Lake) -> None:
    store(warehouse, [event(ts=START + timedelta(days=days)) for days in range(3)])
    export(warehouse, lake)
    whole = files(lake)
    Path(lake.path(events_path(FIRST))).unlink()
    cut = Path(lake.path(events_path(FIRST + timedelta(days=1))))
    cut.write_bytes(cut.read_bytes()[:-1])
    assert export(warehouse, lake).written == [FIRST, FIRST + timedelta(days=1)]
    assert files(lake) == whole
    assert len(export(warehouse, lake, force=True).written) == 3
    assert files(lake) == whole


def test_a_row_group_holds_about_as_many_rows_as_asked_for(warehouse: Warehouse, lake: Lake) -> None:
    store(warehouse, [event(event_id=f"e{number}") for number in range(5000)])
    export(warehouse, lake, rows_a_group=2000)
    footer = pq.read_metadata(lake.path(events_path(FIRST)))
    groups = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
    assert sum(groups) == 5000
    assert all(1000 <= rows <= 3000 for rows in groups), groups  # the engine cuts evenly: never far from what was asked


def test_a_damaged_manifest_is_made_anew_by_force_alone(warehouse: Warehouse, lake: Lake) -> None:
    store(warehouse, [event()])
    export(warehouse, lake)
    whole = lake.events_manifest()
    for damage in ("{", '{"days": 5}'):
        Path(lake.path("events/manifest.json")).write_text(damage)
        with pytest.raises(LakeError, match="anmodel export --force"):
            export(warehouse, lake)
        export(warehouse, lake, force=True)
        assert lake.events_manifest().days == whole.days


def test_an_event_from_tomorrow_leaves_the_watermark_at_the_export(warehouse: Warehouse, lake: Lake) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    store(warehouse, [event(ts=now - timedelta(days=1)), event(event_id="e2", ts=now + timedelta(hours=23))])
    export(warehouse, lake)
    watermark = lake.events_manifest().watermark
    assert watermark is not None
    assert now <= watermark <= datetime.now(UTC)


def test_an_empty_table_gives_an_empty_lake(warehouse: Warehouse, lake: Lake) -> None:
    done = export(warehouse, lake)
    assert (done.rows, done.written, done.removed) == (0, [], [])
    assert lake.events_manifest().watermark is None
    assert lake.events_manifest().exported_at is not None


def test_a_day_that_grows_while_it_is_exported_is_written_again_by_the_next_export(
    warehouse: Warehouse, lake: Lake
) -> None:
    class Growing(EventsTable):
        @contextmanager
        def parquet(self, day: date) -> Iterator[BinaryIO]:
            store(warehouse, [event(event_id="between")])
            with super().parquet(day) as file:
                yield file

    store(warehouse, [event()])
    growing = Growing(warehouse, rows_a_group=1000)
    export_events(growing, lake, since=FIRST, until=None, force=False, progress=lambda rows, note: None)
    assert lake.events_manifest().days[FIRST].rows == len(rows_of(lake, FIRST)) == 2
    assert export(warehouse, lake).written == [FIRST]
    assert export(warehouse, lake).written == []


def command(warehouse: Warehouse, clickhouse: ClickHouseProcess, lake: Lake, users: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "CLICKHOUSE_PORT": str(clickhouse.port),
        "CLICKHOUSE_USER": clickhouse.user,
        "CLICKHOUSE_PASSWORD": clickhouse.password,
        "CLICKHOUSE_DB": warehouse.db,
        "PARQUET_OUT": lake.url,
        "USERS_URL": users,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "anmodel", "export"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_killed_in_the_middle_the_next_run_ends_as_if_nothing_had_been(
    warehouse: Warehouse, clickhouse: ClickHouseProcess, lake: Lake, tmp_path: Path
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    events = [e | {"ts": today - timedelta(days=120) + (e["ts"] - START)} for e in some_events(2, users=200, days=100)]
    store(warehouse, events)
    users = UsersTable(f"sqlite:///{tmp_path}/users.db")
    users.create()
    users.seed(12)
    for days in (1, 40):
        running = command(warehouse, clickhouse, lake, f"sqlite:///{tmp_path}/users.db")
        eventually(lambda days=days: len(lake.sizes("events")) >= days, 60)
        running.send_signal(signal.SIGKILL)
        assert running.wait(10) == -signal.SIGKILL
        running.communicate()
        assert not lake.exists("events/manifest.json")
        assert len(files(lake)) < 100
    finished = command(warehouse, clickhouse, lake, f"sqlite:///{tmp_path}/users.db")
    said, _ = finished.communicate(timeout=120)
    assert finished.returncode == 0, said
    assert f"events: {len(events)} rows in 100 days written" in said
    assert "users: 12 written" in said
    assert all_rows(lake) == in_order(events)
    assert lake.read_table("users/users.parquet").num_rows == 12
    fresh = Lake(str(tmp_path / "fresh"))
    export(warehouse, fresh)
    assert files(lake) == files(fresh)


def test_without_a_users_table_events_are_exported_and_the_reason_is_said(
    warehouse: Warehouse, clickhouse: ClickHouseProcess, lake: Lake, tmp_path: Path
) -> None:
    store(warehouse, [event(ts=datetime.now(UTC).replace(microsecond=0))])
    running = command(warehouse, clickhouse, lake, f"sqlite:///{tmp_path}/none.db")
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert "events: 1 rows in 1 days written" in said
    assert "users not exported" in said
