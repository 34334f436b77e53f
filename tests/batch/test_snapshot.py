import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from anmodel.cli import app
from anmodel.errors import InputError, LakeError, NotReadyError
from anmodel.export.events import export_events
from anmodel.export.table import EventsTable
from anmodel.lake import Lake, Written
from anmodel.snapshot.daily import build_daily, newest_instant
from anmodel.snapshot.engine import Engine, events_source, quoted
from anmodel.snapshot.training import build_training
from anmodel.snapshots import (
    FEATURE_NAMES,
    FEATURES,
    META,
    TARGETS,
    contract,
    daily_sql,
    milliseconds,
    training_sql,
    users_events_sql,
    users_parameters,
)
from anmodel.snapshots.daily import DailySnapshot, point
from anmodel.snapshots.evaluator import Event, evaluate
from anmodel.snapshots.samples import late_events_of, read_manifest, read_sample
from batch.histories import START, fill, own_warehouse, some_events, store
from batch.naive_features import features_as_of, same, targets_from
from batch.synthetic import feature_rows, write_daily
from clickhouse_process import ClickHouseProcess
from eventually import eventually

H = 7
Row = dict[str, Any]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("engine"), threads=2, memory_mb=1000) as engine:
        yield engine


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def train(
    lake: Lake,
    engine: Engine,
    scratch: Path,
    *,
    max_rows: int = 400_000,
    horizon_days: int = H,
    as_of: datetime | None = None,
) -> Row:
    for left in scratch.glob("*.parquet"):
        left.unlink()
    return build_training(
        lake,
        engine,
        scratch,
        name="m",
        horizon_days=horizon_days,
        max_rows=max_rows,
        as_of=as_of,
        progress=lambda rows, note: None,
    )


def daily(lake: Lake, engine: Engine, scratch: Path, as_of: datetime | None = None) -> Row:
    for left in scratch.glob("*.parquet"):
        left.unlink()
    return build_daily(lake, engine, scratch, as_of=as_of, horizon_days=H, progress=lambda rows, note: None)


def part_of(made: Row, part: str) -> str:
    return msgspec.convert(made["files"][part], Written).path("snapshots/m", part)


def source(lake: Lake) -> str:
    return events_source([lake.path(name) for name in lake.events_manifest().paths()])


def by_user(events: list[Row]) -> dict[str, list[Row]]:
    users: dict[str, list[Row]] = {}
    for event in events:
        users.setdefault(event["user_id"], []).append(event)
    return users


def trained(lake: Lake, instants: list[datetime], ends: list[datetime] | None = None) -> str:
    ends = ends or [t + timedelta(days=30) for t in instants]
    return training_sql(source(lake), [*map(milliseconds, instants)], [*map(milliseconds, ends)], horizon_days=H)


EVENT_COLUMNS = ("event_id", "event_type", "session_id", "region", "item_id", "price")


def evaluated(rows: list[Row], user: str, t: datetime) -> Row:
    """A user's features as the gateway makes them, of rows of `users_events_sql`."""
    events = [Event(*tuple_of(row["event"])) for row in rows if row["user_id"] == user]
    return dict(evaluate(events, milliseconds(t)))


def tuple_of(given: Any) -> tuple[Any, ...]:
    """A tuple as either engine's client gives it."""
    return tuple(given.values()) if isinstance(given, dict) else tuple(given)


def but_trends(row: Row) -> Row:
    left_out = {"user_id", "snapshot_time"} | {feature.name for feature in FEATURES if feature.block == "trends"}
    return {name: value for name, value in row.items() if name not in left_out}


def difference(row: Row, expected: Row) -> dict[str, tuple[Any, Any]]:
    return {name: (row[name], expected[name]) for name in expected if not same(row[name], expected[name])}


