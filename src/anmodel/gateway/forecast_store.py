"""Forecasts and events in ClickHouse, as the gateway reads them. Every method blocks: call it off the event loop."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, BinaryIO, TypeVar

import msgspec

from anmodel.errors import NotReadyError, WarehouseError
from anmodel.gateway.model_health import findings_sql, past_runs_sql
from anmodel.gateway.rendering import decode, instant
from anmodel.gateway.selection import DETAIL_COLUMNS, RUN_SCOPE, Run, Selection, count_sql, newest_run_sql, page_sql
from anmodel.settings import ClickHouseSettings
from anmodel.snapshots import (
    FEATURE_NAMES,
    daily_sql,
    milliseconds,
    users_events_sql,
    users_parameters,
)
from anmodel.snapshots.evaluator import MOST_EVENTS, Event, Row, evaluate
from anmodel.snapshots.features import OF_TRENDS
from anmodel.warehouse import Warehouse

Answer = TypeVar("Answer")

_RUN_SECONDS = 1.0
_REST_SECONDS = 2.0
_READ_SECONDS = 20.0
_ABSENT = re.compile(r"\bcode: (60|81)\b", re.IGNORECASE)
"""ClickHouse's codes of an unknown table and an unknown database, as its driver tells them."""
_SPARING = {"max_bytes_before_external_sort": 32_000_000, "max_block_size": 2048, "max_threads": 1}
"""Settings for reading all users: wide rows are sorted in little memory, on disk when they are many."""
_FEW_USERS = {
    "max_threads": 1,
    "optimize_move_to_prewhere_if_final": 1,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
}
"""Settings for the features of few users: threads would cost more than they save, and users are found before all else
is read (the user is in the table's key, so FINAL sees the same rows)."""
_TRENDS = tuple(feature.name for feature in OF_TRENDS)
_TRENDS_SECONDS = 60.0
_NO_FORECASTS = "there are no forecasts yet: run `anmodel forecast`"
_NO_TABLES = "ClickHouse has no tables yet: run `anmodel migrate`"
_OLDER = re.compile(r"\bcode: 47\b", re.IGNORECASE)
"""Its code of an unknown column."""
_OLDER_TABLES = "ClickHouse's tables are older than this gateway: run `anmodel migrate`"


