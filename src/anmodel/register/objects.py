"""The Kubernetes objects that serve a version, as they should be. Computes; talks to nobody."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anmodel.served_model import FILES, MODEL, PART_OF, SNAPSHOT, VERSION
from anmodel.settings import RegisterSettings

_AUTOSCALER = "serving.kserve.io/autoscalerClass"
_PORT = 80
_CONFINED = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
"""Of the whole pod: a ServingRuntime can confine its own container, but not the one that fetches the files."""


@dataclass(frozen=True)
class Files:
    """A version's files, as KServe is told of them."""

    version: str
    snapshot_version: str
    uri: str

    @property
    def annotations(self) -> dict[str, str]:
        """Marks of everything that is made of these files, down to the pods."""
        return {VERSION: self.version, SNAPSHOT: self.snapshot_version, FILES: self.uri}

    def made(self, metadata: Mapping[str, Any]) -> bool:
        """Whether the object with this metadata was made of these files."""
        return bool(self.annotations.items() <= metadata.get("annotations", {}).items())

    def suits(self, other: "Files") -> bool:
        """Whether both versions read the same snapshots, so that one image can serve both."""
        return self.snapshot_version == other.snapshot_version


@dataclass(frozen=True)
class Canary:
    """A version beside the champion: its share of the traffic, %, and so many pods."""

    files: Files
    percent: int
    replicas: int


def service_name(model: str) -> str:
    """The InferenceService of a model."""
    return model.replace("_", "-")


def predictor_name(model: str, canary: str = "") -> str:
    """KServe's Deployment and Service of the champion, or of the canary of this version."""
    middle = f"-v{canary}" if canary else ""
    return f"{service_name(model)}{middle}-predictor"


def inference_service(
    settings: RegisterSettings, namespace: str, stable: Files, canary: Canary | None
) -> dict[str, Any]:
    """The InferenceService: `stable` answers, `canary` is there beside it.

    KServe takes the canary's pods off the champion's fewest; they are added, so that the champion keeps its own.
    """
    scales = settings.serving_max_replicas > settings.serving_min_replicas
    few = settings.serving_min_replicas
    if canary is not None:
        few = max(few, canary.replicas) + canary.replicas
    predictor: dict[str, Any] = {
        "minReplicas": few,
        "maxReplicas": max(settings.serving_max_replicas, few),
        # KServe's own would take a quarter of the pods away before new ones are there
        "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        **_predictor(settings, stable),
    }
    if scales:
        target = {"type": "Utilization", "averageUtilization": settings.serving_cpu_percent}
        predictor["autoScaling"] = {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}
    spec: dict[str, Any] = {"predictor": predictor}
    if canary is not None:
        spec["canary"] = [{"trafficPercent": canary.percent, "predictor": _canary(settings, canary)}]
    annotations = {
        MODEL: settings.model_name,
        **stable.annotations,
        "serving.kserve.io/deploymentMode": "Standard",
        _AUTOSCALER: "hpa" if scales else "none",
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": service_name(settings.model_name),
            "namespace": namespace,
            # without the last one KServe makes a route of its own, for the champion alone
            "labels": {**_labels("predictor"), "networking.kserve.io/visibility": "cluster-local"},
            "annotations": annotations,
        },
        "spec": spec,
    }


def http_route(settings: RegisterSettings, namespace: str, canary: Canary | None = None) -> dict[str, Any]:
    """The route of SERVING_HOST at the Gateway: all to the champion, or a share to the canary."""
    gateway_namespace, _, gateway = settings.serving_gateway.partition("/")
    shares = {predictor_name(settings.model_name): 100}
    if canary is not None:
        shares = {
            predictor_name(settings.model_name): 100 - canary.percent,
            predictor_name(settings.model_name, canary.files.version): canary.percent,
        }
    backends = [{"name": name, "port": _PORT, "weight": weight} for name, weight in shares.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": service_name(settings.model_name),
            "namespace": namespace,
            "labels": _labels("predictor"),
        },
        "spec": {
            "parentRefs": [{"namespace": gateway_namespace, "name": gateway}],
            "hostnames": [settings.serving_host],
            "rules": [{"backendRefs": backends}],
        },
    }


def canary_replicas(serving: int, percent: int) -> int:
    """Pods of a canary that takes this share from so many pods; at least one."""
    return max(1, math.ceil(serving * percent / 100))


def _canary(settings: RegisterSettings, canary: Canary) -> dict[str, Any]:
    spec = _predictor(settings, canary.files)
    spec["model"]["name"] = ""  # asked for by the schema, filled in by KServe
    return {
        "name": f"v{canary.files.version}",
        "minReplicas": canary.replicas,
        # an autoscaler made for a canary would outlive it
        "annotations": {**canary.files.annotations, _AUTOSCALER: "none"},
        **spec,
    }


def _predictor(settings: RegisterSettings, files: Files) -> dict[str, Any]:
    model = {
        "modelFormat": {"name": "mlflow", "version": "2"},
        "runtime": settings.serving_runtime,
        "protocolVersion": "v2",
        "storageUri": files.uri,
        "env": [{"name": "MODEL_VERSION", "value": files.version}],
    }
    account = {"serviceAccountName": settings.serving_account} if settings.serving_account else {}
    return {**account, "securityContext": _CONFINED, "model": model}


def _labels(component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": PART_OF,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": "anmodel-register",
    }