OVER_A_LEAP_DAY_AND_THE_CLOCKS_CHANGE = datetime(2024, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seed", "start"), [(1, START), (2, START), (3, START), (4, OVER_A_LEAP_DAY_AND_THE_CLOCKS_CHANGE)]
)
def test_every_feature_and_target_is_what_its_meaning_says(
    seed: int, start: datetime, lake: Lake, engine: Engine
) -> None:
    events = some_events(seed, users=40, days=120, start=start)
    fill(lake, events)
    instants = [
        start + timedelta(days=days, milliseconds=extra) for days, extra in ((1, 0), (30, 0), (30, 1), (100, 0))
    ]
    ends = [t + timedelta(days=days) for t, days in zip(instants, (H, 12, 60, 20.5), strict=True)]
    rows = engine.rows(trained(lake, instants, ends))
    expected = {}
    for user, history in by_user(events).items():
        for t, end in zip(instants, ends, strict=True):
            if features := features_as_of(history, t):
                expected[user, t] = features | targets_from(history, t, H, end)
    assert {(row["user_id"], row["snapshot_time"]) for row in rows} == expected.keys()
    wrong = [difference(row, expected[row["user_id"], row["snapshot_time"]]) for row in rows]
    assert [each for each in wrong if each] == []
    for (user, t), row in expected.items():  # one user's row is made in another way, of the same definition
        past = [event for event in by_user(events)[user] if event["ts"] < t]
        found = evaluate(
            [Event(milliseconds(e["ts"]), *(e[name] for name in EVENT_COLUMNS)) for e in past], milliseconds(t)
        )
        assert difference(dict(found), {name: row[name] for name in found}) == {}
    assert (
        set(rows[0])
        == {*META, *FEATURE_NAMES, *TARGETS}
        == {"user_id", "snapshot_time", *next(iter(expected.values()))}
    )


def test_training_daily_and_one_users_row_are_the_same_row_for_row(lake: Lake, engine: Engine) -> None:
    events = some_events(4, users=30)
    fill(lake, events)
    t = START + timedelta(days=40, hours=3)
    both = engine.rows(trained(lake, [t - timedelta(days=9), t]))
    rows = [{name: row[name] for name in row if name not in TARGETS} for row in both if row["snapshot_time"] == t]
    assert rows == engine.rows(daily_sql(source(lake), t))
    assert len(rows) > 20
    asked = [row["user_id"] for row in rows[:5]]
    for users in ([asked[0]], [*asked, "nobody"], ["nobody"]):
        listed = ", ".join(f"'{quoted(user)}'" for user in users)
        found = engine.rows(
            users_events_sql(source(lake)), users_parameters(users, t, 10_000) | {"user_ids": f"[{listed}]"}
        )
        for row in rows:
            if row["user_id"] in users:
                assert difference(evaluated(found, row["user_id"], t), but_trends(row)) == {}
        assert {event["user_id"] for event in found} == set(users) - {"nobody"}


def test_the_table_in_clickhouse_and_the_exported_lake_give_the_same_rows(
    clickhouse: ClickHouseProcess, lake: Lake, engine: Engine
) -> None:
    warehouse = own_warehouse(clickhouse)
    events = some_events(16, users=20)
    store(warehouse, events)
    store(warehouse, events[::3])  # repeats, which FINAL hides
    table = EventsTable(warehouse, rows_a_group=1000)
    export_events(table, lake, since=START.date(), until=None, force=False, progress=lambda rows, note: None)
    t = START + timedelta(days=50, hours=18)
    from_lake = engine.rows(daily_sql(source(lake), t))
    final = f"{warehouse.db}.events_raw FINAL"
    assert aware(warehouse.query(daily_sql(final, t))) == from_lake
    assert len(from_lake) > 15
    for row in from_lake[:3]:
        found = warehouse.query(users_events_sql(final), users_parameters([row["user_id"]], t, 10_000))
        assert difference(evaluated(found, row["user_id"], t), but_trends(row)) == {}


def aware(rows: list[Row]) -> list[Row]:
    """The client gives times in UTC without a zone."""
    return [row | {"snapshot_time": row["snapshot_time"].replace(tzinfo=UTC)} for row in rows]


