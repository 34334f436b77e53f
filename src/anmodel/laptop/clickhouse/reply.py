"""A response: held back while small so that its status and summary can be true, then sent in chunks."""

import json
import secrets
import tempfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Final

from anmodel.laptop.clickhouse.body import read_pieces
from anmodel.laptop.clickhouse.coding import chosen, encoder
from anmodel.laptop.clickhouse.folder import SPOOL
from anmodel.laptop.clickhouse.problems import EngineError

HELD: Final = 1 << 20  # bytes of a result that are kept back before the headers go out
WORTH_PACKING: Final = 1024  # bytes below which a coding is not worth its frame


class Reply:
    """The response to one request."""

    def __init__(self, handler: BaseHTTPRequestHandler, query_id: str, timezone: str) -> None:
        self._handler = handler
        self._headers = {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Timezone": timezone}
        self.begun = False

    def header(self, name: str, value: str) -> None:
        """Add a header; of no use once the response has begun."""
        self._headers[name] = value

    def send(
        self, pieces: Iterator[bytes], *, accepted: str, waits: bool, summary: Callable[[], dict[str, str]]
    ) -> None:
        """Send the result. An error before `HELD` bytes (with `waits`, before the end) rises with nothing sent."""
        if self._handler.request_version == "HTTP/1.0":  # knows no chunks
            accepted, waits = "", True
        with tempfile.SpooledTemporaryFile(HELD, dir=SPOOL) as held:
            ended = self._hold(pieces, held, waits=waits)
            size = held.tell()
            held.seek(0)
            coding = chosen(accepted) if size >= WORTH_PACKING or not ended else ""
            self.header("X-ClickHouse-Summary", json.dumps(summary(), separators=(",", ":")))
            if ended and not coding:
                self._start(200, {"Content-Length": str(size)})
                for piece in read_pieces(held):
                    self._write(piece)
            else:
                self._send_chunks(_chain(read_pieces(held), pieces), coding)

    def _hold(self, pieces: Iterator[bytes], held: "tempfile.SpooledTemporaryFile[bytes]", *, waits: bool) -> bool:
        """Fill `held`; True if the result has ended in it."""
        for piece in pieces:
            held.write(piece)
            if not waits and held.tell() >= HELD:
                return False
        return True

    def _send_chunks(self, pieces: Iterator[bytes], coding: str) -> None:
        """Send as chunks; an error on the way is told in the stream, which is then cut without its last chunk."""
        tag = secrets.token_hex(8)
        headers = {"Transfer-Encoding": "chunked", "X-ClickHouse-Exception-Tag": tag}
        if coding:
            headers["Content-Encoding"] = coding
        self._start(200, headers)
        pack, finish = encoder(coding)
        try:
            for piece in pieces:
                self._chunk(pack(piece))
        except EngineError as error:
            self._chunk(pack(_told(error, tag)))
            self._chunk(finish())
            self._handler.close_connection = True
            return
        self._chunk(finish())
        self._write(b"0\r\n\r\n")

    def error(self, error: EngineError) -> None:
        """Send an error, in ClickHouse's form."""
        body = (str(error) + "\n").encode("utf-8", "replace")
        self.header("X-ClickHouse-Exception-Code", str(error.code))
        self.header("Content-Type", "text/plain; charset=UTF-8")
        self._start(error.http_status, {"Content-Length": str(len(body))})
        self._write(body)

    def text(self, status: int, text: str) -> None:
        """Send a short plain answer."""
        body = text.encode()
        self.header("Content-Type", "text/html; charset=UTF-8")
        self._start(status, {"Content-Length": str(len(body))})
        self._write(body)

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.begun = True
        handler = self._handler
        handler.send_response(status)
        for name, value in {**self._headers, **headers}.items():
            handler.send_header(name, value.replace("\r", " ").replace("\n", " "))
        handler.send_header("Connection", "close" if handler.close_connection else "keep-alive")
        handler.end_headers()

    def _chunk(self, data: bytes) -> None:
        if data:
            self._write(b"%x\r\n" % len(data) + data + b"\r\n")

    def _write(self, data: bytes) -> None:
        if self._handler.command != "HEAD":
            self._handler.wfile.write(data)


def _chain(first: Iterator[bytes], second: Iterator[bytes]) -> Iterator[bytes]:
    yield from first
    yield from second


def _told(error: EngineError, tag: str) -> bytes:
    """An error in the middle of a result, as clients look for it."""
    text = str(error).encode("utf-8", "replace")
    return b"\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n" % (
        tag.encode(),
        text,
        len(text) + 1,
        tag.encode(),
    )
