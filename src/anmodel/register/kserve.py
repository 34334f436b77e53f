"""The champion served by KServe: a new version is tried beside it, given a share of the traffic, then takes its place.

What stands in the cluster is read anew at every step and each step may be repeated, so that a run that was cut short
anywhere is finished, or undone, by the next one.
"""

import time
from dataclasses import replace
from typing import Any

import httpx
import structlog

from anmodel.cluster import Cluster
from anmodel.errors import ClusterError
from anmodel.lake import Lake
from anmodel.register import objects, rollout
from anmodel.register.objects import Canary, Files
from anmodel.register.probe import Ask, Probe, probe_of, slow
from anmodel.register.serving import VersionRejected
from anmodel.registry import ModelVersion, Registry
from anmodel.settings import RegisterSettings

PREDICTOR_PORT = 8080
_SERVICE_PORT = 80
_FEW = 20
_ROUTE_SECONDS = 60.0
"""How long a Gateway may take to accept a route, and a Service to lead to pods that are ready."""

log = structlog.get_logger()


class KServe:
    """One model's InferenceService, and its route when there is a Gateway that splits the traffic."""

    def __init__(
        self,
        cluster: Cluster,
        settings: RegisterSettings,
        registry: Registry,
        lake: Lake,
        *,
        poll_seconds: float = 1.0,
        drain_seconds: float = 5.0,
    ) -> None:
        """`drain_seconds` pass between taking a share away and what had it, for proxies to hear of it."""
        self._cluster, self._settings = cluster, settings
        self._registry, self._lake = registry, lake
        self._poll, self._drain = poll_seconds, drain_seconds
        self._service = objects.service_name(settings.model_name)
        self._stable = objects.predictor_name(settings.model_name)

    def roll_out(self, version: ModelVersion, champion: ModelVersion | None) -> None:
        """Put `version` to the proof, then have it answer in the champion's place; see `Serving`."""
        files = self._files(version)
        before = None if champion is None else self._files(champion)
        stands = self._cluster.service(self._service)
        probe = probe_of(self._registry, self._lake, version)
        try:
            if before is None:
                self._first(files, probe)
            elif stands is not None and files.made(stands["metadata"]):
                self._end_share()  # a run was cut short after all proofs, and before the alias moved
                self._take_over(files, None, probe)
            else:
                self._settle(before)
                self._prove(files, before, probe)
        except (VersionRejected, ClusterError) as error:
            self._withdraw(before, error)
            raise

    def settle(self, champion: ModelVersion) -> bool:
        """Make the InferenceService and the route be the champion's alone; see `Serving`.

        ClusterError when the champion does not come up; what served before does so still.
        """
        try:
            return self._settle(self._files(champion))
        except VersionRejected as error:
            raise ClusterError(
                f"{champion.name} version {champion.version} is champion, but does not come up: {error} What served "
                "before still does. `anmodel register` tries again; `--rollback` or `--version N` takes another."
            ) from error

    def _first(self, files: Files, probe: Probe) -> None:
        self._apply(files)
        self._until_ready(self._stable, files)
        self._check(probe, self._stable)

    def _prove(self, files: Files, before: Files, probe: Probe) -> None:
        """The canary's way: dark, with a share, in the champion's place."""
        running = (self._cluster.deployment(self._stable) or {}).get("status", {}).get("readyReplicas", 1)
        share = self._settings.canary_percent if self._settings.serving_gateway else 0
        dark = Canary(files, 0, objects.canary_replicas(running, share))
        self._apply(before, dark)
        name = objects.predictor_name(self._settings.model_name, files.version)
        log.info("canary made, without traffic", version=files.version, service=name)
        self._until_ready(name, files)
        self._check(probe, name)
        if before.snapshot_version == files.snapshot_version:
            late = slow(probe.seconds(self._asker(name)), probe.seconds(self._asker(self._stable)))
            if late:
                raise VersionRejected(f"It is too slow: {late}.")
        log.info("canary answers as its model does", version=files.version, records=len(probe.records))
        canary = replace(dark, percent=share)
        if share:
            self._share(canary, before, probe)
        self._take_over(files, canary, probe)

    def _share(self, canary: Canary, before: Files, probe: Probe) -> None:
        """Give the canary its share, and watch it for CANARY_SECONDS."""
        name = objects.predictor_name(self._settings.model_name, canary.files.version)
        known = rollout.restarts(self._pods(name))
        self._apply(before, canary)
        self._route(canary)
        log.info("canary has its share", version=canary.files.version, percent=canary.percent)
        until = time.monotonic() + self._settings.canary_seconds
        while time.monotonic() < until:
            self._pause()
            if rollout.restarts(self._pods(name)) != known:
                raise VersionRejected(f"With {canary.percent} % of the traffic its predictor ended.")
            if not rollout.rolled_out(self._cluster.deployment(name), canary.files):
                raise VersionRejected(f"With {canary.percent} % of the traffic its pods were not ready any more.")
            if fault := probe.fault(self._asker(name), _FEW):
                raise VersionRejected(f"With {canary.percent} % of the traffic it answered wrongly: {fault}.")

    def _take_over(self, files: Files, canary: Canary | None, probe: Probe) -> None:
        """The champion's pods become pods of `files`, one after another; a canary keeps its share meanwhile."""
        self._apply(files, canary)
        self._until_ready(self._stable, files)
        time.sleep(self._drain)  # the last of the pods before may still be asked for a moment
        self._check(probe, self._stable)
        log.info("version answers in the champion's place", version=files.version)

    def _settle(self, files: Files) -> bool:
        changed = self._end_share()
        stands = self._cluster.service(self._service)
        applied = self._apply(files)
        changed |= stands is None or stands["metadata"]["generation"] != applied["metadata"]["generation"]
        self._until_ready(self._stable, files)
        if self._settings.serving_gateway:
            self._route(None)
        if changed:
            log.info("InferenceService serves the champion alone", name=self._service, version=files.version)
        return changed

    def _withdraw(self, before: Files | None, cause: Exception) -> None:
        """After a failure: the champion alone again, or nothing where there is none."""
        log.warning("version withdrawn", service=self._service, reason=str(cause))
        try:
            if before is None:
                self._cluster.remove(self._service)
            else:
                self._settle(before)
        except (VersionRejected, ClusterError) as error:
            raise ClusterError(
                f"{cause} And the champion could not be brought back whole: {error} `anmodel register` does so when "
                "the cluster answers."
            ) from cause

    def _end_share(self) -> bool:
        """Take a canary's share away, and wait until nobody can send it a request any more."""
        route = self._cluster.route(self._service) if self._settings.serving_gateway else None
        if route is None or len(route["spec"]["rules"][0].get("backendRefs", [])) < 2:
            return False
        self._route(None)
        time.sleep(self._drain)
        return True

    def _route(self, canary: Canary | None) -> None:
        """Apply the route, and wait until the Gateway has taken it."""
        applied = self._cluster.apply(objects.http_route(self._settings, self._cluster.namespace, canary))
        generation = applied["metadata"]["generation"]
        until = time.monotonic() + _ROUTE_SECONDS
        while True:
            parents = (self._cluster.route(self._service) or {}).get("status", {}).get("parents", [])
            met = [
                each["type"]
                for parent in parents
                for each in parent.get("conditions", [])
                if each["status"] == "True" and each.get("observedGeneration") == generation
            ]
            if {"Accepted", "ResolvedRefs"} <= set(met):
                return
            if time.monotonic() > until:
                said = "; ".join(str(each.get("message")) for p in parents for each in p.get("conditions", []))
                raise ClusterError(
                    f"the Gateway {self._settings.serving_gateway} does not take the route of "
                    f"{self._settings.serving_host}: {said or 'it has not said why'}. Does it listen for that host?"
                )
            self._pause()

    def _apply(self, stable: Files, canary: Canary | None = None) -> dict[str, Any]:
        return self._cluster.apply(objects.inference_service(self._settings, self._cluster.namespace, stable, canary))

    def _until_ready(self, name: str, files: Files) -> None:
        """Wait until the Deployment is all of these files. VersionRejected when they do not serve."""
        until = time.monotonic() + self._settings.serving_timeout
        while not rollout.rolled_out(self._cluster.deployment(name), files):
            pods = rollout.of_files(self._pods(name), files)
            fault = rollout.crashes(pods) or self._refusal(pods)
            if fault:
                raise VersionRejected(f"It does not serve: {fault}.")
            if time.monotonic() > until:
                self._give_up(name, pods)
            self._pause()

    def _give_up(self, name: str, pods: list[Any]) -> None:
        seconds = f"within SERVING_TIMEOUT={self._settings.serving_timeout:g} s"
        if hindrance := rollout.hindrance(pods):
            raise ClusterError(f"{name} is not ready {seconds}, for lack of something else: {hindrance}.")
        if not pods:
            raise ClusterError(f"there are no pods of {name} {seconds}: {self._why_no_pods(name)}.")
        raise VersionRejected(f"Its pods are not ready {seconds}.")

    def _refusal(self, pods: list[Any]) -> str:
        """Why a predictor that runs and is not ready says that it never will be; empty while it does not say so."""
        for pod in filter(rollout.runs_unready, pods):
            name = pod["metadata"]["name"]
            try:
                told = self._cluster.ask("pods", name, PREDICTOR_PORT, self._path("/info"), seconds=5.0)
            except (httpx.HTTPError, ValueError):
                continue  # it starts, or nothing leads there
            if isinstance(told, dict) and told.get("status") == "error":
                return str(told.get("error"))
        return ""

    def _check(self, probe: Probe, name: str) -> None:
        """Every row is answered as the model itself does; a Service may first take a moment to lead to the new pods."""
        until = time.monotonic() + _ROUTE_SECONDS
        while (answering := self._answering(name)) != probe.version:
            if time.monotonic() > until:
                raise VersionRejected(f"Its pods are ready, but {name} answers as version {answering or '(nothing)'}.")
            self._pause()
        if fault := probe.fault(self._asker(name)):
            raise VersionRejected(f"It does not answer as it must: {fault}.")

    def _answering(self, name: str) -> str:
        """Which version a Service's predictor says it is; empty when there is no answer."""
        try:
            return str(self._cluster.ask("services", name, _SERVICE_PORT, self._path("/info")).get("version"))
        except (httpx.HTTPError, ValueError, AttributeError):
            return ""

    def _asker(self, name: str) -> Ask:
        return lambda body: self._cluster.ask("services", name, _SERVICE_PORT, self._path(":predict"), body)

    def _path(self, verb: str) -> str:
        return f"/v1/models/{self._settings.model_name}{verb}"

    def _files(self, version: ModelVersion) -> Files:
        uri = self._registry.download_uri(version, self._settings.mlflow_artifacts_destination)
        return Files(version.version, version.snapshot_version, uri)

    def _pods(self, name: str) -> list[dict[str, Any]]:
        return self._cluster.pods({"app": f"isvc.{name}"})

    def _why_no_pods(self, name: str) -> str:
        """In the words of Kubernetes (a policy refuses them, say), else of KServe."""
        places = (self._cluster.deployment(name), self._cluster.service(self._service))
        conditions = [each for place in places for each in (place or {}).get("status", {}).get("conditions", [])]
        said = [f"{each['type']}: {each['message']}" for each in conditions if each.get("message")]
        return "; ".join(said) or "KServe says nothing; does its controller run?"

    def _pause(self) -> None:
        time.sleep(self._poll)
