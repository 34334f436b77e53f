"""The edge: where the Gateway's port 80 is found from here, and the hosts behind it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

EDGE = os.environ.get("ANMODEL_EDGE", "127.0.0.1:30080")
"""Address and port; the hosts' own names need not lead anywhere."""
DOMAIN = "anmodel.localtest.me"


def console_url() -> str:
    """The console, as a browser knows it."""
    return f"http://{DOMAIN}:{EDGE.rpartition(':')[2]}/"


def collect_url() -> str:
    """The collector, as a shop knows it."""
    return f"http://collect.{DOMAIN}:{EDGE.rpartition(':')[2]}/collect"


@contextmanager
def through_the_edge() -> Iterator[None]:
    """Speak to the edge's port whatever a host's name resolves to: it understands a proxy's form of a request."""
    before = {name: os.environ.get(name) for name in ("http_proxy", "no_proxy")}
    os.environ.update(http_proxy=f"http://{EDGE}", no_proxy="")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
