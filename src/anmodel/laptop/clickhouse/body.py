"""A request's body: read from the socket, decoded, and kept in the spool."""

import io
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from anmodel.laptop.clickhouse.folder import SPOOL
from anmodel.laptop.clickhouse.problems import refusal

PIECE: Final = 1 << 20


class ClientGone(Exception):
    """The connection ended in the middle of the body: there is nobody to answer."""


def raw_pieces(stream: io.BufferedIOBase, length: str | None, transfer: str) -> Iterator[bytes]:
    """The body as it came. Raises `ClientGone` when it is cut short, so that half a body is never taken for a whole."""
    if "chunked" in transfer.lower():
        yield from _chunked(stream)
        return
    left = _number(length or "0", 10)
    while left:
        piece = stream.read(min(left, PIECE))
        if not piece:
            raise ClientGone
        left -= len(piece)
        yield piece


def _number(text: str, base: int) -> int:
    try:
        value = int(text, base)
    except ValueError:
        value = -1
    if value < 0:
        raise refusal(36, "BAD_ARGUMENTS", f"The length {text!r} of the body is no number")
    return value


def _chunked(stream: io.BufferedIOBase) -> Iterator[bytes]:
    while True:
        line = stream.readline(1024)
        if not line.endswith(b"\n"):
            raise ClientGone
        left = _number(line.partition(b";")[0].strip().decode("latin-1"), 16)
        if left == 0:
            break
        while left:
            piece = stream.read(min(left, PIECE))
            if not piece:
                raise ClientGone
            left -= len(piece)
            yield piece
        if stream.read(2) != b"\r\n":
            raise ClientGone
    while stream.readline(65536) not in (b"\r\n", b"\n", b""):
        pass  # trailers say nothing here


@contextmanager
def spooled(pieces: Iterator[bytes], first: bytes = b"") -> Iterator[IO[bytes]]:
    """`first` and all `pieces` as a file that the engine opens by its path (`.name`).

    The engine's own streamed insert tells of no error that comes after the last block is read: a constraint, a view or
    a full disk would take the rows, and the client would be told that they are in.
    """
    with tempfile.NamedTemporaryFile(dir=SPOOL) as file:
        file.write(first)
        for piece in pieces:
            file.write(piece)
        file.flush()
        file.seek(0)
        yield file


@contextmanager
def written_by_engine(write: Callable[[str], object]) -> Iterator[IO[bytes]]:
    """What `write` has put at the path it was given, from its beginning. The file is gone from the folder at once."""
    path = Path(SPOOL, uuid.uuid4().hex)
    try:
        write(str(path))
        file = path.open("rb")
    finally:
        path.unlink(missing_ok=True)
    with file:
        yield file


def read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of a file, piece by piece."""
    while piece := file.read(PIECE):
        yield piece


def head_of(pieces: Iterator[bytes], limit: int) -> bytes:
    """The first `limit` bytes or a little more; all of a shorter body."""
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) >= limit:
            break
    return bytes(head)
