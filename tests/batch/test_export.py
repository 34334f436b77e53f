import hashlib
import os
import re
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
from structlog.testing import capture_logs

from anmodel.export.events import Exported, export_events
from anmodel.export.table import EventsTable
from anmodel.lake import Lake
from anmodel.lake.manifest import day_folder
from anmodel.lake.reading import manifest_of
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
    remove: bool = False,
    rows_a_group: int = 100_000,
) -> Exported:
    table = EventsTable(warehouse, rows_a_group=rows_a_group)
    return export_events(
        table, lake, since=since, until=until, force=force, remove=remove, progress=lambda rows, note: None
    )


def file_of(lake: Lake, day: date) -> str:
    return lake.events_manifest().days[day].path(day)


def rows_of(lake: Lake, day: date) -> list[Row]:
    return lake.read_table(file_of(lake, day)).to_pylist()


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
    """The files that the manifests name, by their names, which tell their content too."""
    return {name: Path(lake.path(name)).read_bytes() for name in lake.events_manifest().paths()}


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
    assert lake.read_table(file_of(lake, FIRST)).schema.equals(SCHEMA)
    manifest = lake.events_manifest()
    assert manifest.watermark == max(e["ts"] for e in events) + timedelta(milliseconds=1)
    for day, entry in manifest.days.items():
        content = Path(lake.path(entry.path(day))).read_bytes()
        file = entry.files.part
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert entry.rows == len(rows_of(lake, day)) == sum(e["ts"].date() == day for e in events)


def test_repeats_are_removed_and_an_id_used_twice_is_kept_and_counted(warehouse: Warehouse, lake: Lake) -> None:
    one = event()
    others = [event(user_id="u2"), event(ts=START + timedelta(milliseconds=1)), event(event_id="e2")]
    store(warehouse, [one, *others])
    store(warehouse, [one, one])
    done = export(warehouse, lake)
    assert all_rows(lake) == in_order([one, *others])
    assert done.repeated_ids == 1
    assert export(warehouse, lake).repeated_ids is None


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
    assert {name for name in after if after[name] != before.get(name)} == {
        file_of(lake, done.written[0]),
        manifest_of(done.written[0]),
        "events/copies.json",
    }
    assert all_rows(lake) == in_order([*events, late])
    fresh = Lake(lake.path("..", "fresh"))
    export(warehouse, fresh)
    assert fresh.events_manifest().fingerprint == lake.events_manifest().fingerprint
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


def test_a_day_that_vanished_from_the_table_leaves_the_lake_when_that_is_asked_for(
    warehouse: Warehouse, lake: Lake
) -> None:
    kept, gone = event(), event(ts=START + timedelta(days=40))
    store(warehouse, [kept, gone])
    export(warehouse, lake)
    warehouse.command(f"ALTER TABLE {warehouse.db}.events_raw DROP PARTITION 202602")
    left = file_of(lake, date(2026, 2, 10))
    assert export(warehouse, lake).kept == [date(2026, 2, 10)]
    done = export(warehouse, lake, remove=True)
    assert (done.removed, done.kept) == ([date(2026, 2, 10)], [])
    assert all_rows(lake) == [kept]
    assert lake.exists(left), "who read the manifest before may still be reading it"
    os.utime(lake.path(left), (0, 0))
    assert export(warehouse, lake, remove=True).removed == []
    assert list(lake.sizes("events")) == ["events/copies.json", manifest_of(FIRST), file_of(lake, FIRST)]
    assert lake.events_manifest().watermark == START + timedelta(milliseconds=1)


@pytest.mark.parametrize("force", [False, True])
def test_what_retention_takes_from_the_table_stays_in_the_lake(warehouse: Warehouse, lake: Lake, force: bool) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=6 * number) for number in range(1, 60)]
    events = [event(event_id=f"e{number}", ts=ts) for number, ts in enumerate(hours)]
    store(warehouse, events)
    export(warehouse, lake)
    before = lake.events_manifest().days
    table, edge = f"{warehouse.db}.events_raw", sorted(before)[5]
    end = datetime.combine(edge, datetime.min.time(), UTC) + timedelta(hours=12)
    seconds = int((datetime.now(UTC) - end).total_seconds())
    warehouse.command(f"ALTER TABLE {table} MODIFY TTL toDateTime(ts) + toIntervalSecond({seconds})")
    warehouse.command(f"OPTIMIZE TABLE {table} FINAL")
    left = EventsTable(warehouse, rows_a_group=1000).days(min(before), None)
    assert min(left) == edge, "the table begins within this day"
    assert 0 < left[edge].rows < before[edge].rows
    done = export(warehouse, lake, force=force)
    assert (done.removed, done.kept) == ([], sorted(before)[:6])
    assert all_rows(lake) == in_order(events)
    assert len(done.written) == (len(before) - 6 if force else 0)
    late = event(event_id="late", ts=max(e["ts"] for e in events))
    store(warehouse, [late])
    assert export(warehouse, lake).written == [late["ts"].date()]
    assert all_rows(lake) == in_order([*events, late])


