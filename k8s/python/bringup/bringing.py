"""What is done with a part: brought up, waited for, taken down. Every command may be repeated."""

import json
import os
import re
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bringup.credentials import ensure_secret
from bringup.errors import CommandFailed, PlatformError
from bringup.parts import HOME, K8S, Chart, Overlay, Part, Platform
from bringup.running import Runner, retrying, say, wait_for

ROOT = K8S.parent


def release_version() -> str:
    """The project's version, which is the default tag of our images."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


@dataclass(frozen=True)
class OurImages:
    """Where our own images are: `<registry/>anmodel/<name>:<tag>`, as `make images` names them."""

    registry: str = field(default_factory=lambda: os.environ.get("IMAGE_REGISTRY", "").rstrip("/"))
    tag: str = field(default_factory=lambda: os.environ.get("IMAGE_TAG") or release_version())

    def repository(self, name: str) -> str:
        return f"{self.registry}/anmodel/{name}" if self.registry else f"anmodel/{name}"

    def image(self, name: str) -> str:
        return f"{self.repository(name)}:{self.tag}"

    def put_into(self, manifests: str) -> str:
        """The manifests with our images as they are here; manifests name them without registry."""
        return re.sub(
            r"(?m)^(\s*(?:- )?image: )\"?anmodel/([a-z-]+):[\w.-]+\"?$",
            lambda found: f"{found[1]}{self.image(found[2])}",
            manifests,
        )


@dataclass(frozen=True)
class Target:
    """An overlay on a cluster."""

    platform: Platform
    overlay: Overlay
    runner: Runner
    context: str = ""
    ours: OurImages = field(default_factory=OurImages)
    _seen: set[str] = field(default_factory=set)

    @property
    def kubectl(self) -> list[str]:
        context = self.context or self.overlay.context
        return ["kubectl", f"--context={context}"] if context else ["kubectl"]

    @property
    def helm(self) -> list[str]:
        context = self.context or self.overlay.context
        return ["helm", f"--kube-context={context}"] if context else ["helm"]

    def apply(self, part: Part) -> None:
        """Bring a part up and wait until it is."""
        began = time.monotonic()
        say(f"── {part.name}: {part.what}")
        self._ensure_namespace(part.namespace)
        for name in part.secrets:
            spec = self.platform.secrets[name]
            self._ensure_namespace(spec.namespace)
            ensure_secret(self.runner, self.kubectl, spec)
        if part.images and self.overlay.build_images and not self.ours.registry:
            self._load(part)
        if part.jobs:
            self.runner.run([*self.kubectl, "-n", part.namespace, "delete", "--ignore-not-found", *part.jobs])
        if part.chart:
            self._install(part, part.chart)
        folder = self.overlay.folder / part.folder
        if (folder / "kustomization.yaml").exists():
            manifests = self.runner.read(["kubectl", "kustomize", str(folder)])
            if self._has_ids(part):
                manifests = noted(manifests, self._built(part))
            retrying(self.runner, [*self.kubectl, "apply", "-f", "-"], self.ours.put_into(manifests))
        for condition in part.wait:
            self._wait(part, condition, part.timeout - (time.monotonic() - began))
        if not self.runner.dry:
            say(f"   {part.name} is up ({time.monotonic() - began:.0f} s)")

    def remove(self, part: Part) -> None:
        """Take a part down with all its data."""
        say(f"── {part.name} goes")
        for kind in part.data.first if part.data else ():
            self._delete_all(part, kind)
        folder = self.overlay.folder / part.folder
        if (folder / "kustomization.yaml").exists():
            manifests = self.runner.read(["kubectl", "kustomize", str(folder)])
            delete = [*self.kubectl, "delete", "--ignore-not-found", "--timeout=300s", "-f", "-"]
            try:
                self.runner.run(delete, manifests)
            except CommandFailed as error:
                if "no matches for kind" not in error.said:  # its kinds never came up
                    raise
        if part.chart:
            self.runner.run([*self.helm, "uninstall", part.name, "-n", part.namespace, "--ignore-not-found", "--wait"])
        if part.data:
            volumes = ["-n", HOME, "delete", "pvc", "-l", part.data.volumes, "--ignore-not-found", "--timeout=120s"]
            self.runner.run([*self.kubectl, *volumes])

    def _ensure_namespace(self, name: str) -> None:
        """Make the namespace where it is missing."""
        if name in self._seen:
            return
        if not self.runner.ask([*self.kubectl, "get", "namespace", name, "-o", "name"]):
            try:
                self.runner.run([*self.kubectl, "create", "namespace", name])
            except CommandFailed as error:
                if "AlreadyExists" not in error.said:  # another part made it meanwhile
                    raise
        self._seen.add(name)

    def _delete_all(self, part: Part, kind: str) -> None:
        """Delete what an operator must still see to, while it is there."""
        if self.runner.dry or self.runner.ask([*self.kubectl, "-n", part.namespace, "get", kind]) is not None:
            self.runner.run([*self.kubectl, "-n", part.namespace, "delete", kind, "--all", "--timeout=120s"])

    def _load(self, part: Part) -> None:
        say(f"   building {', '.join(part.images)} and loading into the nodes")
        cluster = (self.context or self.overlay.context).removeprefix("kind-")
        images = [self.ours.image(name) for name in part.images]
        make = ["make", "-C", str(ROOT), "images", f"STAGES={' '.join(part.images)}", f"IMAGE_TAG={self.ours.tag}"]
        self.runner.run(make, progress=lambda: "building")
        self.runner.run(["kind", "load", "docker-image", *images, f"--name={cluster}"], progress=lambda: "loading")

    def _built(self, part: Part) -> str:
        """What tells one build of a part's images from another: their ids where docker has them, else their tags."""
        images = [self.ours.image(name) for name in part.images]
        ids = (
            self.runner.ask(["docker", "image", "inspect", "--format={{.Id}}", *images]) if self._has_ids(part) else ""
        )
        return " ".join((ids or "").split()) or " ".join(images)

    def _has_ids(self, part: Part) -> bool:
        return bool(part.images) and self.overlay.images_here and not self.ours.registry

    def _install(self, part: Part, chart: Chart) -> None:
        where = [chart.name, f"--version={chart.version}", *([f"--repo={chart.repo}"] if chart.repo else [])]
        if chart.crds:
            kinds = self.runner.read(["helm", "show", "crds", *where])
            apply = ["apply", "--server-side", "--force-conflicts", "--field-manager=anmodel-platform", "-f", "-"]
            retrying(self.runner, [*self.kubectl, *apply], kinds)
        say(f"   helm: {chart.name.rpartition('/')[2]} {chart.version}")
        command = [*self.helm, "upgrade", "--install", part.name, *where, "-n", part.namespace]
        command += ["--skip-crds"] if chart.crds else []
        command += [f"--values={path}" for path in value_files(self.overlay, part)]
        command += [f"--set-string={key}={self._set(value, part)}" for key, value in part.set.items()]
        waiting = [*command, "--wait", f"--timeout={part.timeout}s"]
        try:
            retrying(self.runner, waiting, progress=lambda: self._unready(part.namespace))
        except CommandFailed as error:
            if "operation (install/upgrade/rollback) is in progress" not in error.said:
                raise
            release = f"{part.name} -n {part.namespace}"
            raise PlatformError(
                f"an earlier helm of {part.name} was killed in the middle, or runs still. If none runs: `helm rollback "
                f"{release}` (or, when it was the first, `helm uninstall {release}`), then the same command again."
            ) from error

    def _set(self, template: str, part: Part) -> str:
        """A value of `set`.

        ${image NAME} of [images], ${ours NAME} our image's repository, ${tag} our images' tag, ${built} which build of
        the part's images it is.
        """
        match template.removeprefix("${").removesuffix("}").split():
            case ["image", name]:
                return self.platform.images[name]
            case ["ours", name]:
                return self.ours.repository(name)
            case ["tag"]:
                return self.ours.tag
            case ["built"]:
                return self._built(part)
        raise PlatformError(f"platform.toml: unknown template {template}")

    def _wait(self, part: Part, condition: str, timeout: float) -> None:
        words = condition.split()
        verb = ["rollout", "status"] if words[0] == "rollout" else ["wait"]
        words = words[1:] if words[0] == "rollout" else words
        namespace = [] if any(word.startswith("--namespace") for word in words) else ["-n", HOME]
        say(f"   waiting for {words[0]}")
        # at least a moment, so that what is up already is seen to be, however long the rest took
        wait_for(self.runner, [*self.kubectl, *verb, *namespace, *words], max(timeout, 30), lambda: self._unready(HOME))

    def _unready(self, namespace: str) -> str:
        """The pods there that are not ready, with the reason of each."""
        said = self.runner.ask([*self.kubectl, "-n", namespace, "get", "pods", "-o", "json"])
        return unready(json.loads(said)) if said else ""


def noted(manifests: str, build: str) -> str:
    """The manifests with that build in the pods' annotation, so that pods of an older one under the same tag go."""
    return re.sub(r"(?m)^(\s*anmodel\.io/images: ).*$", lambda found: f'{found[1]}"{build}"', manifests)


def value_files(overlay: Overlay, part: Part) -> list[str]:
    """The values of a part's chart: those for every overlay, then the overlay's own."""
    paths = [K8S / "values" / f"{part.name}.yaml", overlay.folder / part.folder / "values.yaml"]
    return [str(path) for path in paths if path.exists()]


def unready(pods: Mapping[str, Any]) -> str:
    """Pods that are not ready, as `name (reason)`, at most five; empty when all are."""
    found = []
    for pod in pods["items"]:
        status = pod.get("status", {})
        ready = any(it["type"] == "Ready" and it["status"] == "True" for it in status.get("conditions", []))
        if ready or status.get("phase") == "Succeeded":
            continue
        containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        waiting = [it["state"]["waiting"]["reason"] for it in containers if "waiting" in it.get("state", {})]
        found.append(f"{pod['metadata']['name']} ({waiting[0] if waiting else status.get('phase', 'unknown')})")
    return ", ".join(found[:5])
