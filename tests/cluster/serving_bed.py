"""KServe's side of the tests: a namespace with MLflow, a ServingRuntime and a Gateway, and models to serve.

The cluster needs KServe (Standard mode, Gateway API), and an S3 server: Service `s3` and Secret `s3-credentials` in the
namespace `storage`.
"""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import storage
import versions
from testbed import ROOT, version

from anmodel import snapshots
from anmodel.lake import Lake
from anmodel.model import ContextAwareModel
from anmodel.registry import ModelVersion, Registry
from anmodel.settings import RegistrySettings
from batch.synthetic import feature_rows, write_training
from cluster import OURS, Cluster, run
from eventually import eventually

NAMESPACE = "anmodel-serving"
BUCKET = "anmodel-serving"
HOST = "predictor.anmodel-serving.localtest.me"
MODEL, SERVICE = "context_aware", "context-aware"
CONTRACT = snapshots.contract(7)
_ENDPOINT = "s3.storage.svc.cluster.local:8333"
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_CONFINED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
_POD = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}


def load_images() -> None:
    """Build the images and hand them to the cluster by the command in ANMODEL_LOAD_IMAGE, if there is one."""
    loading = shlex.split(os.environ.get("ANMODEL_LOAD_IMAGE", ""))
    if loading:
        run("make", "-C", str(ROOT), "images", "STAGES=predictor mlflow", timeout=1800)
        run(*loading, image("predictor"), image("mlflow"), timeout=900)


def image(stage: str) -> str:
    """The image of a stage; ANMODEL_SERVING_TAG is another tag than the version's."""
    return f"anmodel/{stage}:{os.environ.get('ANMODEL_SERVING_TAG', version())}"


def make(cluster: Cluster) -> None:
    """All but the models. Safe to repeat."""
    meta = {"name": NAMESPACE, "labels": OURS | _RESTRICTED}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    keys = storage.credentials(cluster)
    with storage.opened(cluster) as s3:
        if not s3.exists(BUCKET):
            s3.mkdir(BUCKET)
    items = [*_account(keys), *_mlflow(), _runtime(), _gateway()]
    cluster.kubectl(
        "apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), namespace=NAMESPACE
    )
    eventually(lambda: cluster.kubectl("rollout", "status", "deployment/mlflow", namespace=NAMESPACE), 120)


def remove(cluster: Cluster) -> None:
    """The namespace and all in it."""
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=300)


class Models:
    """The registry in the cluster as this machine reaches it, and a lake with the rows that versions are judged by."""

    def __init__(self, folder: Path, mlflow: str) -> None:
        self.folder, self.mlflow = folder, mlflow
        self.lake = Lake(str(folder / "lake"))
        write_training(self.lake, rows=1500)
        self.registry = Registry(RegistrySettings.load(mlflow_tracking_uri=mlflow, model_name=MODEL))

    def add(self, model: ContextAwareModel) -> ModelVersion:
        """Log a model as the newest version."""
        inputs = {"snapshot_name": "model1"}
        return self.registry.log(
            model, contract=CONTRACT, metrics={}, params={}, files=self.folder / "lake", inputs=inputs
        )

    def in_use(self) -> str:
        """The number of the champion; empty when there is none."""
        champion = self.registry.champion()
        return champion.version if champion else ""


@contextmanager
def models_of(cluster: Cluster, folder: Path) -> Iterator[Models]:
    """The registry, reachable for the time of a `with`."""
    with cluster.forwarded("service/mlflow", 5000, namespace=NAMESPACE) as port:
        yield Models(folder, f"http://127.0.0.1:{port}")


def weak() -> ContextAwareModel:
    """A model that every `good` one is better than."""
    return _fit(ContextAwareModel, trees=2)


def good(kind: type[ContextAwareModel] = ContextAwareModel) -> ContextAwareModel:
    """A model that learnt what there is to learn; of another class, when one is given."""
    return _fit(kind, trees=60)


def unloadable() -> ContextAwareModel:
    """Good wherever it is judged; its files cannot be loaded where a predictor serves a folder."""

    return good(versions.unloadable())


def untrue() -> ContextAwareModel:
    """Good wherever it is judged; where a predictor serves a folder, it answers with other chances."""
    return souring(answers=0)


