"""Files of events through a collector: our own formats, public ones, moved in time, faulty lines and all."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from anmodel.cli import app
from anmodel.errors import InputError
from anmodel.events import Event
from anmodel.replay.completejourney import read_completejourney
from anmodel.replay.formats import READERS, count_rows, detect_format
from anmodel.replay.records import Record
from anmodel.replay.shifting import shift_to
from anmodel.users import UsersTable
from fake_collector import FakeCollector

NOW = datetime.now(UTC)
WIRE = [
    {
        "event_id": f"e{number}",
        "event_type": "purchase",
        "timestamp": (NOW - timedelta(days=400 - number)).isoformat(timespec="milliseconds"),
        "session_id": "s",
        "user_id": f"u{number % 2}",
        "region": "UA-30" if number % 2 else "",
        "properties": {"item_id": f"item_{number}", "price": number + 0.5, "note": '🙂, "so"'},
    }
    for number in range(6)
]


def ndjson(path: Path) -> Path:
    path.write_text("".join(json.dumps(wire) + "\n" for wire in WIRE))
    return path


def in_csv(path: Path) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, list(WIRE[0]))
        rows.writeheader()
        rows.writerows(wire | {"properties": json.dumps(wire["properties"])} for wire in WIRE)
    return path


def parquet(path: Path) -> Path:
    columns = {name: [wire[name] for wire in WIRE] for name in WIRE[0] if name not in ("timestamp", "properties")}
    columns["ts"] = [datetime.fromisoformat(str(wire["timestamp"])).replace(tzinfo=None) for wire in WIRE]
    columns["properties"] = [json.dumps({"note": '🙂, "so"'})] * len(WIRE)
    columns["item_id"] = [wire["properties"]["item_id"] for wire in WIRE]  # type: ignore[index]
    columns["price"] = [wire["properties"]["price"] for wire in WIRE]  # type: ignore[index]
    table = pa.table(columns)
    at = table.schema.get_field_index("ts")
    pq.write_table(table.set_column(at, "ts", table["ts"].cast(pa.timestamp("ms"))), path)
    return path


def read(path: Path, kind: str = "") -> list[Record]:
    return list(READERS[kind or detect_format(path)](path))


def read_events(path: Path) -> list[Event]:
    records = read(path)
    assert all(not record.fault for record in records)
    return [record.event for record in records if record.event]


@pytest.fixture
def replay(tmp_path: Path) -> Callable[..., Result]:
    """`anmodel replay` with a users table of its own."""
    runner = CliRunner(env={"USERS_URL": f"sqlite:///{tmp_path / 'users.db'}"})
    return lambda *arguments: runner.invoke(app, ["replay", *map(str, arguments)])


@pytest.mark.parametrize("write", [ndjson, in_csv, parquet])
def test_our_own_formats_hold_the_same_events(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    events = read_events(write(tmp_path / "file"))
    assert [event.event_id for event in events] == [wire["event_id"] for wire in WIRE]
    assert [event.region for event in events] == [wire["region"] for wire in WIRE]
    assert [event.properties for event in events] == [wire["properties"] for wire in WIRE]
    assert [event.ts.isoformat(timespec="milliseconds") for event in events] == [wire["timestamp"] for wire in WIRE]
    assert count_rows(tmp_path / "file", detect_format(tmp_path / "file")) == len(WIRE)


def test_a_csv_may_have_item_and_price_as_columns(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(
        "event_id,event_type,timestamp,session_id,user_id,region,item_id,price\n"
        "e1,purchase,2026-01-01T10:00:00Z,s,7,UA-30,00012,9.5\n"
        "e2,page_view,2026-01-01T10:00:01+02:00,s,7,,,\n"
        "e3,purchase,2026-01-01T10:00:00Z,s,7,UA-30,1,cheap\n"
    )
    first, second, third = read(file)
    assert first.event is not None
    assert first.event.properties == {"item_id": "00012", "price": 9.5}
    assert second.event is not None
    assert (second.event.region, second.event.properties) == ("", {})
    assert (third.line, third.fault) == (4, "properties: price is 'cheap'; allowed: a number")


def test_faulty_lines_are_told_by_number_and_the_rest_goes_on(tmp_path: Path, replay: Callable[..., Result]) -> None:
    file = ndjson(tmp_path / "events.ndjson")
    bad = ["{broken", json.dumps(WIRE[0] | {"event_type": "zzz"}), json.dumps(WIRE[0] | {"timestamp": "2026-01-01"})]
    file.write_text(file.read_text() + "\n".join(bad) + "\n\n" + json.dumps(WIRE[0] | {"event_id": "last"}) + "\n")
    with FakeCollector().running() as collector:
        done = replay(file, "--url", collector.collect)
    assert done.exit_code == 1
    assert len(collector.stored) == 7
    assert "3 lines hold no event (1 × body, 1 × event_type, 1 × timestamp)" in done.output
    assert "line 7: body: not JSON" in done.output
    assert "line 8: event_type: " in done.output
    assert "line 9: timestamp: " in done.output


def test_a_byte_order_mark_costs_no_event(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "marked.ndjson")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [event.event_id for event in read_events(path)] == [wire["event_id"] for wire in WIRE]


def test_a_quote_left_open_in_a_csv_costs_its_own_lines_only(tmp_path: Path) -> None:
    path = in_csv(tmp_path / "events.csv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], 'e9,"' + "x" * 200_000 + "\n", *lines[3:]]))
    records = read(path)
    assert [record.event.event_id for record in records if record.event] == [wire["event_id"] for wire in WIRE]
    assert [record.fault for record in records if record.fault] == [
        "body: no row: a field without an end; is a quote open?"
    ]


def test_properties_may_be_a_struct_in_parquet(tmp_path: Path) -> None:
    given = [{"item_id": "item_1", "price": 2.5}, {"item_id": None, "colour": "red"}]
    columns = {name: [wire[name] for wire in WIRE[:2]] for name in WIRE[0]} | {"properties": given}
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    events = read_events(tmp_path / "events.parquet")
    assert [event.properties for event in events] == [given[0], {"colour": "red"}]


def test_a_parquet_file_cut_short_is_named(tmp_path: Path, replay: Callable[..., Result]) -> None:
    path = parquet(tmp_path / "events.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    assert "events.parquet is no whole Parquet file" in str(replay(path).exception)


def test_only_the_first_ten_faulty_lines_are_told_one_by_one(tmp_path: Path, replay: Callable[..., Result]) -> None:
    file = ndjson(tmp_path / "events.ndjson")
    file.write_text(file.read_text() + "no\n" * 25)
    with FakeCollector().running() as collector:
        done = replay(file, "--url", collector.collect)
    assert done.output.count("  line ") == 10
    assert "25 lines hold no event" in done.output


def test_replaying_again_sends_the_same_bytes_and_the_users_are_added_once(
    tmp_path: Path, replay: Callable[..., Result]
) -> None:
    file = ndjson(tmp_path / "events.ndjson")
    with FakeCollector().running() as collector:
        assert [replay(file, "--url", collector.collect, "--batch", 2).exit_code for _ in range(2)] == [0, 0]
    assert sorted(collector.stored.values()) == [2] * 6
    users = UsersTable(f"sqlite:///{tmp_path / 'users.db'}").list()
    assert [(user.user_uid, user.region) for user in users] == [("u0", ""), ("u1", "UA-30")]


def test_a_file_can_be_moved_to_end_now_by_whole_days(tmp_path: Path, replay: Callable[..., Result]) -> None:
    file = ndjson(tmp_path / "events.ndjson")
    with FakeCollector().running() as collector:
        assert replay(file, "--url", collector.collect, "--shift-to-now", "--limit", 4).exit_code == 0
    times = [datetime.fromisoformat(json.loads(raw)["timestamp"]) for raw in collector.stored]
    assert timedelta(0) <= datetime.now(UTC) - max(times) < timedelta(days=1)
    moved = {
        new - datetime.fromisoformat(str(wire["timestamp"])) for new, wire in zip(sorted(times), WIRE, strict=False)
    }
    assert len(moved) == 1
    assert moved.pop() % timedelta(days=1) == timedelta(0)


@pytest.mark.parametrize(
    ("last", "days"),
    [
        ("2017-12-31T23:00:00Z", 3249),
        ("2026-11-23T12:00:00Z", 1),
        ("2026-11-23T12:00:01Z", 0),
        ("2026-11-25T00:00:00Z", -1),
    ],
)
def test_the_last_event_falls_within_a_day_before_the_end(last: str, days: int) -> None:
    end = datetime(2026, 11, 24, 12, tzinfo=UTC)
    shift = shift_to(end, datetime.fromisoformat(last))
    assert shift == timedelta(days=days)
    assert timedelta(0) <= end - (datetime.fromisoformat(last) + shift) < timedelta(days=1)


def test_a_collector_that_refuses_ends_in_one(tmp_path: Path, replay: Callable[..., Result]) -> None:
    file = tmp_path / "old.ndjson"
    file.write_text(json.dumps(WIRE[0] | {"timestamp": "2017-01-01T00:00:00Z"}))
    with FakeCollector().running() as collector:
        done = replay(file, "--url", collector.collect)
    assert done.exit_code == 1
    assert "1 × timestamp: allowed: at most 1825 days old" in done.output


def test_retailrocket_is_known_by_its_header(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
        "1433221332118,257597,transaction,355908,4000\n1433221332119,257597,addtocart,1,\nsoon,1,view,1,\n1,1,gaze,1,\n"
    )
    view, bought, cart, *bad = read(file)
    assert view.event == Event(
        "retailrocket-2", "product_view", datetime(2015, 6, 2, 5, 2, 12, 117_000, UTC), "257597-2015-06-02", "257597",
        "", {"item_id": "355908"},
    )  # fmt: skip
    assert bought.event is not None
    assert (bought.event.event_type, bought.event.session_id) == ("purchase", "order-4000")
    assert cart.event is not None
    assert cart.event.event_type == "add_to_cart"
    assert [record.line for record in bad] == [5, 6]


def test_rees46_is_known_by_its_header_and_removals_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "2019-Oct.csv"
    file.write_text(
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "2019-10-01 00:00:00 UTC,cart,3900821,2053,appliances.water,aqua,33.20,554748717,9333dfbd\n"
        "2019-10-01 00:00:01 UTC,remove_from_cart,3900821,2053,,,33.20,554748717,9333dfbd\n"
        "2019-10-01 00:00:02 UTC,purchase,3900821,2053,,,-7.94,554748717,\n"
    )
    cart, refund = read(file)
    assert cart.event == Event(
        "rees46-2", "add_to_cart", datetime(2019, 10, 1, tzinfo=UTC), "9333dfbd", "554748717", "",
        {"item_id": "3900821", "price": 33.2, "category_code": "appliances.water", "brand": "aqua"},
    )  # fmt: skip
    assert refund.event is None
    assert refund.fault.startswith("properties.price: got -7.94")


def test_otto_is_known_by_its_first_line_and_a_line_has_many_events(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    steps = [{"aid": 59625, "ts": 1661724000278, "type": "clicks"}, {"aid": 1, "ts": 1661724000279, "type": "orders"}]
    file.write_text(json.dumps({"session": 12, "events": steps}) + "\n" + json.dumps({"session": 13}) + "\n")
    first, second, bad = read(file)
    assert first.event == Event(
        "otto-12-0", "product_view", datetime(2022, 8, 28, 22, 0, 0, 278_000, UTC), "12", "12", "", {"item_id": "59625"}
    )
    assert second.event is not None
    assert (second.event.event_id, second.event.event_type) == ("otto-12-1", "purchase")
    assert (bad.line, bad.event) == (2, None)


def test_complete_journeys_lines_become_purchases(tmp_path: Path) -> None:
    """A table of its columns, made here; the data set itself is replayed in the demo."""
    file = tmp_path / "transactions.parquet"
    at = datetime(2017, 1, 1, 11, 53, 26)
    columns = {"household_id": [900], "store_id": [330], "basket_id": [31198570044], "product_id": [1095275]}
    columns |= {"quantity": [1], "sales_value": [0.0], "transaction_timestamp": [at]}  # type: ignore[dict-item]
    pq.write_table(pa.table(columns), file)
    (record,) = read_completejourney(file)
    assert record.event == Event(
        "31198570044-1095275", "purchase", at.replace(tzinfo=UTC), "31198570044", "900", "",
        {"item_id": "1095275", "price": 0.0, "quantity": 1, "store_id": 330},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"<html>", "format unknown here; its first line is '<html>'"), (b"", "format unknown"), (b"a,b\n1,2\n", "'a,b'")],
)
def test_a_file_of_no_known_format_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=message):
        detect_format(tmp_path / "file")


def test_a_missing_file_and_an_unknown_format_are_told(tmp_path: Path, replay: Callable[..., Result]) -> None:
    with pytest.raises(InputError, match="No such file or directory"):
        raise replay(tmp_path / "nothing.csv").exception or AssertionError
    with pytest.raises(InputError, match="--format is 'xml'; allowed: ndjson"):
        raise replay(ndjson(tmp_path / "file"), "--format", "xml").exception or AssertionError