def test_shuffling_the_future_changes_no_feature(lake: Lake, engine: Engine) -> None:
    events = some_events(5, users=30)
    t = START + timedelta(days=30)
    fill(lake, events)
    before = engine.rows(daily_sql(source(lake), t))
    other = some_events(99, users=30)
    fill(lake, [e for e in events if e["ts"] < t] + [e for e in other if e["ts"] >= t])
    assert engine.rows(daily_sql(source(lake), t)) == before
    fill(
        lake,
        [e for e in events if e["ts"] < t - timedelta(days=1)] + [e for e in other if e["ts"] >= t - timedelta(days=1)],
    )
    assert engine.rows(daily_sql(source(lake), t)) != before


def test_a_user_silent_for_half_a_year_is_in_the_daily_snapshot_but_gives_no_training_row(
    lake: Lake, engine: Engine
) -> None:
    event = some_events(6, users=1)[0] | {"ts": START}
    fill(lake, [event])
    day_180, later = START + timedelta(days=180), START + timedelta(days=180, milliseconds=1)
    rows = engine.rows(trained(lake, [day_180, later]))
    assert [row["snapshot_time"] for row in rows] == [day_180]
    (row,) = engine.rows(daily_sql(source(lake), later))
    assert row["total_events"] == 1
    assert row["events_last_90d"] == 0


def test_trends_are_those_published_by_the_instant_and_of_the_users_region(
    lake: Lake, engine: Engine, scratch: Path
) -> None:
    fill(lake, [some_events(7, users=1)[0] | {"ts": START, "region": "UA-30", "user_id": "u"}])

    def period(region: str, query: str, day: int, popularity: float) -> Row:
        end = START + timedelta(days=day)
        return {
            "query": query,
            "region": region,
            "period_end": end.date(),
            "known_from": (end + timedelta(days=1)).date(),
            "popularity": popularity,
        }

    values = [
        period("UA-30", "shoes", 3, 40.0),
        period("UA-30", "phone", 3, 10.0),
        period("UA-30", "shoes", 10, 80.0),
        period("UA-40", "shoes", 3, 99.0),
    ]
    lake.write_table("trends/trends.parquet", pa.Table.from_pylist(values))
    seen = {}
    for days in (3.999, 4, 10.999, 11, 60):
        daily(lake, engine, scratch, START + timedelta(days=days))
        (row,) = lake.read_table(DailySnapshot.newest(lake).path).to_pylist()
        seen[days] = row["trend_popularity_mean"], row["trend_popularity_max"]
    assert seen == {3.999: (None, None), 4: (25.0, 40.0), 10.999: (25.0, 40.0), 11: (45.0, 80.0), 60: (None, None)}


def test_a_snapshot_says_that_events_came_late_and_not_that_its_own_day_goes_on(
    lake: Lake, engine: Engine, scratch: Path
) -> None:
    events = some_events(7, users=20, days=60)
    fill(lake, events)
    t = START + timedelta(days=50, hours=5)
    daily(lake, engine, scratch, t)
    made = train(lake, engine, scratch)
    snapshot = DailySnapshot.of_day(lake, t.date())
    later, before = (events[0] | {"event_id": "late", "ts": t + timedelta(hours=hours)} for hours in (1, -30))

    fill(lake, [*events, later])
    assert snapshot.late_events() is None
    fill(lake, [*events, before])
    assert re.search(r"came late.*anmodel snapshot daily --as-of 2026-", snapshot.late_events() or "")
    assert [text for text in late_events_of(lake, made) if "anmodel snapshot train --name m" in text]
    daily(lake, engine, scratch, t)
    assert DailySnapshot.of_day(lake, t.date()).late_events() is None


def test_other_trends_are_another_origin_of_a_snapshot_and_the_same_ones_fetched_again_are_not(
    lake: Lake, engine: Engine, scratch: Path
) -> None:
    fill(lake, some_events(7, users=3))
    seen = [daily(lake, engine, scratch)["created_from"]]
    for popularity in (40.0, 40.0, 41.0):
        row = {"query": "shoes", "region": "UA-30", "popularity": popularity, "loaded_at": len(seen)}
        lake.write_table(
            "trends/trends.parquet",
            pa.Table.from_pylist([row | {"period_end": START.date(), "known_from": START.date()}]),
        )
        seen.append(daily(lake, engine, scratch)["created_from"])
    assert seen[1] == seen[2]
    assert len(set(seen)) == 3


