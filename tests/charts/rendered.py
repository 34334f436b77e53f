"""The chart as Helm renders it: every documented combination of values, once a run."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/anmodel"
NAMESPACE = "shop"
STEPS = ("export", "trends", "snapshot", "train", "register", "score", "monitor")
Object = dict[str, Any]

_PLAIN_KAFKA: Object = {"kafka": {"securityProtocol": "PLAINTEXT"}}
_HOSTS = {"marketapp": "console.test", "gateway": "api.test", "collector": "collect.test"}

NO_KSERVE: Object = {
    "enabled": False,
    "services": "predictor",
    "url": "",
    **dict.fromkeys(("gateway", "host", "routeHost"), ""),
}
"""Values of the predictor where the champion is only named in MLflow."""

COMBINATIONS: dict[str, tuple[str, Object]] = {
    "defaults": ("", {}),
    "kind": ("kind", {}),
    "production": ("production", {}),
    "bring-your-own": ("bring-your-own", {}),
    "test": ("test", {}),
    "kind for Tilt": ("kind", {"writableCode": True, "generator": {"enabled": True}}),
    "kind with everything": (
        "kind",
        {
            "collector": {
                "autoscaling": {"enabled": True},
                "rateLimit": "1000/minute",
                "writeKeys": {"existingSecret": "write-keys"},
            },
            "consumer": {"keda": {"enabled": True}},
            "gateway": {"autoscaling": {"enabled": True}, "rateLimit": "300/minute"},
            "generator": {"enabled": True, "writeKey": {"existingSecret": "generators-key"}},
            "trends": {"existingSecret": "serpapi"},
            "predictor": {"minReplicas": 2, "maxReplicas": 4, "grpc": True},
            "monitoring": {"podMonitor": True, "rules": True, "dashboards": True},
        },
    ),
    "a steady stream": ("kind", {"generator": {"enabled": True, "steady": True, "args": ["--rate", "50"]}}),
    "no edge": ("kind", {"edge": {"kind": "none"}}),
    "an Ingress without TLS": ("", {"edge": {"kind": "Ingress", "hosts": _HOSTS}}),
    "a Gateway elsewhere": (
        "",
        {"edge": {"kind": "HTTPRoute", "hosts": _HOSTS, "gateway": {"name": "public", "namespace": "edge"}}},
    ),
    "plain Kafka": ("", _PLAIN_KAFKA | {"consumer": {"keda": {"enabled": True}}}),
    "mutual TLS": (
        "",
        {
            "kafka": {"securityProtocol": "SSL"},
            "collector": {"kafka": {"certificateSecret": "collector-tls"}},
            "consumer": {"kafka": {"certificateSecret": "consumer-tls"}, "keda": {"enabled": True}},
            "gateway": {"kafka": {"certificateSecret": "gateway-tls"}},
            "register": {"kafka": {"certificateSecret": "register-tls"}},
            "monitor": {"kafka": {"certificateSecret": "monitor-tls"}},
        },
    ),
    "SASL without TLS": ("", {"kafka": {"securityProtocol": "SASL_PLAINTEXT", "saslMechanism": "PLAIN"}}),
    "no policies, no migration": ("", {"networkPolicy": {"enabled": False}, "migrate": {"enabled": False}}),
    "no KServe": ("kind", {"predictor": NO_KSERVE}),
    "no steps": ("kind", {"steps": {"enabled": False}}),
    "Amazon's S3 by the pods' identity": (
        "",
        {
            "lake": {"url": "s3://shop-lake/anmodel"},
            "s3": {"endpoint": "", "region": "eu-central-1", "existingSecret": "", "modelsSecret": ""},
            "pods": {"serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/shop"}},
            "networkPolicy": {"s3": {"podLabels": None, "cidrs": ["203.0.113.64/26"]}},
        },
    ),
    "placed pods": (
        "",
        {
            "pods": {
                "podAnnotations": {"team": "shop"},
                "podLabels": {"cost": "stream"},
                "nodeSelector": {"pool": "stream"},
                "tolerations": [{"key": "stream", "operator": "Exists"}],
                "priorityClassName": "shop",
                "topologySpread": [],
            },
            "gateway": {"nodeSelector": {"pool": "api"}, "topologySpread": ["kubernetes.io/hostname"]},
            "image": {"registry": "registry.test/shop", "tag": "1.2.3", "pullSecrets": ["pull"]},
            "consumer": {
                "extraEnv": [{"name": "BATCH_SIZE", "value": "20000"}, {"name": "LOG_LEVEL", "value": "DEBUG"}]
            },
            "score": {
                "extraEnv": [
                    {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "score-s3", "key": "score"}}}
                ]
            },
            "fullnameOverride": "shop",
        },
    ),
}
"""Name → (profile or nothing, values on top of it)."""


def missing(program: str) -> str:
    """Why tests that need the program cannot run, or nothing."""
    return "" if shutil.which(program) else f"{program} is not on PATH"


def helm(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm on the chart, with values on top."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values or {}, file)
        file.flush()
        return subprocess.run(
            ["helm", *arguments, "-f", file.name], capture_output=True, text=True, check=False, timeout=60, env=_env()
        )


def _env() -> dict[str, str]:
    """No cluster may be asked, whatever this machine has."""
    return {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}


def template(
    profile: str = "", values: Mapping[str, Any] | None = None, *more: str
) -> subprocess.CompletedProcess[str]:
    """`helm template` of the release `anmodel`."""
    files = ["-f", str(CHART / f"profiles/{profile}.yaml")] if profile else []
    return helm("template", "anmodel", str(CHART), "--namespace", NAMESPACE, *files, *more, values=values)


def refusal(values: Mapping[str, Any], profile: str = "") -> str:
    """What Helm says of values that it must not take."""
    done = template(profile, values)
    assert done.returncode != 0, "these values were taken"
    return done.stderr


@dataclass(frozen=True)
class Rendered:
    """The objects of one combination."""

    name: str
    text: str
    objects: tuple[Object, ...]

    def kind(self, *kinds: str) -> list[Object]:
        """The objects of these kinds."""
        return [made for made in self.objects if made["kind"] in kinds]

    def one(self, kind: str, name: str) -> Object:
        """The object of that name."""
        (found,) = [made for made in self.kind(kind) if made["metadata"]["name"] == name]
        return found

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Each pod, as the object that makes it is called, with metadata and spec."""
        for made in self.kind("Deployment", "Job"):
            yield f"{made['kind']} {made['metadata']['name']}", made["spec"]["template"]
        for made in self.kind("Pod"):
            yield f"Pod {made['metadata']['name']}", made
        for step, pod in self.steps().items():
            yield f"step {step}", pod

    def steps(self) -> dict[str, Object]:
        """The batch steps' pods, as the ConfigMap holds them for Airflow, by step."""
        held = [made["data"] for made in self.kind("ConfigMap") if made["metadata"]["name"].endswith("-steps")]
        return {file.removesuffix(".yaml"): yaml.safe_load(text) for data in held for file, text in data.items()}

    def asks_kubernetes(self) -> set[str]:
        """The stages that need the Kubernetes API with these values."""
        (gateway,) = [made for made in self.kind("Deployment") if made["metadata"]["name"].endswith("-gateway")]
        wanted = {"gateway"} if environment(gateway["spec"]["template"])["SERVICES"] == "kserve" else set()
        steps = self.steps()
        return wanted | ({"register"} if steps and environment(steps["register"])["SERVING"] == "kserve" else set())

    def deployments(self) -> dict[str, Object]:
        """The Deployments by stage."""
        return {made["metadata"]["labels"]["app.kubernetes.io/component"]: made for made in self.kind("Deployment")}


@functools.cache
def render(name: str) -> Rendered:
    """The combination of that name."""
    profile, values = COMBINATIONS[name]
    done = template(profile, values)
    assert done.returncode == 0, f"{name}: {done.stderr}"
    objects = yaml.load_all(done.stdout, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return Rendered(name, done.stdout, tuple(made for made in objects if made))


def stage_of(pod: Object) -> str:
    """The stage that a pod belongs to."""
    return str(pod["metadata"]["labels"]["app.kubernetes.io/component"])


def megabytes(text: str) -> int:
    """A quantity of memory, in units of 2²⁰ bytes."""
    return int(text.removesuffix("Gi")) * 1024 if text.endswith("Gi") else int(text.removesuffix("Mi"))


def environment(pod: Object) -> dict[str, str]:
    """The variables of a pod's container."""
    return {item["name"]: item.get("value", "") for item in pod["spec"]["containers"][0]["env"]}


def secret_files(pod: Object) -> dict[str, tuple[str, str]]:
    """File name → (Secret, key) of the pod's volume of secrets."""
    sources = [
        source["secret"]
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    ]
    return {item["path"]: (source["name"], item["key"]) for source in sources for item in source["items"]}
