"""The ClickHouse engine in this process (chDB), reading and writing Parquet files."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from anmodel.errors import LakeError, SettingError

_EVENTS = (
    "event_id String, event_type String, ts DateTime64(3, ''UTC''), session_id String, user_id String, "
    "region String, item_id String, price Nullable(Float64)"
)
_EVENT_NAMES = "event_id, event_type, ts, session_id, user_id, region, item_id, price"
_TRENDS = (
    "region String, query String, popularity Nullable(Float64), "
    "period_end DateTime64(3, ''UTC''), known_from DateTime64(3, ''UTC'')"
)
_MB = 1_000_000
_MEMORY_EXCEEDED = "MEMORY_LIMIT_EXCEEDED"


class Engine:
    """A session of the engine with bounds on threads and memory; what exceeds half the memory spills to `scratch`.

    `threads` 0 means as many as cores. Statements run in a thread of their own, so that Ctrl-C is seen during one.
    """

    def __init__(self, scratch: Path, *, threads: int, memory_mb: int) -> None:
        from chdb import session

        self._scratch = scratch
        self._memory_mb = memory_mb
        open_session: Any = session.Session
        self._session = open_session()
        spill = memory_mb * _MB // 2
        settings = {
            "max_memory_usage": memory_mb * _MB,
            "max_bytes_before_external_group_by": spill,
            "max_bytes_before_external_sort": spill,
            "max_bytes_ratio_before_external_group_by": 0,
            "max_bytes_ratio_before_external_sort": 0,
            "max_block_size": 8192,
            # Each query is run a few times at most: compiling it takes longer than it would save.
            "compile_expressions": 0,
            "compile_aggregate_expressions": 0,
            "compile_sort_description": 0,
            "max_insert_threads": 1,
            "use_hive_partitioning": 0,
            "output_format_parquet_compression_method": "'zstd'",
            "output_format_parquet_row_group_size": 100_000,
            "engine_file_truncate_on_insert": 1,
        }
        if threads:
            settings["max_threads"] = threads
        self.run("SET " + ", ".join(f"{name} = {value}" for name, value in settings.items()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def write(self, target: Path, sql: str, *, partition: str = "") -> None:
        """Write a query's rows to a Parquet file; by `partition`, an expression whose text stands in the target's name
        for {_partition_id}, to one file for each of its values."""
        by = f" PARTITION BY {partition}" if partition else ""
        self.run(f"INSERT INTO FUNCTION file('{quoted(str(target))}', 'Parquet'){by} {sql}")

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """A small answer's rows. `{name:Type}` in the text takes its value from `parameters`."""
        table = pa.ipc.open_file(self.run(sql, "Arrow", parameters).bytes()).read_all()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def run(self, sql: str, form: str = "CSV", parameters: Mapping[str, Any] | None = None) -> Any:
        """Run one statement; raises `LakeError` with the engine's words, `SettingError` when it wants more memory."""
        answer: list[Any] = []
        fault: list[Exception] = []

        def work() -> None:
            try:
                answer.append(self._session.query(sql, form, params=dict(parameters or {})))
            except Exception as error:
                fault.append(error)

        thread = threading.Thread(target=work, name="clickhouse-engine", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
        if fault:
            # What a failed statement had begun to answer would stand before the next answer.
            self._session.query("SELECT 1", "CSV")
            raise self._translated(fault[0]) from fault[0]
        return answer[0]

    def _translated(self, error: Exception) -> Exception:
        text = str(error).strip().splitlines()[0][:500]
        if _MEMORY_EXCEEDED in str(error):
            return SettingError(
                f"SNAPSHOT_MEMORY_MB is too small: {self._memory_mb} MB were not enough. Raise it, or set "
                f"SNAPSHOT_THREADS lower. The engine said: {text}"
            )
        return LakeError(f"the features' SQL failed: {text}")


def split_by_users(engine: Engine, source: str, where: str, folder: Path, parts: int) -> Iterator[str]:
    """The events of `source` that meet `where` as so many tables, each with all events of its users.

    They are read once and written to `folder`, so that the work grows as the events do, and not with their square. One
    part is the source itself.
    """
    if parts == 1:
        yield f"(SELECT * FROM {source} WHERE {where})"
        return
    target = f"{quoted(str(folder))}/events-{{_partition_id}}.parquet"
    engine.run(
        f"INSERT INTO FUNCTION file('{target}', 'Parquet', '{_EVENTS}')"
        f" PARTITION BY toString(cityHash64(user_id) % {parts}) SELECT {_EVENT_NAMES} FROM {source} WHERE {where}"
    )
    for file in sorted(folder.glob("events-*.parquet")):
        yield events_source([str(file)])
        file.unlink()


def events_source(files: Sequence[str]) -> str:
    """A table of the event files, for `FROM`. There must be at least one."""
    return f"file('{_pattern(files)}', 'Parquet', '{_EVENTS}')"


def trends_source(file: str) -> str:
    """A table of the trends file, for `FROM`."""
    return f"file('{_pattern([file])}', 'Parquet', '{_TRENDS}')"


def quoted(text: str) -> str:
    """The text as the inside of an SQL string."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _pattern(files: Sequence[str]) -> str:
    """One pattern that matches exactly these files, by their longest common beginning and end."""
    if found := next((file for file in files if any(sign in file for sign in "*?{}")), None):
        raise LakeError(
            f"{found}: the engine cannot open a path with * ? {{ or }}. Move the lake (PARQUET_OUT) elsewhere"
        )
    if len(files) == 1:
        return quoted(files[0])
    start = _common_start(files)
    ends = [file[len(start) :] for file in files]
    end = _common_start([text[::-1] for text in ends])[::-1]
    middles = ",".join(text[: len(text) - len(end)] for text in ends)
    return quoted(f"{start}{{{middles}}}{end}")


def _common_start(texts: Sequence[str]) -> str:
    """The longest text that all begin with."""
    first, last = min(texts), max(texts)
    same = next((place for place, sign in enumerate(first) if sign != last[place]), len(first))
    return first[:same]
