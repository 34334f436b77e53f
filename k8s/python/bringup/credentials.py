"""Secrets that nobody else makes: made once, never changed after.

Whoever has a Secret of his own by that name keeps it, as long as it has the keys that are asked for.
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from bringup.errors import PlatformError
from bringup.parts import SecretSpec
from bringup.running import Runner, say

_TEMPLATE: Final = re.compile(r"\$\{([^}]*)\}")

Other = Callable[[str, str], str]
"""The value of a key of another Secret: (name, key)."""


def ensure_secret(runner: Runner, kubectl: list[str], spec: SecretSpec) -> None:
    """Make the Secret where it is missing. Raises `PlatformError` when one is there that lacks a key."""
    have = _existing(runner, kubectl, spec.namespace, spec.name)
    if have is not None:
        if lacking := sorted(set(spec.data) - set(have)):
            raise PlatformError(
                f"the Secret {spec.namespace}/{spec.name} lacks {lacking}. Existing Secrets are never changed here: "
                f"add the keys, or, where nothing uses it yet: kubectl -n {spec.namespace} delete secret {spec.name}"
            )
        return

    def other(name: str, key: str) -> str:
        found = _existing(runner, kubectl, spec.namespace, name)
        if runner.dry:
            return "..."
        if found is None or key not in found:
            raise PlatformError(
                f"the Secret {spec.namespace}/{name} with the key {key} must be there before {spec.name}"
            )
        return base64.b64decode(found[key]).decode()

    metadata: dict[str, object] = {"name": spec.name, "namespace": spec.namespace, "labels": dict(spec.labels)}
    if spec.annotations:
        metadata["annotations"] = dict(spec.annotations)
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": spec.type,
        "stringData": filled(spec.data, other),
    }
    # by the standard input: what is on a command line can be read by everybody on the machine
    runner.run([*kubectl, "create", "-f", "-"], json.dumps(manifest))
    say(f"   {'would make' if runner.dry else 'made'} the Secret {spec.namespace}/{spec.name}: {' '.join(spec.data)}")


def filled(templates: Mapping[str, str], other: Other) -> dict[str, str]:
    """The values of all keys, in their order; a template may name keys before it."""
    values: dict[str, str] = {}
    for key, template in templates.items():
        values[key] = _TEMPLATE.sub(lambda found: _value(found[1].split(), values, other), template)
    return values


def _value(words: list[str], values: Mapping[str, str], other: Other) -> str:
    match words:
        case ["random"]:
            return secrets.token_hex(16)
        case ["fernet"]:
            return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        case ["key", name]:
            return values[name]
        case ["sha256", name]:
            return hashlib.sha256(values[name].encode()).hexdigest()
        case ["htpasswd", user, name]:  # the only form that Envoy Gateway reads
            digest = hashlib.sha1(values[name].encode(), usedforsecurity=False).digest()
            return f"{user}:{{SHA}}{base64.b64encode(digest).decode()}"
        case ["secret", name, key]:
            return other(name, key)
    raise PlatformError(f"platform.toml: unknown template ${{{' '.join(words)}}}")


def _existing(runner: Runner, kubectl: list[str], namespace: str, name: str) -> dict[str, str] | None:
    """The Secret's data, base64 as it comes; None where there is none."""
    said = runner.ask([*kubectl, "-n", namespace, "get", "secret", name, "--ignore-not-found", "-o", "json"])
    if said is None and not runner.dry:
        raise PlatformError(f"the cluster does not say whether the Secret {namespace}/{name} exists; is it reachable?")
    return dict(json.loads(said).get("data") or {}) if said and said.strip() else None
