"""The champion served by KServe: a new version is tried beside it, given a share of the traffic, then takes its place.

What stands in the cluster is read anew at every step and each step may be repeated, so that a run that was cut short
anywhere is finished, or undone, by the next one.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import structlog

from anmodel.cluster import Cluster
from anmodel.errors import ClusterError, ContractError, NotReadyError
from anmodel.lake import Lake
from anmodel.register import objects
from anmodel.register.objects import Canary, Files
from anmodel.register.predictors import Predictors
from anmodel.register.probe import Probe, probe_of, slow
from anmodel.register.serving import DECISION, WAS_CHAMPION, VersionRejected
from anmodel.register.turn import Turn
from anmodel.registry import ModelVersion, Registry
from anmodel.served_model import VERSION
from anmodel.settings import RegisterSettings

_FEW = 20
_PATIENCE = 45.0
_ROUTE_SECONDS = 60.0
"""How long KServe may refuse what is applied while it is started anew, and a Gateway take to accept a route."""

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
        self._predictors = Predictors(cluster, settings, poll_seconds)
        self._poll, self._drain = poll_seconds, drain_seconds
        self._service = objects.service_name(settings.model_name)
        self._stable = objects.predictor_name(settings.model_name)
        self._turn = Turn(cluster, f"{self._service}-register")

    def alone(self) -> AbstractContextManager[None]:
        """The model's Lease; see `Serving`. Whoever changes what serves must be within."""
        return self._turn.held()

    def roll_out(self, version: ModelVersion, champion: ModelVersion | None) -> None:
        """Put `version` to the proof, then have it answer in the champion's place; see `Serving`."""
        files = self._files(version)
        before = None if champion is None else self._files(champion)
        stands = self._cluster.service(self._service)
        if before is None and stands is not None:
            self._refuse_to_replace(stands["metadata"])
        probe = probe_of(self._registry, self._lake, version)
        try:
            if before is None:
                self._first(files, probe)
            elif stands is not None and files.made(stands["metadata"]):
                self._end_share()  # a run was cut short after all proofs, and before the alias moved
                self._take_over(files, None, probe)
            else:
                self._settle(before, wait=files.suits(before))
                self._prove(files, before, probe)
        except (VersionRejected, ClusterError) as error:
            self._withdraw(files, before, error)
            raise
        self._turn.check()  # the alias moves next, and only in this run's turn

    def settle(self, champion: ModelVersion) -> bool:
        """Make the InferenceService and the route be the champion's alone; see `Serving`.

        ClusterError when the champion does not come up; what served before does so still.
        """
        return self._settle(self._files(champion))

    def _refuse_to_replace(self, metadata: Mapping[str, Any]) -> None:
        """ContractError when what serves was champion: MLflow lost its alias, and no first version may push it out."""
        serves = str(metadata.get("annotations", {}).get(VERSION, ""))
        try:
            never = serves and self._registry.version(serves).tags.get(DECISION, "") not in WAS_CHAMPION
        except NotReadyError:
            never = False
        if not never:
            raise ContractError(
                f"{self._settings.model_name} has no champion in MLflow, but {self._service} serves version "
                f"{serves or '(unknown)'}. `anmodel register --version {serves or 'N'}` gives it its alias back; if it "
                f"shall go, delete the InferenceService {self._service} first."
            )

    def _first(self, files: Files, probe: Probe) -> None:
        self._apply(files)
        self._predictors.until_ready(self._stable, files)
        self._predictors.check(probe, self._stable)

    def _prove(self, files: Files, before: Files, probe: Probe) -> None:
        """The canary's way: dark, with a share, in the champion's place."""
        running = self._predictors.running(self._stable)
        share = self._settings.canary_percent if self._settings.serving_gateway and running else 0
        dark = Canary(files, 0, objects.canary_replicas(running, share))
        self._apply(before, dark)
        name = objects.predictor_name(self._settings.model_name, files.version)
        log.info("canary made, without traffic", version=files.version, service=name)
        self._predictors.until_ready(name, files)
        self._predictors.check(probe, name)
        if files.suits(before):
            late = slow(
                probe.seconds(self._predictors.asker(name)), probe.seconds(self._predictors.asker(self._stable))
            )
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
        known = self._predictors.restarts(name)
        self._apply(before, canary)
        self._route(canary)
        log.info("canary has its share", version=canary.files.version, percent=canary.percent)
        until = time.monotonic() + self._settings.canary_seconds
        while time.monotonic() < until:
            self._pause()
            if self._predictors.restarts(name) != known:
                raise VersionRejected(f"With {canary.percent} % of the traffic its predictor ended.")
            if not self._predictors.serve(name, canary.files):
                raise VersionRejected(f"With {canary.percent} % of the traffic its pods were not ready any more.")
            if fault := probe.fault(self._predictors.asker(name), _FEW):
                raise VersionRejected(f"With {canary.percent} % of the traffic it answered wrongly: {fault}.")

    def _take_over(self, files: Files, canary: Canary | None, probe: Probe) -> None:
        """The champion's pods become pods of `files`, one after another; a canary keeps its share meanwhile."""
        self._apply(files, canary)
        self._predictors.until_ready(self._stable, files)
        time.sleep(self._drain)  # the last of the pods before may still be asked for a moment
        self._predictors.check(probe, self._stable)
        log.info("version answers in the champion's place", version=files.version)

    def _settle(self, files: Files, *, wait: bool = True) -> bool:
        """`wait` False: the pods need not come up. Of an image that reads other snapshots, the champion's never do."""
        changed = self._end_share()
        stands = self._cluster.service(self._service)
        applied = self._apply(files)
        changed |= stands is None or stands["metadata"]["generation"] != applied["metadata"]["generation"]
        if wait:
            self._until_up(files)
        if self._settings.serving_gateway and (wait or self._predictors.running(self._stable)):
            self._route(None)
        if changed:
            log.info("InferenceService serves the champion alone", name=self._service, version=files.version)
        return changed

    def _until_up(self, files: Files) -> None:
        try:
            self._predictors.until_ready(self._stable, files)
        except VersionRejected as error:
            raise ClusterError(
                f"{self._settings.model_name} version {files.version} is champion, but does not come up: {error} What "
                "served before still does. `anmodel register` tries again; `--rollback` or `--version N` takes another."
            ) from error

    def _withdraw(self, files: Files, before: Files | None, cause: Exception) -> None:
        """After a failure: the champion alone again, or nothing where there is none."""
        log.warning("version withdrawn", service=self._service, reason=str(cause))
        try:
            self._turn.check()
            if before is None:
                self._cluster.remove(self._service)
            else:
                self._settle(before, wait=files.suits(before))
        except ClusterError as error:
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
        applied = self._patiently(objects.http_route(self._settings, self._cluster.namespace, canary))
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
        return self._patiently(objects.inference_service(self._settings, self._cluster.namespace, stable, canary))

    def _patiently(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Apply an object; a controller that is started anew refuses everything for a moment."""
        until = time.monotonic() + min(_PATIENCE, self._settings.serving_timeout)
        while True:
            self._turn.check()
            try:
                return self._cluster.apply(wanted)
            except ClusterError as error:
                if time.monotonic() > until:
                    raise
                log.warning("refused, trying again", kind=wanted["kind"], error=str(error))
            time.sleep(self._poll)

    def _files(self, version: ModelVersion) -> Files:
        uri = self._registry.download_uri(version, self._settings.mlflow_artifacts_destination)
        return Files(version.version, version.snapshot_version, uri)

    def _pause(self) -> None:
        time.sleep(self._poll)
