"""`python -m anmodel.laptop.clickhouse`: own the folder and answer until SIGTERM or SIGINT."""

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

import structlog

from anmodel.errors import AnModelError, WarehouseError
from anmodel.laptop.clickhouse.folder import HOST, occupy
from anmodel.settings import ClickHouseSettings
from anmodel.telemetry import configure_logging

MEGABYTE = 1 << 20
WAKE_SECONDS = 0.5
log = structlog.get_logger()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m anmodel.laptop.clickhouse", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="folder of all data")
    parser.add_argument("--port", type=int, default=8123, help="port on loopback; 0: any free one")
    parser.add_argument("--user", default="admin", help="the one user; the password is in CLICKHOUSE_PASSWORD")
    parser.add_argument("--memory-mb", type=int, default=640, help="memory for all queries together")
    parser.add_argument("--threads", type=int, default=0, help="threads of one query; 0: as many as cores, 4 at most")
    return parser.parse_args()


def run(arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Serve until `stop` is set. Raises `AnModelError` if the folder or the port belongs to somebody else."""
    settings = ClickHouseSettings.load(clickhouse_user=arguments.user)
    configure_logging(settings)
    os.environ["TZ"] = "UTC"  # or days would begin at this laptop's midnight, and not where they do on a server
    time.tzset()
    # chDB loads pyarrow if there is one, which nothing here uses: half of the start's time and 30 MB.
    sys.modules["pyarrow"] = None  # type: ignore[assignment]
    memory = arguments.memory_mb * MEGABYTE
    lock = occupy(arguments.path, memory)

    from anmodel.laptop.clickhouse.server import Server  # loads the engine, which looks at TZ once

    crashed = threading.Event()

    def give_up() -> None:
        crashed.set()
        stop.set()

    password = settings.clickhouse_password.get_secret_value()
    server = Server(arguments.port, settings.clickhouse_user, password, give_up)
    server.begin(memory, arguments.threads or min(os.cpu_count() or 1, 4))
    _on_signals(stop)
    log.info("ClickHouse ready", host=HOST, port=server.port, version=server.engine.version, pid=os.getpid())
    # a signal may reach one of the engine's threads instead of this one, which must then wake by itself to see it
    while not stop.wait(WAKE_SECONDS):
        pass
    if crashed.is_set():
        raise WarehouseError("The engine has crashed. What it had acknowledged is on disk: start it again.")
    server.finish()
    lock.release()
    log.info("ClickHouse stopped")


def _on_signals(stop: threading.Event) -> None:
    """Set after the engine has started, which may have set its own."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def main() -> int:
    """The exit code; what went wrong is on standard error."""
    stop = threading.Event()
    _on_signals(stop)
    try:
        run(_arguments(), stop)
    except AnModelError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of idle connections are still there; the engine's own would be torn down under them
