"""Rate limits: how many requests one client may make in a time, counted in the process or, for all replicas, in Valkey.

The count is a sliding window made of two counters a client: those of this window, and those of the one before by the
part of it that the last `window` seconds still cover (docs/decisions/014-rate-limits.md). Limits must not take the shop
down: while Valkey does not answer, every request is let through, and counted as unchecked.
"""

import asyncio
import ipaddress
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry

from anmodel.settings import RateSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

REST_SECONDS = 5.0
VALKEY_CONNECTIONS = 32
"""Counts under way at once. A burst waits in line for them: a long line must not look like a Valkey that failed."""
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

log = structlog.get_logger()


class Unchecked(Exception):
    """The count is not to be had; the message says why."""


class Counting(Protocol):
    """Where requests are counted."""

    async def seconds_to_wait(self, client: str) -> int:
        """Count a request, if it may pass: then 0, else the seconds after which one may. Raises `Unchecked`."""


class Limiter:
    """The limit of one process. Makes no connection before the first request.

    After Valkey failed it is not asked for `rest` seconds, so that few requests wait in vain.
    """

    def __init__(self, settings: RateSettings, registry: CollectorRegistry, *, rest: float = REST_SECONDS) -> None:
        self.rate = settings.rate_limit
        self._settings = settings
        self._valkey: _Valkey | None = None
        self._counting: dict[str, Counting] = {}
        self._rest = rest
        self._resting_until = 0.0
        self._line = asyncio.Semaphore(VALKEY_CONNECTIONS)
        self._requests = prometheus_client.Counter(
            "anmodel_rate_limit_requests",
            "Requests by what their client's rate came to: allowed, refused, or unchecked as Valkey did not answer.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("allowed", "refused", "unchecked"):
            self._requests.labels(outcome)

    async def seconds_to_wait(self, client: str, rate: str = "") -> int:
        """Count a request of the client's: 0 when it may pass, else the seconds after which to try again.

        `rate` is its own, RATE_LIMIT when it has none. Each rate keeps its counts for itself.
        """
        counting = self._counting.get(rate or self.rate) or self._count_by(rate or self.rate)
        async with self._line:
            if time.monotonic() < self._resting_until:
                self._requests.labels("unchecked").inc()
                return 0
            try:
                seconds = await counting.seconds_to_wait(client)
            except Unchecked as error:
                self._resting_until = time.monotonic() + self._rest
                self._requests.labels("unchecked").inc()
                log.warning("rates not checked", reason=str(error), seconds=self._rest)
                return 0
        self._requests.labels("refused" if seconds else "allowed").inc()
        return seconds

    def _count_by(self, rate: str) -> Counting:
        amount, unit = rate.split("/")
        if self._settings.valkey_url:
            self._valkey = self._valkey or _Valkey(self._settings)
            counting: Counting = _InValkey(int(amount), _UNITS[unit], self._valkey)
        else:
            counting = _InProcess(int(amount), _UNITS[unit])
        self._counting[rate] = counting
        return counting


class RateLimited:
    """Middleware: asks `limiter` about each request that `applies` names; `refuse` makes the answer of one too many,
    given the seconds to wait."""

    def __init__(
        self,
        app: "ASGIApp",
        limiter: Limiter,
        applies: "Callable[[Scope], bool]",
        refuse: "Callable[[str, int], ASGIApp]",
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._applies = applies
        self._refuse = refuse

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        app = self._app
        if scope["type"] == "http" and self._applies(scope):
            seconds = await self._limiter.seconds_to_wait(client_of(scope))
            if seconds:
                app = self._refuse(
                    f"too many requests: more than {self._limiter.rate} from one address; wait {seconds} s", seconds
                )
        await app(scope, receive, send)


def client_of(scope: "Scope") -> str:
    """Whom a request counts for: its address, or of an IPv6 address the first 64 bits, which one line has all of."""
    host = (scope.get("client") or ("unknown",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


def _until_free(amount: int, window: float, before: int, now: int, left: float) -> int:
    """Whole seconds until one more request may pass: `left` of this window, in which `now` were counted, and `before`
    in the one before."""
    seconds = left if now >= amount else left - (amount - now) * window / before
    return int(max(seconds, 0)) + 1


class _InProcess:
    """Counters in this process. (The library's own store looks at every client it knows at every request.)"""

    def __init__(self, amount: int, window: int) -> None:
        self._amount = amount
        self._window = window
        self._number = 0
        self._now: Counter[str] = Counter()
        self._before: Counter[str] = Counter()

    async def seconds_to_wait(self, client: str) -> int:
        number, passed = divmod(time.monotonic(), self._window)
        if number != self._number:
            self._before = self._now if number == self._number + 1 else Counter()
            self._now, self._number = Counter(), int(number)
        left = self._window - passed
        before, now = self._before[client], self._now[client]
        if int(before * left / self._window) + now >= self._amount:
            return _until_free(self._amount, self._window, before, now, left)
        self._now[client] += 1
        return 0


class _Valkey:
    """The connection to Valkey, which all rates share."""

    def __init__(self, settings: RateSettings) -> None:
        # half a second of import, which only they wait for who count so
        from limits.aio.storage import RedisStorage
        from limits.errors import StorageError
        from valkey.asyncio import ConnectionPool

        password = settings.valkey_password.get_secret_value()
        pool: Any = ConnectionPool.from_url(
            settings.valkey_url,
            socket_timeout=settings.valkey_timeout,
            socket_connect_timeout=settings.valkey_timeout,
            **({"password": password} if password else {}),
        )
        self.timeout = settings.valkey_timeout
        self.faults = (StorageError, OSError)  # TimeoutError is one
        self.storage = RedisStorage(
            f"async+{settings.valkey_url}", wrap_exceptions=True, key_prefix="anmodel-rate", connection_pool=pool
        )


class _InValkey:
    """Counters that all replicas share; one script in Valkey looks and counts."""

    def __init__(self, amount: int, window: int, valkey: _Valkey) -> None:
        self._amount = amount
        self._window = window
        self._valkey = valkey

    async def seconds_to_wait(self, client: str) -> int:
        key = f"{client}/{self._amount}/{self._window}"
        try:
            async with asyncio.timeout(self._valkey.timeout):
                if await self._valkey.storage.acquire_sliding_window_entry(key, self._amount, self._window):
                    return 0
                before, _, now, lives = await self._valkey.storage.get_sliding_window(key, self._window)
        except self._valkey.faults as error:
            raise Unchecked(str(error) or type(error).__name__) from error
        if not before + now:
            return 1  # it has just run out
        return _until_free(self._amount, self._window, before, now, lives - self._window)
