"""What Tilt makes of the calls: resources with their objects, or the error that it would stop with."""

from dataclasses import dataclass, field
from typing import Any

from tilt_fakes import Call, Tilt

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"}


@dataclass
class Resource:
    """One line of Tilt's list. `objects` are the Kubernetes objects that it applies, its workload first."""

    name: str
    call: Call
    objects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def needs(self) -> list[str]:
        return list(self.call["resource_deps"] or [])

    @property
    def starts_by_itself(self) -> bool:
        return self.call["auto_init"] is not False

    @property
    def by_hand(self) -> bool:
        return bool(self.call["trigger_mode"] == "manual")

    @property
    def kinds(self) -> set[str]:
        return {made["kind"] for made in self.objects}

    @property
    def images(self) -> set[str]:
        """Names of the images that its pods run, without tags."""
        pods = [made["spec"]["template"]["spec"] for made in self.objects if made["kind"] in WORKLOADS]
        return {container["image"].rpartition(":")[0] for pod in pods for container in pod["containers"]}


def resources(tilt: Tilt) -> dict[str, Resource]:
    """All resources by name, in the order that the Tiltfile names them. ValueError says what Tilt would."""
    objects = [made for call in tilt.of("k8s_yaml") for made in tilt.decoded(call["yaml"])]
    found: dict[str, Resource] = {}
    for call in tilt.of("local_resource", "k8s_resource"):
        name = call["name"] or call["new_name"] or call["workload"]
        if name in found:
            raise ValueError(f"two resources are named {name}")
        found[name] = Resource(name, call, _taken(call, objects) if call.name == "k8s_resource" else [])
    if objects:
        raise ValueError(f"in no resource, so applied before all others: {[_selector(made) for made in objects]}")
    for resource in found.values():
        if unknown := set(resource.needs) - set(found):
            raise ValueError(f"{resource.name} needs {sorted(unknown)}, which there is not")
    return found


def order(found: dict[str, Resource]) -> list[str]:
    """Names, each after all that it needs, else as they came; ValueError when they need each other."""
    placed: list[str] = []
    while waiting := [name for name in found if name not in placed]:
        ready = [name for name in waiting if set(found[name].needs) <= set(placed)]
        if not ready:
            raise ValueError(f"these need each other: {waiting}")
        placed.append(ready[0])
    return placed


def _taken(call: Call, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take what the resource has out of `objects`: its workload, the Services that choose its pods, and those named."""
    taken = []
    if call["workload"]:
        taken = [_one(call["workload"], [made for made in objects if made["kind"] in WORKLOADS], by_name=True)]
        labels = taken[0]["spec"]["template"]["metadata"]["labels"]
        taken += [
            made for made in objects if made["kind"] == "Service" and made["spec"]["selector"].items() <= labels.items()
        ]
    elif not (call["new_name"] and call["objects"]):
        raise ValueError("k8s_resource needs a workload, or new_name and objects")
    taken += [_one(selector, objects) for selector in call["objects"] or []]
    for made in taken:
        objects.remove(made)
    return taken


def _one(selector: str, objects: list[dict[str, Any]], *, by_name: bool = False) -> dict[str, Any]:
    fits = [made for made in objects if (made["metadata"]["name"] if by_name else _selector(made)) == selector.lower()]
    if len(fits) != 1:
        raise ValueError(f"{selector!r} stands for {len(fits)} objects of {[_selector(made) for made in objects]}")
    return fits[0]


def _selector(made: dict[str, Any]) -> str:
    return f"{made['metadata']['name']}:{made['kind']}".lower()
