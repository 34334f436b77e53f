"""Our release: the chart installed with the profile `test`, and what its pods are called."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from testbed import ROOT

from cluster import NAMESPACE, Cluster, is_ready
from eventually import eventually

CHART = ROOT / "charts/anmodel"
PROFILE = CHART / "profiles/test.yaml"
NAME = "anmodel"
ENVOY = "gateway.envoyproxy.io/owning-gatewayclass=envoy"
SERVING = ("collector", "consumer", "gateway", "marketapp")
"""Stages that run all the time."""


def selector(stage: str) -> str:
    """The label selector of a stage's pods."""
    return f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component={stage}"


class Release:
    """The Helm release `anmodel`; values are given on top of the profile."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def install(self, values: Mapping[str, Any] | None = None) -> None:
        """Install it, and wait until everything is ready."""
        self._helm("install", values, "--wait")

    def upgrade(self, values: Mapping[str, Any] | None = None, *, wait: bool = True) -> None:
        """Bring it to the profile and these values alone: what an earlier upgrade said is forgotten."""
        self._helm("upgrade", values, *(["--wait"] if wait else []))

    def rollback(self) -> None:
        """Back to the revision before, and wait until everything is ready."""
        self.cluster.helm("rollback", NAME, "--wait", "--timeout", "5m")

    def uninstall(self) -> None:
        """Remove it, and wait until its pods are gone. Safe to repeat."""
        self.cluster.helm("uninstall", NAME, "--ignore-not-found", "--wait", "--timeout", "3m")
        eventually(lambda: not self.cluster.get("pods", selector=f"app.kubernetes.io/instance={NAME}")["items"], 60)

    def revision(self) -> int:
        """The number of the revision deployed now."""
        return int(json.loads(self.cluster.helm("status", NAME, "-o", "json"))["version"])

    def wait_until_ready(self, seconds: float = 180) -> None:
        """Wait until every serving stage has as many ready pods as it should, and no others."""
        eventually(lambda: all(map(self._is_whole, SERVING)), seconds)

    def _is_whole(self, stage: str) -> bool:
        wanted = int(self.cluster.get("deployment", f"{NAME}-{stage}")["spec"].get("replicas", 1))
        pods = self.cluster.get("pods", selector=selector(stage))["items"]
        return len(pods) == wanted and all(map(is_ready, pods))

    def images(self) -> set[str]:
        """The images of the pods that run now."""
        pods = self.cluster.get("pods", selector=f"app.kubernetes.io/instance={NAME}")["items"]
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        return {container["image"] for pod in running for container in pod["spec"]["containers"]}

    def _helm(self, verb: str, values: Mapping[str, Any] | None, *words: str) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(dict(values or {}), file)
            file.flush()
            files = ["-f", str(PROFILE), "-f", file.name, "--set", f"predictor.url={self._envoy()}"]
            self.cluster.helm(verb, NAME, str(CHART), *files, "--timeout", "5m", *words)

    def _envoy(self) -> str:
        """How pods call the Envoy of the cluster's class: its Service has a name that nobody chose."""
        said = self.cluster.kubectl("get", "services", "-A", "-l", ENVOY, "-o", "json")
        (service,) = json.loads(said)["items"]
        return f"http://{service['metadata']['name']}.{service['metadata']['namespace']}"


def values_file(folder: Path, text: str) -> Path:
    """A values file with this text."""
    path = folder / "values.yaml"
    path.write_text(text)
    return path


__all__ = ["CHART", "NAME", "NAMESPACE", "PROFILE", "SERVING", "Release", "selector", "values_file"]
