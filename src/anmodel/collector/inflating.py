"""Compressed bodies, inflated no further than is allowed: a small body may say that it is a very large one."""

import zlib
from collections.abc import Callable
from typing import Protocol

from backports import zstd

from anmodel.errors import RequestRefused

MEMBERS = 64
_GZIP = 31  # zlib's way to say: with a gzip header
_WINDOW = {int(zstd.DecompressionParameter.window_log_max): 23}  # 8 MiB, all that a sender may ask for (RFC 8878)


def inflate(body: bytes, encoding: str, most: int) -> bytes:
    """The body as it was before the encoding named by its header; `RequestRefused` when it is longer than `most` bytes,
    damaged, or in another encoding."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _ENCODINGS:
        allowed = ", ".join(sorted(_ENCODINGS))
        raise RequestRefused(415, "content-encoding", f"got {name[:40]}; allowed: {allowed}, or a body as it is")
    try:
        inflated = _members(body, most + 1, _ENCODINGS[name])
    except (zlib.error, zstd.ZstdError, EOFError) as error:
        raise RequestRefused(422, "body", f"no whole {name}: {error}; send it again, or without compression") from error
    if len(inflated) > most:
        raise RequestRefused(413, "body", f"inflated larger than COLLECT_MAX_BYTES, {most} bytes")
    return inflated


def _members(body: bytes, most: int, fresh: Callable[[], "_Member"]) -> bytes:
    """What all members hold, one after the other, no more than `most` bytes of it."""
    parts: list[bytes] = []
    while body and most > 0:
        if len(parts) == MEMBERS:  # what follows a member is copied each time: many small ones would take minutes
            raise EOFError(f"it has more than {MEMBERS} members")
        member = fresh()
        parts.append(member.decompress(body, most))
        most -= len(parts[-1])
        if not member.eof and most > 0:
            raise EOFError("it ends too early")
        body = member.unused_data
    return b"".join(parts)


class _Member(Protocol):
    """What the two libraries' decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_ENCODINGS: dict[str, Callable[[], _Member]] = {
    "gzip": lambda: zlib.decompressobj(_GZIP),
    "zstd": lambda: zstd.ZstdDecompressor(options=_WINDOW),
}
