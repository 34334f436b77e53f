"""The laptop's ClickHouse answers as a server does: the real engine, asked by the client our own code uses."""

import contextlib
import gzip
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect
import lz4.frame
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from anmodel.laptop.guardian import Guardian
from clickhouse_process import ClickHouseProcess
from eventually import eventually

ROWS = 300_000
ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 7"


@pytest.fixture
def client(clickhouse: ClickHouseProcess) -> Client:
    """A client in a database of its own, with an empty table `t`."""
    client = clickhouse.client(clickhouse.database())
    client.command(
        "CREATE TABLE t (id UInt64, name String, price Nullable(Float64), ts DateTime64(3)) "
        "ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
    )
    return client


def running(clickhouse: ClickHouseProcess, query_id: str) -> bool:
    """Whether the query with this id of its client's runs."""
    sql = f"SELECT count() FROM system.processes WHERE endsWith(Settings['log_comment'], 'query_id={query_id}')"
    return clickhouse.ask(sql).body == b"1\n"


# ---- questions and answers


def test_ping_and_an_empty_question_say_ok_without_a_password(clickhouse: ClickHouseProcess) -> None:
    assert clickhouse.ask(path="/ping", method="GET", login=None).body == b"Ok.\n"
    assert clickhouse.ask(method="GET").body == b"Ok.\n"


def test_a_query_may_come_in_the_address_in_the_body_or_half_in_each(clickhouse: ClickHouseProcess) -> None:
    assert clickhouse.ask(query="SELECT 1").body == b"1\n"
    assert clickhouse.ask("SELECT 2").body == b"2\n"
    assert clickhouse.ask("+ 4", query="SELECT 3").body == b"7\n"


def test_rows_go_in_and_come_back_as_they_were(client: Client) -> None:
    rows = [(1, "é😀\0'\\", None, datetime(2024, 1, 1, 12)), (2, "", 1.5, datetime(2024, 2, 1))]
    assert client.insert("t", rows, column_names=["id", "name", "price", "ts"]).written_rows == 2
    assert client.query("SELECT * FROM t ORDER BY id").result_rows == rows


@pytest.mark.parametrize("name", ["JSONEachRow", "Native", "ArrowStream"])
def test_an_insert_that_fails_after_its_last_block_was_read_is_told(clickhouse: ClickHouseProcess, name: str) -> None:
    database = clickhouse.database()
    made = clickhouse.ask(
        "CREATE TABLE t (a UInt32, CONSTRAINT no_thirteen CHECK a != 13) ENGINE = MergeTree ORDER BY a",
        database=database,
    )
    assert made.status == 200
    rows = clickhouse.ask(f"SELECT 13::UInt32 AS a FORMAT {name}").body
    answer = clickhouse.ask(rows, query=f"INSERT INTO t FORMAT {name}", database=database)
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "469")
    assert clickhouse.ask("SELECT count() FROM t", database=database).body == b"0\n"


def test_a_frame_goes_in_and_comes_back(client: Client) -> None:
    frame = pd.DataFrame({"id": range(5), "name": list("abcde"), "price": [1.0, 2.0, 3.0, 4.0, 5.0]})
    client.insert_df("t", frame)
    back = client.query_df("SELECT id, name, price FROM t ORDER BY id")
    assert back["id"].tolist() == frame["id"].tolist()
    assert back["price"].tolist() == frame["price"].tolist()


def test_300_000_rows_come_back_whole_as_arrow_and_as_parquet(client: Client) -> None:
    table = pa.table(
        {
            "id": pa.array(range(ROWS), pa.uint64()),
            "name": pa.array([f"name {number % 977}" for number in range(ROWS)]),
            "price": pa.array([None if number % 7 == 0 else number / 8 for number in range(ROWS)], pa.float64()),
        }
    )
    assert client.insert_arrow("t", table).written_rows == ROWS
    sql = "SELECT id, name, price FROM t ORDER BY id"
    assert client.query_arrow(sql).cast(table.schema) == table
    parquet = client.raw_query(sql, fmt="Parquet")
    assert pyarrow.parquet.read_table(io.BytesIO(parquet)).cast(table.schema) == table
    streamed = pa.ipc.open_stream(client.raw_query(sql, fmt="ArrowStream")).read_all()
    assert streamed.cast(table.schema) == table


