"""One run of `register` at a time, whoever starts it: a Kubernetes Lease that the run at work keeps renewing."""

import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog

from anmodel.cluster import Cluster
from anmodel.errors import ClusterError

log = structlog.get_logger()


class Turn:
    """The right to change what serves. A run that was killed loses it once `seconds` have passed without its renewal.

    Clocks are not compared: whoever waits measures by its own how long the Lease has stood unchanged.
    """

    def __init__(self, cluster: Cluster, name: str, *, seconds: float = 15.0, poll_seconds: float = 1.0) -> None:
        self._cluster, self._name = cluster, name
        self._seconds, self._poll = seconds, poll_seconds
        self._holder = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._ended = threading.Event()
        self._renewed = time.monotonic()
        self._taken_by = ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until no other run is at work, for as long as that takes, and keep the turn within."""
        self._take()
        self._ended.clear()
        keeper = threading.Thread(target=self._keep, name="turn", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._ended.set()
            keeper.join()
            self._give_back()

    def check(self) -> None:
        """ClusterError once the turn may be another's: the Kubernetes API could not be told in time that it is held."""
        late = time.monotonic() - self._renewed > self._seconds
        if self._taken_by or late:
            other = self._taken_by or "another run may have it"
            raise ClusterError(
                f"the Lease {self._name} was not renewed in time and is held no more ({other}). Nothing more is "
                "changed; run `anmodel register` again, which goes on from what it finds."
            )

    def _take(self) -> None:
        seen, since, told = None, time.monotonic(), ""
        while True:
            lease = self._cluster.lease(self._name)
            holder = _holder(lease)
            if _mark(lease) != seen:
                seen, since = _mark(lease), time.monotonic()
            if not holder or time.monotonic() - since > _allowed(lease, self._seconds):
                if self._write(lease):
                    log.info("turn taken", lease=self._name)
                    return
                continue
            if holder != told:
                log.info("another run is at work, waiting for it", lease=self._name, holder=holder)
                told = holder
            time.sleep(self._poll)

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            try:
                lease = self._cluster.lease(self._name)
                if _holder(lease) not in ("", self._holder):
                    self._taken_by = _holder(lease)
                    return
                self._write(lease)
            except ClusterError as error:
                log.warning("the turn is not renewed, trying again", lease=self._name, error=str(error))

    def _give_back(self) -> None:
        try:
            lease = self._cluster.lease(self._name)
            if _holder(lease) == self._holder:
                self._cluster.write_lease(self._name, {**_spec(lease), "holderIdentity": ""}, lease)
        except ClusterError as error:
            log.warning("the turn is not given back; it ends by itself", lease=self._name, error=str(error))

    def _write(self, lease: Mapping[str, Any] | None) -> bool:
        """Make the Lease ours; whether nobody else wrote it since it was read."""
        asked = time.monotonic()
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": max(1, round(self._seconds)),
            "renewTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }
        written = self._cluster.write_lease(self._name, spec, lease)
        if written:
            self._renewed = asked
        return written


def _spec(lease: Mapping[str, Any] | None) -> dict[str, Any]:
    return dict((lease or {}).get("spec", {}))


def _holder(lease: Mapping[str, Any] | None) -> str:
    return str(_spec(lease).get("holderIdentity") or "")


def _mark(lease: Mapping[str, Any] | None) -> str:
    """What changes with every renewal."""
    return str((lease or {}).get("metadata", {}).get("resourceVersion", ""))


def _allowed(lease: Mapping[str, Any] | None, seconds: float) -> float:
    return float(_spec(lease).get("leaseDurationSeconds") or seconds)
