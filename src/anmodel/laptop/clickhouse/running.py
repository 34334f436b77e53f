"""Which queries run now, at most how many, and whom to cancel because nobody waits for the answer any more."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from anmodel.laptop.clickhouse.problems import refusal

SLOTS = 24  # queries at once; each has its own threads in the engine and its own memory
WAIT_SECONDS = 30.0  # that a query waits for a slot
LOOK_SECONDS = 0.25  # between two looks at the clients' sockets


@dataclass(slots=True)
class _Entry:
    peer: socket.socket
    cancel_when_gone: bool
    cancelled: bool = False


class Running:
    """The list of running queries. `cancel(query_id)` is the engine's; it must be quick and safe to repeat."""

    def __init__(self, cancel: Callable[[str], None]) -> None:
        self._cancel = cancel
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(SLOTS)
        self._ended = threading.Event()
        self._idle = threading.Condition(self._lock)

    def ids(self) -> list[str]:
        """The ids of the running queries, oldest first."""
        with self._lock:
            return list(self._entries)

    @contextmanager
    def entered(self, query_id: str, peer: socket.socket, *, cancel_when_gone: bool, has_slot: bool) -> Iterator[None]:
        """Be on the list for the time of a `with`. A KILL asks for no slot, so that it is never behind its victim."""
        if self._ended.is_set():
            raise refusal(236, "ABORTED", "ClickHouse is stopping: ask again once it runs")
        with self._lock:
            if query_id in self._entries:
                text = f"Query with id = {query_id} is already running."
                raise refusal(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", text)
            self._entries[query_id] = _Entry(peer, cancel_when_gone)
        held = False
        try:
            held = has_slot and self._slots.acquire(timeout=WAIT_SECONDS)
            if has_slot and not held:
                raise refusal(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many simultaneous queries. Maximum: {SLOTS}.")
            yield
        finally:
            if held:
                self._slots.release()
            with self._lock:
                self._entries.pop(query_id, None)
                self._idle.notify_all()

    def watch(self) -> None:
        """Cancel the queries whose client has hung up, until `end`. Runs in a thread of its own."""
        while not self._ended.wait(LOOK_SECONDS):
            with self._lock:
                left = [key for key, entry in self._entries.items() if self._is_left(entry)]
            for query_id in left:
                self._cancel(query_id)

    def _is_left(self, entry: _Entry) -> bool:
        if not entry.cancel_when_gone or entry.cancelled:
            return False
        try:
            look = select.poll()
            look.register(entry.peer, select.POLLIN)
            entry.cancelled = bool(look.poll(0)) and entry.peer.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError):
            entry.cancelled = True
        return entry.cancelled

    def wait_idle(self, seconds: float) -> bool:
        """True once nothing runs; False after `seconds`."""
        with self._lock:
            return self._idle.wait_for(lambda: not self._entries, seconds)

    def end(self) -> None:
        """Stop the watch."""
        self._ended.set()