def test_parts_lie_in_order_of_time_with_a_horizon_between_them(lake: Lake, engine: Engine, scratch: Path) -> None:
    fill(lake, some_events(8, users=30, days=120))
    made = train(lake, engine, scratch)
    assert made["split"] == "time"
    instants = {
        part: [datetime.fromisoformat(text) for text in made["instants"][part]] for part in ("train", "val", "test")
    }
    assert max(instants["train"]) + timedelta(days=H) <= min(instants["val"])
    assert max(instants["val"]) + timedelta(days=H) <= min(instants["test"])
    watermark = lake.events_manifest().watermark
    assert watermark is not None
    assert max(instants["test"]) == watermark - timedelta(days=H)
    ends = {"train": min(instants["val"]), "val": min(instants["test"]), "test": watermark}
    for part in instants:
        table = lake.read_table(part_of(made, part))
        assert table.num_rows == made["rows"][part] > 0
        assert set(table["snapshot_time"].to_pylist()) <= set(instants[part])
        assert sum(table["will_purchase"].to_pylist()) / table.num_rows == made["positive_rate"][part]
        for row in table.select(["snapshot_time", "days_observed"]).to_pylist():
            assert row["days_observed"] == pytest.approx(
                min(30, (ends[part] - row["snapshot_time"]) / timedelta(days=1))
            )
    assert lake.read_json("snapshots/m/manifest.json") == made


def test_users_in_many_parts_give_the_same_rows_as_all_at_once(
    lake: Lake, engine: Engine, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lake, some_events(9, users=40, days=60))
    whole = train(lake, engine, scratch)["files"], daily(lake, engine, scratch)["files"]
    for module in ("training", "daily"):
        monkeypatch.setattr(f"anmodel.snapshot.{module}._EVENTS_A_CHUNK", 100)
    assert (train(lake, engine, scratch)["files"], daily(lake, engine, scratch)["files"]) == whole
    assert len(list(scratch.glob("chunk-*.parquet"))) > 3


def test_as_of_an_instant_a_training_snapshot_is_what_it_would_have_been_then(
    lake: Lake, engine: Engine, scratch: Path, tmp_path: Path
) -> None:
    events, then = some_events(9, users=40, days=60), Lake(str(tmp_path / "then"))
    fill(lake, events)
    fill(then, [event for event in events if event["ts"] < START + timedelta(days=45)])
    made = train(then, engine, scratch)
    known = datetime.fromisoformat(made["watermark"])
    assert train(lake, engine, scratch, as_of=known)["files"] == made["files"]


def test_a_second_run_on_the_same_lake_gives_the_same_files(lake: Lake, engine: Engine, scratch: Path) -> None:
    fill(lake, some_events(9, users=60, days=120))

    def files() -> dict[str, bytes]:
        train(lake, engine, scratch)
        daily(lake, engine, scratch)
        names = [name for folder in ("snapshots", "daily_features") for name in lake.sizes(folder)]
        return {name: Path(lake.path(name)).read_bytes() for name in names}

    first = files()
    assert len(first) == 7
    assert files() == first


def test_max_rows_samples_whole_users_and_the_same_ones_again(lake: Lake, engine: Engine, scratch: Path) -> None:
    fill(lake, some_events(10, users=60, days=120))
    made = train(lake, engine, scratch, max_rows=300)
    assert 0 < sum(made["rows"].values()) <= 300
    assert 0 < made["users"] < 60
    users = [lake.read_table(part_of(made, part))["user_id"].unique().to_pylist() for part in made["rows"]]
    assert len({user for part in users for user in part}) <= made["users"]
    assert train(lake, engine, scratch, max_rows=300) == made


