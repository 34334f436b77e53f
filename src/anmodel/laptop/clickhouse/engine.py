"""The engine (chDB), one connection a query: 0.2 ms for a session that shares no setting with any other.

Every call here blocks the thread it is made in, with the interpreter's lock let go; a query is never made in the main
thread, which must stay free for signals.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Final

import chdb
import structlog
from chdb.state.sqlitelike import Connection

from anmodel.laptop.clickhouse.folder import CONFIG, DATA
from anmodel.laptop.clickhouse.problems import EngineError, from_engine, refusal
from anmodel.laptop.clickhouse.statement import quote

_ADDRESS: Final = f"{DATA}?config-file={CONFIG}"
_MARK: Final = (
    "query_id="  # before the client's query id, at the end of the log_comment: by it a running query is found
)
_NOT_STREAMED: Final = "Streaming query is not supported"
_KEPT_CHARACTERS: Final = 64 << 10
_KEPT_KINDS: Final = 128
_Kind = tuple[int, bool]
"""How many statements a text has, and whether the one there is only reads."""
log = structlog.get_logger()


@dataclass(slots=True)
class Summary:
    """What X-ClickHouse-Summary tells of one query."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    began: int = 0

    def as_header(self) -> dict[str, str]:
        """The header's fields; times in nanoseconds."""
        return {
            "read_rows": str(self.read_rows),
            "read_bytes": str(self.read_bytes),
            "written_rows": str(self.written_rows),
            "written_bytes": str(self.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": str(self.result_rows),
            "result_bytes": str(self.result_bytes),
            "elapsed_ns": str(perf_counter_ns() - self.began),
        }

    def add(self, result: Any) -> None:
        """Count one result, or one block of a streamed one."""
        self.read_rows += result.storage_rows_read()
        self.read_bytes += result.storage_bytes_read()
        self.result_rows += result.rows_read()
        self.result_bytes += result.size()


class Session:
    """One query's connection. Errors of the engine rise as `EngineError`."""

    def __init__(self, connection: Connection, version: str, kinds: dict[str, _Kind]) -> None:
        self._connection = connection
        self._version = version
        self._kinds = kinds
        self.summary = Summary(began=perf_counter_ns())

    def check_single(self, sql: str) -> bool:
        """Refuse a text of several statements, as a server does; True if the one there is only reads."""
        count, only_reads = self._kinds.get(sql) or self._kind(sql)
        if not sql:
            raise refusal(62, "SYNTAX_ERROR", "Syntax error: Empty query")
        if count > 1:
            raise refusal(
                62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed): send one statement a request"
            )
        return only_reads

    def _kind(self, sql: str) -> _Kind:
        """Parsed by the engine: as long a work as the query's own parsing, so what comes again is kept."""
        found = self._connection._conn.classify_query(_bytes(sql))
        kind = (int(found["statement_count"]), bool(found["query_class"].name == "READ_ONLY"))
        if len(sql) <= _KEPT_CHARACTERS:
            if len(self._kinds) >= _KEPT_KINDS:
                self._kinds.clear()
            self._kinds[sql] = kind
        return kind

    def run(self, sql: str, output_format: str) -> bytes:
        """The whole result in memory: for statements with a small one."""
        with self._errors():
            result = self._connection.query(_bytes(sql), output_format)
            self.summary.add(result)
            self.summary.written_rows += result.rows_written()
            self.summary.written_bytes += result.bytes_written()
            return bytes(result.bytes())

    def stream(self, sql: str, output_format: str) -> Iterator[bytes]:
        """The result block by block. Right only for formats whose blocks may be joined (`formats.STREAMED`)."""
        with self._errors():
            try:
                blocks = self._connection.send_query(_bytes(sql), output_format)
            except Exception as error:
                if _NOT_STREAMED not in str(error):
                    raise
                yield self.run(sql, output_format)
                return
            with blocks:
                for block in blocks:
                    self.summary.add(block)
                    yield bytes(block.bytes())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (EngineError, GeneratorExit, OSError):
            raise
        except Exception as error:  # chDB raises ChdbError, RuntimeError and others, all with ClickHouse's text
            raise from_engine(error, self._version) from error


