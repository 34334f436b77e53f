"""The batch half on the cluster: Airflow runs the steps as pods, KServe serves what they trained, the console shows it.

One story, in order: each test goes on where the one before ended.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from airflow_api import AirflowApi
from edge import DOMAIN, EDGE, console_url
from lake_files import LakeFiles
from measures import Measures
from playwright.sync_api import Page
from release import Release, selector
from rows import Rows
from steady_requests import SteadyRequests
from testbed import ROOT
from versions import Versions, unloadable, weak

from cluster import Cluster, is_ready
from eventually import eventually

USERS, EVENTS = 200, 20_000
GENERATOR = {
    "enabled": True,
    "args": ["--users", str(USERS), "--total-events", str(EVENTS), "--batch", "500", "--seed", "5"],
}
SERVICE = "context-aware"
API = f"api.{DOMAIN}"
PICTURES = ROOT / ".anmodel/cluster"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def airflow(batch: Cluster, installed: Release) -> Iterator[AirflowApi]:
    with AirflowApi.through_the_edge(batch) as api:
        yield api


@pytest.fixture(scope="module")
def versions(batch: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    with Versions.of(batch, tmp_path_factory.mktemp("versions")) as made:
        yield made


@pytest.fixture(scope="module")
def lake(batch: Cluster) -> LakeFiles:
    return LakeFiles(batch)


@pytest.fixture(scope="module")
def days(rows: Rows) -> tuple[date, date]:
    """The first and the last day of the shop's events that has ended."""
    (found,) = rows.query("SELECT toDate(min(ts)) AS first, toDate(max(ts)) AS last FROM analytics.events_raw")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return date.fromisoformat(found["first"]), min(date.fromisoformat(found["last"]), yesterday)


def run_export(airflow: AirflowApi, first: date, last: date, **more: Any) -> str:
    asked = {"first_day": first.isoformat(), "last_day": last.isoformat(), **more}
    run = airflow.trigger("export_events", asked)
    airflow.succeeded("export_events", run)
    return run


def followed(airflow: AirflowApi, dag: str, known: set[str], seconds: float = 900) -> str:
    """The run of a DAG that an asset has started since; once it has ended well."""

    def started() -> str:
        return next((str(run["dag_run_id"]) for run in airflow.runs(dag) if run["dag_run_id"] not in known), "")

    run = eventually(started, 180, pause=2)
    airflow.succeeded(dag, run, seconds)
    return run


def known_runs(airflow: AirflowApi, dag: str) -> set[str]:
    return {str(run["dag_run_id"]) for run in airflow.runs(dag)}


