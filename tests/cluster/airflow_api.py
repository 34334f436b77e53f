"""Airflow's REST API through the edge, as a script of an operator would use it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import httpx
from edge import DOMAIN, EDGE

from cluster import Cluster
from eventually import eventually

RUNNING = frozenset({"queued", "running"})


class AirflowApi:
    """Signed in as the user of the Secret; a token is fetched anew when one is refused."""

    def __init__(self, cluster: Cluster, http: httpx.Client) -> None:
        self._cluster = cluster
        self._http = http

    @classmethod
    @contextmanager
    def through_the_edge(cls, cluster: Cluster) -> Iterator[Self]:
        """For the time of a `with`."""
        host = {"host": f"airflow.{DOMAIN}"}
        with httpx.Client(base_url=f"http://{EDGE}", headers=host, timeout=60, trust_env=False) as http:
            yield cls(cluster, http)

    def health(self) -> dict[str, str]:
        """Part → its status: metadatabase, scheduler, triggerer, dag_processor."""
        parts = self._http.get("/api/v2/monitor/health").json()
        return {name: str(part["status"]) for name, part in parts.items()}

    def dags(self) -> set[str]:
        """The DAGs that there are."""
        return {str(dag["dag_id"]) for dag in self._get("/dags?limit=100")["dags"]}

    def import_errors(self) -> list[dict[str, Any]]:
        """Files of DAGs that could not be read."""
        return list(self._get("/importErrors")["import_errors"])

    def trigger(self, dag: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run by hand, with these params; returns its id."""
        return str(self._post(f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": dict(conf or {})})["dag_run_id"])

    def backfill(self, dag: str, first: str, stop: str, conf: Mapping[str, Any]) -> int:
        """Start a backfill of the runs from `first` until before `stop`, one after the other; returns its id."""
        asked = {"dag_id": dag, "from_date": first, "to_date": stop, "reprocess_behavior": "completed"}
        return int(self._post("/backfills", {**asked, "max_active_runs": 1, "dag_run_conf": dict(conf)})["id"])

    def backfill_ended(self, backfill: int) -> bool:
        """Whether all runs of a backfill have ended, however they did."""
        return bool(self._get(f"/backfills/{backfill}")["completed_at"])

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """The newest runs of a DAG, the newest first."""
        return list(self._get(f"/dags/{dag}/dagRuns?order_by=-run_after&limit=50")["dag_runs"])

    def run(self, dag: str, run: str) -> dict[str, Any]:
        """One run."""
        return self._get(f"/dags/{dag}/dagRuns/{run}")

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """The task instances of a run; a mapped one has `map_index` from 0."""
        return list(self._get(f"/dags/{dag}/dagRuns/{run}/taskInstances?limit=200")["task_instances"])

    def log(self, dag: str, run: str, task: Mapping[str, Any]) -> str:
        """What the newest try of a task said."""
        place = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task['task_id']}/logs/{max(1, int(task['try_number']))}"
        answer = self._get(f"{place}?map_index={task['map_index']}&full_content=true")
        lines = answer["content"]
        return "\n".join(str(line.get("event", line)) if isinstance(line, dict) else str(line) for line in lines)

    def finished(self, dag: str, run: str, seconds: float = 600) -> dict[str, Any]:
        """The run once it has ended, however it did."""
        eventually(lambda: self.run(dag, run)["state"] not in RUNNING, seconds, pause=2)
        return self.run(dag, run)

    def succeeded(self, dag: str, run: str, seconds: float = 600) -> dict[str, Any]:
        """The run once it has succeeded; fails with what the failed tasks said."""
        ended = self.finished(dag, run, seconds)
        assert ended["state"] == "success", self._told(dag, run)
        return ended

    def _told(self, dag: str, run: str) -> str:
        bad = [task for task in self.tasks(dag, run) if task["state"] in ("failed", "up_for_retry")]
        return "\n\n".join(f"{task['task_id']}: {self.log(dag, run, task)[-3000:]}" for task in bad) or str(bad)

    def _get(self, path: str) -> dict[str, Any]:
        return self._asked("GET", path)

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._asked("POST", path, json=dict(body))

    def _asked(self, verb: str, path: str, **given: Any) -> dict[str, Any]:
        response = self._http.request(verb, f"/api/v2{path}", **given)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._sign_in()
            response = self._http.request(verb, f"/api/v2{path}", **given)
        assert response.is_success, f"{verb} {path}: {response.status_code} {response.text[:2000]}"
        answer: dict[str, Any] = response.json()
        return answer

    def _sign_in(self) -> None:
        user = {"username": "admin", "password": self._cluster.secret("anmodel-airflow", "admin-password")}
        response = self._http.post("/auth/token", json=user)
        assert response.is_success, response.text
        self._http.headers["authorization"] = f"Bearer {response.json()['access_token']}"
