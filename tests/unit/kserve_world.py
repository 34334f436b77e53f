"""A registry and a cluster in memory, fakes of our own classes: what is applied comes up, or does not, as it is told.

After every change the world checks what must never happen: a share of the traffic that leads nowhere.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pandas as pd

from anmodel.errors import ClusterError, NotReadyError
from anmodel.register.objects import Files
from anmodel.registry import ModelVersion
from anmodel.served_model import ServedModel
from anmodel.snapshots import contract, snapshot_version

NAME, SERVICE = "context_aware", "context-aware"
STABLE = "context-aware-predictor"


class KilledError(BaseException):
    """What stands for kill -9: nothing of ours may catch it."""


class Steps:
    """Counts what is changed, and kills the process before change number `kill_at` (from 0)."""

    def __init__(self) -> None:
        self.done = 0
        self.kill_at: int | None = None
        self.after: Callable[[], None] = lambda: None

    def step(self, change: Callable[[], Any]) -> Any:
        if self.done == self.kill_at:
            raise KilledError
        self.done += 1
        answer = change()
        self.after()
        return answer


class Forecasts:
    """A model whose forecasts tell its version."""

    def __init__(self, version: str) -> None:
        self._chance = int(version) / 100

    def forecast(self, features: pd.DataFrame) -> pd.DataFrame:
        count = len(features)
        return pd.DataFrame(
            {
                "purchase_proba": [self._chance] * count,
                "will_purchase_pred": [0] * count,
                "days_to_next_pred": [float("nan")] * count,
                "next_purchase_amount_pred": [12.5] * count,
            }
        )


class MemoryRegistry:
    """Versions 1, 2, …; the first reads older snapshots, so that any later one is judged the better."""

    name = NAME

    def __init__(self, steps: Steps, versions: int) -> None:
        self._steps = steps
        self.tags: dict[str, dict[str, str]] = {str(number + 1): {} for number in range(versions)}
        self.aliases: dict[str, str] = {}

    def version(self, number: str) -> ModelVersion:
        if number not in self.tags:
            raise NotReadyError(f"Model {NAME} has no version {number}.")
        old = number == "1" and len(self.tags) > 1
        return ModelVersion(
            name=NAME,
            version=number,
            run_id="r",
            snapshot_version="0" * 12 if old else snapshot_version(7),
            metrics={},
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            tags={**self.tags[number], "contract": '{"horizon_days": 7}'},
        )

    def newest(self) -> ModelVersion:
        return self.version(max(self.tags, key=int))

    def champion(self) -> ModelVersion | None:
        return self.version(self.aliases["champion"]) if "champion" in self.aliases else None

    def former_champion(self) -> ModelVersion | None:
        return self.version(self.aliases["former"]) if "former" in self.aliases else None

    def set_champion(self, version: ModelVersion, *, reason: str = "") -> None:
        before = self.aliases.get("champion")
        if before == version.version:
            return
        if before is not None:
            self._steps.step(lambda: self.aliases.update(former=before))
        self._steps.step(lambda: self.aliases.update(champion=version.version))
        self.note(version, decision="champion", reason=reason)

    def note(self, version: ModelVersion, **tags: str) -> None:
        self._steps.step(lambda: self.tags[version.version].update(tags))

    def load(self, version: ModelVersion) -> Any:
        return SimpleNamespace(model=Forecasts(version.version), contract=contract(7), version=version, metrics={})

    def download_uri(self, version: ModelVersion, artifacts_destination: str = "") -> str:
        return f"s3://models/{version.version}"


class MemoryCluster:
    """KServe in one method: a Deployment for the champion and one a canary, made when an InferenceService is applied.

    `behaviour` of a version: `well`, `unready`, `refuses` (says why in /info), `crashes`, `untrue`, `slow`,
    `homeless` (no node has room), `starting` (its files are being fetched, for ever), `ends under load`.
    """

    namespace = "shop"

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        steps.after = self.check
        self.behaviour: dict[str, str] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.running: dict[str, str] = {}
        self.serving: dict[str, str] = {}
        """Service to version of the pods that answer."""
        self.away = False
        self.refusals = 0
        """So many times nothing is taken, as while KServe's webhook is started anew."""
        self.lost_requests = 0
        """So many forecasts asked of a canary get lost on their way."""
        self.shares: list[dict[str, int]] = []

    def services(self) -> list[ServedModel]:
        return [ServedModel.of(self.objects["InferenceService"])]

    def service(self, name: str) -> dict[str, Any] | None:
        self._answer()
        return deepcopy(self.objects.get("InferenceService"))

    def route(self, name: str) -> dict[str, Any] | None:
        self._answer()
        route = deepcopy(self.objects.get("HTTPRoute"))
        if route is not None:
            seen = route["metadata"]["generation"]
            conditions = [
                {"type": each, "status": "True", "observedGeneration": seen} for each in ("Accepted", "ResolvedRefs")
            ]
            route["status"] = {"parents": [{"conditions": conditions}]}
        return route

    def apply(self, given: Mapping[str, Any]) -> dict[str, Any]:
        self._answer()
        if self.refusals:
            self.refusals -= 1
            raise ClusterError("failed calling webhook: connection refused")
        return deepcopy(self._steps.step(lambda: self._apply(deepcopy(dict(given)))))

    def remove(self, name: str) -> None:
        self._answer()

        def removing() -> None:
            self.objects.pop("InferenceService", None)
            self.running, self.serving = {}, {}

        self._steps.step(removing)

    def deployment(self, name: str) -> dict[str, Any] | None:
        self._answer()
        if name not in self.running:
            return None
        version = self.running[name]
        ready = int(self._is_ready(version))
        old = int(self.serving.get(name, version) != version)
        files = Files(version, self._snapshot(version), f"s3://models/{version}")
        return {
            "metadata": {"generation": 1},
            "spec": {"replicas": 1, "template": {"metadata": {"annotations": files.annotations}}},
            "status": {
                "observedGeneration": 1,
                "replicas": 1 + old,
                "updatedReplicas": 1,
                "readyReplicas": ready + old,
                "availableReplicas": ready + old,
            },
        }

    def pods(self, selector: Mapping[str, str]) -> list[dict[str, Any]]:
        self._answer()
        name = selector["app"].removeprefix("isvc.")
        if name not in self.running:
            return []
        version = self.running[name]
        behaves = self.behaviour.get(version, "well")
        ended = {"crashes": 3, "ends under load": len(self.shares[-1:]) and len(self.shares[-1]) - 1}.get(behaves, 0)
        files = Files(version, self._snapshot(version), f"s3://models/{version}")
        status = {
            "name": "kserve-container",
            "ready": self._is_ready(version),
            "restartCount": ended,
            "state": {"waiting": {"reason": "PodInitializing"}} if behaves == "starting" else {"running": {}},
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}} if ended else {},
        }
        lost = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu"}
        return [
            {
                "metadata": {"name": name, "annotations": files.annotations},
                "status": {
                    "containerStatuses": [] if behaves == "homeless" else [status],
                    "conditions": [lost] if behaves == "homeless" else [],
                },
            }
        ]

    def ask(self, kind: str, name: str, port: int, path: str, body: Any = None, *, seconds: float = 20.0) -> Any:
        version = self.running.get(name) if kind == "pods" else self.serving.get(name)
        if version is None:
            raise httpx.ConnectError("refused")
        behaves = self.behaviour.get(version, "well")
        if path.endswith("/info"):
            refused = behaves == "refuses"
            return {
                "version": version,
                "status": "error" if refused else "loaded",
                "error": "only in the model: x" if refused else None,
            }
        if self.lost_requests and name != STABLE:
            self.lost_requests -= 1
            raise httpx.ReadTimeout("nothing came")
        forecasts = Forecasts("99" if behaves == "untrue" else version).forecast(pd.DataFrame(body["instances"]))
        rows = forecasts.astype(object).where(forecasts.notna(), None).to_dict("records")
        return {"model_version": version, "predictions": rows}

    def check(self) -> None:
        """A share leads to a Service whose pods answer, and the champion's Service, once there, always has some."""
        route = self.objects.get("HTTPRoute")
        for backend in route["spec"]["rules"][0]["backendRefs"] if route else []:
            assert backend["weight"] == 0 or backend["name"] in self.serving, f"{backend} leads nowhere"

    def _apply(self, given: dict[str, Any]) -> dict[str, Any]:
        before = self.objects.get(given["kind"])
        generation = before["metadata"]["generation"] if before else 0
        if before is None or before["spec"] != given["spec"]:
            generation += 1
        given["metadata"]["generation"] = generation
        self.objects[given["kind"]] = given
        if given["kind"] == "HTTPRoute":
            backends = given["spec"]["rules"][0]["backendRefs"]
            self.shares.append({each["name"]: each["weight"] for each in backends})
        else:
            self._reconcile(given["spec"])
        return given

    def _reconcile(self, spec: Mapping[str, Any]) -> None:
        wanted = {STABLE: spec["predictor"]}
        for canary in spec.get("canary", []):
            wanted[f"{SERVICE}-{canary['predictor']['name']}-predictor"] = canary["predictor"]
        self.running = {name: made["model"]["env"][0]["value"] for name, made in wanted.items()}
        self.serving = {name: version for name, version in self.serving.items() if name in wanted}
        # a Deployment whose new pods do not come up keeps its old ones
        self.serving |= {name: version for name, version in self.running.items() if self._is_ready(version)}

    def _is_ready(self, version: str) -> bool:
        return self.behaviour.get(version, "well") in ("well", "untrue", "slow", "ends under load")

    def _snapshot(self, version: str) -> str:
        annotations = self.objects["InferenceService"]["metadata"]["annotations"]
        for canary in self.objects["InferenceService"]["spec"].get("canary", []):
            if canary["predictor"]["name"] == f"v{version}":
                annotations = canary["predictor"]["annotations"]
        return str(annotations["anmodel.io/snapshot-version"])

    def _answer(self) -> None:
        if self.away:
            raise ClusterError("the Kubernetes API does not answer: refused. Try again when it does.")
