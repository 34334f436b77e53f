"""The sockets: one thread a connection, on loopback only."""

import socket
import socketserver
import sys
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import structlog

from anmodel.errors import WarehouseError
from anmodel.laptop.clickhouse.engine import Engine
from anmodel.laptop.clickhouse.folder import HOST
from anmodel.laptop.clickhouse.handler import Handler
from anmodel.laptop.clickhouse.running import Running

GRACE_SECONDS: Final = 1.5  # that running queries get to end by themselves when the process is asked to stop
CANCEL_SECONDS: Final = 2.5  # that cancelled ones get
log = structlog.get_logger()


class Server(ThreadingHTTPServer):
    """Listens from the moment it is made, answers once `begin` is called."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    engine: Engine
    running: Running

    def __init__(self, port: int, user: str, password: str, give_up: Callable[[], None]) -> None:
        """`give_up` is called when the engine has crashed; the process must then end and be started anew."""
        self.give_up = give_up
        self.user = user
        self.password = password
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise WarehouseError(
                f"Port {port} of {HOST}, which ClickHouse is to listen on, cannot be had: {error.strerror or error}. "
                "Free it, or choose another by CLICKHOUSE_PORT (--port)."
            ) from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Bind without asking any name server for the host's name, as the standard library would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.port

    def begin(self, memory_bytes: int, threads: int) -> None:
        """Open the engine and answer requests from now on, in threads."""
        self.engine = Engine(memory_bytes, threads)
        self.running = Running(self.engine.cancel)
        Thread(target=self.running.watch, name="watch", daemon=True).start()
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="accept", daemon=True).start()

    def finish(self) -> None:
        """Stop: take no more, let what runs end for a moment, cancel the rest, close the engine."""
        self.shutdown()
        self.server_close()
        self.running.end()
        if not self.running.wait_idle(GRACE_SECONDS):
            left = self.running.ids()
            log.warning("queries cancelled", queries=left)
            for query_id in left:
                self.engine.cancel(query_id)
        if self.running.wait_idle(CANCEL_SECONDS):
            self.engine.close()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """A connection that broke is no news; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            log.exception("connection failed")
