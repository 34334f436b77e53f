"""TLS before a server that has none: what comes in encrypted goes on in plain."""

import contextlib
import socket
import ssl
import threading
from pathlib import Path

from certificates import Authority


class TlsFront:
    """Listens on a port of loopback with a certificate of `authority`, and hands on to `target`, another port there."""

    def __init__(self, target: int, authority: Authority, folder: Path) -> None:
        paths = (folder / "front.pem", folder / "front_key.pem")
        for path, content in zip(paths, authority.issue("front"), strict=True):
            path.write_text(content)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*paths)
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="tls-front", daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                outside, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(outside,), name="tls-front", daemon=True).start()

    def _serve(self, outside: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(outside, server_side=True) as encrypted,
            socket.create_connection(("127.0.0.1", self._target)) as inside,
        ):
            back = threading.Thread(target=_copy, args=(inside, encrypted), name="tls-front", daemon=True)
            back.start()
            _copy(encrypted, inside)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until the source ends; then so does the target."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
