"""A part of the platform: how it is started, when it is ready, whom it needs."""

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from anmodel.laptop.jars import Progress


def nothing_to_prepare(progress: Progress) -> None:
    """For parts that need no preparation."""


@dataclass(frozen=True)
class Part:
    """One process of the platform.

    `command` is asked anew at each start. `prepare` runs once, before the first start; `after_ready` each time the
    part has become ready. A task (`once`) is ready when it has ended with 0, and is not started again.
    """

    name: str
    command: Callable[[], list[str]]
    ready: Callable[[], bool] = lambda: True
    needs: tuple[str, ...] = ()
    port: int | None = None
    port_variable: str = ""
    url: str = ""
    once: bool = False
    deadline: float = 90.0
    prepare: Callable[[Progress], None] = nothing_to_prepare
    after_ready: Callable[[], object] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)


def answers_http(port: int, path: str, timeout: float = 2.0) -> bool:
    """Whether GET `path` on this machine is answered with 200. Asked directly, past any proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
