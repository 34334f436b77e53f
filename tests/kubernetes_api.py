"""A Kubernetes API of ours made up for tests: it lists InferenceServices as told, to our real client."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripted_server import Answer, Request, ScriptedServer


class KubernetesApi:
    """`services` are what it lists; `away` makes it refuse. `kubeconfig` is the way to it."""

    def __init__(self, folder: Path, namespace: str = "anmodel") -> None:
        self.services: list[dict[str, Any]] = []
        self.away = False
        self.namespace = namespace
        self.server = ScriptedServer(self._answer)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(self._kubeconfig()))

    @contextmanager
    def running(self) -> Iterator["KubernetesApi"]:
        """Serve for the time of a `with`."""
        with self.server.running():
            yield self

    def add(self, name: str, url: str, **annotations: str) -> None:
        """Add a ready InferenceService of ours."""
        self.services.append(
            {
                "metadata": {
                    "name": name,
                    "namespace": self.namespace,
                    "annotations": {f"anmodel.io/{key}": value for key, value in annotations.items()},
                },
                "status": {"conditions": [{"type": "Ready", "status": "True"}], "address": {"url": url}},
            }
        )

    def _answer(self, request: Request, _: int) -> Answer:
        expected = f"/apis/serving.kserve.io/v1beta1/namespaces/{self.namespace}/inferenceservices?"
        if self.away or not request.path.startswith(expected):
            return Answer(503, b"away")
        return Answer(body=json.dumps({"items": self.services}).encode(), headers={"content-type": "application/json"})

    def _kubeconfig(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.server.url}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": self.namespace}}],
        }