def states(airflow: AirflowApi, dag: str, run: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for task in airflow.tasks(dag, run):
        found.setdefault(task["task_id"], set()).add(task["state"])
    return found


def note_seconds(measures: Measures, airflow: AirflowApi, dag: str, run: str) -> None:
    """Each task's time, for the table of the docs."""
    for task in airflow.tasks(dag, run):
        if task["duration"] is not None:
            measures.notes.append(f"{dag} {task['task_id']}[{task['map_index']}] {task['duration']:.0f} s")


def a_record(api: httpx.Client) -> dict[str, Any]:
    """Features that the model in use can read: the medians that it tells."""
    return dict(api.get("/model-info/context_aware").json()["feature_medians"])


def test_airflow_is_whole_and_knows_the_dags(airflow: AirflowApi) -> None:
    eventually(lambda: set(airflow.health().values()) == {"healthy"}, 180, pause=2)
    wanted = {"export_events", "daily_forecast", "train_model", "choose_champion"}
    eventually(lambda: wanted <= airflow.dags(), 180, pause=2)
    assert airflow.import_errors() == []


def test_shoppers_fill_clickhouse(installed: Release, rows: Rows) -> None:
    def stored() -> int:
        return int(rows.query("SELECT count() AS n FROM analytics.events_raw FINAL")[0]["n"])

    before = stored()  # other tests may have left theirs
    installed.upgrade({"generator": GENERATOR}, wait=False)
    eventually(lambda: stored() >= before + EVENTS, 240, pause=2)


def test_days_of_a_form_are_exported_by_pods_and_without_a_model_no_forecast_fails(
    airflow: AirflowApi, days: tuple[date, date], rows: Rows, lake: LakeFiles, measures: Measures
) -> None:
    known = known_runs(airflow, "daily_forecast")
    run = run_export(airflow, *days, days_a_task=60)
    assert lake.digests("users/")
    note_seconds(measures, airflow, "export_events", run)
    (found,) = rows.query(f"SELECT count() AS n FROM analytics.events_raw FINAL WHERE toDate(ts) <= '{days[1]}'")
    assert lake.events() == found["n"]

    forecast = states(airflow, "daily_forecast", followed(airflow, "daily_forecast", known))
    assert (forecast["snapshot"], forecast["plan"], forecast["finish"]) == ({"success"}, {"skipped"}, {"skipped"})


def test_a_training_by_hand_registers_the_first_version_kserve_serves_it_and_a_forecast_follows(
    airflow: AirflowApi, api: httpx.Client, platform: Cluster, versions: Versions, measures: Measures
) -> None:
    known = known_runs(airflow, "daily_forecast")
    run = airflow.trigger("train_model")
    airflow.succeeded("train_model", run, 1200)
    note_seconds(measures, airflow, "train_model", run)
    assert versions.in_use() == "1"
    service = platform.get("inferenceservice", SERVICE)
    assert service["metadata"]["annotations"]["anmodel.io/version"] == "1"
    eventually(lambda: api.get("/services").json()["details"]["context_aware"]["status"] == "loaded", 60, pause=1)
    assert api.get("/services").json()["details"]["context_aware"]["version"] == "1"
    forecast = followed(airflow, "daily_forecast", known, 1200)
    assert states(airflow, "daily_forecast", forecast)["finish"] == {"success"}
    assert api.get("/users", params={"limit": 1}).json()["model_version"] == "1"


def test_users_and_predict_answer_by_a_forecast_in_shards(
    airflow: AirflowApi, api: httpx.Client, rows: Rows, measures: Measures
) -> None:
    run = airflow.trigger("daily_forecast", {"shards": 2})
    airflow.succeeded("daily_forecast", run, 1200)
    note_seconds(measures, airflow, "daily_forecast", run)
    page = api.get("/users", params={"limit": 5}).json()
    assert (page["mode"], page["model_version"]) == ("full", "1")
    assert page["total"] > USERS / 2
    said = api.post("/predict", json={"records": [a_record(api)]}).json()
    assert said["model_version"] == "1"
    assert 0 <= said["predictions"][0]["purchase_proba"] <= 1
    logged = "SELECT count() AS n FROM analytics.predictions WHERE model_version = '1'"
    eventually(lambda: int(rows.query(logged)[0]["n"]) >= 1, 60, pause=1)


def test_the_console_shows_the_forecasts_in_a_browser(api: httpx.Client, page: Page) -> None:
    user = api.get("/users", params={"limit": 1}).json()["users"][0]["user_id"]
    page.goto(console_url())
    page.get_by_text(user[:8]).first.wait_for(timeout=60_000)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "console-forecasts.png")
    assert page.get_by_text("without forecasts").count() == 0


def test_airflow_and_mlflow_show_it_to_an_operator(batch: Cluster, airflow: AirflowApi, page: Page) -> None:
    port = EDGE.rpartition(":")[2]
    page.goto(f"http://airflow.{DOMAIN}:{port}/auth/login/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", batch.secret("anmodel-airflow", "admin-password"))
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url, timeout=60_000)
    page.goto(f"http://airflow.{DOMAIN}:{port}/dags")
    page.get_by_text("train_model").first.wait_for(timeout=60_000)
    page.screenshot(path=PICTURES / "airflow-dags.png")
    for dag in ("train_model", "daily_forecast"):
        page.goto(f"http://airflow.{DOMAIN}:{port}/dags/{dag}")
        page.get_by_text("monitor" if dag == "daily_forecast" else "register").first.wait_for(timeout=60_000)
        page.screenshot(path=PICTURES / f"airflow-{dag}-grid.png")
        page.get_by_role("button", name="graph").or_(page.get_by_label("graph")).first.click()
        page.locator(".react-flow__node").first.wait_for(timeout=60_000)
        page.screenshot(path=PICTURES / f"airflow-{dag}-graph.png")
    page.goto(f"http://mlflow.{DOMAIN}:{port}/#/models/context_aware")
    page.get_by_text("champion").first.wait_for(timeout=60_000)
    page.screenshot(path=PICTURES / "mlflow-model.png")


def test_a_repeat_of_a_day_leaves_identical_bytes(
    airflow: AirflowApi, days: tuple[date, date], lake: LakeFiles
) -> None:
    day = days[1]
    before = lake.digests(f"events/date={day}/")
    known = known_runs(airflow, "daily_forecast")
    run_export(airflow, day, day, force=True)
    followed(airflow, "daily_forecast", known)
    assert lake.digests(f"events/date={day}/") == before
    features = lake.digests(f"daily_features/snapshot_date={day + timedelta(days=1)}/")
    run = airflow.trigger("daily_forecast", {"as_of": f"{day + timedelta(days=1)}T00:00:00+00:00"})
    airflow.succeeded("daily_forecast", run)
    assert lake.digests(f"daily_features/snapshot_date={day + timedelta(days=1)}/") == features


