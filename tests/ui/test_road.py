"""The whole road through real processes: events in, forecasts out, seen in the browser."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from anmodel.laptop import environment
from anmodel.laptop.guardian import Guardian
from anmodel.laptop.kafka import free_port
from anmodel.settings import ClickHouseSettings
from anmodel.warehouse import Warehouse
from eventually import eventually

EVENTS = 20_000
START_SECONDS = 180
PORTS = ("KAFKA", "CLICKHOUSE", "COLLECTOR", "CONSUMER", "PREDICTOR", "GATEWAY", "MARKETAPP")

pytestmark = pytest.mark.timeout(900)


class Road:
    """`anmodel up` on free ports, with the generator's events stored and forecast."""

    def __init__(self, home: Path, cache: Path, guardian: Guardian) -> None:
        self._guardian = guardian
        self._log = home.parent / "road.log"
        ports = {f"{name}_PORT": str(free_port()) for name in PORTS}
        # MLflow leaves the address of the registry it last used: that of other tests
        foreign = ("PARQUET_OUT", "USERS_URL", "MLFLOW_TRACKING_URI")
        clean = {name: value for name, value in os.environ.items() if name not in foreign}
        self.variables = {**clean, "ANMODEL_HOME": str(home), "ANMODEL_CACHE": str(cache), **ports}
        self.home = home
        self.gateway = f"http://127.0.0.1:{ports['GATEWAY_PORT']}"
        self.console = f"http://127.0.0.1:{ports['MARKETAPP_PORT']}"

    def up(self) -> None:
        """Start the platform and wait until all of it is ready."""
        with self._log.open("ab") as log:
            process = self._guardian.spawn(self._command("up"), log.fileno(), self.variables)

        def ready() -> bool:
            assert process.poll() is None, self._log.read_text()
            return "Everything is up" in self._log.read_text()

        eventually(ready, START_SECONDS)

    def run(self, *words: str) -> str:
        """A command typed beside the running platform; its output."""
        done = subprocess.run(self._command(*words), env=self.variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def warehouse(self) -> Warehouse:
        """The platform's ClickHouse."""
        found: Mapping[str, str] = environment.read(self.home)
        return Warehouse.connect(
            ClickHouseSettings.load(
                clickhouse_port=int(found["CLICKHOUSE_PORT"]), clickhouse_password=found["CLICKHOUSE_PASSWORD"]
            )
        )

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "anmodel", *words]


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory, cache: Path, guardian: Guardian) -> Road:
    made = Road(tmp_path_factory.mktemp("road") / "home", cache, guardian)
    made.up()
    made.run("generator", "--users", "300", "--total-events", str(EVENTS), "--batch", "500")
    return made


def test_before_any_forecast_the_gateway_lists_the_users_and_says_why(road: Road) -> None:
    answer = httpx.get(f"{road.gateway}/users", params={"limit": 5}).json()
    assert (answer["mode"], answer["total"]) == ("fallback", 300)
    assert "forecast" in answer["reason"]
    assert httpx.get(f"{road.gateway}/health").status_code == 200
    ready = httpx.get(f"{road.gateway}/ready")
    assert ready.status_code == 503
    assert {part["part"] for part in ready.json()["missing"]} >= {"predictor", "forecasts"}


def test_every_generated_event_is_one_row_in_clickhouse(road: Road) -> None:
    warehouse = road.warehouse()
    query = f"SELECT count() AS rows, uniqExact(event_id) AS ids FROM {warehouse.db}.events_raw FINAL"

    def counted() -> dict[str, Any] | None:
        (row,) = warehouse.query(query)
        return row if row["rows"] >= EVENTS else None

    assert eventually(counted, 60) == {"rows": EVENTS, "ids": EVENTS}


def best_user(road: Road) -> str:
    listed = httpx.get(f"{road.gateway}/users", params={"limit": 1}).json()
    assert (listed["mode"], listed["total"]) == ("full", 300)
    return str(listed["users"][0]["user_id"])


def test_the_forecast_of_a_named_user_reaches_the_gateway_and_predict_says_the_same(road: Road) -> None:
    road.run("forecast")
    named = best_user(road)
    one = httpx.get(f"{road.gateway}/users/{quote(named, safe='')}").json()
    chance = one["features"]["purchase_proba"]
    assert 0 < chance < 1
    assert one["reasons"]

    info = httpx.get(f"{road.gateway}/model-info/context_aware").json()
    record = {name: one["features"][name] for name in info["features"]}
    served = httpx.post(f"{road.gateway}/predict?service=context_aware", json={"records": [record]}).json()
    assert served["predictions"][0]["purchase_proba"] == pytest.approx(chance)


def test_the_forecast_of_a_named_user_is_seen_in_the_browser(road: Road, browser: Any) -> None:
    named = best_user(road)
    chance = httpx.get(f"{road.gateway}/users/{quote(named, safe='')}").json()["features"]["purchase_proba"]
    page = browser.new_page()
    page.goto(f"{road.console}/users/{quote(named, safe='')}")
    page.get_by_text(named).first.wait_for()
    page.get_by_text(f"{chance:.0%}", exact=True).first.wait_for()
    page.close()


def test_a_second_forecast_of_the_same_events_gives_the_same_answer(road: Road) -> None:
    def answers() -> dict[str, float]:
        users = httpx.get(f"{road.gateway}/users", params={"limit": 300}).json()["users"]
        return {user["user_id"]: user["features"]["purchase_proba"] for user in users}

    before = answers()
    road.run("forecast")
    assert answers() == before


def test_the_lake_holds_what_was_generated(road: Road) -> None:
    days = [json.loads(path.read_text()) for path in (road.home / "lake/events").glob("date=*/manifest.json")]
    assert sum(day["rows"] for day in days) == EVENTS
