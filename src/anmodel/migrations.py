"""Brings a database's tables to the newest version of the schema, in the layout that is asked for."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from anmodel import schema
from anmodel.errors import ContractError, SettingError
from anmodel.layouts import Layout, found_layout

INSERT_SETTINGS: Final = {"distributed_foreground_insert": 1}
"""Of every insert: else rows that a server of a cluster has only noted down, to send them on, would count as in. On one
server it changes nothing."""


class Database(Protocol):
    """What a migration asks of a `Warehouse`."""

    db: str

    def command(self, statement: str, settings: Mapping[str, Any] | None = None) -> None: ...
    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]: ...


def migrate(database: Database, layout: Layout, events_ttl_days: int) -> int:
    """Apply the versions that are missing and set the events' retention; returns the newest version. Safe to repeat.

    On a cluster every server must answer. Raises `ContractError` when the tables that are there lie otherwise, and
    `SettingError` for a cluster that the server does not know.
    """
    _check_known(database, layout)
    _check_found(database, layout)
    for statement in (layout.create_database(), *layout.create(schema.SCHEMA_VERSIONS)):
        database.command(statement)
    record = f"{database.db}.schema_versions"
    done = {row["version"] for row in database.query(f"SELECT version FROM {record} FINAL")}
    added = [
        change
        for version in sorted(done)
        for change in schema.VERSIONS[version - 1]
        if isinstance(change, schema.Columns)
    ]
    for version, changes in enumerate(schema.VERSIONS, start=1):
        if version in done and not layout.repeats_versions:
            continue
        for statement in (statement for change in changes for statement in statements(layout, change, added)):
            database.command(statement)
        if version not in done:
            database.command(f"INSERT INTO {record} VALUES ({version}, now64(3, 'UTC'))", INSERT_SETTINGS)
    _set_retention(database, layout, events_ttl_days)
    return len(schema.VERSIONS)


def statements(
    layout: Layout, change: schema.Table | schema.Columns, added: Sequence[schema.Columns] = ()
) -> list[str]:
    """What makes a change of the schema in a layout; `added` are the columns that tables have got by now."""
    if isinstance(change, schema.Columns):
        return layout.extend(change)
    return layout.create(change, [columns for columns in added if columns.table is change])


def engines_of_events(database: Database, layout: Layout) -> list[str]:
    """How `events_raw` is made on the servers of a layout, each way once; none where it is not there."""
    rows = database.query(
        f"SELECT DISTINCT engine_full FROM {layout.everywhere('system.tables')}"
        " WHERE database = {db:String} AND name = 'events_raw'",
        {"db": database.db},
    )
    return [row["engine_full"] for row in rows]


def _check_known(database: Database, layout: Layout) -> None:
    if not layout.cluster:
        return
    rows = database.query("SELECT DISTINCT cluster FROM system.clusters ORDER BY cluster")
    known = [row["cluster"] for row in rows]
    if layout.cluster not in known:
        allowed = ", ".join(known) or "none"
        raise SettingError(
            f"CLICKHOUSE_CLUSTER is wrong: got {layout.cluster!r}; clusters the server knows: {allowed}."
        )


def _check_found(database: Database, layout: Layout) -> None:
    """Refuse tables that lie otherwise than asked for: CREATE … IF NOT EXISTS would leave them as they are."""
    for engine in engines_of_events(database, layout):
        found = found_layout(database.db, engine)
        if found.cluster != layout.cluster:
            raise ContractError(
                f"The tables of {database.db} lie {_where(found)}, and CLICKHOUSE_CLUSTER={layout.cluster} wants them "
                f"{_where(layout)}. Set CLICKHOUSE_CLUSTER={found.cluster}, or move the rows first: "
                "docs/decisions/013-clickhouse-cluster.md says how."
            )


def _where(layout: Layout) -> str:
    return f"on the cluster {layout.cluster!r}" if layout.cluster else "on one server"


def _set_retention(database: Database, layout: Layout, days: int) -> None:
    """Give `events_raw` a TTL, or take it away; tables that have it so already are left alone."""
    rows = database.query(
        f"SELECT create_table_query AS made FROM {layout.everywhere('system.tables')}"
        " WHERE database = {db:String} AND name = {table:String}",
        {"db": database.db, "table": layout.holder(schema.EVENTS_RAW)},
    )
    made = [str(row["made"]) for row in rows]
    wanted = f"TTL toDateTime(ts) + toIntervalDay({days})"
    if days and any(wanted not in text for text in made):
        database.command(layout.alter(schema.EVENTS_RAW, f"MODIFY {wanted}"))
    elif not days and any(" TTL " in text for text in made):
        database.command(layout.alter(schema.EVENTS_RAW, "REMOVE TTL"))