def test_a_table_made_anew_takes_nothing_from_the_lake_and_days_it_has_whole_are_exported(
    warehouse: Warehouse, lake: Lake
) -> None:
    days = [FIRST + timedelta(days=number) for number in range(4)]
    events = [event(event_id=f"e{n}", ts=START + timedelta(hours=6 * n)) for n in range(16)]
    store(warehouse, events)
    export(warehouse, lake)
    whole = files(lake)
    warehouse.command(f"TRUNCATE TABLE {warehouse.db}.events_raw")
    with capture_logs() as logs:
        done = export(warehouse, lake)
    assert (done.written, done.removed, done.kept, files(lake)) == ([], [], days, whole)
    (said,) = (line for line in logs if "kept" in line["event"])
    assert (said["days"], said["first"], said["last"]) == (4, "2026-01-01", "2026-01-04")
    since = [event(event_id=f"new{n}", ts=START + timedelta(days=2, hours=20, minutes=n)) for n in range(9)]
    tomorrow = event(event_id="tomorrow", ts=START + timedelta(days=4))
    stray = event(event_id="stray", ts=START)
    store(warehouse, [stray, *since, tomorrow])
    done = export(warehouse, lake)
    assert (done.written, done.removed, done.kept) == ([FIRST + timedelta(days=4)], [], days)
    assert all_rows(lake) == in_order([*events, tomorrow])


def test_the_first_day_of_a_shop_grows_from_export_to_export(warehouse: Warehouse, lake: Lake) -> None:
    events = []
    for minutes in (60, 90, 30):
        events.append(event(event_id=f"e{minutes}", ts=START + timedelta(minutes=minutes)))
        store(warehouse, events[-1:])
        assert export(warehouse, lake).written == [FIRST]
        assert all_rows(lake) == in_order(events)


def test_days_outside_the_range_stay_as_they_are(warehouse: Warehouse, lake: Lake) -> None:
    store(warehouse, [event(ts=START + timedelta(days=days)) for days in range(6)])
    days = [FIRST + timedelta(days=number) for number in range(6)]
    assert export(warehouse, lake, days[1], days[3]).written == days[1:3]
    assert list(lake.events_manifest().days) == days[1:3]
    warehouse.command(f"TRUNCATE TABLE {warehouse.db}.events_raw")
    assert export(warehouse, lake, days[2], remove=True).removed == [days[2]]
    assert list(lake.events_manifest().days) == [days[1]]


def test_a_lost_or_cut_file_is_written_again_and_force_writes_all(warehouse: Warehouse, lake: Lake) -> None:
    store(warehouse, [event(ts=START + timedelta(days=days)) for days in range(3)])
    export(warehouse, lake)
    whole = files(lake)
    Path(lake.path(file_of(lake, FIRST))).unlink()
    cut = Path(lake.path(file_of(lake, FIRST + timedelta(days=1))))
    cut.write_bytes(cut.read_bytes()[:-1])
    assert export(warehouse, lake).written == [FIRST, FIRST + timedelta(days=1)]
    assert files(lake) == whole
    assert len(export(warehouse, lake, force=True).written) == 3
    assert files(lake) == whole


def test_a_row_group_holds_about_as_many_rows_as_asked_for(warehouse: Warehouse, lake: Lake) -> None:
    store(warehouse, [event(event_id=f"e{number}") for number in range(5000)])
    export(warehouse, lake, rows_a_group=2000)
    footer = pq.read_metadata(lake.path(file_of(lake, FIRST)))
    groups = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
    assert sum(groups) == 5000
    assert all(1000 <= rows <= 3000 for rows in groups), groups  # the engine cuts evenly: never far from what was asked