class ForecastStore:
    """The newest finished run of score. Connects at the first question and again after a failure; thread-safe.

    Every method raises `WarehouseError` when ClickHouse does not answer, and `NotReadyError` when it has no tables.
    After a refused connection it says so at once for two seconds, so that nobody waits in line for a dead server.
    """

    def __init__(self, settings: ClickHouseSettings, model_name: str) -> None:
        self._settings = settings
        self._model_name = model_name
        self._lock = threading.Lock()
        self._warehouse: Warehouse | None = None
        self._failed: tuple[float, WarehouseError] | None = None
        self._run: tuple[float, Run] | None = None
        self._trends: tuple[float, dict[str, dict[str, float | None]]] = (0.0, {})

    def newest_run(self) -> Run:
        """The run whose forecasts are shown; looked up at most once a second. `NotReadyError` when there is none."""
        known = self._run
        if known and time.monotonic() - known[0] < _RUN_SECONDS:
            return known[1]
        rows = self._ask(
            lambda warehouse: warehouse.query(newest_run_sql(warehouse.db), {"model_name": self._model_name})
        )
        if not rows:
            raise NotReadyError(_NO_FORECASTS)
        run = Run(**rows[0])
        self._run = (time.monotonic(), run)
        return run

    def count(self, run: Run, selection: Selection) -> int:
        """Users of the run that the filters let through."""

        def ask(warehouse: Warehouse) -> int:
            sql, values = count_sql(warehouse.db, selection)
            return int(warehouse.query(sql, values | run.parameters())[0]["total"])

        return self._ask(ask)

    def page(self, run: Run, selection: Selection) -> list[dict[str, Any]]:
        """Rows of `USER_COLUMNS`; held in memory, so give a limit."""

        def ask(warehouse: Warehouse) -> list[dict[str, Any]]:
            sql, values = page_sql(warehouse.db, selection)
            return warehouse.query(sql, values | run.parameters())

        return self._ask(ask)

    def lines(self, run: Run, selection: Selection) -> Iterator[bytes]:
        """The same rows one by one, each a JSON object's text, in bounded memory however many there are."""
        warehouse = self._connected()
        sql, values = page_sql(warehouse.db, selection)
        with warehouse.stream(sql, values | run.parameters(), format="JSONEachRow", settings=_SPARING) as source:
            yield from _lines(source)

    def user(self, run: Run, user_id: str) -> dict[str, Any] | None:
        """One user's row of `DETAIL_COLUMNS`, or None."""
        columns = ", ".join(DETAIL_COLUMNS)
        rows = self._ask(
            lambda warehouse: warehouse.query(
                f"SELECT {columns} FROM {warehouse.db}.forecasts FINAL WHERE {RUN_SCOPE} AND user_id = {{user:String}}",
                {"user": user_id, **run.parameters()},
            )
        )
        return rows[0] if rows else None

    def recent_events(self, user_id: str, limit: int = 20) -> list[dict[str, Any]]:
        """The user's newest events, newest first: ts (ISO-8601, UTC), event_type, item_id, price, region."""
        rows = self._ask(
            lambda warehouse: warehouse.query(
                "SELECT toUnixTimestamp64Milli(ts) AS ms, event_type, item_id, price, region"
                f" FROM {warehouse.db}.events_raw FINAL WHERE user_id = {{user:String}}"
                " ORDER BY ts DESC, event_id LIMIT {limit:UInt32}",
                {"user": user_id, "limit": limit},
            )
        )
        return [{**row, "ts": _iso(row.pop("ms"))} for row in rows]

    def features_of(self, user_ids: Sequence[str], as_of: datetime) -> dict[str, dict[str, Any]]:
        """Every feature of each of these users as of an instant; who has no event before it is left out.

        Search trends are not in ClickHouse: they are those that the newest forecasts hold of the user's region.
        """
        found = self._ask(lambda warehouse: _features(warehouse, user_ids, as_of))
        return {user_id: row | self._trends_of(str(row.pop("region"))) for user_id, row in found.items()}

    def _trends_of(self, region: str) -> dict[str, float | None]:
        """The trends' features in the newest forecasts of a region, looked up once a minute; unknown without any."""
        looked_at, known = self._trends
        if not known or time.monotonic() - looked_at >= _TRENDS_SECONDS:
            known = self._newest_trends()
            self._trends = (time.monotonic(), known)
        return known.get(region, dict.fromkeys(_TRENDS))

    def _newest_trends(self) -> dict[str, dict[str, float | None]]:
        """Of each region."""
        try:
            values = self.newest_run().parameters()
        except NotReadyError:
            return {}
        rows = self._ask(lambda warehouse: warehouse.query(_trends_sql(warehouse.db), values))
        return {row.pop("region"): row for row in rows}

    def segments(self, run: Run) -> list[dict[str, Any]]:
        """segment, users, expected_revenue and regions (unsorted) of each segment that has users."""
        return self._ask(
            lambda warehouse: warehouse.query(
                "SELECT segment, count() AS users, groupUniqArray(region) AS regions,"
                " sum(ifNull(spend_mean, purchase_proba * next_purchase_amount_pred)) AS expected_revenue"
                f" FROM {warehouse.db}.forecasts FINAL WHERE {RUN_SCOPE} GROUP BY segment",
                run.parameters(),
            )
        )

    def findings(self, version: str) -> list[dict[str, Any]]:
        """The monitor's newest findings about a version, unsorted; see `findings_sql`."""
        values = {"model_name": self._model_name, "model_version": version}
        return self._ask(lambda warehouse: warehouse.query(findings_sql(warehouse.db), values))

    def past_runs(self, limit: int) -> list[dict[str, Any]]:
        """The newest runs whose horizon is over, the newest first; see `past_runs_sql`."""
        values = {"model_name": self._model_name, "runs": limit}
        return self._ask(lambda warehouse: warehouse.query(past_runs_sql(warehouse.db), values))

    def forget(self) -> None:
        """Something has changed: look for the newest run anew at the next question."""
        self._run, self._trends = None, (0.0, {})

    def ping(self) -> None:
        """Ask ClickHouse for a sign of life."""
        self._ask(lambda warehouse: warehouse.query("SELECT 1 AS alive"))

    def close(self) -> None:
        """Close the connections; the next question opens them again."""
        if self._warehouse:
            self._drop(self._warehouse)

    def _ask(self, question: Callable[[Warehouse], Answer]) -> Answer:
        """An answer; reads change nothing, so one is asked again over a new connection when the old one broke."""
        warehouse = self._connected()
        try:
            return question(warehouse)
        except WarehouseError as error:
            if _ABSENT.search(str(error)):
                raise NotReadyError(_NO_TABLES) from error
            if _OLDER.search(str(error)):
                raise NotReadyError(_OLDER_TABLES) from error
            if warehouse.ping():
                raise
            self._drop(warehouse)
            return question(self._connected())

    def _connected(self) -> Warehouse:
        with self._lock:
            if self._warehouse is None:
                self._warehouse = self._connect()
            return self._warehouse

    def _connect(self) -> Warehouse:
        if self._failed and time.monotonic() - self._failed[0] < _REST_SECONDS:
            raise WarehouseError(str(self._failed[1])) from self._failed[1]
        try:
            return Warehouse.connect(self._settings, timeout=_READ_SECONDS)
        except WarehouseError as error:
            self._failed = (time.monotonic(), error)
            raise

    def _drop(self, warehouse: Warehouse) -> None:
        with self._lock:
            if self._warehouse is warehouse:
                self._warehouse = None
        with suppress(WarehouseError, OSError):
            warehouse.close()


