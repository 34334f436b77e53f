"""Who may send: requests are let through by their client's rate, their write key, its origins and its rate."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from anmodel.collector.keyring import Keyring
from anmodel.collector.keys import WriteKey, presented
from anmodel.errors import RequestRefused
from anmodel.rate import Limiter, client_of


class Access:
    """What is asked of a request before its body is read. Without keys and without a rate everybody may send."""

    def __init__(self, keyring: Keyring | None, limiter: Limiter) -> None:
        self._keyring = keyring
        self._limiter = limiter
        self.restricted = bool(keyring or limiter.rate)

    async def admit(self, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        """Raise `RequestRefused` with 401, 403 or 429 unless the request may send."""
        if self._limiter.rate:
            seconds = await self._limiter.seconds_to_wait(client_of(scope))
            if seconds:
                raise _too_many("client", f"{self._limiter.rate} from one address", seconds)
        if self._keyring is None:
            return
        shown, in_address = presented(headers, scope["query_string"])
        key = self._keyring.find(shown)
        if key is None:
            raise RequestRefused(401, "key", "the write key is not known here, or not any more")
        _check_origin(key, headers.get(b"origin"), in_address)
        if key.rate and (seconds := await self._limiter.seconds_to_wait(f"key {key.name}", key.rate)):
            raise _too_many("key", f"{key.rate} with the key {key.name}", seconds)


def _check_origin(key: WriteKey, origin: bytes | None, in_address: bool) -> None:
    """A page's key is for its pages alone, and no secret; a server's is a secret, and may not stand in an address."""
    if key.origins:
        if origin not in key.origins:
            came = (origin or b"none").decode("latin-1")[:100]
            raise RequestRefused(403, "origin", f"got {came}; the key {key.name} is for pages of its own origins")
    elif in_address:
        reason = f"the key {key.name} is a server's: send it as Authorization: Bearer; addresses are logged"
        raise RequestRefused(403, "key", reason)


def _too_many(field: str, what: str, seconds: int) -> RequestRefused:
    reason = f"too many requests: more than {what}; wait {seconds} s"
    return RequestRefused(429, field, reason, retry_after=seconds)