def souring(answers: int = 30) -> ContextAwareModel:
    """Good wherever it is judged; where a predictor serves a folder, it answers rightly so many times and then not."""

    class Souring(ContextAwareModel):
        def forecast(self, features: Any, chances: Any = None) -> Any:
            import os

            forecasts = ContextAwareModel.forecast(self, features, chances)
            self.answered_ = getattr(self, "answered_", 0) + 1
            if os.environ.get("MODEL_DIR") and self.answered_ > answers:
                forecasts["purchase_proba"] = forecasts["purchase_proba"] * 0.9
            return forecasts

    return good(Souring)


def _fit(kind: type[ContextAwareModel], trees: int) -> ContextAwareModel:
    model = kind(max_trees=trees, learning_rate=0.1, n_jobs=1, random_state=42)
    return model.fit(*feature_rows(1500, seed=1), validation=feature_rows(700, seed=2), contract=CONTRACT)


def _account(keys: Mapping[str, str]) -> list[dict[str, Any]]:
    place = "serving.kserve.io/s3-"
    notes = {f"{place}endpoint": _ENDPOINT, f"{place}usehttps": "0", f"{place}region": "us-east-1"}
    return [
        _object("v1", "Secret", "anmodel-s3-models", annotations=notes) | {"stringData": dict(keys)},
        _object("v1", "Secret", "anmodel-s3-mlflow") | {"stringData": dict(keys)},  # that S3 knows one key
        _object("v1", "ServiceAccount", "anmodel-predictor")
        | {"secrets": [{"name": "anmodel-s3-models"}], "automountServiceAccountToken": False},
    ]


def _mlflow() -> list[dict[str, Any]]:
    destination = f"s3://{BUCKET}/artifacts"
    files = ["--backend-store-uri", "sqlite:////tmp/mlflow.db", "--artifacts-destination", destination]
    container = {
        "name": "mlflow",
        "image": image("mlflow"),
        "imagePullPolicy": "IfNotPresent",
        "args": ["server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1", *files],  # noqa: S104 (a pod's)
        "env": [
            {"name": "MLFLOW_S3_ENDPOINT_URL", "value": f"http://{_ENDPOINT}"},
            {"name": "AWS_DEFAULT_REGION", "value": "us-east-1"},
        ],
        "envFrom": [{"secretRef": {"name": "anmodel-s3-mlflow"}}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 5000}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "20m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": _CONFINED,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": _POD,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    labels = {"app": "mlflow"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return [
        _object("apps/v1", "Deployment", "mlflow")
        | {"spec": {"selector": {"matchLabels": labels}, "template": template}},
        _object("v1", "Service", "mlflow") | {"spec": {"selector": labels, "ports": [{"port": 5000}]}},
    ]


def _runtime() -> dict[str, Any]:
    variables = {
        "PREDICTOR_HOST": "0.0.0.0",  # noqa: S104 (a pod's)
        "PREDICTOR_PORT": "8080",
        "MODEL_DIR": "/mnt/models",
        "MODEL_NAME": MODEL,
        "LOG_FORMAT": "json",
    }
    container = {
        "name": "kserve-container",
        "image": image("predictor"),
        "imagePullPolicy": "IfNotPresent",
        "args": ["predictor"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/v2/health/ready", "port": 8080},
            "periodSeconds": 2,
            "timeoutSeconds": 5,
        },
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 30, "timeoutSeconds": 5},
        # the pod leaves the Service at once, and the proxies hear of it a moment later
        "lifecycle": {"preStop": {"exec": {"command": ["python", "-c", "import time; time.sleep(8)"]}}},
        "resources": {"requests": {"cpu": "50m", "memory": "384Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": _CONFINED | _POD,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    spec = {
        "supportedModelFormats": [{"name": "mlflow", "version": "2"}],
        "protocolVersions": ["v1", "v2"],
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    return _object("serving.kserve.io/v1alpha1", "ServingRuntime", "anmodel") | {"spec": spec}


def _gateway() -> dict[str, Any]:
    listener = {
        "name": "http",
        "port": 80,
        "protocol": "HTTP",
        "hostname": f"*.{HOST.partition('.')[2]}",
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }
    spec = {"gatewayClassName": "envoy", "listeners": [listener]}
    return _object("gateway.networking.k8s.io/v1", "Gateway", "edge") | {"spec": spec}


def _object(version: str, kind: str, name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
    }