def test_a_step_whose_pod_is_killed_is_tried_again_and_leaves_the_same(
    airflow: AirflowApi, platform: Cluster, days: tuple[date, date], lake: LakeFiles
) -> None:
    before = lake.digests(f"events/date={days[1]}/")
    asked = {"first_day": days[0].isoformat(), "last_day": days[1].isoformat(), "days_a_task": 366, "force": True}
    known = known_runs(airflow, "daily_forecast")
    run = airflow.trigger("export_events", asked)
    running = "app.kubernetes.io/component=export,task_id=export"  # and not that of the users' table
    eventually(lambda: any(p["status"]["phase"] == "Running" for p in platform.pods(running)), 300, pause=0.2)
    platform.kill(running)
    airflow.succeeded("export_events", run)
    (tries,) = [task["try_number"] for task in airflow.tasks("export_events", run) if task["task_id"] == "export"]
    assert tries == 2
    assert lake.digests(f"events/date={days[1]}/") == before
    followed(airflow, "daily_forecast", known)


def test_a_scheduler_killed_in_a_run_is_not_missed(airflow: AirflowApi, platform: Cluster) -> None:
    run = airflow.trigger("daily_forecast", {"shards": 2})
    eventually(lambda: platform.pods("app.kubernetes.io/component in (snapshot,score)"), 300, pause=0.5)
    platform.kill("component=scheduler")
    airflow.succeeded("daily_forecast", run, 1200)


def test_a_version_that_is_not_better_stays_challenger(airflow: AirflowApi, versions: Versions) -> None:
    run = airflow.trigger("train_model", {"force": True})
    airflow.succeeded("train_model", run, 1200)
    assert versions.in_use() == "1"
    newest = versions.registry.newest()
    assert newest is not None
    assert (newest.version, newest.tags["decision"]) == ("2", "challenger")


@pytest.fixture
def requests(api: httpx.Client) -> Callable[[], SteadyRequests]:
    body = {"records": [a_record(api)]}
    return lambda: SteadyRequests(API, "/predict", body)


def test_a_version_chosen_by_hand_takes_over_with_no_request_refused(
    airflow: AirflowApi, versions: Versions, requests: Callable[[], SteadyRequests]
) -> None:
    made = versions.add("1", weak())
    with requests() as steady:
        airflow.succeeded(
            "choose_champion", airflow.trigger("choose_champion", {"action": "use", "version": made.version}), 900
        )
        eventually(lambda: steady.versions[made.version] > 10, 60, pause=1)
    assert versions.in_use() == made.version
    assert steady.failures == []


def test_a_broken_version_never_gets_the_traffic_and_no_request_fails(
    airflow: AirflowApi, platform: Cluster, versions: Versions, requests: Callable[[], SteadyRequests]
) -> None:
    before, broken = versions.in_use(), versions.add("1", unloadable())
    with requests() as steady:
        airflow.succeeded("choose_champion", airflow.trigger("choose_champion", {"action": "judge"}), 900)
    assert versions.registry.version(broken.version).tags["decision"] == "rejected"
    assert versions.in_use() == before
    assert set(steady.versions) == {before}
    assert steady.failures == []
    assert "canary" not in platform.get("inferenceservice", SERVICE)["spec"]


def test_a_message_of_drift_starts_a_training_whose_better_version_takes_over_by_canary(
    airflow: AirflowApi, platform: Cluster, versions: Versions, requests: Callable[[], SteadyRequests]
) -> None:
    known, before = known_runs(airflow, "train_model"), versions.in_use()
    tell(platform, {"type": "training_finished"})
    tell(platform, {"type": "drift", "model": "context_aware", "version": before})
    with requests() as steady:
        # its rows have given version 1 already, so train_model alone would train nothing: judge what it made
        followed(airflow, "train_model", known, 1200)
        again = versions.add("1", type(versions.registry.load(versions.registry.version("1")).model))
        airflow.succeeded("choose_champion", airflow.trigger("choose_champion", {"action": "judge"}), 900)
        eventually(lambda: steady.versions[again.version] > 20, 60, pause=1)
    assert len(known_runs(airflow, "train_model") - known) == 1
    assert versions.in_use() == again.version
    assert steady.failures == []


def tell(cluster: Cluster, message: dict[str, Any]) -> None:
    """Put a message on the topic of model events, as a stage of ours does."""
    code = (
        "import json, sys\n"
        "from anmodel.settings import RegisterSettings\nfrom anmodel.topic import announce\n"
        "settings = RegisterSettings.load(parquet_out='none')\n"
        f"announce(settings, settings.model_topic, json.loads({json.dumps(json.dumps(message))}))"
    )
    run_step(cluster, "register", ["python", "-c", code])


