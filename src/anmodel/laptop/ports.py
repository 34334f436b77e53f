"""Are the ports free? Asked for all parts before any is started."""

import errno
import socket
from collections.abc import Iterable

import psutil

from anmodel.errors import SettingError
from anmodel.laptop.part import Part

HOST = "127.0.0.1"


def require_free_ports(parts: Iterable[Part]) -> None:
    """Raise `SettingError` naming every port that is taken: whose it should be, who has it, how to change it."""
    ported = [(part, part.port) for part in parts if part.port is not None]
    faults = [_fault(part, port) for part, port in ported if taken(port)]
    faults += [
        _clash(part, other) for part, port in ported for other, theirs in ported if _clashes(part, port, other, theirs)
    ]
    if faults:
        raise SettingError("\n".join(faults))


def taken(port: int) -> bool:
    """Whether a program listens on the port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        # asked first: on macOS a port that another holds on all addresses can still be bound on this one
        if probe.connect_ex((HOST, port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return True
            raise
    return False


def _clashes(part: Part, port: int, other: Part, theirs: int) -> bool:
    return part.name < other.name and port == theirs


def _clash(part: Part, other: Part) -> str:
    return (
        f"{part.port_variable} and {other.port_variable} are both {part.port}; "
        f"{part.name} and {other.name} need a port each."
    )


def _fault(part: Part, port: int) -> str:
    return (
        f"port {port}, which {part.name} needs, is taken{_holder(port)}. "
        f"Stop that program, or set {part.port_variable} to a free port."
    )


def _holder(port: int) -> str:
    """Who listens there, as far as this user may see."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            try:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                return f" by process {connection.pid}"
    return ""
