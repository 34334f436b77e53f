"""ClickHouse: the tables of events and forecasts, over its HTTP interface.

The same code speaks to a ClickHouse server and to the laptop's engine.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, Self, cast

import clickhouse_connect
import pyarrow as pa
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from anmodel import schema
from anmodel.errors import InsertTooLarge, RowsRefused, WarehouseError
from anmodel.layouts import Layout, OneServer, found_layout
from anmodel.migrations import INSERT_SETTINGS, engines_of_events, migrate
from anmodel.settings import ClickHouseSettings

EVENTS_SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("ts", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("region", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("price", pa.float64()),
        pa.field("properties", pa.string(), nullable=False),
        pa.field("received_at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)
"""Columns of `events_raw`: the event's nine, when it was received, and its place in the topic."""

_CONNECT_SECONDS = 5
# A replica that is away takes the rows when it is back: nobody waits for it longer than this.
_SETTLE_SETTINGS = {"distributed_ddl_task_timeout": 60, "distributed_ddl_output_mode": "null_status_on_timeout"}

_BLAMES_ROWS: Final = frozenset(
    {
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        69,  # ARGUMENT_OUT_OF_BOUND
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        395,  # FUNCTION_THROW_IF_VALUE_IS_NON_ZERO, of a view on the table
        407,  # DECIMAL_OVERFLOW
        469,  # VIOLATED_CONSTRAINT
    }
)
"""Codes by which ClickHouse blames values. One that may also blame the table, the server or the line between is not
here: such an insert is tried again."""
_MEMORY_LIMIT_EXCEEDED: Final = 241
_TOO_MANY_PARTS: Final = 252
# Codec of an insert's columns on the way; on one machine the line is faster than any.
_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})

log = structlog.get_logger()
_FAULTS = (ClickHouseError, HTTPError, OSError)


