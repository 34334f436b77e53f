"""A request's body: read from the socket, decoded, and kept in memory while small, in the spool once large."""

import io
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Final

from anmodel.laptop.clickhouse.folder import SPOOL
from anmodel.laptop.clickhouse.problems import refusal

PIECE: Final = 1 << 20
IN_MEMORY: Final = 4 << 20  # bytes of a body that are kept without a file


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


def _kept(*, named: bool) -> AbstractContextManager[Any]:
    if named:
        return tempfile.NamedTemporaryFile(dir=SPOOL)
    return tempfile.SpooledTemporaryFile(IN_MEMORY, dir=SPOOL)


@contextmanager
def spooled(pieces: Iterator[bytes], first: bytes = b"", *, named: bool = False) -> Iterator[IO[bytes]]:
    """`first` and all `pieces` as a file at its beginning. `named` gives it a path (`.name`) the engine can open."""
    with _kept(named=named) as file:
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