@pytest.mark.parametrize(
    "name", ["Native", "Arrow", "ArrowStream", "Parquet", "ORC", "JSONEachRow", "CSV", "TabSeparated"]
)
def test_what_a_format_gives_it_also_takes(client: Client, name: str) -> None:
    client.command("INSERT INTO t SELECT number, toString(number), number / 4, number FROM numbers(70000)")
    client.command("CREATE TABLE other AS t")
    client.raw_insert("other", None, client.raw_query("SELECT * FROM t", fmt=name), fmt=name)
    difference = "SELECT count() FROM (SELECT * FROM t EXCEPT SELECT * FROM other)"
    assert client.command(difference) == 0
    assert client.command("SELECT count() FROM other") == 70_000


@pytest.mark.parametrize("name", ["JSONCompact", "CSVWithNames", "TSVWithNamesAndTypes", "JSONCompactEachRowWithNames"])
def test_formats_with_a_head_have_one_head_however_long_the_result(clickhouse: ClickHouseProcess, name: str) -> None:
    answer = clickhouse.ask("SELECT 123457 AS marker FROM numbers(200000)", default_format=name)
    assert answer.headers["X-ClickHouse-Format"] == name
    assert answer.body.count(b"marker") == 1
    assert answer.body.count(b"123457") == 200_000


def test_json_is_one_document_and_values_are_one_list(clickhouse: ClickHouseProcess) -> None:
    assert len(json.loads(clickhouse.ask("SELECT 7 FROM numbers(200000) FORMAT JSON").body)["data"]) == 200_000
    assert clickhouse.ask("SELECT 7 FROM numbers(200000) FORMAT Values").body.count(b"),(") == 199_999


def test_the_totals_of_a_query_are_part_of_its_answer(clickhouse: ClickHouseProcess) -> None:
    sql = "SELECT number % 2 AS odd, sum(number) FROM numbers(10) GROUP BY odd WITH TOTALS ORDER BY odd"
    assert clickhouse.ask(sql).body == b"0\t20\n1\t25\n\n0\t45\n"


def test_a_column_called_format_is_no_format_clause(clickhouse: ClickHouseProcess) -> None:
    answer = clickhouse.ask(
        "SELECT number AS format FROM numbers(2) ORDER BY format DESC -- FORMAT JSON", default_format="CSV"
    )
    assert answer.body == b"1\n0\n"
    assert answer.headers["X-ClickHouse-Format"] == "CSV"


def test_parameters_are_bound_and_never_read_as_sql(client: Client) -> None:
    hostile = "'; DROP TABLE t; -- \\ \t\n`"
    assert client.query("SELECT {x:String}, {n:Array(UInt8)}", {"x": hostile, "n": [1, 2]}).result_rows == [
        (hostile, [1, 2])
    ]


def test_parameters_too_long_for_an_address_come_as_a_form(client: Client) -> None:
    long = ["x" * 100] * 2_000
    assert client.query("SELECT length({names:Array(String)})", {"names": long}).result_rows == [(2000,)]


def test_settings_and_database_are_of_one_query_only(clickhouse: ClickHouseProcess) -> None:
    sql = "SELECT getSetting('max_threads'), currentDatabase()"
    database = clickhouse.database()
    assert clickhouse.ask(sql, max_threads="1", database=database).body == f"1\t{database}\n".encode()
    assert clickhouse.ask(sql).body.endswith(b"\tdefault\n")


def test_days_begin_at_midnight_utc_wherever_the_laptop_is(clickhouse: ClickHouseProcess) -> None:
    assert clickhouse.ask("SELECT timezone(), toString(toDateTime(0))").body == b"UTC\t1970-01-01 00:00:00\n"


