"""Whether this machine can: each condition as a finding, with what to do where it does not hold."""

import json
import os
import platform as machine
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bringup.parts import Overlay, Platform
from bringup.running import Runner, say

PORTS: Final = {
    8081: "the edge",
    8001: "collector",
    8002: "consumer",
    8000: "gateway",
    5173: "marketapp",
    8123: "ClickHouse",
    8080: "Kafka UI",
    5000: "MLflow",
    8082: "Airflow",
}
"""Ports of this machine that kind and Tilt use, and for what."""

WHERE: Final = {
    "docker": "https://docs.docker.com/engine/install/",
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    "helm": "https://helm.sh/docs/intro/install/",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "ctlptl": "https://github.com/tilt-dev/ctlptl#how-do-i-install-it",
    "tilt": "https://docs.tilt.dev/install.html",
}

_VERSION: Final = {
    "docker": ["docker", "version", "--format", "{{.Server.Version}}"],
    "kubectl": ["kubectl", "version", "--client"],
    "helm": ["helm", "version", "--short"],
    "kind": ["kind", "version"],
    "ctlptl": ["ctlptl", "version"],
    "tilt": ["tilt", "version"],
}


@dataclass(frozen=True)
class Finding:
    """One condition: `ok` None means that it could hurt, not that it must. `advice` is empty where all is well."""

    what: str
    ok: bool | None
    advice: str = ""


def report(platform: Platform, overlay: Overlay, runner: Runner) -> int:
    """Say every finding; 0 when nothing stands in the way, else 1."""
    if overlay.name == "kind":
        found = [
            *tools(platform, runner, tuple(_VERSION)),
            *docker(platform, overlay, runner),
            *ports(cluster_is_up(runner, overlay)),
        ]
    else:
        found = [*tools(platform, runner, ("kubectl", "helm")), *server(platform, overlay, runner)]
    for finding in found:
        say(f"{ {True: '✓', None: '!', False: '✗'}[finding.ok] } {finding.what}")
        if finding.advice:
            say(f"    {finding.advice}")
    wrong = sum(finding.ok is False for finding in found)
    say(f"{wrong} of {len(found)} conditions do not hold." if wrong else "Nothing stands in the way.")
    return 1 if wrong else 0


def numbers(text: str) -> tuple[int, ...]:
    """The first version number in a text, as numbers; empty when there is none."""
    return tuple(int(number) for number in first_version(text).split(".") if number)