class Warehouse:
    """One ClickHouse database. Safe to share between threads."""

    def __init__(self, client: Client, db: str, *, packs: bool = True) -> None:
        """`packs`: rows are compressed on the way."""
        self.client = client
        self.db = db
        self._ipc = pa.ipc.IpcWriteOptions(compression="lz4" if packs else None)
        self._layout: Layout | None = None

    @classmethod
    def connect(cls, settings: ClickHouseSettings, *, timeout: float = 300.0) -> Self:
        """Connect; raises `WarehouseError` when the server does not answer or refuses the user.

        `timeout` is the seconds without a byte after which a statement's outcome counts as unknown.
        """
        address = f"{settings.clickhouse_host}:{settings.clickhouse_port}"
        try:
            client = clickhouse_connect.get_client(
                interface="https" if settings.clickhouse_secure else "http",
                host=settings.clickhouse_host,
                port=settings.clickhouse_port,
                username=settings.clickhouse_user,
                password=settings.clickhouse_password.get_secret_value(),
                autogenerate_session_id=False,
                connect_timeout=_CONNECT_SECONDS,
                send_receive_timeout=int(timeout) or 1,
                query_retries=0,
                ca_cert=settings.clickhouse_ca or None,
            )
        except _FAULTS as error:
            raise WarehouseError(f"ClickHouse at {address} does not answer: {_brief(error)}") from error
        return cls(client, settings.clickhouse_db, packs=settings.clickhouse_host not in _LOCAL)

    @classmethod
    def connect_persistently(
        cls,
        settings: ClickHouseSettings,
        pause: Callable[[float], bool],
        *,
        timeout: float = 300.0,
        tell: Callable[[str], None] = lambda reason: None,
    ) -> Self | None:
        """Connect, trying again until the server answers; None once `pause(seconds)` says to stop.

        `tell` hears why it must wait, each time it must.
        """
        seconds = 0.2
        while True:
            try:
                return cls.connect(settings, timeout=timeout)
            except WarehouseError as error:
                log.warning("waiting for ClickHouse", error=str(error))
                tell(str(error))
                if pause(seconds):
                    return None
                seconds = min(10.0, seconds * 2)

    def migrate(self, layout: Layout | None = None, *, events_ttl_days: int = 0) -> int:
        """Bring the tables to the newest version and set the events' retention; returns the version. Safe to repeat.

        `layout` None: on one server. Raises `ContractError` when the tables that are there lie otherwise. On a cluster
        every server must answer.
        """
        return migrate(self, layout or OneServer(self.db), events_ttl_days)

    def _found_layout(self) -> Layout:
        """How the tables lie, looked up until they are there."""
        if self._layout is None:
            engines = engines_of_events(self, OneServer(self.db))
            if not engines:
                return OneServer(self.db)
            self._layout = found_layout(self.db, engines[0])
        return self._layout

    def command(
        self,
        statement: str,
        settings: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Run a statement whose answer says nothing."""
        try:
            self.client.command(statement, parameters=dict(parameters or {}), settings=dict(settings or {}))
        except _FAULTS as error:
            raise WarehouseError(f"ClickHouse: {_brief(error)}", _code(error)) from error

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a small answer, as dictionaries. `{name:Type}` in the text takes its value from `parameters`."""
        try:
            answer = self.client.query(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))
            return list(answer.named_results())
        except _FAULTS as error:
            raise WarehouseError(f"ClickHouse: {_brief(error)}", _code(error)) from error

    def insert_arrow(self, table: str, rows: pa.Table, *, token: str | None = None, comment: str | None = None) -> None:
        """Insert rows as one block, in however many months they lie.

        The same `token` with the same rows again is ignored by the engine, as a rule: see the consumer for why that
        alone is not enough. `comment` names the statement for `end_statements`. When this raises, the rows may be in
        or not; `RowsRefused` says that they never will, `InsertTooLarge` that fewer at once may.
        """
        # repeats within the block are left to the merges, as those in other blocks are: it halves the engine's work
        settings: dict[str, Any] = {"max_partitions_per_insert_block": 0, "optimize_on_insert": 0, **INSERT_SETTINGS}
        if token is not None:
            settings["insert_deduplication_token"] = token
        if comment is not None:
            settings["log_comment"] = comment
        try:
            self.client.raw_insert(
                f"{self.db}.{table}", rows.column_names, self._stream(rows), settings=settings, fmt="ArrowStream"
            )
        except _FAULTS as error:
            raise _insert_fault(error) from error

    def _stream(self, rows: pa.Table) -> bytes:
        """The rows as ClickHouse reads them: one block."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema, options=self._ipc) as writer:
            writer.write_table(rows)
        return memoryview(sink.getvalue())  # type: ignore[return-value]

    def end_statements(self, comment: str) -> bool:
        """Ask the engine to end the statements whose comment starts so; False once none runs.

        On a cluster: those of every server that answers.
        """
        which, values = "startsWith(Settings['log_comment'], {comment:String})", {"comment": comment}
        layout = self._found_layout()
        running = self.query(
            f"SELECT query_id FROM {layout.everywhere('system.processes')} WHERE {which}"
            " SETTINGS skip_unavailable_shards = 1",
            values,
        )
        if running:
            self.command(layout.kill(which), {"distributed_ddl_task_timeout": 0}, values)
        return bool(running)

    def settle(self, table: schema.Table) -> None:
        """Return when every replica that answers within a minute has the rows inserted so far; at once on one server.

        For who must not be seen to be ready on a replica that lacks a part.
        """
        for statement in self._found_layout().settle(table):
            self.command(statement, _SETTLE_SETTINGS)

    def delete_rows(self, table: schema.Table, condition: str, *, partition: str) -> None:
        """Remove the rows of a partition that meet the condition, on every server; returns within minutes.

        Rewrites the partition's files that hold such rows: not for every day.
        """
        statement = self._found_layout().alter(table, f"DELETE IN PARTITION {partition} WHERE {condition}")
        self.command(statement, {**_SETTLE_SETTINGS, "mutations_sync": 1})

    @contextmanager
    def stream(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        format: str = "Parquet",
        settings: Mapping[str, Any] | None = None,
    ) -> Iterator[BinaryIO]:
        """The bytes of an answer in a format of ClickHouse's, written whole by the engine, as a file to read from."""
        try:
            source = self.client.raw_stream(
                sql, parameters=dict(parameters or {}), settings=dict(settings or {}), fmt=format
            )
            with cast(Any, source) as file:
                yield cast(BinaryIO, file)
        except (ClickHouseError, HTTPError) as error:  # not OSError: the reader's own disk may be full
            raise WarehouseError(f"ClickHouse: {_brief(error)}", _code(error)) from error

    def ping(self) -> bool:
        """Whether the server answers now."""
        return bool(self.client.ping())

    def fault(self) -> str:
        """Why the server cannot be asked now (it is away, or does not know the password any more); empty if it can."""
        try:
            self.query("SELECT 1")
        except WarehouseError as error:
            return str(error)
        return ""

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def _insert_fault(error: Exception) -> WarehouseError:
    """What an insert failed by: its rows, its size, or anything else, which may pass."""
    text, code = f"ClickHouse did not confirm an insert: {_brief(error)}", _code(error)
    if code in _BLAMES_ROWS:
        return RowsRefused(text, code)
    if code == _MEMORY_LIMIT_EXCEEDED or (code == _TOO_MANY_PARTS and "partitions" in text):
        return InsertTooLarge(text, code)
    return WarehouseError(text, code)


def _code(error: Exception) -> int | None:
    """ClickHouse's own code of an error, None if it is not of ClickHouse's making."""
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def _brief(error: Exception) -> str:
    """The first line of the engine's or the driver's text, at most 500 characters."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:500]
