"""What Deployments and pods say about a version's way into service. Computes; talks to nobody."""

from collections.abc import Iterable, Mapping
from typing import Any

from anmodel.register.objects import Files

CONTAINER = "kserve-container"
MOST_RESTARTS = 2
"""A predictor that ends more often than this before it ever answered will not come up."""

_NOBODYS_FAULT = (
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
)


def rolled_out(deployment: Mapping[str, Any] | None, files: Files) -> bool:
    """Whether every pod of the Deployment is of these files and ready, and none of others is left.

    A Deployment that KServe, or Kubernetes, has not looked at again since the last change is not.
    """
    if deployment is None or not files.made(deployment["spec"]["template"]["metadata"]):
        return False
    metadata, status = deployment["metadata"], deployment.get("status", {})
    if status.get("observedGeneration", 0) < metadata["generation"]:
        return False
    wanted = deployment["spec"].get("replicas", 1)
    counts = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"))
    return bool(wanted > 0 and all(count == wanted for count in counts))


def of_files(pods: Iterable[Mapping[str, Any]], files: Files) -> list[Mapping[str, Any]]:
    """The pods made of these files."""
    return [pod for pod in pods if files.made(pod["metadata"])]


def restarts(pods: Iterable[Mapping[str, Any]]) -> int:
    """How often the predictors in these pods ended and were started again."""
    return sum(int(status.get("restartCount", 0)) for status in _statuses(pods))


def crashes(pods: Iterable[Mapping[str, Any]]) -> str:
    """How the predictor keeps ending, empty while it does not."""
    for status in _statuses(pods):
        if status.get("restartCount", 0) > MOST_RESTARTS:
            ended = status.get("lastState", {}).get("terminated", {})
            how = f"{ended.get('reason', 'Error')}, exit code {ended.get('exitCode', '?')}"
            return f"its predictor ended {status['restartCount']} times ({how})"
    return ""


def runs_unready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's predictor runs, and is not ready: it can be asked why."""
    return any("running" in status.get("state", {}) and not status.get("ready") for status in _statuses([pod]))


def hindrance(pods: Iterable[Mapping[str, Any]]) -> str:
    """What the cluster lacks to start these pods, none of it the version's fault; empty when nothing is known."""
    return next(filter(None, map(_hindrance, pods)), "")


def _hindrance(pod: Mapping[str, Any]) -> str:
    status = pod.get("status", {})
    return _no_node(status) or _no_files(status) or _no_image(status) or _no_start(status)


def _no_node(status: Mapping[str, Any]) -> str:
    for each in status.get("conditions", []):
        if each["type"] == "PodScheduled" and each["status"] == "False":
            return f"a pod finds no node: {each.get('message', each.get('reason', ''))}"
    return ""


def _no_files(status: Mapping[str, Any]) -> str:
    for container in status.get("initContainerStatuses", []):
        state = container.get("state", {})
        ended = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
        if ended.get("exitCode"):
            said = str(ended.get("message", "")).strip().splitlines()
            return f"the model's files do not get into the pod: {said[-1] if said else ended.get('reason', '')}"
    return ""


def _no_image(status: Mapping[str, Any]) -> str:
    for container in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _NOBODYS_FAULT:
            return f"{waiting['reason']}: {waiting.get('message', '')}"
    return ""


def _no_start(status: Mapping[str, Any]) -> str:
    """A predictor that never ran waits for its image, its volumes, or for its files to be fetched."""
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting")
        if container["name"] == CONTAINER and waiting and not container.get("lastState", {}).get("terminated"):
            return f"a predictor never started: {waiting.get('reason', '')} {waiting.get('message', '')}".strip()
    return ""


def _statuses(pods: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of the container that predicts, in each pod that has started it."""
    return [
        status
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", [])
        if status["name"] == CONTAINER
    ]