def _bytes(sql: str) -> Any:
    """SQL as it came: a literal may hold bytes that are no text. chDB takes bytes as well as str."""
    return sql.encode("utf-8", "surrogateescape")


class Engine:
    """The open engine. Open it once a process, after `folder.occupy`."""

    def __init__(self, memory_bytes: int, threads: int) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._anchor = chdb.connect(_ADDRESS)  # the engine lives as long as one connection does
        self.version = self._value("SELECT version()")
        self.timezone = self._value("SELECT timezone()")
        rows = self._value("SELECT lower(name) FROM system.formats WHERE is_output")
        self.output_formats = frozenset(rows.split())
        # Half of the memory for one query, spilling to disk from a quarter on; the rest as a server's own defaults are.
        self._defaults = {
            "implicit_select": "0",
            "allow_introspection_functions": "0",
            "max_threads": str(threads),
            "max_memory_usage": str(memory_bytes * 2 // 3),
            "max_bytes_before_external_group_by": str(memory_bytes // 4),
            "max_bytes_before_external_sort": str(memory_bytes // 4),
            "min_insert_block_size_bytes": str(64 << 20),
        }

    def _value(self, sql: str) -> str:
        return str(self._anchor.query(sql, "TabSeparatedRaw").bytes().decode()).strip()

    @contextmanager
    def session(
        self, query_id: str, database: str, settings: Mapping[str, str], params: Mapping[str, str], *, readonly: bool
    ) -> Iterator[Session]:
        """A connection with these settings for one query. Raises `EngineError` for an unknown database or setting."""
        connection = chdb.connect(_ADDRESS)
        try:
            try:
                connection.query(_bytes(self._preface(query_id, database, settings, params, readonly=readonly)))
            except Exception as error:
                raise from_engine(error, self.version) from error
            yield Session(connection, self.version, self._kinds)
        finally:
            connection.close()

    def _preface(
        self, query_id: str, database: str, settings: Mapping[str, str], params: Mapping[str, str], *, readonly: bool
    ) -> str:
        """The statements that make a connection the query's own."""
        comment = f"{settings.get('log_comment', '')} {_MARK}{query_id}".strip()
        values = {**self._defaults, **settings, **params, "log_comment": comment}
        statements = ["SET " + ", ".join(f"{name} = {quote(value)}" for name, value in values.items())]
        if database:
            statements.append("USE `" + re.sub(r"([`\\])", r"\\\1", database) + "`")
        if readonly and "readonly" not in settings:
            statements.append("SET readonly = 2")
        return "; ".join(statements)

    def cancel(self, query_id: str) -> None:
        """Ask for the end of a query by its client's id; nothing happens if there is none. Safe to repeat."""
        connection = chdb.connect(_ADDRESS)
        try:
            mark = quote(_MARK + query_id)
            connection.query(f"KILL QUERY WHERE endsWith(Settings['log_comment'], {mark}) ASYNC")
        except Exception as error:  # a query that ended meanwhile is what was wanted
            log.warning("query cancel failed", query_id=query_id, error=str(error))
        finally:
            connection.close()

    def own_ids(self) -> dict[str, str]:
        """The engine's ids of the running queries, by their clients' ids."""
        connection = chdb.connect(_ADDRESS)
        try:
            asked = f"extract(Settings['log_comment'], '{_MARK}(.*)$')"
            sql = f"SELECT {asked} AS asked, query_id FROM system.processes WHERE asked != ''"
            rows = connection.query(sql, "TabSeparated").bytes().decode().splitlines()
        finally:
            connection.close()
        return dict(row.split("\t") for row in rows)

    def close(self) -> None:
        """Close the engine once no session is open any more."""
        self._anchor.close()
