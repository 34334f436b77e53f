"""The cluster of the kubeconfig, by its own tools: kubectl and helm, in the tests' one namespace."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventually import eventually

NAMESPACE = "anmodel"
OURS = {"anmodel.tests/namespace": "yes"}
"""On the namespace: these tests made it, and may do with it what they want."""


class CommandError(Exception):
    """A command that ended with another code than 0: its words, and what it said."""


def run(*words: str, input: str | None = None, timeout: float = 300) -> str:
    """A command's standard output; `CommandError` when it fails."""
    done = subprocess.run(words, input=input, capture_output=True, text=True, check=False, timeout=timeout)
    if done.returncode:
        raise CommandError(f"{' '.join(words)[:300]}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


class Cluster:
    """Every method speaks of `NAMESPACE`, unless it is told another one."""

    def kubectl(self, *words: str, input: str | None = None, namespace: str = NAMESPACE, timeout: float = 300) -> str:
        """What kubectl prints."""
        return run("kubectl", "-n", namespace, *words, input=input, timeout=timeout)

    def helm(self, *words: str, timeout: float = 600) -> str:
        """What helm prints."""
        return run("helm", "-n", NAMESPACE, *words, timeout=timeout)

    def get(self, kind: str, name: str = "", *, selector: str = "", namespace: str = NAMESPACE) -> dict[str, Any]:
        """An object, or a list of them, as the API server has it."""
        words = [kind, *([name] if name else []), *(["-l", selector] if selector else [])]
        found: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json", namespace=namespace))
        return found

    def exists(self, kind: str, name: str) -> bool:
        """Whether there is such an object."""
        return bool(self.kubectl("get", kind, name, "--ignore-not-found", "-o", "name").strip())

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Make the objects so. Safe to repeat."""
        listing = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", input=json.dumps(listing))

    def secret(self, name: str, key: str, namespace: str = NAMESPACE) -> str:
        """One key of a Secret, as text."""
        from base64 import b64decode

        return b64decode(self.get("secret", name, namespace=namespace)["data"][key]).decode()

    def put_secret(self, name: str, data: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> None:
        """Make or replace a Secret."""
        metadata = {"name": name, "namespace": NAMESPACE, "annotations": dict(annotations or {})}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(data)})

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """The pods with these labels that are not on their way out, oldest first."""
        items = self.get("pods", selector=selector)["items"]
        alive = [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]
        return sorted(alive, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def kill(self, selector: str) -> list[str]:
        """Delete these pods as a lost node would: at once, nobody asked to finish. Their names."""
        names = [pod["metadata"]["name"] for pod in self.pods(selector)]
        assert names, f"no pod has {selector}"
        self.kubectl("delete", "pod", *names, "--force", "--grace-period=0")
        return names

    def wait_until_ready(self, selector: str, count: int, seconds: float = 120) -> None:
        """Wait until at least `count` pods with these labels are ready."""
        eventually(lambda: sum(map(is_ready, self.pods(selector))) >= count, seconds)

    def raw(self, path: str, timeout: float = 30) -> str:
        """GET a path of the API server; pods and Services answer below `…/proxy`, past any policy."""
        return run("kubectl", "get", "--raw", path, timeout=timeout)

    def ask_service(self, name: str, port: int, path: str) -> str:
        """GET a path of a Service through the API server."""
        return self.raw(f"/api/v1/namespaces/{NAMESPACE}/services/http:{name}:{port}/proxy{path}")

    def ask_pod(self, name: str, port: int, path: str) -> str:
        """GET a path of a pod through the API server."""
        return self.raw(f"/api/v1/namespaces/{NAMESPACE}/pods/http:{name}:{port}/proxy{path}")

    @contextmanager
    def forwarded(self, target: str, port: int, *, namespace: str = NAMESPACE) -> Iterator[int]:
        """A port of loopback that leads to `target`'s, for the time of a `with`."""
        words = ["kubectl", "-n", namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", line)
                if found is None:
                    raise CommandError(f"{' '.join(words)}: {line}")
                yield int(found[1])
            finally:
                process.terminate()


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod's readiness probes are content."""
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def reason_to_skip() -> str:
    """Why there is no cluster to test on; empty when there is one."""
    if not os.environ.get("KUBECONFIG") and not Path("~/.kube/config").expanduser().exists():
        return "no cluster: KUBECONFIG is not set and ~/.kube/config is not there"
    for program in ("kubectl", "helm"):
        try:
            run(program, "version", *(["--client"] if program == "kubectl" else []))
        except (FileNotFoundError, CommandError) as error:
            return f"{program} cannot be run: {error}"
    try:
        run("kubectl", "version", "--request-timeout=5s")
    except CommandError as error:
        return f"the cluster of the kubeconfig does not answer: {error}"
    return ""