def test_a_summary_counts_rows_read_and_written(clickhouse: ClickHouseProcess, client: Client) -> None:
    answer = clickhouse.ask("1\n2\n3\n", query="INSERT INTO t (id) FORMAT CSV", database=str(client.database))
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "3"
    answer = clickhouse.ask("SELECT id FROM t", database=str(client.database), query_id="mine")
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["read_rows"] == "3"
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"


def test_data_may_follow_an_insert_in_every_way_a_server_takes_them(
    clickhouse: ClickHouseProcess, client: Client
) -> None:
    database = str(client.database)
    for sql in (
        "INSERT INTO t (id, name) VALUES (1, 'FORMAT CSV'), (2, 'b')",
        'INSERT INTO t (id, name) FORMAT JSONEachRow {"id": 3, "name": "c"}',
        "INSERT INTO t (id, name) SETTINGS max_threads = 1 FORMAT CSV\n4,d\n",
        "INSERT INTO t (id, name) SELECT x, upper(y) FROM input('x UInt64, y String') FORMAT CSV\n5,e\n",
        "INSERT INTO t (id, name) SELECT 6, 'f'",
        "INSERT INTO t (id) -- FORMAT TSV\nFORMAT RowBinary\n" + "\x07" + "\0" * 7,
    ):
        answer = clickhouse.ask(sql, database=database)
        assert answer.status == 200, answer.body
    assert client.query("SELECT id, name FROM t ORDER BY id").result_rows == [
        (1, "FORMAT CSV"), (2, "b"), (3, "c"), (4, "d"), (5, "E"), (6, "f"), (7, "")
    ]  # fmt: skip


def test_an_insert_repeated_with_its_token_is_stored_once(client: Client) -> None:
    for token in ("a", "a", "b"):
        client.insert("t", [[1]], column_names=["id"], settings={"insert_deduplication_token": token})
    assert client.command("SELECT count() FROM t") == 2


def test_a_literal_may_hold_bytes_that_are_no_text(clickhouse: ClickHouseProcess) -> None:
    assert clickhouse.ask(b"SELECT '\xff\xfe' FORMAT RowBinary").body == b"\x02\xff\xfe"


# ---- refusals


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("SELECT * FROM nowhere", 404, 60, "UNKNOWN_TABLE"),
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
        ("SELECT no_such(1)", 404, 46, "UNKNOWN_FUNCTION"),
        ("SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 501, 48, "NOT_IMPLEMENTED"),
        ("INSERT INTO nowhere FORMAT CSV 1", 404, 60, "UNKNOWN_TABLE"),
        ("INSERT INTO t (id) FORMAT JSONEachRow {\"id\": \"x\"}", 400, 27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
        ("INSERT INTO t FORMAT Nonsense 1", 404, 73, "UNKNOWN_FORMAT"),
    ],
)  # fmt: skip
def test_an_error_has_clickhouses_own_text_code_and_status(
    clickhouse: ClickHouseProcess, client: Client, sql: str, status: int, code: int, name: str
) -> None:
    answer = clickhouse.ask(sql, database=str(client.database))
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert answer.body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert f"({name})".encode() in answer.body


def test_the_client_reads_the_error_code(client: Client) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as caught:
        client.query("SELECT * FROM nowhere")
    assert caught.value.code == 60


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"session_id": "s"}, 48),
        ({"compress": "1"}, 48),
        ({"decompress": "1"}, 48),
        ({"role": "r"}, 48),
        ({"no_such_setting": "1"}, 115),
        ({"x; DROP": "1"}, 115),
        ({"max_threads": "many"}, 27),
        ({"database": "nowhere"}, 81),
    ],
)
def test_what_is_not_done_here_is_refused_by_name(
    clickhouse: ClickHouseProcess, fields: dict[str, str], code: int
) -> None:
    answer = clickhouse.ask("SELECT 1", **fields)
    assert answer.headers["X-ClickHouse-Exception-Code"] == str(code), answer.body