def test_a_history_too_short_for_embargoes_is_split_by_users(lake: Lake, engine: Engine, scratch: Path) -> None:
    events = some_events(11, users=100, days=14)
    fill(lake, events)
    made = train(lake, engine, scratch)
    assert made["split"] == "users"
    users = [set(lake.read_table(part_of(made, part))["user_id"].to_pylist()) for part in made["rows"]]
    assert all(users)
    assert sum(map(len, users)) == len(set.union(*users))


def test_an_event_of_a_clock_that_is_years_slow_changes_no_instant(lake: Lake, engine: Engine, scratch: Path) -> None:
    events = some_events(11, users=100, days=60)
    fill(lake, events)
    before = train(lake, engine, scratch)
    slow = next(event for event in events if event["event_type"] == "page_view")
    fill(lake, [*events, {**slow, "event_id": "slow", "ts": START - timedelta(days=1700)}])
    assert train(lake, engine, scratch)["instants"] == before["instants"]


def test_as_of_before_the_first_event_there_is_nothing_to_train(lake: Lake, engine: Engine, scratch: Path) -> None:
    events = some_events(11, users=10, days=14)
    fill(lake, events)
    first = min(event["ts"] for event in events)
    for as_of in (first - timedelta(days=400), first):
        with pytest.raises(InputError, match="no events before"):
            train(lake, engine, scratch, as_of=as_of)


def test_three_users_are_enough_and_two_are_not(lake: Lake, engine: Engine, scratch: Path) -> None:
    events = some_events(11, users=100, days=14)
    early = sorted({event["user_id"] for event in events if event["ts"] < START + timedelta(days=1)})
    fill(lake, [event for event in events if event["user_id"] in early[:3]])
    assert min(train(lake, engine, scratch)["rows"].values()) > 0
    fill(lake, [event for event in events if event["user_id"] in early[:2]])
    with pytest.raises(InputError, match="2 active users; training needs at least 3"):
        train(lake, engine, scratch)


def test_a_history_no_longer_than_the_horizon_is_refused_with_what_is_needed(
    lake: Lake, engine: Engine, scratch: Path
) -> None:
    fill(lake, some_events(12, users=10, days=5))
    with pytest.raises(InputError, match=r"span \d\.\d days.*needs at least 8"):
        train(lake, engine, scratch)


def test_an_empty_lake_says_to_export_first(lake: Lake, engine: Engine, scratch: Path) -> None:
    with pytest.raises(NotReadyError, match="anmodel export"):
        train(lake, engine, scratch)
    with pytest.raises(NotReadyError, match="anmodel export"):
        daily(lake, engine, scratch)


def test_a_day_that_lost_rows_is_noticed(lake: Lake, engine: Engine, scratch: Path) -> None:
    fill(lake, some_events(13, users=10, days=30))
    path = lake.events_manifest().paths()[3]
    lake.write_table(path, lake.read_table(path).slice(1))
    with pytest.raises(LakeError, match="manifests say"):
        daily(lake, engine, scratch)


def test_a_damaged_day_is_named_with_what_to_do(lake: Lake, engine: Engine, scratch: Path) -> None:
    fill(lake, some_events(13, users=10, days=30))
    path = Path(lake.path(lake.events_manifest().paths()[3]))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LakeError, match="Run `anmodel export`"):
        daily(lake, engine, scratch)


def test_daily_holds_every_user_before_the_instant_and_latest_names_the_newest(
    lake: Lake, engine: Engine, scratch: Path
) -> None:
    events = some_events(14, users=30, days=30)
    fill(lake, events)
    newest = daily(lake, engine, scratch)
    assert newest["users"] == 30
    assert (
        newest["snapshot_time"]
        == max(e["ts"] for e in events).replace(microsecond=max(e["ts"] for e in events).microsecond + 1000).isoformat()
    )
    earlier = daily(lake, engine, scratch, datetime(2026, 1, 3, tzinfo=UTC))
    seen = {event["user_id"] for event in events if event["ts"] < datetime(2026, 1, 3, tzinfo=UTC)}
    table = lake.read_table(DailySnapshot.of_day(lake, date(2026, 1, 3)).path)
    assert set(table["user_id"].to_pylist()) == seen
    assert earlier["users"] == len(seen)
    assert DailySnapshot.newest(lake).instant.isoformat() == newest["snapshot_time"]
    with pytest.raises(NotReadyError, match="snapshot_date=2026-01-04"):
        DailySnapshot.of_day(lake, date(2026, 1, 4))
    with pytest.raises(InputError, match="2026-01-01"):
        daily(lake, engine, scratch, START - timedelta(days=1))


