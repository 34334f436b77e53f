"""A shop that sends events and believes only what it was told."""

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx

from eventually import eventually
from passing import PATIENCE
from streaming import events

SECONDS = PATIENCE
APART = timedelta(minutes=9)  # so that a few thousand events lie in several months
Event = Mapping[str, Any]


class Shop:
    """Sends batches to a collector; what was not confirmed it sends again, with the same ids. For many threads."""

    def __init__(self, url: str, patience: float = SECONDS) -> None:
        """`patience`: seconds after which an event that is still not accepted fails the test."""
        self._url = f"{url}/collect"
        self._patience = patience
        self._lock = threading.Lock()
        self.accepted: set[str] = set()
        self.repeats = 0
        """Events that were sent once more."""
        self.slowest = 0.0
        """Seconds of the longest wait for an answer."""

    def send(self, events: Iterable[Event], size: int = 250) -> None:
        """Send all in batches; return once each event was accepted."""
        rest = iter(events)
        while batch := list(itertools.islice(rest, size)):
            self._send_until_accepted(batch)

    @contextmanager
    def open(self, *, seed: int, clients: int = 1, size: int = 100, pause: float = 0.1) -> Iterator["Shop"]:
        """Send batch after batch from so many clients for the time of a `with`, and until the last one is accepted."""
        closing = threading.Event()

        def client(number: int) -> None:
            endless = events(1_000_000, seed=seed * 100 + number, apart=APART / clients)
            while not closing.wait(pause):
                self._send_until_accepted(list(itertools.islice(endless, size)))

        with ThreadPoolExecutor(clients) as pool:
            running = [pool.submit(client, number) for number in range(clients)]
            try:
                yield self
            finally:
                closing.set()
            for one in running:
                one.result()

    def _send_until_accepted(self, batch: list[Event]) -> None:
        left = batch

        def none_left() -> bool:
            nonlocal left
            left = self._send_once(left)
            return not left

        eventually(none_left, self._patience, pause=0.1)

    def _send_once(self, batch: list[Event]) -> list[Event]:
        """The events that were not confirmed."""
        try:
            answer = httpx.post(self._url, json=batch, timeout=SECONDS)
        except httpx.TransportError:
            return self._note(batch, batch)
        if answer.status_code not in (201, 503):
            raise SystemError(f"an answer that nobody expects: {answer.status_code} {answer.text[:500]}")
        self.slowest = max(self.slowest, answer.elapsed.total_seconds())
        told = {event["index"]: event["status"] for event in answer.json().get("events", ())}
        return self._note(batch, [event for index, event in enumerate(batch) if told.get(index) != "accepted"])

    def _note(self, batch: list[Event], left: list[Event]) -> list[Event]:
        with self._lock:
            self.accepted |= {event["event_id"] for event in batch} - {event["event_id"] for event in left}
            self.repeats += len(left)
        return left
