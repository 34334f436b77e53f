"""A shop that never stops: known events through the edge, each repeated until the collector has acknowledged it."""

import itertools
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import msgspec
from edge import collect_url, through_the_edge

from anmodel.client import CollectorClient, SendOptions, SendReport
from eventually import eventually

RETRY_SECONDS = 150.0
"""How long a batch is repeated: longer than any part of the road may be away here."""


class Load:
    """Sends from entering the `with` until `finish`; every event's id begins with `prefix`."""

    def __init__(self, prefix: str, rate: float = 200.0) -> None:
        self.prefix = prefix
        self.made = 0
        self.report: SendReport | None = None
        self._ending = threading.Event()
        self._now = SendReport()
        options = SendOptions(batch=50, concurrency=4, timeout=10.0, retry_for=RETRY_SECONDS, rate=rate)
        self._client = CollectorClient(collect_url(), options)
        self._thread = threading.Thread(target=self._send, name=f"load-{prefix}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join(RETRY_SECONDS + 30)

    def wait_for(self, accepted: int, seconds: float = 120) -> None:
        """Wait until so many further events are acknowledged."""
        goal = self._now.accepted + accepted
        eventually(lambda: self._now.accepted >= goal, seconds)

    def finish(self) -> int:
        """Make no more, wait until everything is acknowledged, and return how many events that were."""
        self._ending.set()
        self._thread.join(RETRY_SECONDS + 30)
        assert self.report is not None, "sending has not ended"
        assert self.report.complete, self.report.summary()
        assert self.report.accepted == self.made
        return self.made

    def _send(self) -> None:
        with through_the_edge():
            self.report = self._client.send_all(self._events(), self._note)

    def _note(self, report: SendReport) -> None:
        self._now = report

    def _events(self) -> Iterator[bytes]:
        chance = random.Random(self.prefix)
        newest = datetime.now(UTC).replace(microsecond=0)
        for number in itertools.count():
            if self._ending.is_set():
                return
            self.made += 1
            yield msgspec.json.encode(
                {
                    "event_id": f"{self.prefix}-{number}",
                    "event_type": chance.choice(["page_view", "product_view", "add_to_cart", "purchase"]),
                    "timestamp": (newest - timedelta(seconds=number)).isoformat(),
                    "session_id": f"s{number // 10}",
                    "user_id": f"user-{chance.randrange(100)}",
                    "region": "UA-30",
                    "properties": {"item_id": f"item_{chance.randrange(50)}", "price": chance.randrange(1, 500)},
                }
            )
