"""Search trends from a server that answers in the API's format, its odd answers included."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from anmodel.cli import app
from anmodel.errors import InputError, SettingError, UnavailableError
from anmodel.trends.command import fetch_all
from anmodel.trends.periods import read_period
from anmodel.trends.series import read_series
from anmodel.trends.serpapi import TRIES, TrendsApi
from anmodel.trends.table import TRENDS_SCHEMA, trends_table
from scripted_server import Answer, Request, ScriptedServer

KEY = "k3y-of-the-tests"
TODAY = date(2025, 1, 20)


def entry(period: str, value: object, **more: object) -> dict[str, object]:
    return {
        "date": period,
        "timestamp": "1735430400",
        "values": [{"query": "shoes", "value": value, "extracted_value": 0}],
    } | more


TIMELINE = [
    entry("Dec 22 – 28, 2024", "57"),
    entry("Dec 29, 2024 – Jan 4, 2025", "<1"),
    entry("Jan 5 – 11, 2025", ""),
    entry("Jan 12 – 18, 2025", "100"),
    entry("Jan 19 – 25, 2025", "80", partial_data=True),
]


def answer(timeline: list[dict[str, object]]) -> Answer:
    body = {"search_metadata": {"status": "Success"}, "interest_over_time": {"timeline_data": timeline}}
    return Answer(200, json.dumps(body).encode(), {"content-type": "application/json"})


def failure(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, json.dumps({"error": text}).encode(), {"content-type": "application/json"} | headers)


def ask(script: Callable[[Request, int], Answer], waits: list[float] | None = None) -> object:
    with ScriptedServer(script).running() as server, httpx.Client() as http:
        waited = [] if waits is None else waits
        return TrendsApi(http, server.url, SecretStr(KEY), wait=waited.append).series(
            "shoes", "UA-30", "2024-01-20 2025-01-20"
        )


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("Dec 29, 2024 – Jan 4, 2025", date(2024, 12, 29), date(2025, 1, 4)),
        ("Nov 24 – 30, 2024", date(2024, 11, 24), date(2024, 11, 30)),
        ("Nov 24 – Dec 1, 2024", date(2024, 11, 24), date(2024, 12, 1)),
        ("Dec 29 – Jan 4, 2025", date(2024, 12, 29), date(2025, 1, 4)),
        ("Nov 24-30, 2024", date(2024, 11, 24), date(2024, 11, 30)),
        ("Feb 29, 2024", date(2024, 2, 29), date(2024, 2, 29)),
        ("Feb 2024", date(2024, 2, 1), date(2024, 2, 29)),
    ],
)
def test_a_period_is_read_whatever_its_spaces_and_dash(text: str, start: date, end: date) -> None:
    assert read_period(text) == (start, end)
    assert read_period(text.replace(" ", "\u2009")) == (start, end)
    assert read_period(text.replace(" ", "\u00a0").replace("–", "—")) == (start, end)


@pytest.mark.parametrize(
    "text", ["", "soon", "–", "2024", "Nov 24", "30 – 24", "Jan 4, 2025 – Dec 29, 2024", "Feb 30, 2025"]
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no period"):
        read_period(text)


def test_only_whole_periods_with_a_value_count_and_are_known_the_day_after() -> None:
    points, faults = read_series(json.loads(answer(TIMELINE).body), "shoes", "UA-30")
    assert faults == []
    assert [(point.period_start, point.popularity) for point in points] == [
        (date(2024, 12, 22), 57.0),
        (date(2024, 12, 29), 0.5),
        (date(2025, 1, 12), 100.0),
    ]
    assert [point.known_from for point in points] == [date(2024, 12, 29), date(2025, 1, 5), date(2025, 1, 19)]


def test_an_odd_entry_is_told_and_the_rest_is_kept() -> None:
    odd = [
        entry("some day", "5"),
        entry("Jan 5 – 11, 2025", "many"),
        entry("Jan 5 – 11, 2025", "101"),
        {"date": "Jan 2025"},
    ]
    points, faults = read_series({"interest_over_time": {"timeline_data": [*odd, *TIMELINE]}}, "shoes", "UA-30")
    assert len(points) == 3
    assert len(faults) == 4
    assert "'many'" in faults[1]


@pytest.mark.parametrize("body", [{}, [], None, {"interest_over_time": {}}])
def test_an_answer_without_a_timeline_has_no_points(body: object) -> None:
    assert read_series(body, "shoes", "UA-30") == ([], [])


def test_the_api_is_asked_for_one_query_in_one_region() -> None:
    seen: list[Request] = []

    def script(request: Request, _: int) -> Answer:
        seen.append(request)
        return answer(TIMELINE)

    assert read_series(ask(script), "shoes", "UA-30")[0]
    asked = dict(httpx.QueryParams(seen[0].path.partition("?")[2]))
    assert asked == {
        "engine": "google_trends", "data_type": "TIMESERIES", "tz": "0", "hl": "en", "q": "shoes", "geo": "UA-30",
        "date": "2024-01-20 2025-01-20", "api_key": KEY,
    }  # fmt: skip


def test_a_rate_limit_and_a_fault_are_waited_out_as_asked() -> None:
    first = [failure(429, "too many", **{"retry-after": "7"}), Answer(500, b"<html>"), Answer(drop=True)]
    waits: list[float] = []
    assert ask(lambda _, number: first[number] if number < 3 else answer(TIMELINE), waits)
    assert waits == [7.0, 4.0, 8.0]


def test_a_limit_that_stays_is_told_without_the_key() -> None:
    waits: list[float] = []
    with capture_logs() as logs, pytest.raises(UnavailableError, match="after 5 tries: HTTP 429") as raised:
        ask(lambda *_: failure(429, f"{KEY} has run out of searches", **{"retry-after": "9999"}), waits)
    assert waits == [60.0] * (TRIES - 1)
    assert len(logs) == TRIES
    assert KEY not in str(raised.value) + str(logs)


def test_a_refused_key_is_told_without_it() -> None:
    with pytest.raises(SettingError, match="SERPAPI_KEY was refused") as raised:
        ask(lambda *_: failure(401, f"Invalid API key {KEY}"))
    assert KEY not in str(raised.value)


def test_a_query_without_results_is_no_error() -> None:
    assert ask(lambda *_: failure(200, "Google Trends hasn't returned any results for this query.")) == {}


@pytest.mark.parametrize("body", [b'{"error": "Unsupported `geo` UA-99"}', b"<html>", b"[]"])
def test_an_error_in_a_good_answer_stops(body: bytes) -> None:
    with pytest.raises(UnavailableError, match="the trends API answered HTTP 200"):
        ask(lambda *_: Answer(200, body))


def test_a_value_of_a_period_that_is_not_over_today_is_left_out() -> None:
    with ScriptedServer(lambda *_: answer(TIMELINE)).running() as server, httpx.Client() as http:
        api = TrendsApi(http, server.url, SecretStr(KEY))
        points = fetch_all(api, ["shoes"], ["UA-30", "UA-40"], date(2025, 1, 18), 365)
    assert [(point.region, point.known_from) for point in points] == [
        (region, day) for region in ("UA-30", "UA-40") for day in (date(2024, 12, 29), date(2025, 1, 5))
    ]


def test_the_table_keeps_days_as_their_first_moment() -> None:
    points, _ = read_series(json.loads(answer(TIMELINE).body), "shoes", "UA-30")
    table = trends_table(points, datetime(2025, 1, 20, 10, tzinfo=UTC))
    assert table.schema == TRENDS_SCHEMA
    assert table["known_from"].to_pylist()[1] == datetime(2025, 1, 5, tzinfo=UTC)


def trends(tmp_path: Path, url: str, key: str) -> Result:
    env = {"PARQUET_OUT": str(tmp_path / "lake"), "SERPAPI_URL": url, "SERPAPI_KEY": key}
    env |= {"TRENDS_QUERIES": "shoes, boots", "TRENDS_REGIONS": "UA-30", "LOG_LEVEL": "DEBUG"}
    return CliRunner(env=env).invoke(app, ["trends"])


def test_the_command_writes_the_table_and_shows_no_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def script(request: Request, _: int) -> Answer:
        return (
            answer(TIMELINE) if "q=shoes" in request.path else failure(200, "Google Trends hasn't returned any results")
        )

    with ScriptedServer(script).running() as server:
        done = trends(tmp_path, server.url, KEY)
    assert done.exit_code == 0, done.output
    table = pq.read_table(tmp_path / "lake" / "trends" / "trends.parquet")
    assert table.num_rows == 3
    assert set(table["query"].to_pylist()) == {"shoes"}
    assert KEY not in done.output + caplog.text


def test_without_a_key_the_command_says_so_and_ends_well(tmp_path: Path) -> None:
    done = trends(tmp_path, "http://127.0.0.1:9", "")
    assert (done.exit_code, done.output) == (0, "skipped: SERPAPI_KEY is not set\n")
    assert not (tmp_path / "lake").exists()


def test_when_no_query_has_data_the_old_table_stays(tmp_path: Path) -> None:
    with ScriptedServer(lambda *_: failure(200, "hasn't returned any results")).running() as server:
        done = trends(tmp_path, server.url, KEY)
    assert done.exit_code == 0
    assert "nothing was written" in done.output
