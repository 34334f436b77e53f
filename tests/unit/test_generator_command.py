"""`anmodel generator` and `anmodel users`, as typed."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from anmodel.cli import app
from anmodel.errors import InputError
from fake_collector import FakeCollector
from scripted_server import Answer


@pytest.fixture
def anmodel(tmp_path: Path) -> Callable[..., Result]:
    """`anmodel …` with a users table and a lake of its own."""
    runner = CliRunner(env={"USERS_URL": f"sqlite:///{tmp_path / 'users.db'}", "PARQUET_OUT": str(tmp_path / "lake")})
    return lambda *arguments: runner.invoke(app, list(map(str, arguments)))


def test_all_events_are_sent_in_batches_and_sending_again_sends_the_same(anmodel: Callable[..., Result]) -> None:
    again = ("generator", "--users", 50, "--total-events", 1000, "--snapshot-date", "2026-11-01")
    with FakeCollector().running() as collector:
        first, second = (anmodel(*again, "--url", collector.collect) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "sent 1,000: 1,000 accepted, 0 refused" in first.output
    assert len(collector.stored) == 1000
    assert set(collector.stored.values()) == {2}


def test_one_event_a_request_as_the_original_did(anmodel: Callable[..., Result]) -> None:
    with FakeCollector().running() as collector:
        done = anmodel("generator", "--users", 3, "--total-events", 12, "--batch", 1, "--url", collector.collect)
    assert done.exit_code == 0
    assert len(collector.requests) == len(collector.stored) == 12


def test_a_file_holds_what_would_have_been_sent(anmodel: Callable[..., Result], tmp_path: Path) -> None:
    same = ("generator", "--users", 20, "--total-events", 500, "--snapshot-date", "2026-11-01T10:00:00+02:00")
    with FakeCollector().running() as collector:
        anmodel(*same, "--url", collector.collect)
    assert anmodel(*same, "--out", tmp_path / "events.ndjson").exit_code == 0
    lines = (tmp_path / "events.ndjson").read_bytes().splitlines()
    assert sorted(lines) == sorted(collector.stored)


def test_a_snapshot_date_is_an_instant_and_utc_when_it_has_no_zone(
    anmodel: Callable[..., Result], tmp_path: Path
) -> None:
    for name, date in (("zone", "2026-11-01T10:00:00+02:00"), ("none", "2026-11-01T08:00:00"), ("day", "2026-11-01")):
        anmodel("generator", "--users", 3, "--snapshot-date", date, "--out", tmp_path / f"{name}.ndjson")
    written = {path.stem: path.read_bytes() for path in tmp_path.glob("*.ndjson")}
    assert written["zone"] == written["none"]
    assert json.loads(written["day"].splitlines()[-1])["timestamp"] < "2026-11-01T00:00:00"


def test_an_answer_that_no_repeat_mends_ends_in_one_and_says_why(anmodel: Callable[..., Result]) -> None:
    with FakeCollector(fail=lambda _: Answer(404)).running() as collector:
        done = anmodel("generator", "--users", 3, "--total-events", 30, "--url", collector.collect)
    assert done.exit_code == 1
    assert "30 × not confirmed by the collector" in done.output
    assert "HTTP 404" in done.output


def test_an_empty_users_table_says_how_to_fill_it(anmodel: Callable[..., Result]) -> None:
    with pytest.raises(InputError, match="say --users N, or fill it by `anmodel users seed`"):
        raise anmodel("generator", "--out", "x.ndjson").exception or AssertionError


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-01"])
def test_a_snapshot_date_that_is_none_is_refused(anmodel: Callable[..., Result], wrong: str) -> None:
    with pytest.raises(InputError, match="allowed: YYYY-MM-DD or an ISO 8601 time"):
        raise anmodel("generator", "--users", 1, "--snapshot-date", wrong).exception or AssertionError


def test_users_are_seeded_imported_listed_and_exported(anmodel: Callable[..., Result], tmp_path: Path) -> None:
    assert "5 users added, 5 in all" in anmodel("users", "seed", 5).output
    assert "0 users added, 5 in all" in anmodel("users", "seed", 5).output
    (tmp_path / "new.csv").write_text("region,user_uid,name\nUA-30,007,Bond\n,008,\n")
    assert "2 users added, 7 in all" in anmodel("users", "import", tmp_path / "new.csv").output
    assert anmodel("users", "list", "--search", "00").output.splitlines()[-2].startswith("007\tUA-30\t")
    assert "7 users written" in anmodel("users", "export").output
    exported = pq.read_table(tmp_path / "lake" / "users" / "users.parquet").to_pylist()
    assert [row["user_uid"] for row in exported][-2:] == ["007", "008"]
    assert set(exported[0]) == {"id", "user_uid", "region", "created_at"}


def test_a_file_without_the_columns_of_users_is_refused(anmodel: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("user,region\n1,UA-30\n")
    with pytest.raises(InputError, match="missing: user_uid"):
        raise anmodel("users", "import", tmp_path / "new.csv").exception or AssertionError