def first_version(text: str) -> str:
    """The first version number in a text as it stands; empty when there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return found[0] if found else ""


def tool(name: str, wanted: str, said: str | None) -> Finding:
    """A program and its version; `said` is what it answers, None when it does not."""
    if said is None:
        more = "; is its daemon running, and may you use it?" if name == "docker" else ""
        advice = f"Install {name} {wanted} or newer: {WHERE[name]}"
        if name == "tilt":
            return Finding("tilt does not answer", None, f"`make platform` does without. {advice}")
        return Finding(f"{name} does not answer{more}", False, advice)
    version, shown = numbers(said), first_version(said) or "of an unknown version"
    if version and version < numbers(wanted):
        return Finding(f"{name} {shown} is older than {wanted}", False, f"Install {wanted} or newer: {WHERE[name]}")
    return Finding(f"{name} {shown}", True if version else None)


def tools(platform: Platform, runner: Runner, names: Iterable[str]) -> list[Finding]:
    return [tool(name, platform.tools[name], runner.ask(_VERSION[name])) for name in names]


def cgroup(version: str, node_image: str) -> Finding:
    """The kubelet refuses control groups v1 from 1.35 on; kind only warns, and the cluster then never starts."""
    if version == "2":
        return Finding("control groups v2", True)
    return Finding(
        f"control groups v{version or '?'}: the kubelet of {node_image.partition('@')[0]} does not start with them",
        False,
        "Boot the host with v2 (kernel parameter systemd.unified_cgroup_hierarchy=1; Docker Desktop: update it). "
        "Or put a node image of Kubernetes 1.34 or older into k8s/platform.toml and k8s/kind/cluster.yaml.",
    )


def memory(have_mb: int, need_mb: int) -> Finding:
    """What docker has; images, page cache and builds want some more than pods ask for."""
    if have_mb >= need_mb * 1.25:
        return Finding(f"{have_mb} MB of memory for about {need_mb} MB asked for", True)
    enough = have_mb >= need_mb
    return Finding(
        f"{have_mb} MB of memory, {'hardly enough' if enough else 'too little'} for about {need_mb} MB asked for",
        None if enough else False,
        "Give Docker more (Docker Desktop: Settings, Resources), stop other containers, or start only some parts: "
        "`tilt up -- collector consumer`. The laptop's own platform, `make demo`, takes 1.2 GB.",
    )


def watches(instances: int) -> Finding:
    """Each node and controller takes instances of inotify; Linux allows 128 by default, which shows as odd crashes."""
    if instances >= 512:
        return Finding(f"{instances} instances of inotify", True)
    return Finding(
        f"only {instances} instances of inotify: pods may fail with 'too many open files'",
        None,
        "sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288",
    )


def port(number: int, use: str, *, free: bool, cluster: bool) -> Finding:
    """A port of this machine. With the cluster up, kind itself holds the edge's, and Tilt perhaps the others."""
    if free or cluster:
        return Finding(
            f"port {number} ({use}) is {'free' if free else 'in use, by the cluster or Tilt I suppose'}", True
        )
    return Finding(
        f"port {number} ({use}) is taken",
        False if use == "the edge" else None,
        f"See who has it: `lsof -nP -iTCP:{number} -sTCP:LISTEN` (`anmodel up` uses some of these ports, too).",
    )


def ports(cluster: bool) -> list[Finding]:
    return [port(number, use, free=is_free(number), cluster=cluster) for number, use in PORTS.items()]


def is_free(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


def docker(platform: Platform, overlay: Overlay, runner: Runner) -> list[Finding]:
    """What the machine under the cluster has; nothing where docker does not answer, as `tools` says already."""
    said = runner.ask(["docker", "info", "--format", "{{.CgroupVersion}} {{.MemTotal}}"])
    if not said:
        return []
    version, _, total = said.strip().partition(" ")
    found = [
        cgroup(version, platform.cluster["node_image"]),
        memory(int(total) // 2**20, overlay.needed(overlay.chosen())),
    ]
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if machine.system() == "Linux" and limit.exists():
        found.append(watches(int(limit.read_text())))
    return found


def cluster_is_up(runner: Runner, overlay: Overlay) -> bool:
    said = runner.ask(["kind", "get", "clusters"]) or ""
    return overlay.context.removeprefix("kind-") in said.split()


def server(platform: Platform, overlay: Overlay, runner: Runner) -> list[Finding]:
    """The cluster that kubectl's context names."""
    said = runner.ask(["kubectl", "version", "-o", "json"])
    found: Mapping[str, Mapping[str, str]] = json.loads(said) if said else {}
    if "serverVersion" not in found:
        context = os.environ.get("KUBECONFIG", "~/.kube/config")
        advice = f"Choose one: `kubectl config get-contexts` ({context}), `kubectl config use-context NAME`."
        return [Finding("the cluster of kubectl's current context does not answer", False, advice)]
    version, wanted = found["serverVersion"]["gitVersion"], platform.cluster["kubernetes"]
    new_enough = numbers(version) >= numbers(wanted)
    findings = [
        Finding(f"Kubernetes {version}", new_enough, "" if new_enough else f"At least {wanted} is needed."),
    ]
    if overlay.name == "production":
        classes = runner.ask(["kubectl", "get", "storageclass", "-o", "name"])
        advice = "" if classes else "Install a CSI driver, and mark its class as the default."
        findings.append(Finding(f"storage classes: {' '.join((classes or 'none').split())}", bool(classes), advice))
    return findings