def test_an_earlier_instant_of_the_newest_day_leaves_the_newest_snapshot_as_it_is(
    lake: Lake, engine: Engine, scratch: Path
) -> None:
    fill(lake, some_events(14, users=30, days=30))
    daily(lake, engine, scratch)
    newest = DailySnapshot.newest(lake)
    earlier = newest.instant.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=6)
    for instant in (earlier, newest.instant - timedelta(milliseconds=1)):
        daily(lake, engine, scratch, instant)
        assert DailySnapshot.newest(lake) == newest
        newest.lake.verify(newest.path, newest.file, "")


def test_a_snapshot_of_a_later_instant_that_was_asked_for_is_newest_until_the_next_of_now(
    lake: Lake, engine: Engine, scratch: Path
) -> None:
    fill(lake, some_events(14, users=30, days=30))
    now = daily(lake, engine, scratch)["snapshot_time"]
    later = daily(lake, engine, scratch, START + timedelta(days=90))["snapshot_time"]
    assert DailySnapshot.newest(lake).instant.isoformat() == later
    daily(lake, engine, scratch)
    assert DailySnapshot.newest(lake).instant.isoformat() == now
    assert len(lake.sizes("daily_features/latest")) == 1


def test_again_is_of_the_newest_snapshots_instant_and_before_the_first_of_the_newest_event(
    lake: Lake, engine: Engine, scratch: Path
) -> None:
    fill(lake, some_events(14, users=30, days=30))
    assert newest_instant(lake) is None
    made = daily(lake, engine, scratch)
    assert newest_instant(lake) == datetime.fromisoformat(made["snapshot_time"])


def test_again_with_an_instant_is_of_the_later_of_the_two_and_so_never_goes_back(lake: Lake) -> None:
    fill(lake, some_events(14, users=30, days=30))

    def instant(*options: str) -> str:
        done = CliRunner().invoke(app, ["snapshot", "daily", *options], env={"PARQUET_OUT": lake.url})
        assert done.exit_code == 0, done.output
        return DailySnapshot.newest(lake).instant.isoformat()

    assert instant("--again", "--as-of", "2026-01-15") == "2026-01-15T00:00:00+00:00"
    assert instant("--again", "--as-of", "2026-01-20") == "2026-01-20T00:00:00+00:00"
    assert instant("--again", "--as-of", "2026-01-10") == "2026-01-20T00:00:00+00:00"
    assert not lake.exists("daily_features/snapshot_date=2026-01-10/manifest.json")


def test_events_that_came_late_are_in_the_snapshot_made_again(lake: Lake) -> None:
    known = some_events(14, users=30, days=30)
    late = min(known, key=lambda event: event["ts"]) | {"event_id": "late", "user_id": "late"}
    seen = []
    for events in (known, [*known, late]):
        fill(lake, events)
        options = ["--again", "--as-of", "2026-01-25"]
        done = CliRunner().invoke(app, ["snapshot", "daily", *options], env={"PARQUET_OUT": lake.url})
        assert done.exit_code == 0, done.output
        snapshot = DailySnapshot.newest(lake)
        seen.append({user for block in snapshot.blocks(["user_id"]) for user in block.column(0).to_pylist()})
    assert seen[1] - seen[0] == {"late"}