def _features(warehouse: Warehouse, user_ids: Sequence[str], as_of: datetime) -> dict[str, Row]:
    """Region and features of each user, but those of trends; made of the user's events, see `evaluator`.

    Of who has very many, as a robot has, ClickHouse makes them: slower, and in its own memory.
    """
    table = f"{warehouse.db}.events_raw FINAL"
    values = users_parameters(user_ids, as_of, MOST_EVENTS + 1)
    found: dict[str, Row] = {}
    many: list[str] = []
    with warehouse.stream(users_events_sql(table), values, format="JSONCompactEachRow", settings=_FEW_USERS) as source:
        for user_id, rows in groupby(map(_user_event.decode, _lines(source)), itemgetter(0)):
            events = [event for _, event in rows]
            if len(events) > MOST_EVENTS:
                many.append(user_id)
            else:
                found[user_id] = evaluate(events, milliseconds(as_of))
    return found | {user_id: _features_by_engine(warehouse, table, user_id, as_of) for user_id in many}


def _features_by_engine(warehouse: Warehouse, table: str, user_id: str, as_of: datetime) -> Row:
    sql = daily_sql(table, as_of, where="user_id = {user_id:String}")
    with warehouse.stream(sql, {"user_id": user_id}, format="JSONEachRow", settings=_FEW_USERS) as source:
        (row,) = map(decode, _lines(source))
    return {name: row[name] for name in ("region", *FEATURE_NAMES)}


_user_event = msgspec.json.Decoder(tuple[str, Event])


def _trends_sql(db: str) -> str:
    """The trends' features of each region, as any forecast of the run has them."""
    columns = ", ".join(f"any(JSONExtract(features, '{name}', 'Nullable(Float64)')) AS {name}" for name in _TRENDS)
    return f"SELECT region, {columns} FROM {db}.forecasts WHERE {RUN_SCOPE} GROUP BY region"


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """Lines of a stream that closes itself at its end, which `io.BufferedReader` does not bear."""
    rest = b""
    while piece := source.read(1 << 18):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _iso(milliseconds: int) -> str:
    return instant(datetime.fromtimestamp(milliseconds / 1000, UTC))
