"""Migrations in both layouts, on the real engine.

The laptop's engine has ClickHouse's Distributed and Replicated tables, and a Keeper of its own for tests; it has no
second server and runs nothing ON CLUSTER. So statements ON CLUSTER are read by its parser, and the tables of a cluster
of one server are made, filled by the consumer's code and read by the readers', without Keeper.
"""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from anmodel import schema
from anmodel.consumer.blocks import Block, Partition
from anmodel.consumer.metrics import ConsumerMetrics
from anmodel.consumer.past import Past
from anmodel.consumer.plan import fresh_plan
from anmodel.consumer.present import Present
from anmodel.consumer.storing import Storage
from anmodel.consumer.streams import events_stream
from anmodel.errors import ContractError, SettingError, WarehouseError
from anmodel.export.table import EventsTable
from anmodel.findings import REPORTS_SCHEMA
from anmodel.forecasts import FORECASTS_SCHEMA
from anmodel.gateway.forecast_store import ForecastStore
from anmodel.gateway.selection import Selection
from anmodel.laptop.guardian import Guardian
from anmodel.layouts import Cluster, Layout
from anmodel.migrations import statements as change_statements
from anmodel.model.distribution import distribution
from anmodel.monitor.outcomes import finished_runs, outcomes
from anmodel.monitor.shifts import Shifts
from anmodel.predictions import PREDICTIONS_SCHEMA
from anmodel.score.finishing import RUNS_SCHEMA
from anmodel.settings import ClickHouseSettings, ConsumerSettings
from anmodel.warehouse import EVENTS_SCHEMA, Warehouse
from clickhouse_process import ClickHouseProcess
from eventually import eventually

CHANGES = [change for version in schema.VERSIONS for change in version]
TABLES = [change for change in CHANGES if isinstance(change, schema.Table)] + [schema.SCHEMA_VERSIONS]
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PARTITION = Partition("events", 3)
EVENTS = events_stream(ConsumerSettings.load(clickhouse_password="unused"))
_numbers = itertools.count(1)

# `one` is a cluster of this server; `two` has it as both its shards, so that statements are judged as for many shards;
# the second shard of `half` does not answer.
_SHARD = "<shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard>"
_CONFIG = f"""\
<clickhouse>
    <tcp_port>9000</tcp_port>
    <macros><shard>0</shard><replica>r0</replica></macros>
    <zookeeper><implementation>testkeeper</implementation><node><host>none</host><port>1</port></node></zookeeper>
    <remote_servers>
        <one>{_SHARD}</one>
        <two>{_SHARD}{_SHARD.replace("127.0.0.1", "localhost")}</two>
        <half>{_SHARD}{_SHARD.replace("9000", "1")}</half>
    </remote_servers>
</clickhouse>
"""


class HereAlone(Cluster):
    """A cluster whose statements run on the server that is asked, alone."""

    @property
    def _on(self) -> str:
        return ""


