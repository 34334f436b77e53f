"""The whole road on the cluster: shoppers made by a Job, their events in ClickHouse, seen in a browser at the edge."""

import re
import secrets

import httpx
from edge import console_url
from measures import Measures
from playwright.sync_api import Page
from release import NAME, Release, selector
from rows import Rows
from testbed import ROOT

from cluster import Cluster
from eventually import eventually

USERS, EVENTS = 60, 6000
# a seed of this run's own: the same one makes the same events, which would count once
SEED = secrets.randbelow(10**6)
GENERATOR = {
    "enabled": True,
    "args": ["--users", str(USERS), "--total-events", str(EVENTS), "--batch", "500", "--seed", str(SEED)],
}
PICTURES = ROOT / ".anmodel/cluster"


def all_events(rows: Rows) -> dict[str, int]:
    """Counts over the whole table."""
    table = "analytics.events_raw"
    (found,) = rows.query(
        f"SELECT (SELECT count() FROM {table}) AS rows, (SELECT count() FROM {table} FINAL) AS final, "
        f"(SELECT uniqExact(event_id) FROM {table}) AS events"
    )
    return found


def test_every_event_that_the_generator_job_sent_is_one_row_in_clickhouse(
    release: Release, platform: Cluster, rows: Rows, measures: Measures
) -> None:
    before = all_events(rows)
    release.upgrade({"generator": GENERATOR}, wait=False)
    chosen = selector("generator")

    def finished() -> bool:
        jobs = platform.get("jobs", selector=chosen)["items"]
        assert not any(job["status"].get("failed") for job in jobs), platform.kubectl("logs", "-l", chosen)
        return bool(jobs) and all(job["status"].get("succeeded") for job in jobs)

    eventually(finished, 120)
    report = platform.kubectl("logs", "-l", chosen, "--tail=20")
    said = re.search(r"sent ([\d,]+): ([\d,]+) accepted, 0 refused, .*", report)
    assert said, report
    accepted = int(said[2].replace(",", ""))
    assert accepted == EVENTS
    measures.notes.append(f"the generator's Job {said[0]}")

    wanted = {name: count + accepted for name, count in before.items()}
    eventually(lambda: all_events(rows)["events"] == wanted["events"], 60)
    assert all_events(rows) == wanted


def test_the_gateway_lists_the_users_without_forecasts_and_says_why(release: Release, api: httpx.Client) -> None:
    answer = api.get("/users", params={"limit": 5}).json()
    assert (answer["mode"], answer["total"]) == ("fallback", USERS)
    assert len(answer["users"]) == 5
    assert "forecast" in answer["reason"]
    assert api.get("/health").status_code == 200
    ready = api.get("/ready")
    assert ready.status_code == 503
    assert {part["part"] for part in ready.json()["missing"]} == {"predictor", "forecasts"}


def test_the_console_shows_the_users_in_a_browser_at_the_edge(release: Release, api: httpx.Client, page: Page) -> None:
    user = api.get("/users", params={"limit": 1}).json()["users"][0]["user_id"]
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(console_url())
    page.get_by_text(user[:8]).first.wait_for(timeout=30_000)
    page.get_by_text(f"{USERS} users").wait_for()
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "console.png")
    assert faults == []


def test_the_charts_own_test_passes(release: Release, platform: Cluster) -> None:
    assert "Succeeded" in platform.helm("test", NAME, "--logs", "--timeout", "2m")


def test_every_serving_pod_tells_its_metrics(release: Release, platform: Cluster) -> None:
    for stage, port, metric in (
        ("collector", 8001, "anmodel_collector_events_total"),
        ("consumer", 8002, "anmodel_consumer_rows_total"),
        ("gateway", 8000, "anmodel_gateway_request_seconds_count"),
    ):
        (pod, *_) = platform.pods(selector(stage))
        assert metric in platform.ask_pod(pod["metadata"]["name"], port, "/metrics")
