"""What the tables' DDL says, for one server and for a cluster."""

import hashlib

import pytest

from anmodel import schema
from anmodel.layouts import Cluster, Layout, OneServer, found_layout, layout_of
from anmodel.migrations import statements

CHANGES = [change for version in schema.VERSIONS for change in version]
TABLES = [change for change in CHANGES if isinstance(change, schema.Table)] + [schema.SCHEMA_VERSIONS]
CLUSTER = Cluster("analytics", "shop")
RELEASED = [
    "664a9ddf1f400845e6610bcf43034fbc405fef85e8b1ff7ec4fd148d30516161",
    "1ccadd9e382c05b5b55a74f81a3a96270d8abe781540f451ab0e3ae5bad437f2",
    "cfc24716107f28b85dbe9abe068aa42cfb93adf4a2a1dd77e970c4826a2f7077",
]
"""Fingerprints of the released versions' statements on one server, which never change."""


def test_a_released_version_stays_as_it_is() -> None:
    for changes, fingerprint in zip(schema.VERSIONS, RELEASED, strict=True):
        text = "".join(statement for change in changes for statement in statements(OneServer("analytics"), change))
        assert hashlib.sha256(text.encode()).hexdigest() == fingerprint


def test_columns_are_added_one_behind_the_other_to_every_table_of_the_name() -> None:
    added = schema.Columns(schema.FORECASTS, "a", {"b": "Float64", "c": "String"})
    words = "ADD COLUMN IF NOT EXISTS b Float64 AFTER a, ADD COLUMN IF NOT EXISTS c String AFTER b"
    assert OneServer("d").extend(added) == [f"ALTER TABLE d.forecasts {words}"]
    assert CLUSTER.extend(added) == [
        f"ALTER TABLE analytics.forecasts_local ON CLUSTER 'shop' {words}",
        f"ALTER TABLE analytics.forecasts ON CLUSTER 'shop' {words}",
    ]


def test_a_replica_that_joins_makes_a_table_with_the_columns_that_the_others_have_by_now() -> None:
    added = schema.Columns(schema.FORECASTS, "segment", {"b": "Float64", "c": "String"})
    held, _ = statements(CLUSTER, schema.FORECASTS, [added])
    lines = [line.split()[:2] for line in held.splitlines()]
    place = lines.index(["segment", "LowCardinality(String),"])
    assert lines[place + 1 : place + 3] == [["b", "Float64,"], ["c", "String,"]]
    assert statements(CLUSTER, schema.EVENTS_RAW, [added]) == CLUSTER.create(schema.EVENTS_RAW)


def test_one_server_has_one_table_a_name_and_no_word_of_clusters() -> None:
    for table in TABLES:
        (statement,) = OneServer("d").create(table)
        assert statement.startswith(f"\nCREATE TABLE IF NOT EXISTS d.{table.name} (")
        assert not any(word in statement for word in ("CLUSTER", "Replicated", "Distributed", "_local", "{", "}"))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_cluster_keeps_rows_in_replicated_tables_and_is_read_under_the_same_name(table: schema.Table) -> None:
    held, spread = CLUSTER.create(table)
    assert f"CREATE TABLE IF NOT EXISTS analytics.{table.name}_local ON CLUSTER 'shop' (" in held
    place = f"/clickhouse/tables/shop/{{shard}}/analytics/{table.name}_local"
    newest = f", {table.newest}" if table.newest else ""
    assert f"ENGINE = ReplicatedReplacingMergeTree('{place}', '{{replica}}'{newest})" in held
    assert spread == (
        f"CREATE TABLE IF NOT EXISTS analytics.{table.name} ON CLUSTER 'shop' AS analytics.{table.name}_local "
        f"ENGINE = Distributed('shop', 'analytics', '{table.name}_local', {table.shard})"
    )


def test_both_layouts_hold_the_same_columns_in_the_same_order_and_partitions() -> None:
    for table in TABLES:
        (one,), (held, _) = OneServer("analytics").create(table), CLUSTER.create(table)
        one = one.replace(f"analytics.{table.name}", f"analytics.{table.name}_local ON CLUSTER 'shop'", 1)
        assert [line for line in one.splitlines() if not line.startswith(("ENGINE", "SETTINGS"))] == [
            line for line in held.splitlines() if not line.startswith(("ENGINE", "SETTINGS"))
        ]


@pytest.mark.parametrize("table", [schema.EVENTS_RAW, schema.PREDICTIONS], ids=lambda table: table.name)
def test_repeats_are_known_by_their_token_in_both_layouts(table: schema.Table) -> None:
    (one,), (held, _) = OneServer("d").create(table), CLUSTER.create(table)
    assert "SETTINGS non_replicated_deduplication_window = 1000" in one
    assert "SETTINGS replicated_deduplication_window = 1000" in held


def test_rows_that_replace_each_other_meet_on_one_shard() -> None:
    """The sharding expression is made of columns of the sorting key."""
    for table in TABLES:
        columns = table.shard.removeprefix("cityHash64(").removesuffix(")").split(", ")
        key = table.ddl.split("ORDER BY ")[1].split("\n")[0]
        assert all(column in key for column in columns), table.name


def test_rows_of_users_are_sharded_by_user() -> None:
    """Predictions are of records; whose they were is not always known."""
    for table in set(TABLES) - {schema.PREDICTIONS}:
        assert ("\n    user_id " in table.ddl) == (table.shard == "cityHash64(user_id)"), table.name


@pytest.mark.parametrize(
    ("engine", "layout"),
    [
        ("ReplacingMergeTree PARTITION BY toYYYYMM(ts)", OneServer("d")),
        ("SharedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}')", OneServer("d")),
        ("Distributed('shop', 'd', 'events_raw_local', cityHash64(user_id))", Cluster("d", "shop")),
    ],
)
def test_the_layout_is_known_by_the_table_that_is_there(engine: str, layout: Layout) -> None:
    assert found_layout("d", engine) == layout


def test_no_cluster_is_one_server() -> None:
    assert layout_of("d", "") == OneServer("d")
    assert layout_of("d", "shop") == Cluster("d", "shop")


def test_on_a_cluster_every_server_is_asked_and_told() -> None:
    assert CLUSTER.everywhere("system.processes") == "clusterAllReplicas('shop', system.processes)"
    assert CLUSTER.kill("a = 1") == "KILL QUERY ON CLUSTER 'shop' WHERE a = 1 ASYNC"
    assert CLUSTER.alter(schema.EVENTS_RAW, "REMOVE TTL") == (
        "ALTER TABLE analytics.events_raw_local ON CLUSTER 'shop' REMOVE TTL"
    )
    assert CLUSTER.settle(schema.FORECASTS) == [
        "SYSTEM SYNC REPLICA ON CLUSTER 'shop' analytics.forecasts_local LIGHTWEIGHT"
    ]
    assert CLUSTER.create_database() == "CREATE DATABASE IF NOT EXISTS analytics ON CLUSTER 'shop'"


def test_on_one_server_it_alone_is_asked_and_told() -> None:
    one = OneServer("d")
    assert one.everywhere("system.processes") == "system.processes"
    assert one.kill("a = 1") == "KILL QUERY WHERE a = 1 ASYNC"
    assert one.alter(schema.EVENTS_RAW, "REMOVE TTL") == "ALTER TABLE d.events_raw REMOVE TTL"
    assert one.settle(schema.FORECASTS) == []