def test_an_older_day_built_while_a_newer_one_ends_does_not_become_the_newest(lake: Lake) -> None:
    newer, older = (datetime(2026, 1, day, tzinfo=UTC) for day in (5, 4))

    class BetweenReadAndWrite(Lake):
        def write_json(self, relative: str, value: Any) -> None:
            if "/latest/" in relative and "04T" in relative:
                write_daily(lake, feature_rows(2, seed=1)[0], newer)
            super().write_json(relative, value)

    write_daily(lake, feature_rows(2, seed=1)[0], datetime(2026, 1, 3, tzinfo=UTC))
    slow = BetweenReadAndWrite(lake.url)
    written = lake.add_table("daily_features/snapshot_date=2026-01-04", "part", pa.table({"a": [1]}))
    manifest = {"folder": "daily_features/snapshot_date=2026-01-04", "files": {"part": msgspec.to_builtins(written)}}
    point(slow, manifest, older, instead_of=None)
    assert DailySnapshot.newest(lake).instant == newer


def test_an_answer_after_a_failed_statement_holds_nothing_of_it(engine: Engine, scratch: Path) -> None:
    (scratch / "damaged.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(LakeError, match="Parquet"):
        engine.rows(f"SELECT count() AS x FROM file('{scratch}/damaged.parquet', 'Parquet', 'a String')")
    assert engine.rows("SELECT 2 AS y") == [{"y": 2}]


def test_an_engine_with_too_little_memory_names_the_setting(lake: Lake, tmp_path: Path) -> None:
    from anmodel.errors import SettingError

    fill(lake, some_events(15, users=100, most=500))
    with Engine(tmp_path, threads=1, memory_mb=1) as small, pytest.raises(SettingError, match="SNAPSHOT_MEMORY_MB"):
        small.rows(daily_sql(source(lake), START + timedelta(days=60)))


def start(lake: Lake, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "anmodel", "snapshot", *arguments],
        env={**os.environ, "PARQUET_OUT": lake.url, "SNAPSHOT_MEMORY_MB": "1000", "SNAPSHOT_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def anmodel(lake: Lake, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "anmodel", "snapshot", *arguments],
        env={**os.environ, "PARQUET_OUT": lake.url},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_commands_build_both_snapshots_and_describe_the_features(lake: Lake) -> None:
    fill(lake, some_events(17, users=30, days=60))
    trained = anmodel(lake, "train", "--name", "model1")
    assert (trained.returncode, "split by time" in trained.stdout) == (0, True), trained
    made = anmodel(lake, "daily", "--as-of", "2026-02-01")
    assert (made.returncode, "as of 2026-02-01T00:00:00+00:00" in made.stdout) == (0, True), made
    assert DailySnapshot.newest(lake).instant == datetime(2026, 2, 1, tzinfo=UTC)
    described = anmodel(lake, "--describe")
    assert described.returncode == 0
    assert all(name in described.stdout for name in FEATURE_NAMES)
    refused = anmodel(lake, "daily", "--as-of", "yesterday")
    assert (refused.returncode, "'yesterday'" in refused.stderr) == (2, True), refused
    assert lake.sizes(".tmp") == {}


@pytest.mark.parametrize("words", [["train", "--name", "model1"], ["daily"]])
def test_two_snapshots_of_one_name_at_once_and_one_killed_end_in_one_whole_snapshot(
    lake: Lake, words: list[str]
) -> None:
    fill(lake, some_events(17, users=30, days=60))
    folder = "snapshots/model1" if words[0] == "train" else "daily_features"
    running = [start(lake, *words) for _ in range(3)]
    eventually(lambda: any("-" in name for name in lake.sizes(folder)), 60)
    running[0].kill()
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running[1:]] == [0, 0], said
    if words[0] == "train":
        manifest = read_manifest(lake, "model1")
        assert all(len(read_sample(lake, manifest, part).bought) for part in ("train", "val", "test"))
    else:
        snapshot = DailySnapshot.newest(lake)
        snapshot.check(contract(H), "the model")
        assert len(lake.sizes("daily_features/latest")) == 1
    held = lake.sizes(folder)
    assert anmodel(lake, *words).returncode == 0
    assert lake.sizes(folder) == held
