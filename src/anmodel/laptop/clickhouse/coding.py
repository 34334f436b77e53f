"""Content codings of HTTP, both ways, in steps of bounded size."""

import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from typing import Any, Final

from anmodel.laptop.clickhouse.problems import refusal

STEP: Final = 1 << 20  # bytes that one step of decoding gives at most

# Cheapest first: on loopback the processor is what is scarce.
CODINGS: Final = ("lz4", "zstd", "gzip", "deflate")

Encoder = Callable[[bytes], bytes]


class _Inflater:
    """zlib's decompressor in the shape that those of lz4 and zstd share."""

    def __init__(self, window: int) -> None:
        self._zlib = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max(max_length, 0))


def _zstd() -> Any:
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _decompressor(coding: str) -> Any:
    match coding:
        case "gzip" | "x-gzip":
            return _Inflater(31)
        case "deflate":
            return _Inflater(15)
        case "lz4":
            return import_module("lz4.frame").LZ4FrameDecompressor()
        case "zstd":
            return _zstd().ZstdDecompressor()
    raise refusal(
        48, "NOT_IMPLEMENTED", f"Content-Encoding {coding!r} is not known here: use {', '.join(CODINGS)} or none"
    )


def decoded(chunks: Iterator[bytes], coding: str) -> Iterator[bytes]:
    """`chunks` without their content coding. A file of several frames is one; a cut or broken one is refused."""
    if coding in ("", "identity"):
        yield from chunks
        return
    _decompressor(coding)
    decompressor: Any = None
    for chunk in chunks:
        while chunk:
            if decompressor is None:
                decompressor = _decompressor(coding)
            chunk = yield from _one_frame(decompressor, chunk, coding)
            if decompressor.eof:
                decompressor = None
    if decompressor is not None:
        raise refusal(271, "CANNOT_DECOMPRESS", f"The {coding} body ends in the middle of a frame")


def _one_frame(decompressor: Any, chunk: bytes, coding: str) -> Generator[bytes, None, bytes]:
    """What `chunk` adds to the open frame; returns the bytes after the frame's end, empty while it goes on."""
    try:
        piece = decompressor.decompress(chunk, STEP)
        while True:
            if piece:
                yield piece
            if decompressor.eof or (decompressor.needs_input and len(piece) < STEP):
                break
            piece = decompressor.decompress(b"", STEP)
    except (zlib.error, RuntimeError, _zstd().ZstdError) as error:
        raise refusal(271, "CANNOT_DECOMPRESS", f"The body is not {coding}: {error}") from error
    return (decompressor.unused_data or b"") if decompressor.eof else b""


def chosen(accepted: str) -> str:
    """The coding for a response, of those named in Accept-Encoding; empty for none."""
    offers = [part.strip().lower().partition(";") for part in accepted.split(",")]
    names = {name.strip() for name, _, quality in offers if quality.replace(" ", "") not in ("q=0", "q=0.0")}
    return next((coding for coding in CODINGS if coding in names), "")


def encoder(coding: str) -> tuple[Encoder, Callable[[], bytes]]:
    """Two functions: one for each piece, one for the end."""
    match coding:
        case "gzip" | "deflate":
            packer = zlib.compressobj(1, zlib.DEFLATED, 31 if coding == "gzip" else 15)
            return packer.compress, packer.flush
        case "lz4":
            frame = import_module("lz4.frame").LZ4FrameCompressor()
            opening = [frame.begin()]
            return (lambda data: (opening.pop() if opening else b"") + frame.compress(data)), (
                lambda: (opening.pop() if opening else b"") + frame.flush()
            )
        case "zstd":
            press = _zstd().ZstdCompressor(level=1)
            return press.compress, press.flush
    return bytes, bytes
