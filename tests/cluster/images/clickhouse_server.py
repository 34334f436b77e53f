"""Runs ClickHouse's engine with its data in /data/clickhouse, for every pod that can reach port 8123.

The laptop's server listens on loopback alone, as it should; in a pod of the test platform the network policy is the
fence. The user is `anmodel`, the password is in /run/secrets/clickhouse/password, read once at the start.
"""

import os
import signal
import socketserver
import sys
import threading
import time
from pathlib import Path

import structlog

from anmodel.errors import WarehouseError
from anmodel.laptop.clickhouse.folder import occupy
from anmodel.laptop.locks import FolderLock

DATA = Path("/data/clickhouse")
PASSWORD = Path("/run/secrets/clickhouse/password")
USER, PORT = "anmodel", 8123
MEMORY = int(os.environ.get("MEMORY_MB", "512")) << 20
log = structlog.get_logger()


def own_folder() -> FolderLock:
    """Wait for the folder: a pod that was deleted by force may still run for a moment."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return occupy(DATA, MEMORY)
        except WarehouseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main() -> int:
    """Serve until SIGTERM; the exit code."""
    stop, crashed = threading.Event(), threading.Event()
    sys.modules["pyarrow"] = None  # type: ignore[assignment]  # not used here, and slow to load
    lock = own_folder()

    from anmodel.laptop.clickhouse.server import Server  # loads the engine

    class OpenServer(Server):
        """The laptop's server on every address."""

        def server_bind(self) -> None:
            self.server_address = ("", PORT)
            socketserver.TCPServer.server_bind(self)
            self.server_name, self.server_port = "0.0.0.0", PORT  # noqa: S104

    def give_up() -> None:
        crashed.set()
        stop.set()

    server = OpenServer(PORT, USER, PASSWORD.read_text().strip(), give_up)
    server.begin(MEMORY, 2)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("ClickHouse ready", port=PORT, version=server.engine.version)
    stop.wait()
    if crashed.is_set():
        return 1
    server.finish()
    lock.release()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the engine's threads would be torn down under the server's