def run_step(cluster: Cluster, step: str, command: list[str]) -> None:
    """A pod like a step's, with another command; until it has ended well."""
    import yaml

    pod = yaml.safe_load(cluster.get("configmap", "anmodel-steps")["data"][f"{step}.yaml"])
    name = f"by-hand-{step}"
    pod["metadata"]["name"] = name
    pod["spec"]["containers"][0] |= {"command": command, "args": []}
    cluster.kubectl("delete", "pod", name, "--ignore-not-found", "--wait")
    cluster.apply(pod)
    try:
        eventually(lambda: cluster.get("pod", name)["status"]["phase"] == "Succeeded", 120, pause=1)
    finally:
        cluster.kubectl("delete", "pod", name, "--wait=false")


def test_a_rollback_by_hand_brings_the_version_before(
    airflow: AirflowApi, versions: Versions, requests: Callable[[], SteadyRequests]
) -> None:
    former = versions.registry.former_champion()
    assert former is not None
    with requests() as steady:
        airflow.succeeded("choose_champion", airflow.trigger("choose_champion", {"action": "roll back"}), 900)
        eventually(lambda: steady.versions[former.version] > 10, 60, pause=1)
    assert versions.in_use() == former.version
    assert steady.failures == []


def test_a_backfill_of_seven_days_brings_them_and_starts_no_forecast(
    airflow: AirflowApi, days: tuple[date, date], lake: LakeFiles
) -> None:
    first = days[1] - timedelta(days=6)
    before = {name: digest for name, digest in lake.digests("events/").items() if name >= f"events/date={first}"}
    for name in {path.rsplit("/", 1)[0] for path in before}:
        lake.remove(name)
    known = known_runs(airflow, "export_events")
    nights = f"{first + timedelta(days=1)}", f"{days[1] + timedelta(days=2)}"
    backfill = airflow.backfill("export_events", *nights, {"late_days": 0})
    eventually(lambda: airflow.backfill_ended(backfill), 1500, pause=5)
    after = {name: digest for name, digest in lake.digests("events/").items() if name >= f"events/date={first}"}
    assert after == before
    made = known_runs(airflow, "export_events") - known
    assert len(made) == 7
    for run in made:
        assert states(airflow, "export_events", run)["tell"] == {"skipped"}


def test_without_kserve_predict_says_so_and_users_still_answer(api: httpx.Client, platform: Cluster) -> None:
    record = a_record(api)
    with kserve_away(platform):
        eventually(lambda: api.post("/predict", json={"records": [record]}).status_code == 503, 60, pause=1)
        answer = api.post("/predict", json={"records": [record]})
        assert int(answer.headers["retry-after"]) > 0
        assert "predictor" in answer.json()["detail"]
        assert api.get("/users", params={"limit": 5}).json()["mode"] == "full"
    eventually(lambda: api.post("/predict", json={"records": [record]}).status_code == 200, 180, pause=1)


@contextmanager
def kserve_away(platform: Cluster) -> Iterator[None]:
    """Neither the predictor's pods, nor KServe's controller, which would bring them back."""
    controller = ("deployment", "kserve-controller-manager")
    platform.kubectl("scale", *controller, "--replicas=0", namespace="kserve")
    platform.kubectl("wait", "pod", "-l", "control-plane=kserve-controller-manager", "--for=delete", namespace="kserve")
    try:
        platform.kubectl("scale", "deployment", f"{SERVICE}-predictor", "--replicas=0")
        yield
    finally:
        platform.kubectl("scale", "deployment", f"{SERVICE}-predictor", "--replicas=1")
        platform.kubectl("scale", *controller, "--replicas=1", namespace="kserve")
        platform.kubectl("rollout", "status", "/".join(controller), namespace="kserve")


def test_a_predictor_that_is_killed_comes_back_from_cold(
    api: httpx.Client, platform: Cluster, measures: Measures
) -> None:
    record, chosen = a_record(api), f"serving.kserve.io/inferenceservice={SERVICE}"
    killed = platform.kill(chosen)

    def back() -> bool:
        (pod,) = platform.pods(chosen)
        return pod["metadata"]["name"] not in killed and is_ready(pod)

    eventually(back, 240, pause=1)
    (pod,) = platform.pods(chosen)
    (ready,) = (each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    begun, ended = pod["metadata"]["creationTimestamp"], ready["lastTransitionTime"]
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()
    measures.notes.append(f"cold start of the predictor {seconds:.0f} s")
    eventually(lambda: api.post("/predict", json={"records": [record]}).status_code == 200, 60, pause=0.5)


def test_no_pod_of_a_step_is_left(platform: Cluster) -> None:
    steps = "app.kubernetes.io/component in (export,trends,snapshot,train,register,score,monitor)"
    eventually(lambda: not platform.get("pods", selector=steps)["items"], 60, pause=2)
    assert platform.pods(selector("gateway"))