def test_a_get_changes_nothing(clickhouse: ClickHouseProcess, client: Client) -> None:
    answer = clickhouse.ask(method="GET", query="DROP TABLE t", database=str(client.database))
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert client.command("EXISTS t") == 1


def test_an_error_far_into_a_result_reaches_the_client(clickhouse: ClickHouseProcess) -> None:
    sql = "SELECT number, throwIf(number = 2000000) FROM numbers(3000000)"
    answer = clickhouse.ask(sql)
    assert answer.cut
    assert answer.body.endswith(answer.headers["X-ClickHouse-Exception-Tag"].encode() + b"\r\n__exception__\r\n")
    with pytest.raises(StreamFailureError, match="throwIf"), clickhouse.client().query_row_block_stream(sql) as blocks:
        for _ in blocks:
            pass


def test_one_who_waits_for_the_end_gets_a_late_error_as_a_status(clickhouse: ClickHouseProcess) -> None:
    sql = "SELECT number, throwIf(number = 2000000) FROM numbers(3000000)"
    assert clickhouse.ask(sql, wait_end_of_query="1").status == 500


def test_a_body_that_is_cut_short_inserts_nothing(clickhouse: ClickHouseProcess, client: Client) -> None:
    with socket.create_connection((clickhouse.host, clickhouse.port)) as line:
        query = f"database={client.database}&query=INSERT%20INTO%20t%20(id)%20FORMAT%20CSV"
        login = f"user={clickhouse.user}&password={clickhouse.password}"
        line.sendall(f"POST /?{query}&{login} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n1\n2\n".encode())
    client.insert("t", [[9]], column_names=["id"])
    assert client.query("SELECT id FROM t").result_rows == [(9,)]


# ---- compression


@pytest.mark.parametrize("coding", ["lz4", "zstd", "gzip"])
def test_bodies_are_compressed_both_ways(clickhouse: ClickHouseProcess, coding: str) -> None:
    client = clickhouse.client(clickhouse.database(), compress=coding)
    client.command("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
    rows = [(number, f"name {number}") for number in range(100_000)]
    client.insert("t", rows, column_names=["id", "name"])
    assert client.query("SELECT * FROM t ORDER BY id").result_rows == rows
    fields = {"enable_http_compression": "1", "database": str(client.database)}
    answer = clickhouse.ask("SELECT * FROM t", headers={"Accept-Encoding": coding}, **fields)
    assert answer.headers["Content-Encoding"] == coding
    assert len(answer.body) < 1_000_000


def test_several_compressed_frames_in_a_row_are_one_body(clickhouse: ClickHouseProcess, client: Client) -> None:
    for coding, packed in (
        ("gzip", gzip.compress(b"1\n2\n") + gzip.compress(b"3\n")),
        ("lz4", lz4.frame.compress(b"4\n") + lz4.frame.compress(b"5\n")),
        ("deflate", zlib.compress(b"6\n" * 2_000_000)),
    ):
        fields = {"query": "INSERT INTO t (id) FORMAT CSV", "database": str(client.database)}
        assert clickhouse.ask(packed, headers={"Content-Encoding": coding}, **fields).status == 200
    assert client.query("SELECT id, count() FROM t GROUP BY id ORDER BY id").result_rows == [
        (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2_000_000)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"1\n" * 1000)[:-9], b"plain", lz4.frame.compress(b"1\n")],
    ids=["cut short", "not packed", "of another coding"],
)
def test_a_body_that_is_not_what_its_coding_says_is_refused_and_stores_nothing(
    clickhouse: ClickHouseProcess, client: Client, packed: bytes
) -> None:
    fields = {"query": "INSERT INTO t (id) FORMAT CSV", "database": str(client.database)}
    answer = clickhouse.ask(packed, headers={"Content-Encoding": "gzip"}, **fields)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "271"
    assert client.command("SELECT count() FROM t") == 0


