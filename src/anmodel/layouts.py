"""How the tables lie: on one server, or spread over a ClickHouse cluster. The one place where statements differ by it.

OneServer   each table is what its name says
Cluster     NAME_local on every server holds that server's share and is replicated; NAME, on every server too, stands
            for all of them together: it is what everybody reads and writes
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from anmodel.schema import Columns, Table


class Layout(Protocol):
    """How the tables of a database lie, and the statements that differ by it."""

    @property
    def cluster(self) -> str:
        """The ClickHouse cluster's name; empty: one server."""

    @property
    def repeats_versions(self) -> bool:
        """Whether versions that were applied are applied again."""

    def create_database(self) -> str: ...

    def create(self, table: Table, added: Sequence[Columns] = ()) -> list[str]:
        """The statements that make the table where it is missing; `added` are columns that it has elsewhere by now."""

    def extend(self, columns: Columns) -> list[str]:
        """The statements that give a table its columns where they are missing."""

    def holder(self, table: Table) -> str:
        """The table that holds the rows on a server, without its database."""

    def alter(self, table: Table, change: str) -> str:
        """Change the tables that hold the rows, on every server."""

    def everywhere(self, system_table: str) -> str:
        """What to read FROM to see a system table of every server."""

    def kill(self, condition: str) -> str:
        """End the statements that the condition on `system.processes` names, on every server. Does not wait."""

    def settle(self, table: Table) -> list[str]:
        """The statements that wait until every replica has what was inserted."""


@dataclass(frozen=True)
class OneServer:
    """Tables on one server."""

    db: str
    cluster = ""
    repeats_versions = False

    def create_database(self) -> str:
        return f"CREATE DATABASE IF NOT EXISTS {self.db}"

    def create(self, table: Table, added: Sequence[Columns] = ()) -> list[str]:
        engine = "ReplacingMergeTree" + (f"({table.newest})" if table.newest else "")
        name = f"{self.db}.{table.name}"
        return [_with(table.ddl, added).format(table=name, engine=engine, tokens="non_replicated_deduplication_window")]

    def extend(self, columns: Columns) -> list[str]:
        return [self.alter(columns.table, _added(columns))]

    def holder(self, table: Table) -> str:
        return table.name

    def alter(self, table: Table, change: str) -> str:
        return f"ALTER TABLE {self.db}.{self.holder(table)} {change}"

    def everywhere(self, system_table: str) -> str:
        return system_table

    def kill(self, condition: str) -> str:
        return f"KILL QUERY WHERE {condition} ASYNC"

    def settle(self, table: Table) -> list[str]:
        return []


@dataclass(frozen=True)
class Cluster:
    """Tables on the shards and replicas of a ClickHouse cluster.

    Each server has the macros {shard} and {replica}, as operators set them. The replicas of a shard share a path in
    Keeper that is written out, not made of the table's UUID: a server that joins later must find the same.
    """

    db: str
    cluster: str
    repeats_versions = True

    def create_database(self) -> str:
        return f"CREATE DATABASE IF NOT EXISTS {self.db}{self._on}"

    def create(self, table: Table, added: Sequence[Columns] = ()) -> list[str]:
        """A replica that joins must make the table as the others have it, or Keeper refuses it."""
        local = f"{self.db}.{self.holder(table)}"
        held = _with(table.ddl, added).format(
            table=f"{local}{self._on}", engine=self._engine(table), tokens=self._tokens
        )
        place = f"'{self.cluster}', '{self.db}', '{self.holder(table)}', {table.shard}"
        spread = f"CREATE TABLE IF NOT EXISTS {self.db}.{table.name}{self._on} AS {local} ENGINE = Distributed({place})"
        return [held, spread]

    def extend(self, columns: Columns) -> list[str]:
        """The table that holds the rows first: who reads the other finds the columns there."""
        spread = f"ALTER TABLE {self.db}.{columns.table.name}{self._on} {_added(columns)}"
        return [self.alter(columns.table, _added(columns)), spread]

    def holder(self, table: Table) -> str:
        return f"{table.name}_local"

    def alter(self, table: Table, change: str) -> str:
        return f"ALTER TABLE {self.db}.{self.holder(table)}{self._on} {change}"

    def everywhere(self, system_table: str) -> str:
        return f"clusterAllReplicas('{self.cluster}', {system_table})"

    def kill(self, condition: str) -> str:
        return f"KILL QUERY{self._on} WHERE {condition} ASYNC"

    def settle(self, table: Table) -> list[str]:
        return [f"SYSTEM SYNC REPLICA{self._on} {self.db}.{self.holder(table)} LIGHTWEIGHT"]

    @property
    def _on(self) -> str:
        return f" ON CLUSTER '{self.cluster}'"

    @property
    def _tokens(self) -> str:
        return "replicated_deduplication_window"

    def _engine(self, table: Table) -> str:
        path = f"/clickhouse/tables/{self.cluster}/{{shard}}/{self.db}/{self.holder(table)}"
        newest = f", {table.newest}" if table.newest else ""
        return f"ReplicatedReplacingMergeTree('{path}', '{{replica}}'{newest})"


def _with(ddl: str, added: Sequence[Columns]) -> str:
    for columns in added:
        ddl = columns.within(ddl)
    return ddl


def _added(columns: Columns) -> str:
    places = zip((columns.after, *columns.types), columns.types.items(), strict=False)
    return ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {kind} AFTER {before}" for before, (name, kind) in places)


def layout_of(db: str, cluster: str) -> Layout:
    """The layout on a cluster of that name; an empty one: on one server."""
    return Cluster(db, cluster) if cluster else OneServer(db)


def found_layout(db: str, engine: str) -> Layout:
    """The layout of tables that are there, by the full engine of `events_raw` as `system.tables` tells it."""
    spread = re.match(r"Distributed\('([^']*)'", engine)
    return layout_of(db, spread[1] if spread else "")
