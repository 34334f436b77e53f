"""Whether a model reads the features that this gateway computes: in a roll-out one of them may be older."""

import time
from functools import lru_cache

from anmodel.errors import NotReadyError
from anmodel.gateway.services import NO_MODEL, Services
from anmodel.snapshots import snapshot_version

_KEPT_SECONDS = 5.0

_version = lru_cache(snapshot_version)


class Agreement:
    """Asks a service's predictor for its snapshot version; an answer is good for five seconds, or until `forget`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._agreed: dict[str, tuple[float, str]] = {}

    async def model_version(self, name: str) -> str:
        """The version of the service's model, which reads the features of this code; `NotReadyError` if it does not."""
        asked_at, version = self._agreed.get(name, (0.0, ""))
        if version and time.monotonic() - asked_at < _KEPT_SECONDS:
            return version
        info = await self._services.client(name).info()
        if not info.get("version"):
            raise NotReadyError(info.get("error") or NO_MODEL)
        ours, theirs = _version(info["horizon_days"]), info["snapshot_version"]
        if ours != theirs:
            raise NotReadyError(
                f"model {info['version']} reads features of version {theirs}, this gateway computes {ours}: users "
                "cannot be forecast as of now. Try again when the roll-out under way is over; if there is none, run "
                "`anmodel snapshot train`, `anmodel train` and `anmodel register` by the gateway's version"
            )
        self._agreed[name] = (time.monotonic(), str(info["version"]))
        return str(info["version"])

    def forget(self) -> None:
        """Something has changed: ask anew. Any thread may say so."""
        self._agreed = {}