def test_a_coding_nobody_knows_is_refused_with_those_that_are_known(clickhouse: ClickHouseProcess) -> None:
    answer = clickhouse.ask("SELECT 1", headers={"Content-Encoding": "rot13"})
    assert answer.status == 501
    assert b"'rot13' is not known here: use lz4, zstd, gzip, deflate or none" in answer.body


# ---- who may ask


def test_a_wrong_password_is_refused_with_code_516(clickhouse: ClickHouseProcess) -> None:
    for login in (("admin", "wrong"), ("somebody", clickhouse.password), None):
        answer = clickhouse.ask("SELECT 1", login=login)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
        assert b"Authentication failed: password is incorrect, or there is no user with such name" in answer.body
    with pytest.raises(DatabaseError, match="516"):
        clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port, username="admin", password="wrong")


def test_the_password_may_come_by_header_or_address_but_not_by_two_ways(clickhouse: ClickHouseProcess) -> None:
    by_header = {"X-ClickHouse-User": clickhouse.user, "X-ClickHouse-Key": clickhouse.password}
    by_address = {"user": clickhouse.user, "password": clickhouse.password}
    assert clickhouse.ask("SELECT 1", login=None, headers=by_header).body == b"1\n"
    assert clickhouse.ask("SELECT 1", login=None, **by_address).body == b"1\n"
    assert clickhouse.ask("SELECT 1", login=None, headers=by_header, **by_address).status == 403


@pytest.mark.parametrize("token", ["!!!!", "ÿÿ", "/w=="])
def test_a_login_that_cannot_be_read_is_refused_too(clickhouse: ClickHouseProcess, token: str) -> None:
    answer = clickhouse.ask("SELECT 1", login=None, headers={"Authorization": f"Basic {token}"})
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")


def test_it_listens_on_loopback_only(clickhouse: ClickHouseProcess) -> None:
    assert clickhouse.process is not None
    addresses = {item.laddr for item in psutil.Process(clickhouse.process.pid).connections() if item.status == "LISTEN"}
    assert addresses == {("127.0.0.1", clickhouse.port)}


# ---- many at once


def test_three_writers_and_four_readers_see_whole_blocks_only(clickhouse: ClickHouseProcess, client: Client) -> None:
    database = str(client.database)

    def write(writer: int) -> None:
        mine = clickhouse.client(database)
        for block in range(10):
            rows = [[writer * 10_000 + block * 1000 + number, f"{writer}"] for number in range(1000)]
            mine.insert("t", rows, column_names=["id", "name"])

    def read(_: int) -> list[int]:
        mine = clickhouse.client(database)
        return [mine.command("SELECT count() FROM t") for _ in range(15)]

    with ThreadPoolExecutor(7) as pool:
        readings = pool.map(read, range(4))
        list(pool.map(write, range(3)))
        assert all(count % 1000 == 0 for reading in readings for count in reading)
    assert client.query("SELECT count(), uniqExact(id) FROM t").result_rows == [(30_000, 30_000)]


async def test_the_async_client_is_served_too(clickhouse: ClickHouseProcess) -> None:
    client = await clickhouse_connect.get_async_client(
        host=clickhouse.host,
        port=clickhouse.port,
        username=clickhouse.user,
        password=clickhouse.password,
        autogenerate_session_id=False,
    )
    try:
        result = await client.query("SELECT number FROM numbers(100000)")
        assert len(result.result_rows) == 100_000
        assert await client.command("SELECT 7") == 7
    finally:
        await client.close()