def test_a_damaged_manifest_is_made_anew_and_that_of_a_day_which_is_gone_goes_too(
    warehouse: Warehouse, lake: Lake
) -> None:
    store(warehouse, [event(), event(ts=START + timedelta(days=1))])
    export(warehouse, lake)
    whole = lake.events_manifest()
    for damage in ("{", '{"rows": "many"}'):
        Path(lake.path(manifest_of(FIRST))).write_text(damage)
        lake.write_json(manifest_of(date(2026, 3, 1)), "damaged")
        done = export(warehouse, lake, remove=True)
        assert (done.written, done.removed) == ([FIRST], [date(2026, 3, 1)])
        assert lake.events_manifest().fingerprint == whole.fingerprint


def test_a_lake_of_the_former_layout_is_written_anew_and_what_it_held_is_swept_later(
    warehouse: Warehouse, lake: Lake
) -> None:
    store(warehouse, [event()])
    lake.write_json("events/manifest.json", {"days": {"2026-01-01": {"rows": 1}}})
    lake.write_json(f"{day_folder(FIRST)}/part-0.parquet", "an export of before")
    with capture_logs() as logs:
        assert export(warehouse, lake, FIRST, FIRST + timedelta(days=1)).written == [FIRST]
        assert export(warehouse, lake).written == []
        assert export(warehouse, lake).written == []
    assert [line["event"] for line in logs if "former" in line["event"]] == 2 * [
        "lake of a former version: every day is written anew"
    ]
    assert all_rows(lake) == [event()]
    for path in lake.sizes("events"):
        os.utime(lake.path(path), (0, 0))
    export(warehouse, lake)
    assert list(lake.sizes("events")) == ["events/copies.json", manifest_of(FIRST), file_of(lake, FIRST)]


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


def command(
    warehouse: Warehouse, clickhouse: ClickHouseProcess, lake: Lake, users: str, *options: str
) -> subprocess.Popen[str]:
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
        [sys.executable, "-m", "anmodel", "export", *options],
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
        assert len(files(lake)) < 100
    finished = command(warehouse, clickhouse, lake, f"sqlite:///{tmp_path}/users.db")
    said, _ = finished.communicate(timeout=120)
    assert finished.returncode == 0, said
    assert re.search(r"events: \d+ rows in \d+ days written, \d+ days unchanged, 0 removed", said)
    assert "users: 12 written" in said
    assert all_rows(lake) == in_order(events)
    assert lake.read_table("users/users.parquet").num_rows == 12
    fresh = Lake(str(tmp_path / "fresh"))
    export(warehouse, fresh)
    assert files(lake) == files(fresh)


@pytest.mark.parametrize("ranges", ["the same days", "other days"])
def test_two_exports_at_once_end_in_one_lake_that_a_reader_never_sees_half(
    warehouse: Warehouse, clickhouse: ClickHouseProcess, lake: Lake, tmp_path: Path, ranges: str
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    events = [e | {"ts": today - timedelta(days=60) + (e["ts"] - START)} for e in some_events(3, users=150, days=50)]
    store(warehouse, events)
    middle = today.date() - timedelta(days=35)
    options = [["--until", str(middle)], ["--from", str(middle)]] if ranges == "other days" else [["--force"], []]
    exports = [command(warehouse, clickhouse, lake, "sqlite://", *each) for each in options]
    while any(running.poll() is None for running in exports):
        for day, entry in lake.events_manifest().days.items():
            assert lake.written(entry.path(day)) == entry.files.part
    said = [running.communicate(timeout=120)[0] for running in exports]
    assert [running.returncode for running in exports] == [0, 0], said
    assert all_rows(lake) == in_order(events)
    fresh = Lake(str(tmp_path / "fresh"))
    export(warehouse, fresh)
    assert files(lake) == files(fresh)
    assert export(warehouse, lake).written == []


def test_without_a_users_table_events_are_exported_and_the_reason_is_said(
    warehouse: Warehouse, clickhouse: ClickHouseProcess, lake: Lake, tmp_path: Path
) -> None:
    store(warehouse, [event(ts=datetime.now(UTC).replace(microsecond=0))])
    running = command(warehouse, clickhouse, lake, f"sqlite:///{tmp_path}/none.db")
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert "events: 1 rows in 1 days written" in said
    assert "users not exported" in said
