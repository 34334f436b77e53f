"""Kubernetes: KServe's InferenceServices and what belongs to them, in one namespace.

What is written is applied server-side under one field manager, so that fields which others own (the autoscaler's
replicas, an operator's annotation) stay theirs. Every fault of the API's is a ClusterError; what is not there is None.
Objects are dicts, as the API has them.
"""

import json
import os
import ssl
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import httpx
import kubernetes.client
import kubernetes.config
import urllib3.exceptions
from kubernetes.client.exceptions import ApiException

from anmodel.errors import ClusterError
from anmodel.served_model import PART_OF, ServedModel

FIELD_MANAGER = "anmodel-register"
_LEASES = ("coordination.k8s.io", "v1", "leases")
_PLURALS = {"InferenceService": "inferenceservices", "HTTPRoute": "httproutes"}
_INFERENCE_SERVICES = ("serving.kserve.io", "v1beta1", "inferenceservices")
_HTTP_ROUTES = ("gateway.networking.k8s.io", "v1", "httproutes")
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TIMEOUT = (5.0, 20.0)
_NOT_FOUND = 404
_CONFLICT = 409


class Cluster:
    """The API server, asked about one namespace. Safe to use from several threads."""

    def __init__(self, configuration: Any, namespace: str, *, inside: bool) -> None:
        """`inside`: this process can reach pods and Services itself; else the API server passes requests on."""
        self.namespace = namespace
        self._configuration, self._inside = configuration, inside
        api = kubernetes.client.ApiClient(configuration)
        self._custom = kubernetes.client.CustomObjectsApi(api)
        self._api = api
        self._plain = api.sanitize_for_serialization

    @classmethod
    def connect(cls, namespace: str = "") -> "Cluster":
        """By the pod's own account, else by the kubeconfig; `namespace` empty: theirs. Asks the API server nothing."""
        configuration = kubernetes.client.Configuration()
        inside = _POD_NAMESPACE.exists()
        try:
            if inside:
                kubernetes.config.load_incluster_config(configuration)
                own = _POD_NAMESPACE.read_text().strip()
            else:
                file = os.environ.get("KUBECONFIG")  # the client would take what it was at its import
                kubernetes.config.load_kube_config(file, client_configuration=configuration)
                own = kubernetes.config.list_kube_config_contexts(file)[1]["context"].get("namespace", "default")
        except (kubernetes.config.ConfigException, OSError) as error:
            raise ClusterError(
                f"no way to a Kubernetes API: {str(error).rstrip('.')}. Run in a pod whose ServiceAccount has a token, "
                "or set KUBECONFIG."
            ) from error
        configuration.retries = 2
        return cls(configuration, namespace or own, inside=inside)

    # Made when they are first asked for: either costs 40 MB and a second, which the gateway never needs.
    @cached_property
    def _core(self) -> Any:
        return kubernetes.client.CoreV1Api(self._api)

    @cached_property
    def _apps(self) -> Any:
        return kubernetes.client.AppsV1Api(self._api)

    def services(self) -> list[ServedModel]:
        """The InferenceServices of AnModel, by name."""
        listed = self._ask(
            self._custom.list_namespaced_custom_object,
            *self._place(_INFERENCE_SERVICES),
            label_selector=f"app.kubernetes.io/part-of={PART_OF}",
        )
        items = (listed or {}).get("items", [])
        return sorted((ServedModel.of(item) for item in items), key=lambda served: served.name)

    def service(self, name: str) -> dict[str, Any] | None:
        """An InferenceService."""
        return self._ask(self._custom.get_namespaced_custom_object, *self._place(_INFERENCE_SERVICES), name)

    def route(self, name: str) -> dict[str, Any] | None:
        """An HTTPRoute."""
        return self._ask(self._custom.get_namespaced_custom_object, *self._place(_HTTP_ROUTES), name)

    def deployment(self, name: str) -> dict[str, Any] | None:
        """A Deployment."""
        return self._ask(self._apps.read_namespaced_deployment, name, self.namespace)

    def pods(self, selector: Mapping[str, str]) -> list[dict[str, Any]]:
        """The pods with these labels that are not on their way out."""
        labels = ",".join(f"{name}={value}" for name, value in selector.items())
        listed = self._ask(self._core.list_namespaced_pod, self.namespace, label_selector=labels)
        return [pod for pod in (listed or {}).get("items", []) if "deletionTimestamp" not in pod["metadata"]]

    def apply(self, object_: Mapping[str, Any]) -> dict[str, Any]:
        """Make an InferenceService or HTTPRoute so; what an earlier one of ours said and this one does not, goes."""
        group, _, version = object_["apiVersion"].partition("/")
        where = (*self._place((group, version, _PLURALS[object_["kind"]])), object_["metadata"]["name"])
        applied = self._ask(
            self._custom.patch_namespaced_custom_object,
            *where,
            dict(object_),
            field_manager=FIELD_MANAGER,
            force=True,
            _content_type="application/apply-patch+yaml",
        )
        return self._there(applied, *where)

    def lease(self, name: str) -> dict[str, Any] | None:
        """A Lease."""
        return self._ask(self._custom.get_namespaced_custom_object, *self._place(_LEASES), name)

    def write_lease(self, name: str, spec: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
        """Put `spec` in the place of the Lease `before`, None when there was none; False when another was faster."""
        where = self._place(_LEASES)
        metadata = {"name": name, "labels": {"app.kubernetes.io/part-of": PART_OF}}
        if before is not None:
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": dict(spec)}
        try:
            if before is None:
                written = self._ask(self._custom.create_namespaced_custom_object, *where, lease)
            else:
                written = self._ask(self._custom.replace_namespaced_custom_object, *where, name, lease)
        except ClusterError as error:
            if getattr(error.__cause__, "status", None) == _CONFLICT:
                return False
            raise
        return bool(self._there(written, *where, name))

    def remove(self, name: str) -> None:
        """Delete an InferenceService, and with it what KServe made of it. Safe to repeat."""
        self._ask(self._custom.delete_namespaced_custom_object, *self._place(_INFERENCE_SERVICES), name)

    def ask(self, kind: str, name: str, port: int, path: str, body: Any = None, *, seconds: float = 20.0) -> Any:
        """GET a path of a Service or pod (`kind`: services, pods), or POST a body to it; the JSON that it answers.

        httpx.HTTPError when it does not answer, or refuses: that is its fault and not the API server's.
        """
        with self._http(kind, name, port, seconds) as http:
            answer = http.get(path) if body is None else http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def _http(self, kind: str, name: str, port: int, seconds: float) -> httpx.Client:
        if self._inside:
            host = f"{name}.{self.namespace}.svc" if kind == "services" else self._address(name)
            return httpx.Client(base_url=f"http://{host}:{port}", timeout=seconds, trust_env=False)
        given = self._configuration
        context = ssl.create_default_context(cafile=given.ssl_ca_cert)
        if given.cert_file:
            context.load_cert_chain(given.cert_file, given.key_file)
        logins = given.auth_settings().values()
        return httpx.Client(
            base_url=f"{given.host}/api/v1/namespaces/{self.namespace}/{kind}/http:{name}:{port}/proxy",
            verify=context,
            headers={each["key"]: each["value"] for each in logins if each["in"] == "header"},
            timeout=seconds,
            trust_env=False,
        )

    def _address(self, pod: str) -> str:
        found = self._ask(self._core.read_namespaced_pod, pod, self.namespace) or {}
        address = str(found.get("status", {}).get("podIP", pod))
        return f"[{address}]" if ":" in address else address

    def _there(self, answer: dict[str, Any] | None, *where: str) -> dict[str, Any]:
        """What was written; the client has no answer to give where the object was not there before."""
        written = answer or self._ask(self._custom.get_namespaced_custom_object, *where)
        if written is None:
            raise ClusterError(f"namespace {self.namespace} is not there. Create it, or set KUBERNETES_NAMESPACE.")
        return written

    def _place(self, kind: tuple[str, str, str]) -> tuple[str, str, str, str]:
        group, version, plural = kind
        return group, version, self.namespace, plural

    def _ask(self, call: Callable[..., Any], *given: Any, **named: Any) -> dict[str, Any] | None:
        """The API's answer, None when there is no such object."""
        try:
            return cast("dict[str, Any]", self._plain(call(*given, **named, _request_timeout=_TIMEOUT)))
        except ApiException as error:
            if error.status == _NOT_FOUND and not _unknown_kind(error):
                return None
            raise ClusterError(_refusal(self.namespace, error)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(
                f"the Kubernetes API does not answer: {type(error).__name__}: {error}. Try again when it does."
            ) from error


def _unknown_kind(error: ApiException) -> bool:
    """An API server that lacks a kind answers with a text, one that lacks an object with a Status that names it."""
    return "page not found" in str(error.body)


def _refusal(namespace: str, error: ApiException) -> str:
    if _unknown_kind(error):
        return (
            "the Kubernetes API knows no InferenceService or HTTPRoute: KServe or the Gateway API is not installed. "
            "Install it (docs/platform.md), then run this again."
        )
    return f"the Kubernetes API refused ({error.status}), namespace {namespace}: {_message(error)}"


def _message(error: ApiException) -> str:
    """The API's own words."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.body or error.reason or "").strip()