def test_a_running_query_can_be_killed_by_its_clients_id(clickhouse: ClickHouseProcess) -> None:
    with ThreadPoolExecutor(1) as pool:
        victim = pool.submit(clickhouse.ask, ENDLESS, query_id="victim-1")
        eventually(lambda: running(clickhouse, "victim-1"))
        assert clickhouse.ask("SELECT 1", query_id="victim-1").headers["X-ClickHouse-Exception-Code"] == "216"
        assert b"victim" not in clickhouse.ask("KILL QUERY WHERE query_id = 'victim-2' SYNC").body
        clickhouse.ask("KILL QUERY WHERE query_id = 'victim-1' SYNC")
        assert victim.result(10).headers["X-ClickHouse-Exception-Code"] == "394"


def test_a_query_whose_client_has_hung_up_is_cancelled_if_it_asked_for_that(clickhouse: ClickHouseProcess) -> None:
    fields = {"query_id": "left-alone", "cancel_http_readonly_queries_on_client_close": "1"}
    with pytest.raises(TimeoutError):
        clickhouse.ask(ENDLESS, timeout=1, **fields)
    eventually(lambda: not running(clickhouse, "left-alone"), 5)


def test_one_that_hangs_up_in_the_middle_of_a_result_frees_the_query(clickhouse: ClickHouseProcess) -> None:
    sql = "SELECT%20randomPrintableASCII(100)%20FROM%20numbers(100000000)"
    login = f"user={clickhouse.user}&password={clickhouse.password}"
    with socket.create_connection((clickhouse.host, clickhouse.port)) as line:
        line.sendall(f"GET /?query={sql}&query_id=half-read&{login} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert running(clickhouse, "half-read")
    eventually(lambda: not running(clickhouse, "half-read"), 5)


# ---- beginning and end


def test_sigterm_ends_it_within_five_seconds_even_during_a_long_query(tmp_path: Path, guardian: Guardian) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        own = ClickHouseProcess(tmp_path / "own", guardian).start()
        own.ask("CREATE TABLE IF NOT EXISTS t (id UInt8) ENGINE = MergeTree ORDER BY id")
        own.ask("INSERT INTO t VALUES (1)")
        asking = threading.Thread(target=lambda own=own: _silently(own, ENDLESS), daemon=True)
        asking.start()
        eventually(
            lambda own=own: own.ask(f"SELECT count() FROM system.processes WHERE query = '{ENDLESS}'").body == b"1\n"
        )
        began = time.monotonic()
        assert own.end(number) == 0
        assert time.monotonic() - began < 5
        asking.join(5)
    own.start()
    assert own.ask("SELECT count() FROM t").body == b"2\n"
    own.kill()


def _silently(clickhouse: ClickHouseProcess, sql: str) -> None:
    with contextlib.suppress(OSError):
        clickhouse.ask(sql)


def test_a_second_one_in_the_same_folder_is_refused(clickhouse: ClickHouseProcess, guardian: Guardian) -> None:
    assert clickhouse.process is not None
    second = ClickHouseProcess(clickhouse.folder, guardian)
    second.log = clickhouse.folder.with_suffix(".second.log")
    assert second.start(wait=False).process.wait(20) == 5  # type: ignore[union-attr]
    assert (
        f"belongs to a ClickHouse process that runs already (process {clickhouse.process.pid})"
        in second.log.read_text()
    )


def test_a_port_that_is_taken_is_named(clickhouse: ClickHouseProcess, tmp_path: Path, guardian: Guardian) -> None:
    second = ClickHouseProcess(tmp_path / "other", guardian, clickhouse.port)
    assert second.start(wait=False).process.wait(20) == 5  # type: ignore[union-attr]
    log = second.log.read_text()
    assert f"Port {clickhouse.port} of 127.0.0.1" in log
    assert "CLICKHOUSE_PORT" in log


def test_a_missing_password_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "anmodel.laptop.clickhouse", "--path", str(tmp_path), "--port", "0"]
    ended = subprocess.run(command, env={"PATH": "/usr/bin"}, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "CLICKHOUSE_PASSWORD is not set" in ended.stderr


def test_now_is_now(clickhouse: ClickHouseProcess) -> None:
    told = datetime.fromisoformat(clickhouse.ask("SELECT now()").body.decode().strip()).replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60