class WithoutKeeper(HereAlone):
    """The same, with tables that are not replicated."""

    @property
    def _tokens(self) -> str:
        return "non_replicated_deduplication_window"

    def _engine(self, table: schema.Table) -> str:
        return "ReplacingMergeTree" + (f"({table.newest})" if table.newest else "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, guardian: Guardian) -> Iterator[ClickHouseProcess]:
    """An engine that knows the clusters `one` and `two`."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "cluster.xml").write_text(_CONFIG)
    process = ClickHouseProcess(folder, guardian)
    process.start()
    yield process
    process.kill()


def settings_of(clickhouse: ClickHouseProcess) -> ClickHouseSettings:
    """The settings of a database nobody else uses."""
    return ClickHouseSettings.load(
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_db=f"migrate_{next(_numbers)}",
    )


@pytest.fixture
def warehouse(server: ClickHouseProcess) -> Warehouse:
    return Warehouse.connect(settings_of(server))


def number(warehouse: Warehouse, what: str, rest: str) -> int:
    return int(warehouse.query(f"SELECT {what} AS n FROM {warehouse.db}.{rest}")[0]["n"])


def engines(warehouse: Warehouse) -> dict[str, str]:
    rows = warehouse.query("SELECT name, engine FROM system.tables WHERE database = {db:String}", {"db": warehouse.db})
    return {row["name"]: row["engine"] for row in rows}


def events(first: int, last: int, **columns: Any) -> pa.Table:
    """Events of 50 users over three months, one for each offset, all different."""
    offsets = range(first, last + 1)
    kinds = ["page_view", "purchase"]
    rows = [
        {
            "event_id": f"e{offset}",
            "event_type": kinds[offset % 2],
            "ts": NOON - timedelta(days=offset % 60, minutes=offset),
            "session_id": "s",
            "user_id": f"u{offset % 50}",
            "region": "UA-30",
            "item_id": "i",
            "price": 1.5,
            "properties": "{}",
            "received_at": NOON,
            "partition": PARTITION.number,
            "offset": offset,
            **columns,
        }
        for offset in offsets
    ]
    return pa.Table.from_pylist(rows, schema=EVENTS_SCHEMA)


def block(first: int, last: int) -> Block:
    return Block(PARTITION, first, last, events(first, last), [], first * 31 + last)


def a_storage(warehouse: Warehouse) -> Storage:
    return Storage(warehouse, Present(warehouse, EVENTS), EVENTS, ConsumerMetrics())


NEVER_GONE = threading.Event()


# ---- one server


def test_tables_are_made_once_and_a_second_migration_changes_nothing(warehouse: Warehouse) -> None:
    assert warehouse.migrate() == len(schema.VERSIONS)
    before = warehouse.query("SELECT * FROM system.tables WHERE database = {db:String}", {"db": warehouse.db})
    applied = warehouse.query(f"SELECT * FROM {warehouse.db}.schema_versions")
    assert warehouse.migrate() == len(schema.VERSIONS)
    assert warehouse.query(f"SELECT * FROM {warehouse.db}.schema_versions") == applied
    assert len(before) == len(TABLES)
    assert set(engines(warehouse).values()) == {"ReplacingMergeTree"}


@pytest.mark.parametrize("layout", [None, WithoutKeeper])
def test_retention_is_set_changed_and_taken_away(warehouse: Warehouse, layout: type[Cluster] | None) -> None:
    lie = layout(warehouse.db, "one") if layout else None
    held = "events_raw_local" if layout else "events_raw"

    def kept() -> str:
        return str(warehouse.query(f"SHOW CREATE TABLE {warehouse.db}.{held}")[0]["statement"])

    for days in (0, 30, 30, 3, 0):
        warehouse.migrate(lie, events_ttl_days=days)
        assert ("TTL" in kept()) == bool(days)
        assert (f"toIntervalDay({days})" in kept()) == bool(days)


def test_a_cluster_that_the_server_does_not_know_is_refused_with_those_it_knows(warehouse: Warehouse) -> None:
    with pytest.raises(SettingError, match=r"CLICKHOUSE_CLUSTER is wrong: got 'shop'; .* knows: half, one, two\."):
        warehouse.migrate(Cluster(warehouse.db, "shop"))


def test_tables_that_lie_otherwise_are_refused_and_left_as_they_are(warehouse: Warehouse) -> None:
    warehouse.migrate()
    made = engines(warehouse)
    with pytest.raises(ContractError, match=r"lie on one server.*on the cluster 'one'"):
        warehouse.migrate(WithoutKeeper(warehouse.db, "one"))
    assert engines(warehouse) == made


def test_tables_of_a_cluster_are_refused_where_no_cluster_is_named(warehouse: Warehouse) -> None:
    warehouse.migrate(WithoutKeeper(warehouse.db, "one"))
    with pytest.raises(ContractError, match=r"lie on the cluster 'one'.*Set CLICKHOUSE_CLUSTER=one"):
        warehouse.migrate()
    with pytest.raises(ContractError, match=r"on the cluster 'one'.*on the cluster 'two'"):
        warehouse.migrate(WithoutKeeper(warehouse.db, "two"))


# ---- a cluster: its statements


def test_the_engine_can_read_every_statement_of_a_cluster(warehouse: Warehouse) -> None:
    cluster = Cluster(warehouse.db, "one")
    statements = [cluster.create_database(), cluster.kill("startsWith(Settings['log_comment'], 'a')")]
    statements += [statement for change in CHANGES for statement in change_statements(cluster, change)]
    for table in TABLES:
        statements += [*cluster.create(table), *cluster.settle(table), cluster.alter(table, "REMOVE TTL")]
    for statement in statements:
        text = warehouse.query("SELECT formatQuery({text:String}) AS text", {"text": statement})[0]["text"]
        assert "ON CLUSTER one" in text or "ON CLUSTER 'one'" in text


def test_the_engine_makes_the_replicated_tables_and_what_stands_for_them(warehouse: Warehouse) -> None:
    warehouse.command(f"CREATE DATABASE {warehouse.db}")
    cluster = HereAlone(warehouse.db, "one")
    for statement in itertools.chain(*(cluster.create(table) * 2 for table in TABLES)):
        warehouse.command(statement)
    made = engines(warehouse)
    assert {made[table.name] for table in TABLES} == {"Distributed"}
    assert {made[f"{table.name}_local"] for table in TABLES} == {"ReplicatedReplacingMergeTree"}
    paths = warehouse.query("SELECT zookeeper_path AS path, replica_name AS replica FROM system.replicas")
    assert {"path": f"/clickhouse/tables/one/0/{warehouse.db}/forecasts_local", "replica": "r0"} in paths


@pytest.mark.parametrize("layout", [None, WithoutKeeper])
def test_a_database_of_an_older_version_gets_the_columns_that_are_new_and_keeps_its_rows(
    warehouse: Warehouse, layout: type[Cluster] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie = layout(warehouse.db, "one") if layout else None
    with monkeypatch.context() as older:
        older.setattr(schema, "VERSIONS", schema.VERSIONS[:2])
        warehouse.migrate(lie)
    warehouse.command(f"INSERT INTO {warehouse.db}.forecasts (user_id, purchase_proba) VALUES ('u', 0.5)")
    warehouse.migrate(lie)
    rows = warehouse.query(f"SELECT purchase_proba, purchase_proba_30d, spend_mean FROM {warehouse.db}.forecasts")
    assert rows == [{"purchase_proba": 0.5, "purchase_proba_30d": None, "spend_mean": None}]
    described = warehouse.query(f"DESCRIBE TABLE {warehouse.db}.forecasts")
    assert [row["name"] for row in described] == FORECASTS_SCHEMA.names


def test_a_migration_of_a_cluster_may_be_repeated_and_gives_a_server_that_joined_its_tables(
    warehouse: Warehouse,
) -> None:
    cluster = WithoutKeeper(warehouse.db, "one")
    warehouse.migrate(cluster)
    applied = warehouse.query(f"SELECT * FROM {warehouse.db}.schema_versions")
    warehouse.command(f"DROP TABLE {warehouse.db}.forecasts")
    warehouse.command(f"DROP TABLE {warehouse.db}.forecasts_local")
    warehouse.migrate(cluster)
    assert {"forecasts", "forecasts_local"} <= set(engines(warehouse))
    assert warehouse.query(f"SELECT * FROM {warehouse.db}.schema_versions") == applied


def test_a_replica_that_joins_later_is_taken_by_keeper(warehouse: Warehouse) -> None:
    cluster, now = HereAlone(warehouse.db, "one"), [schema.HORIZONS_AND_SPEND]
    for statement in (cluster.create_database(), *change_statements(cluster, schema.FORECASTS, now)):
        warehouse.command(statement)

    def joining(*added: schema.Columns) -> str:
        held = change_statements(cluster, schema.FORECASTS, added)[0]
        return held.replace("forecasts_local", "forecasts_of_another", 1).replace("{replica}", "r1")

    with pytest.raises(WarehouseError, match="122"):
        warehouse.command(joining())
    warehouse.command(joining(*now))
    described = warehouse.query(f"DESCRIBE TABLE {warehouse.db}.forecasts_of_another")
    assert [row["name"] for row in described] == FORECASTS_SCHEMA.names


# ---- a cluster: writing and reading


@pytest.fixture
def cluster(warehouse: Warehouse) -> Warehouse:
    """A database whose tables lie on the cluster `one`."""
    warehouse.migrate(WithoutKeeper(warehouse.db, "one"))
    return warehouse


def test_an_insert_is_in_when_it_is_confirmed_and_its_token_holds_on_the_shard(cluster: Warehouse) -> None:
    cluster.insert_arrow("events_raw", events(0, 999), token="a")
    assert number(cluster, "count()", "events_raw_local") == 1000
    cluster.insert_arrow("events_raw", events(0, 999, session_id="other"), token="a")
    assert number(cluster, "countIf(session_id = 'other')", "events_raw_local") == 0
    cluster.insert_arrow("events_raw", events(0, 999, session_id="other"), token="b")
    assert number(cluster, "countIf(session_id = 'other')", "events_raw_local") == 1000
    assert number(cluster, "count()", "events_raw FINAL") == 1000


def test_the_consumer_stores_each_event_once_whatever_it_has_tried_before(cluster: Warehouse) -> None:
    storage, first_life = a_storage(cluster), Past(PARTITION, fresh_plan(0))
    storage.store(block(0, 999), first_life, NEVER_GONE)
    storage.store(block(0, 999), first_life, NEVER_GONE)  # its answer was lost
    another = Past(PARTITION, fresh_plan(500))  # which does not know how far the first came
    storage.store(block(500, 1499), another, NEVER_GONE)
    assert number(cluster, "count()", "events_raw_local") == 1500
    assert number(cluster, "count()", "events_raw FINAL") == 1500
    assert number(cluster, "uniqExact(offset)", "events_raw") == 1500


def test_a_block_that_came_in_by_half_is_made_whole(cluster: Warehouse) -> None:
    cluster.insert_arrow("events_raw", events(0, 99).slice(0, 40))  # one shard has taken its rows, the other has not
    a_storage(cluster).store(block(0, 99), Past(PARTITION, fresh_plan(0)), NEVER_GONE)
    assert number(cluster, "count()", "events_raw_local") == 100


@pytest.fixture
def half(warehouse: Warehouse) -> Warehouse:
    """A database whose events lie on a cluster of which one shard is away."""
    warehouse.command(f"CREATE DATABASE {warehouse.db}")
    for statement in WithoutKeeper(warehouse.db, "half").create(schema.EVENTS_RAW):
        warehouse.command(statement)
    return warehouse


def test_rows_that_were_only_noted_down_to_be_sent_on_are_not_confirmed(half: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="did not confirm"):
        half.insert_arrow("events_raw", events(0, 9))


def test_a_server_that_is_away_does_not_keep_the_consumer_from_asking_the_others(half: Warehouse) -> None:
    assert half.end_statements("anmodel-consumer:") is False


def test_the_consumer_sees_inserts_that_run_on_any_server(cluster: Warehouse, server: ClickHouseProcess) -> None:
    comment = f"anmodel-consumer:{cluster.db}"
    sql = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 7"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.ask, sql, query_id=cluster.db, log_comment=comment)
        try:
            eventually(lambda: _refused_to_end(cluster, comment))
        finally:
            server.ask(f"KILL QUERY WHERE query_id = '{cluster.db}' SYNC")
        assert running.result(20).status != 200


def _refused_to_end(warehouse: Warehouse, comment: str) -> bool:
    """Whether a statement was found: ending it everywhere is what this engine has no way to."""
    try:
        warehouse.end_statements(comment)
    except WarehouseError as error:
        return "Replicated DDL" in str(error)
    return False


@pytest.fixture(params=["one", "two"])
def scored(request: pytest.FixtureRequest, server: ClickHouseProcess) -> tuple[Warehouse, ForecastStore, int]:
    """Events and forecasts of 50 users on a cluster; the readers' store; and how often each row is read."""
    settings = settings_of(server)
    warehouse = Warehouse.connect(settings)
    layout: Layout = WithoutKeeper(settings.clickhouse_db, request.param)
    warehouse.migrate(layout)
    warehouse.insert_arrow("events_raw", events(0, 999))
    run = {
        "snapshot_time": NOON - timedelta(days=30),
        "model_name": "m",
        "model_version": "1",
        "snapshot_version": "v",
        "horizon_days": 7,
        "scored_at": NOON,
    }
    said = {field.name: 0.5 for field in FORECASTS_SCHEMA if pa.types.is_floating(field.type)}
    rows = [
        {**run, **said, "user_id": f"u{user}", "region": "UA-30", "segment": "hot", "will_purchase_pred": 1,
         "reasons": "[]", "features": '{"total_spent": 3}', "purchase_proba": user / 50}
        for user in range(50)
    ]  # fmt: skip
    warehouse.insert_arrow("forecasts", pa.Table.from_pylist(rows, schema=FORECASTS_SCHEMA))
    finished = pa.Table.from_pylist([{**run, "users": 50}], schema=RUNS_SCHEMA)
    warehouse.insert_arrow("forecast_runs", finished)
    return warehouse, ForecastStore(settings, "m"), {"one": 1, "two": 2}[request.param]


def test_the_gateways_questions_are_answered_by_a_cluster(scored: tuple[Warehouse, ForecastStore, int]) -> None:
    warehouse, store, times = scored
    run = store.newest_run()
    assert store.count(run, Selection()) == 50 * times
    page = store.page(run, Selection(limit=3 * times, offset=2 * times, sort="total_spent"))
    assert len(page) == 3 * times  # `two` has every row twice
    assert len(list(store.lines(run, Selection()))) == 50 * times
    found = store.user(run, "u7")
    assert found is not None
    assert found["user_id"] == "u7"
    assert len(store.recent_events("u7")) == 20
    assert [row["users"] for row in store.segments(run)] == [50 * times]
    row = {
        "snapshot_time": NOON,
        "model_name": "m",
        "model_version": "1",
        "feature": "",
        "level": "ok",
        "made_at": NOON,
    }
    rows = [{**row, "metric": metric, "value": 3.0} for metric in ("mean_chance", "live_users")]
    warehouse.insert_arrow("monitor_reports", pa.Table.from_pylist(rows, schema=REPORTS_SCHEMA))
    assert len(store.findings("1")) == 2 * times
    assert [past["measured"] for past in store.past_runs(3)] == [[("live_users", 3.0)] * times]


def test_the_monitors_and_exports_questions_are_answered_by_a_cluster(
    scored: tuple[Warehouse, ForecastStore, int],
) -> None:
    warehouse, _, times = scored
    (run, *_) = finished_runs(warehouse, "m", 3)
    asked = {field.name: 0 for field in PREDICTIONS_SCHEMA if pa.types.is_floating(field.type)}
    asked |= {"service": "m", "model_version": "1", "predicted_at": run.snapshot_time, "features": "{}"}
    rows = [
        {
            **asked,
            "prediction_id": f"p{user}",
            "user_id": f"u{user}",
            "will_purchase_pred": 0,
            "partition": 0,
            "offset": 0,
        }
        for user in range(50)
    ]
    warehouse.insert_arrow("predictions", pa.Table.from_pylist(rows, schema=PREDICTIONS_SCHEMA))
    shifts = Shifts(warehouse, "m", "1", distribution(np.linspace(0, 1, 50), None))
    assert shifts.of_run(run.snapshot_time, 7) == [] == shifts.online(), "too few, but the questions are understood"
    found = {one.metric: one.value for one in outcomes(warehouse, run)}
    assert found["live_users"] == 50 * times
    assert 0 < found["live_buyers"] < 50 * times
    assert found["live_online_users"] == 50
    assert found["live_online_buyers"] * times == found["live_buyers"]
    table = EventsTable(warehouse, rows_a_group=1000)
    days = table.days(date(2026, 1, 1), None)
    assert sum(day.rows for day in days.values()) == 1000 * times
    assert table.repeated_ids(date(2026, 1, 1), None) == (1000 if times == 2 else 0)
    with table.parquet(max(days)) as file:
        assert file.read(4) == b"PAR1"


def test_there_is_nothing_to_wait_for_on_one_server(warehouse: Warehouse) -> None:
    warehouse.migrate()
    warehouse.settle(schema.FORECASTS)
