"""A network line between two programs that a test can cut, slow down, or hold up: a TCP proxy."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from anmodel.laptop.kafka import HOST

CHUNK = 64 << 10
PRODUCE, OFFSET_COMMIT = 0, 8  # the numbers of requests in Kafka's protocol
_HEAD = struct.Struct(">iH")  # a Kafka request: its length, which kind it is, and the rest


class Line:
    """Passes on what comes to a port of loopback to another one, both ways, from the moment it is made.

    With `framed`, what clients send are Kafka's requests, which are passed on whole, and can be held up by their kind.
    """

    def __init__(self, port: int, to: int, *, framed: bool = False) -> None:
        self._to = to
        self._framed = framed
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._refuses = False
        self._bytes_per_second = 0.0
        self._held_kind = -1
        self._held_when: Callable[[], bool] = lambda: True
        self.held = threading.Event()
        """Set once a request of the kind that is held up has come."""
        self._listener = socket.create_server((HOST, port))
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    def cut(self) -> None:
        """Break every connection, and each new one at once."""
        self._refuses = True
        self._break_all()

    def stall(self) -> None:
        """Let every connection stand, and nothing pass: as a network that loses every packet."""
        self._flows.clear()

    def slow(self, bytes_per_second: float) -> None:
        """Let no more pass of each connection, in each direction."""
        self._bytes_per_second = bytes_per_second

    def hold(self, kind: int, when: Callable[[], bool] = lambda: True) -> None:
        """Keep requests of this kind back, and what follows on their connection, if `when` is true as they come."""
        self.held.clear()
        self._held_when = when
        self._held_kind = kind

    def drop_held(self) -> None:
        """Break every connection, so that what was held up never arrives; hold nothing up any more."""
        self._break_all()
        self._held_kind = -1

    def heal(self) -> None:
        """Be a good line again; what was held up or stalled arrives now."""
        self._refuses, self._bytes_per_second, self._held_kind = False, 0.0, -1
        self._flows.set()

    def close(self) -> None:
        """End it."""
        self._listener.close()
        self.heal()
        self._break_all()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = None if self._refuses else socket.create_connection((HOST, self._to), 5)
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._sockets |= {near, far}
            self._start(self._pass, near, far, self._requests if self._framed else self._pieces)
            self._start(self._pass, far, near, self._pieces)

    def _pass(
        self,
        source: socket.socket,
        sink: socket.socket,
        read: Callable[[socket.socket], Iterator[bytes]],
    ) -> None:
        pause = threading.Event()
        try:
            for piece in read(source):
                if self._bytes_per_second:
                    pause.wait(len(piece) / self._bytes_per_second)
                self._flows.wait()
                sink.sendall(piece)
        except OSError:
            pass
        finally:
            self._break(source, sink)

    def _pieces(self, source: socket.socket) -> Iterator[bytes]:
        while piece := source.recv(CHUNK):
            yield piece

    def _requests(self, source: socket.socket) -> Iterator[bytes]:
        waiting = b""
        for piece in self._pieces(source):
            waiting += piece
            while len(waiting) >= _HEAD.size:
                length, kind = _HEAD.unpack_from(waiting)
                if len(waiting) < 4 + length:
                    break
                self._keep_back(kind, source)
                yield waiting[: 4 + length]
                waiting = waiting[4 + length :]

    def _keep_back(self, kind: int, source: socket.socket) -> None:
        pause = threading.Event()
        if kind != self._held_kind or not self._held_when():
            return
        while kind == self._held_kind and source.fileno() >= 0:
            self.held.set()
            pause.wait(0.01)

    def _break_all(self) -> None:
        with self._lock:
            everyone = list(self._sockets)
        self._break(*everyone)

    def _break(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._sockets.difference_update(sockets)
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @staticmethod
    def _start(work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()
