"""The predictors that KServe runs: waited for until they serve a version, and asked."""

import time
from collections.abc import Mapping
from typing import Any

import httpx

from anmodel.cluster import Cluster
from anmodel.errors import ClusterError
from anmodel.register import objects, rollout
from anmodel.register.objects import Files
from anmodel.register.probe import Ask, Probe
from anmodel.register.serving import VersionRejected
from anmodel.settings import RegisterSettings

_POD_PORT, _SERVICE_PORT = 8080, 80
_ENDPOINTS_SECONDS = 60.0
"""How long a Service may take to lead to pods that are ready."""
_TRIES = 3
_PASSING = (502, 503, 504)


class Predictors:
    """By the name that KServe gives a Deployment and its Service alike."""

    def __init__(self, cluster: Cluster, settings: RegisterSettings, poll_seconds: float) -> None:
        self._cluster, self._settings, self._poll = cluster, settings, poll_seconds

    def running(self, name: str) -> int:
        """How many pods are ready; 1 when nobody knows."""
        return int((self._cluster.deployment(name) or {}).get("status", {}).get("readyReplicas", 1))

    def restarts(self, name: str) -> int:
        """How often predictors ended and were started again."""
        return rollout.restarts(self._pods(name))

    def serve(self, name: str, files: Files) -> bool:
        """Whether all pods are ready and made of these files."""
        return rollout.rolled_out(self._cluster.deployment(name), files)

    def until_ready(self, name: str, files: Files) -> None:
        """Wait until the Deployment is all of these files. VersionRejected when they do not serve."""
        until = time.monotonic() + self._settings.serving_timeout
        while not self.serve(name, files):
            pods = rollout.of_files(self._pods(name), files)
            fault = rollout.crashes(pods) or self._refusal(pods)
            if fault:
                raise VersionRejected(f"It does not serve: {fault}.")
            if time.monotonic() > until:
                self._give_up(name, pods)
            time.sleep(self._poll)

    def check(self, probe: Probe, name: str) -> None:
        """Every row is answered as the model itself does; a Service may first take a moment to lead to the new pods."""
        until = time.monotonic() + _ENDPOINTS_SECONDS
        while (answering := self._answering(name)) != probe.version:
            if time.monotonic() > until:
                raise VersionRejected(f"Its pods are ready, but {name} answers as version {answering or '(nothing)'}.")
            time.sleep(self._poll)
        if fault := probe.fault(self.asker(name)):
            raise VersionRejected(f"It does not answer as it must: {fault}.")

    def asker(self, name: str) -> Ask:
        """Asks the Service for forecasts; once or twice more where something on the way fails for a moment."""

        def ask(body: dict[str, Any]) -> Any:
            for left in reversed(range(_TRIES)):
                try:
                    return self._cluster.ask("services", name, _SERVICE_PORT, self._path(":predict"), body)
                except httpx.HTTPError as error:
                    if not left or not _may_pass(error):
                        raise
                    time.sleep(self._poll)
            raise AssertionError("unreachable: the last try returns or raises")

        return ask

    def _give_up(self, name: str, pods: list[Mapping[str, Any]]) -> None:
        seconds = f"within SERVING_TIMEOUT={self._settings.serving_timeout:g} s"
        if hindrance := rollout.hindrance(pods):
            raise ClusterError(f"{name} is not ready {seconds}, for lack of something else: {hindrance}.")
        if not pods:
            raise ClusterError(f"there are no pods of {name} {seconds}: {self._why_no_pods(name)}.")
        raise VersionRejected(f"Its pods are not ready {seconds}.")

    def _refusal(self, pods: list[Mapping[str, Any]]) -> str:
        """Why a predictor that runs and is not ready says that it never will be; empty while it does not say so."""
        for pod in filter(rollout.runs_unready, pods):
            name = pod["metadata"]["name"]
            try:
                told = self._cluster.ask("pods", name, _POD_PORT, self._path("/info"), seconds=5.0)
            except (httpx.HTTPError, ValueError):
                continue  # it starts, or nothing leads there
            if isinstance(told, dict) and told.get("status") == "error":
                return str(told.get("error"))
        return ""

    def _answering(self, name: str) -> str:
        """Which version a Service's predictor says it is; empty when there is no answer."""
        try:
            return str(self._cluster.ask("services", name, _SERVICE_PORT, self._path("/info")).get("version"))
        except (httpx.HTTPError, ValueError, AttributeError):
            return ""

    def _path(self, verb: str) -> str:
        return f"/v1/models/{self._settings.model_name}{verb}"

    def _pods(self, name: str) -> list[dict[str, Any]]:
        return self._cluster.pods({"app": f"isvc.{name}"})

    def _why_no_pods(self, name: str) -> str:
        """In the words of Kubernetes (a policy refuses them, say), else of KServe."""
        places = (
            self._cluster.deployment(name),
            self._cluster.service(objects.service_name(self._settings.model_name)),
        )
        conditions = [each for place in places for each in (place or {}).get("status", {}).get("conditions", [])]
        said = [f"{each['type']}: {each['message']}" for each in conditions if each.get("message")]
        return "; ".join(said) or "KServe says nothing; does its controller run?"


def _may_pass(error: httpx.HTTPError) -> bool:
    """Whether an error may be of the way and not of the predictor's own."""
    return not isinstance(error, httpx.HTTPStatusError) or error.response.status_code in _PASSING
